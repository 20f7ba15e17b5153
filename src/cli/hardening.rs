//! Protects the secrets in this process's memory: typed passwords and keys.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Prevents core dumps of this process, and access by other programs of the same user.
pub fn keep_private() {
    let limit = getrlimit(Resource::Core);
    let none = Rlimit { current: Some(0), ..limit };
    let _ = setrlimit(Resource::Core, none); // lowering a limit cannot fail
    // A program that receives core dumps through a pipe ignores that limit, but gets none of a
    // process that is not dumpable.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(
        rustix::process::DumpableBehavior::NotDumpable, // Linux allows this to every process
    );
}
