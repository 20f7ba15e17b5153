//! The server under valgrind's callgrind, which counts the instructions of all threads.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// After an answer has been read, the server still executes instructions until it sleeps.
const SETTLE: Duration = Duration::from_millis(50);

/// How often the server is started if it ends before it listens.
const ATTEMPTS: u32 = 5;

/// Runs until it is dropped.
pub struct Server {
    child: Child,
    folder: PathBuf,
    /// The address of the bare endpoint.
    pub hello: String,
    /// The address of the service.
    pub service: String,
}

impl Server {
    /// Starts this program again as the server. On a busy machine valgrind may be so slow that
    /// opening the database times out.
    pub fn start() -> Self {
        (0..ATTEMPTS).find_map(|_| Self::try_start()).expect("the server starts")
    }

    /// The profiles stay in `target/instructions`, where `callgrind_annotate` can read them.
    fn try_start() -> Option<Self> {
        let program = std::env::current_exe().expect("this program has a path");
        let target = program.ancestors().nth(2).expect("it is in target/release");
        let folder = target.join("instructions");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder in target");
        let mut child = Command::new("valgrind")
            .args(["--quiet", "--tool=callgrind"])
            .arg(format!("--callgrind-out-file={}/profile", folder.display()))
            .arg(&program)
            .arg("--serve")
            .arg(folder.join("data"))
            .env_clear() // no settings, no proxies, no tunables of the allocator
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdout(Stdio::piped())
            .spawn()
            .expect("valgrind is installed: tests/tools/install valgrind");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line in ASCII");
        let Some((hello, service)) = line.trim().split_once(' ') else {
            child.wait().expect("a child that has ended");
            return None;
        };
        let (hello, service) = (hello.to_owned(), service.to_owned());
        Some(Self { child, folder, hello, service })
    }

    /// Sets the counters to zero.
    pub fn reset(&self) {
        sleep(SETTLE);
        self.command("zero");
    }

    /// The instructions since the last reset.
    pub fn read_instructions(&self) -> u64 {
        sleep(SETTLE);
        self.command("dump");
        let newest = newest_profile(&self.folder);
        let profile = fs::read_to_string(&newest).expect("callgrind wrote it");
        let total = profile.lines().find_map(|line| line.strip_prefix("totals: "));
        total.and_then(|total| total.parse().ok()).expect("a profile says its total")
    }

    /// Sends a command to valgrind's gdbserver.
    fn command(&self, command: &str) {
        let process = format!("--pid={}", self.child.id());
        let ended = Command::new("vgdb").args([&process, command]).output().expect("vgdb is there");
        assert!(ended.status.success(), "vgdb {command}: {ended:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Callgrind numbers its profiles.
fn newest_profile(folder: &Path) -> PathBuf {
    let files =
        fs::read_dir(folder).expect("the folder is there").flatten().map(|file| file.path());
    let number = |path: &PathBuf| path.extension()?.to_str()?.parse::<u32>().ok();
    let newest = files.filter_map(|path| Some((number(&path)?, path))).max();
    newest.expect("callgrind wrote a profile").1
}
