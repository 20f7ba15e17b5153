//! A process that serves, and addresses for it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than a start takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The files by which this process holds the ports that it gave out, until it ends.
static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// Holds a port, so that no other test process gives it out. Returns false if one has it.
fn hold(port: u16) -> bool {
    let user = rustix::process::geteuid().as_raw();
    let folder = std::env::temp_dir().join(format!("cloakroom-test-ports-{user}"));
    fs::create_dir_all(&folder).unwrap();
    let file = File::create(folder.join(port.to_string())).unwrap();
    let is_held = file.try_lock().is_ok();
    if is_held {
        HELD.lock().unwrap().push(file);
    }
    is_held
}

/// An address where nothing listens. No other test process gives it out before this one has ended.
/// The port is below those that the system gives to outgoing connections, so that none of them
/// takes it before the service does.
pub fn free_address() -> SocketAddr {
    const FIRST: u32 = 12_000;
    const PORTS: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id() * 101);
        let port = u16::try_from(FIRST + number % PORTS).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if hold(port) && TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// A running process. It is killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl From<Child> for Process {
    fn from(child: Child) -> Self {
        Self { child }
    }
}

impl Process {
    /// Starts a command and waits until it serves. If it ends instead, the error is its exit code.
    pub fn serve(command: &mut Command) -> Result<Self, Option<i32>> {
        let mut process = Self::spawn(command);
        process.wait_until_it_serves()?;
        Ok(process)
    }

    /// Starts a command that prints a line when it serves.
    pub fn spawn(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap().into()
    }

    pub fn wait_until_it_serves(&mut self) -> Result<(), Option<i32>> {
        let output = self.child.stdout.take().expect("this is called once");
        let (sender, first_line) = mpsc::channel();
        thread::spawn(move || {
            let (mut output, mut line) = (BufReader::new(output), String::new());
            let _ = output.read_line(&mut line); // it stays empty if the process ends
            let _ = sender.send(line); // the receiver may have given up
            let _ = io::copy(&mut output, &mut io::sink()); // until the process ends
        });
        match first_line.recv_timeout(PATIENCE) {
            Ok(line) if line.contains("serves at") => Ok(()),
            Ok(_) => Err(self.child.wait().unwrap().code()),
            Err(error) => panic!("it neither serves nor ends within {PATIENCE:?}: {error}"),
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// A number of `/proc/…/status`, for example `VmRSS:`.
    pub fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// The resident memory in KiB.
    pub fn resident(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// User and system time until now, in ticks of 10 ms.
    pub fn cpu(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// The open files, including connections.
    pub fn open_files(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap();
        all.filter_map(|file| fs::read_link(file.unwrap().path()).ok()).collect()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// How the process ended, or `None` if it does not end in time.
    pub fn end_within(&mut self, time: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        while start.elapsed() < time {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// The exit code of a process that must end in time; `None` if a signal ended it.
    pub fn exit_code_within(&mut self, time: Duration) -> Option<i32> {
        self.end_within(time).unwrap_or_else(|| panic!("still running after {time:?}")).code()
    }

    /// After this call the process writes nothing more.
    pub fn kill(&mut self) {
        let _ = self.child.kill(); // it may have ended already
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
