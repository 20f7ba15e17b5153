//! Reads a recording of the system calls on the files of a folder, and simulates the disk after a
//! power cut.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use super::rng::Rng;
use super::service::program;

/// A disk writes a sector completely or not at all.
const SECTOR: usize = 512;

/// An event that affects a file of the folder.
#[derive(Debug)]
pub enum Event {
    Create {
        name: String,
    },
    Remove {
        name: String,
    },
    Write {
        name: String,
        at: usize,
        data: Vec<u8>,
    },
    Cut {
        name: String,
        size: usize,
    },
    /// A sync has ended; it covers what was written before it began.
    Sync {
        name: String,
        begun: usize,
    },
    /// The folder is synced, and with it the names of its files.
    SyncFolder {
        begun: usize,
    },
    /// The parent of the folder is synced, and with it the folder's name.
    SyncParent,
    /// The first bytes of an answer are sent.
    Answer {
        request_id: String,
    },
}

/// The program under strace, which records into this file.
pub fn recorded(trace: &Path) -> Command {
    let mut strace = Command::new("strace");
    // `-D` makes the service the process that was started, and strace its grandchild
    strace.args(["-D", "-f", "-qq", "-y", "--seccomp-bpf", "-xx", "-s", "100000", "-o"]).arg(trace);
    let calls = "openat,pwrite64,pwritev,write,writev,sendto,sendmsg,fsync,fdatasync,ftruncate,unlink,\
                 unlinkat,rename,renameat,fallocate";
    strace.arg("-e").arg(format!("trace={calls}"));
    strace.arg(program());
    strace
}

/// The events of a recording that concern this folder, in order.
pub fn read(trace: &Path, folder: &Path) -> Vec<Event> {
    let mut events = Vec::new();
    let mut names = Vec::new();
    let mut begun: HashMap<String, (usize, String)> = HashMap::new();
    for line in BufReader::new(File::open(trace).unwrap()).lines() {
        let line = line.unwrap();
        let Some((task, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        // strace may split a call into two lines, with calls of other tasks between them
        let (at, call) = if let Some(resumed) = call.strip_prefix("<... ") {
            let Some((at, first)) = begun.remove(task) else { continue };
            let rest = resumed.split_once("resumed>").unwrap().1;
            (at, format!("{first}{rest}"))
        } else if let Some(first) = call.strip_suffix("<unfinished ...>") {
            if let Some(answer) = answer(first) {
                events.push(answer); // the answer may already be on its way
            }
            begun.insert(task.to_owned(), (events.len(), first.to_owned()));
            continue;
        } else {
            if let Some(answer) = answer(call) {
                events.push(answer);
            }
            (events.len(), call.to_owned())
        };
        events.extend(event(&call, at, folder, &mut names));
    }
    events
}

fn answer(call: &str) -> Option<Event> {
    if !["writev(", "sendto(", "sendmsg(", "write("].iter().any(|kind| call.starts_with(kind)) {
        return None;
    }
    let sent = bytes(call);
    let sent = String::from_utf8_lossy(&sent);
    let id = sent.split_once("x-request-id: ")?.1.split_once('\r')?.0;
    Some(Event::Answer { request_id: id.to_owned() })
}

fn event(call: &str, at: usize, folder: &Path, names: &mut Vec<String>) -> Option<Event> {
    let (kind, arguments) = call.split_once('(')?;
    let (arguments, result) = arguments.rsplit_once(" = ")?;
    if result.starts_with('-') {
        return None;
    }
    let inside = |hex: &str| {
        let path = String::from_utf8(bytes(&format!("\"{hex}\""))).unwrap();
        let path = path.trim_end_matches(" (deleted)").to_owned();
        let beside = Path::new(&path).strip_prefix(folder).ok()?.to_str()?;
        (!beside.contains('/')).then(|| beside.to_owned())
    };
    // the file that the call is about, from its first argument or its result
    let of = |text: &str| inside(text.split_once('<')?.1.split_once('>')?.0);
    let is_of_parent = || {
        let path = arguments.split_once('<')?.1.split_once('>')?.0;
        (bytes(&format!("\"{path}\"")) == folder.parent()?.as_os_str().as_encoded_bytes())
            .then_some(())
    };
    let number = |text: &str| text.trim().trim_end_matches(')').trim().parse::<usize>().ok();
    match kind {
        "openat" => {
            let name = of(result)?;
            if !arguments.contains("O_CREAT") || names.contains(&name) {
                return None;
            }
            names.push(name.clone());
            Some(Event::Create { name })
        }
        "pwrite64" => {
            let name = of(arguments)?;
            let written = number(result.split(' ').next()?)?;
            let mut data = bytes(arguments);
            assert!(data.len() >= written, "all of it was recorded");
            data.truncate(written);
            Some(Event::Write { name, at: number(arguments.rsplit(',').next()?)?, data })
        }
        "ftruncate" => {
            let size = number(arguments.rsplit(',').next()?)?;
            Some(Event::Cut { name: of(arguments)?, size })
        }
        "fsync" | "fdatasync" if is_of_parent().is_some() => Some(Event::SyncParent),
        "fsync" | "fdatasync" => {
            let name = of(arguments)?;
            if name.is_empty() {
                return Some(Event::SyncFolder { begun: at });
            }
            Some(Event::Sync { name, begun: at })
        }
        "unlink" => {
            let name = inside(arguments.split('"').nth(1)?)?;
            names.retain(|known| *known != name);
            Some(Event::Remove { name })
        }
        // fail on calls that this simulation does not know
        "write" | "pwritev" | "rename" | "renameat" | "unlinkat" | "fallocate" => {
            let name = of(arguments);
            assert!(name.is_none(), "{kind} of {name:?}");
            None
        }
        _ => None,
    }
}

/// The bytes of all strings in a call, which strace writes in hexadecimal.
fn bytes(call: &str) -> Vec<u8> {
    let mut all = Vec::new();
    for string in call.split('"').skip(1).step_by(2) {
        let digit = |digit: u8| match digit {
            b'0'..=b'9' => digit - b'0',
            _ => digit - b'a' + 10,
        };
        let codes = string.as_bytes().chunks_exact(4);
        all.extend(codes.map(|code| digit(code[2]) << 4 | digit(code[3])));
    }
    all
}

/// What a power cut leaves of unsynced writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    Dropped,
    /// Any of them, in any order, some of them in part.
    AnyOfIt,
}

/// The simulated disk after a number of events.
#[derive(Debug, Default)]
pub struct Disk {
    files: BTreeMap<String, Content>,
    /// The names that are synced.
    names: Vec<String>,
    renamed: Vec<(usize, String, bool)>,
}

#[derive(Debug, Default, Clone)]
struct Content {
    synced: Vec<u8>,
    unsynced: Vec<(usize, Change)>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Cut(usize),
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write(at, data) => {
                to.resize(to.len().max(at + data.len()), 0);
                to[*at..at + data.len()].copy_from_slice(data);
            }
            Self::Cut(size) => to.resize(*size, 0),
        }
    }
}

