//! The program at a pseudo-terminal, as a user sees it.

use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use pty_process::Size;
use pty_process::blocking::{self, Pty};

/// Longer than any command takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

pub struct Terminal {
    pty: Arc<Pty>,
    pub child: Child,
    output: Receiver<Vec<u8>>,
    seen: Vec<u8>,
}

impl Terminal {
    /// Runs a command at this terminal with this many columns.
    pub fn start(mut command: Command, columns: u16) -> Self {
        command.env("TERM", "xterm-256color");
        let (pty, pts) = blocking::open().unwrap();
        pty.resize(Size::new(24, columns)).unwrap();
        let child = blocking::Command::from(command).spawn(pts).unwrap();
        let pty = Arc::new(pty);
        let (sender, output) = channel();
        let reader = Arc::clone(&pty);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // on Linux, reading from a terminal that no process has open fails
            while let Ok(count @ 1..) = (&*reader).read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { pty, child, output, seen: Vec::new() }
    }

    /// Waits until this text is on the terminal.
    pub fn wait_for(&mut self, text: &str) {
        while !self.shown().contains(text) {
            let Ok(bytes) = self.output.recv_timeout(PATIENCE) else {
                panic!("{text:?} was not shown, but {:?}", self.shown());
            };
            self.seen.extend(bytes);
        }
    }

    pub fn type_line(&mut self, line: &str) {
        writeln!(&*self.pty, "{line}").unwrap();
    }

    /// All output until now, with the line ends of a file.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.seen).replace("\r\n", "\n")
    }

    /// Waits for the end. Returns the exit code and all output.
    pub fn finish(mut self) -> (Option<i32>, String) {
        while let Ok(bytes) = self.output.recv_timeout(PATIENCE) {
            self.seen.extend(bytes);
        }
        let code = self.child.wait().unwrap().code();
        (code, self.shown())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The text without its color codes.
pub fn without_colors(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}
