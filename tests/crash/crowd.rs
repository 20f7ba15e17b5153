//! Clients that send every kind of write, each for its own users, and an operator who does the same
//! through the command line.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::model::{Operation, Ticket, User};
use super::rng::Rng;
use super::rows::Rows;
use super::service::{Client, cloakroom};

/// Users per client.
const EACH: usize = 3;
/// More than a hundred sessions of one account would end the oldest.
const MOST_SESSIONS: usize = 40;

/// Counts what happened to the requests.
#[derive(Debug, Default)]
pub struct Tally {
    pub acknowledged: AtomicUsize,
    pub unanswered: AtomicUsize,
    /// Refused with 503, with an unknown outcome.
    pub unavailable: AtomicUsize,
    /// Refused with 503 before anything was changed.
    pub overloaded: AtomicUsize,
    pub throttled: AtomicUsize,
    /// Contradictions between the history and what was found.
    pub wrong: Mutex<Vec<String>>,
}

impl Tally {
    fn count(number: &AtomicUsize) {
        number.fetch_add(1, Ordering::Relaxed);
    }

    pub fn of(number: &AtomicUsize) -> usize {
        number.load(Ordering::Relaxed)
    }
}

/// A client or the operator, with its users and those whose accounts are deleted.
#[derive(Debug)]
pub struct Actor {
    label: String,
    rng: Rng,
    pub users: Vec<User>,
    pub gone: Vec<User>,
    made: usize,
}

/// All clients and the operator.
#[derive(Debug)]
pub struct Crowd {
    pub actors: Vec<Actor>,
    pub operator: Actor,
    pub tally: Arc<Tally>,
    folder: PathBuf,
    has_operator: bool,
    /// Pause of each client between two requests.
    pub pace: Duration,
}

/// The clients and the operator while they run, until `stop` is called.
pub struct AtWork {
    stop: Arc<AtomicBool>,
    actors: Vec<JoinHandle<Actor>>,
    operator: JoinHandle<Actor>,
    /// The operator's command that is running now.
    command: Arc<Mutex<Option<Child>>>,
    pub tally: Arc<Tally>,
    folder: PathBuf,
    has_operator: bool,
    pace: Duration,
}

impl Crowd {
    pub fn new(clients: usize, folder: &Path, rng: &mut Rng) -> Self {
        let actors = (0..clients).map(|n| Actor::new(format!("c{n}"), rng.split())).collect();
        let operator = Actor::new("op".to_owned(), rng.split());
        let folder = folder.to_owned();
        Self {
            actors,
            operator,
            tally: Arc::default(),
            folder,
            has_operator: true,
            pace: Duration::ZERO,
        }
    }

    /// Clients only; the operator runs no commands.
    pub fn without_operator(clients: usize, folder: &Path, rng: &mut Rng) -> Self {
        Self { has_operator: false, ..Self::new(clients, folder, rng) }
    }

    /// Starts all clients and the operator; the addresses are assigned to the clients in turn.
    pub fn start(self, at: &[&str]) -> AtWork {
        let stop = Arc::new(AtomicBool::new(false));
        let Self { actors, mut operator, tally, folder, has_operator, pace } = self;
        let actors = actors.into_iter().enumerate().map(|(n, mut actor)| {
            let client = Client::of(at[n % at.len()]);
            let (stop, tally) = (Arc::clone(&stop), Arc::clone(&tally));
            thread::spawn(move || {
                actor.act(&client, pace, &stop, &tally);
                actor
            })
        });
        let actors = actors.collect();
        let command = Arc::new(Mutex::new(None));
        let client = Client::of(at[0]);
        let operates = (Arc::clone(&stop), Arc::clone(&tally), Arc::clone(&command));
        let there = folder.clone();
        let operator = thread::spawn(move || {
            let (stop, tally, command) = operates;
            if has_operator {
                operator.operate(&client, &there, &stop, (&tally, &command));
            }
            operator
        });
        AtWork { stop, actors, operator, command, tally, folder, has_operator, pace }
    }

    pub fn users(&mut self) -> impl Iterator<Item = &mut User> {
        let actors = self.actors.iter_mut().chain([&mut self.operator]);
        actors.flat_map(|actor| actor.users.iter_mut().chain(&mut actor.gone))
    }

    /// Compares every history with the database and returns the contradictions.
    pub fn settle(&mut self, rows: &Rows) -> Vec<String> {
        let wrong = self.users().filter_map(|user| user.settle(rows).err()).collect();
        for actor in self.actors.iter_mut().chain([&mut self.operator]) {
            actor.let_go();
        }
        wrong
    }

    /// Compares every history with the service: each session, and each password that was being
    /// changed. Returns the contradictions.
    pub fn ask(&mut self, client: &Client) -> Vec<String> {
        let mut wrong = Vec::new();
        for actor in self.actors.iter_mut().chain([&mut self.operator]) {
            for user in &mut actor.users {
                wrong.extend(user.ask(client));
            }
        }
        wrong
    }
}

