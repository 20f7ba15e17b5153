//! What the process knows stays in it: passwords as they are typed, and the keys.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Keeps the memory of this process out of files, however it ends, and out of reach of other programs
/// of the same user.
pub fn keep_private() {
    let limit = getrlimit(Resource::Core);
    let none = Rlimit { current: Some(0), ..limit };
    let _ = setrlimit(Resource::Core, none); // a lower limit is always granted
    // a program that takes cores from a pipe gets them whatever that limit is, but not of such a one
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(
        rustix::process::DumpableBehavior::NotDumpable, // Linux refuses that to nobody
    );
}