impl Disk {
    /// Applies the n-th event.
    pub fn take(&mut self, n: usize, event: &Event) {
        match event {
            Event::Create { name } => {
                self.files.insert(name.clone(), Content::default());
                self.renamed.push((n, name.clone(), true));
            }
            Event::Remove { name } => self.renamed.push((n, name.clone(), false)),
            Event::Write { name, at, data } => {
                self.change(n, name, Change::Write(*at, data.clone()));
            }
            Event::Cut { name, size } => self.change(n, name, Change::Cut(*size)),
            Event::Sync { name, begun } => {
                let content = self.files.entry(name.clone()).or_default();
                let changes = std::mem::take(&mut content.unsynced);
                for (at, change) in changes {
                    if at < *begun {
                        change.apply(&mut content.synced);
                    } else {
                        content.unsynced.push((at, change));
                    }
                }
            }
            Event::SyncFolder { begun } => {
                let renamed = std::mem::take(&mut self.renamed);
                for (at, name, is_there) in renamed {
                    if at >= *begun {
                        self.renamed.push((at, name, is_there));
                    } else {
                        rename(&mut self.names, &name, is_there);
                    }
                }
            }
            Event::SyncParent | Event::Answer { .. } => {}
        }
    }

    fn change(&mut self, n: usize, name: &str, change: Change) {
        self.files.entry(name.to_owned()).or_default().unsynced.push((n, change));
    }

    /// Writes the database to a folder as it would be after a power cut.
    pub fn simulate_power_cut(&self, to: &Path, unsynced: Unsynced, rng: &mut Rng) {
        let _ = fs::remove_dir_all(to); // the previous one
        fs::create_dir_all(to).unwrap();
        let mut names = self.names.clone();
        if unsynced == Unsynced::AnyOfIt {
            // a journaling file system keeps renames in order
            let some = rng.below(self.renamed.len() + 1);
            for (_, name, is_there) in &self.renamed[..some] {
                rename(&mut names, name, *is_there);
            }
        }
        for name in names.iter().filter(|name| !name.ends_with("-shm")) {
            let content = &self.files[name];
            let mut bytes = content.synced.clone();
            if unsynced == Unsynced::AnyOfIt {
                // half of the time all unsynced writes may be lost, otherwise only the last few
                let from = match rng.below(2) {
                    0 => 0,
                    _ => content.unsynced.len().saturating_sub(rng.below(8)),
                };
                for (n, (_, change)) in content.unsynced.iter().enumerate() {
                    match (change, rng.below(4)) {
                        (Change::Write(at, data), 0) if n >= from => {
                            let part = rng.below(data.len() / SECTOR + 1) * SECTOR;
                            Change::Write(*at, data[..part].to_vec()).apply(&mut bytes);
                        }
                        (_, 1) if n >= from => {} // this write is lost
                        (change, _) => change.apply(&mut bytes),
                    }
                }
            }
            fs::write(to.join(name), bytes).unwrap();
        }
    }
}

fn rename(names: &mut Vec<String>, name: &str, is_there: bool) {
    names.retain(|known| known != name);
    if is_there {
        names.push(name.to_owned());
    }
}