impl AtWork {
    /// Waits until `writes` more writes are acknowledged, at most for `most`.
    pub fn wait_for(&self, writes: usize, most: Duration) {
        let (began, before) = (Instant::now(), Tally::of(&self.tally.acknowledged));
        let enough = before.saturating_add(writes);
        while Tally::of(&self.tally.acknowledged) < enough && began.elapsed() < most {
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// Kills the operator's command, if one is running.
    pub fn kill_the_command(&self) {
        if let Some(child) = &mut *self.command.lock().unwrap() {
            let _ = child.kill(); // it may have ended already
        }
    }

    /// Stops the clients and the operator after their current requests.
    pub fn stop(self) -> Crowd {
        self.stop.store(true, Ordering::SeqCst);
        Crowd {
            actors: self.actors.into_iter().map(|actor| actor.join().unwrap()).collect(),
            operator: self.operator.join().unwrap(),
            tally: self.tally,
            folder: self.folder,
            has_operator: self.has_operator,
            pace: self.pace,
        }
    }
}

impl Actor {
    fn new(label: String, rng: Rng) -> Self {
        Self { label, rng, users: Vec::new(), gone: Vec::new(), made: 0 }
    }

    /// Moves users whose accounts are deleted to `gone`.
    fn let_go(&mut self) {
        let is_gone = |user: &User| !user.state.is_there && user.state.revocations > 0;
        let (gone, stay) = self.users.drain(..).partition(is_gone);
        self.users = stay;
        let gone: Vec<User> = gone;
        self.gone.extend(gone);
        while self.users.len() < EACH {
            self.made += 1;
            self.users.push(User::new(format!("{}n{}", self.label, self.made)));
        }
    }

    fn act(&mut self, client: &Client, pace: Duration, stop: &AtomicBool, tally: &Tally) {
        while !stop.load(Ordering::SeqCst) {
            self.let_go();
            let n = self.rng.below(EACH);
            if self.users[n].pending.is_some() {
                continue;
            }
            let operation = self.users[n].wish(&mut self.rng);
            if !self.users[n].ask_for(operation, client, tally) {
                return;
            }
            thread::sleep(pace);
        }
    }

    fn operate(
        &mut self,
        client: &Client,
        folder: &Path,
        stop: &AtomicBool,
        (tally, command): (&Tally, &Mutex<Option<Child>>),
    ) {
        while !stop.load(Ordering::SeqCst) {
            self.let_go();
            let n = self.rng.below(EACH);
            let user = &mut self.users[n];
            if user.pending.is_some() {
                thread::sleep(Duration::from_millis(1));
                continue;
            }
            let is_home = user.state.is_there && !user.state.live.is_empty();
            if !is_home && !user.state.is_disabled {
                let operation =
                    if user.state.is_there { Operation::LogIn } else { Operation::Register };
                if !user.ask_for(operation, client, tally) {
                    return;
                }
                continue;
            }
            let operation = match self.rng.below(10) {
                _ if user.state.is_disabled => Operation::Enable,
                0..4 => Operation::Disable,
                4..7 => Operation::Reset { to: user.next_password() },
                7..9 => Operation::RevokeAll,
                _ => Operation::Delete,
            };
            user.command(operation, folder, tally, command);
        }
    }
}

impl User {
    /// Picks an operation that is possible in the user's current state.
    fn wish(&self, rng: &mut Rng) -> Operation {
        if !self.state.is_there {
            return Operation::Register;
        }
        let live = &self.state.live;
        let Some(by) = rng.one_of(live.keys()).cloned() else { return Operation::LogIn };
        let other = || live.values().find(|ticket| ticket.digest != by && ticket.id.is_some());
        match rng.below(100) {
            _ if live.len() + self.state.unheard > MOST_SESSIONS => Operation::RevokeOthers { by },
            0..40 => Operation::LogIn,
            40..60 => Operation::LogOut { of: by },
            60..75 => match other() {
                Some(other) => Operation::RevokeOne { of: other.digest.clone(), by },
                None => Operation::LogIn,
            },
            75..85 => Operation::RevokeOthers { by },
            85..95 => Operation::ChangePassword { by, to: self.next_password() },
            _ => Operation::Close { by },
        }
    }

    /// Sends an operation to the service and records the result; false if the service does not
    /// answer.
    pub fn ask_for(&mut self, operation: Operation, client: &Client, tally: &Tally) -> bool {
        let state = &self.state;
        let cookie = |of: &[u8]| state.live.get(of).map(|ticket| ticket.cookie.as_str());
        let password = &state.password;
        let (name, json) = (&self.name, |value| Some(value));
        let (answer, good) = match &operation {
            Operation::Register => (client.register(name, password), 201),
            Operation::LogIn => (client.log_in(name, password), 200),
            Operation::LogOut { of } => (client.call(("POST", "/logout"), cookie(of), None), 204),
            Operation::RevokeOne { by, of } => {
                let path = format!("/sessions/{}", state.live[of].id.as_ref().unwrap());
                (client.call(("DELETE", &path), cookie(by), None), 204)
            }
            Operation::RevokeOthers { by } => {
                (client.call(("DELETE", "/sessions"), cookie(by), None), 200)
            }
            Operation::ChangePassword { by, to } => {
                let body = serde_json::json!({ "current_password": password, "new_password": to });
                (client.call(("PUT", "/me/password"), cookie(by), json(body)), 204)
            }
            Operation::Close { by } => (client.call(("DELETE", "/me"), cookie(by), None), 204),
            Operation::Disable
            | Operation::Enable
            | Operation::Reset { .. }
            | Operation::RevokeAll
            | Operation::Delete => {
                unreachable!("the operator's")
            }
        };
        let Some(answer) = answer else {
            Tally::count(&tally.unanswered);
            self.pending = Some(operation);
            return false;
        };
        if answer.status == good {
            Tally::count(&tally.acknowledged);
            if operation == Operation::Register {
                self.state.account = Some(answer.json()["id"].as_str().unwrap().to_owned());
            }
            let gives = matches!(
                operation,
                Operation::Register | Operation::LogIn | Operation::ChangePassword { .. }
            );
            let ticket = gives.then(|| Ticket::of(&answer));
            self.did(operation, ticket, answer.request_id);
        } else if answer.status == 429 {
            Tally::count(&tally.throttled);
        } else if answer.is_unavailable() && answer.json()["code"] == "overloaded" {
            Tally::count(&tally.overloaded);
            thread::sleep(Duration::from_millis(20)); // lets other clients get a turn
        } else {
            if answer.is_unavailable() {
                Tally::count(&tally.unavailable);
            } else {
                let said = (answer.status, &answer.body);
                tally
                    .wrong
                    .lock()
                    .unwrap()
                    .push(format!("{name}: {operation:?} answered {said:?}"));
            }
            self.pending = Some(operation);
        }
        true
    }

    /// Runs the operation as an operator's command.
    fn command(
        &mut self,
        operation: Operation,
        folder: &Path,
        tally: &Tally,
        running: &Mutex<Option<Child>>,
    ) {
        let name = self.name.as_str();
        let (arguments, input) = match &operation {
            Operation::Disable => (vec!["user", "disable", name], ""),
            Operation::Enable => (vec!["user", "enable", name], ""),
            Operation::Reset { to } => (vec!["user", "passwd", name], to.as_str()),
            Operation::RevokeAll => (vec!["session", "revoke", name, "--all"], ""),
            Operation::Delete => (vec!["user", "delete", "--yes", name], ""),
            _ => unreachable!("users's own"),
        };
        let mut command = cloakroom(folder, &arguments);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut typed = child.stdin.take().unwrap();
        let _ = writeln!(typed, "{input}"); // a killed process reads nothing
        drop(typed);
        *running.lock().unwrap() = Some(child);
        let code = loop {
            let ended = running.lock().unwrap().as_mut().unwrap().try_wait().unwrap();
            match ended {
                Some(status) => break status.code(),
                None => thread::sleep(Duration::from_millis(2)),
            }
        };
        *running.lock().unwrap() = None;
        if code == Some(0) {
            Tally::count(&tally.acknowledged);
            self.did(operation, None, String::new());
        } else {
            Tally::count(&tally.unanswered);
            self.pending = Some(operation);
        }
    }

    /// Compares the service with the history of this user and returns the contradictions.
    pub fn ask(&mut self, client: &Client) -> Vec<String> {
        let mut wrong = Vec::new();
        let live = self.state.live.values().map(|ticket| (ticket, 200));
        for (ticket, expected) in
            live.chain(self.state.ended.drain(..).as_slice().iter().map(|ticket| (ticket, 403)))
        {
            let status = client.private(&ticket.cookie);
            if status != Some(expected) {
                wrong.push(format!("{}: a session is {status:?}, not {expected}", self.name));
            }
        }
        if let Some(other) = self.other_password.take().filter(|_| self.state.is_there) {
            let status = client.log_in(&self.name, &other).map(|answer| answer.status);
            if status != Some(403) && status != Some(429) {
                wrong.push(format!("{}: the other password is {status:?}", self.name));
            }
            if self.state.is_disabled {
                return wrong;
            }
            let tally = Tally::default();
            self.ask_for(Operation::LogIn, client, &tally);
            if Tally::of(&tally.acknowledged) + Tally::of(&tally.throttled) != 1 {
                wrong.push(format!("{}: the password is not good: {tally:?}", self.name));
            }
        }
        wrong
    }
}
