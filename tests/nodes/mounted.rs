//! Tests of keys in a secret that is mounted as Kubernetes does it: a read-only file system, files
//! of root that a group may read, and links to a folder that is replaced as a whole.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::BOUND;
use super::service::{Client, this_release};
use crate::support::process::free_address;
use crate::support::raw::limit;

/// A mount namespace, until it is dropped.
struct Place {
    holder: Child,
}

impl Place {
    /// Mounts a folder of keys as a secret with these files and this mode.
    fn with(keys: &Path, files: &Path, mode: &str) -> Self {
        let (keys, files) = (keys.display(), files.display());
        let script = format!(
            "mount -t tmpfs -o mode=1777 none {keys} && cd {keys} && mkdir ..first && \
             cp {files}/*.* ..first && chmod {mode} ..first/* && ln -s ..first ..data && \
             for key in ..first/*; do ln -s ..data/${{key##*/}} .; done && \
             mount -o remount,ro {keys} && echo mounted && exec sleep 600"
        );
        let mut command = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["--mount", "sh", "-c", &script]).stdout(Stdio::piped());
        let mut holder = command.spawn().unwrap();
        let mut said = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "mounted\n", "a mount in a namespace of its own");
        Self { holder }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--mount"]);
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--").arg(program).stdin(Stdio::null());
        command
    }

    fn run(&self, folder: &Path, arguments: &[&str]) -> Output {
        let mut command = self.command(&this_release());
        command.arg("--data-dir").arg(folder).args(arguments).output().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn make(folder: &Path, what: [&str; 2]) {
    let made = Command::new(this_release()).arg("--data-dir").arg(folder).args(what).output();
    let made = made.unwrap();
    assert!(made.status.success(), "{made:?}");
}

/// Checks for one sentence on standard error and exit code 1.
fn refused(output: &Output) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    said
}

#[test]
#[ignore = "wants to mount: tests/e2e/nodes"]
fn keys_come_from_a_mounted_secret_and_its_renewal_is_heard() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [data, made] = folders.each_ref().map(tempfile::TempDir::path);
    let keys = data.join("keys");
    std::fs::create_dir(&keys).unwrap();
    make(made, ["key", "rotate"]);
    let place = Place::with(&keys, &made.join("keys"), "0440");
    let listed = place.run(data, &["key", "list"]);
    assert!(listed.status.success(), "{listed:?}");
    let said = refused(&place.run(data, &["key", "rotate"]));
    assert!(said.contains("mounted read-only; create the key in another folder"), "{said}");

    // without its database, these keys would be refused
    assert!(place.run(data, &["migrate"]).status.success());
    let said = refused(&place.run(data, &["user", "list"]));
    assert!(said.contains("`cloakroom --data-dir FOLDER server-secret add`"), "{said}");
    drop(place);
    make(made, ["server-secret", "add"]);
    let place = Place::with(&keys, &made.join("keys"), "0440");
    let at = free_address();
    let mut command = place.command(&this_release());
    command.arg("--data-dir").arg(data).args(["--listen", &at.to_string()]).stderr(Stdio::null());
    let mut node = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(node.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains("serves at"), "{said}");
    let client = Client::of(at);
    let cookie = client.register("ann", 1).unwrap().1.unwrap();
    let known = || client.text("/.well-known/jwks.json").matches("\"kid\"").count();
    assert_eq!(known(), 1);

    // a key is added to the secret, and the kubelet replaces the folder
    thread::sleep(Duration::from_millis(20)); // the newest key by modification time signs
    make(made, ["key", "rotate"]);
    let script = format!(
        "mount -o remount,rw {0} && cd {0} && mkdir ..second && cp {1}/*.* ..second && \
         chmod 0440 ..second/* && ln -s ..second ..new && mv -T ..new ..data && \
         for key in ..second/*; do [ -e ${{key##*/}} ] || ln -s ..data/${{key##*/}} .; done; \
         rm -r ..first && mount -o remount,ro {0}",
        keys.display(),
        made.join("keys").display()
    );
    assert!(place.command("sh").args(["-c", &script]).status().unwrap().success());
    let start = Instant::now();
    while known() != 2 {
        assert!(start.elapsed() < limit(5 * BOUND), "the new key is taken up");
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(client.private(&cookie), Some(200), "the old key still verifies");
    let new = client.log_in("ann").unwrap().1.unwrap();
    assert_eq!(client.private(&new), Some(200));
    node.kill().unwrap();
    node.wait().unwrap();
    drop(place);

    // the default mode of mounted secrets
    let place = Place::with(&keys, &made.join("keys"), "0444");
    let said = refused(&place.run(data, &["key", "list"]));
    assert!(said.contains("mount the secret with defaultMode 0400"), "{said}");
}
