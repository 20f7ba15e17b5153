//! The history of a user: the operations that were sent, those that were acknowledged, and what
//! must be in the database as a result.

use std::collections::BTreeMap;
use std::time::Instant;

use cloakroom::core::secret::Sid;
use serde_json::Value;

use super::rows::{Digest, Rows};
use super::service::Answer;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// A session's cookie, and the key of its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    pub cookie: String,
    pub digest: Digest,
    /// The session's public id; only the answer to a login contains it.
    pub id: Option<String>,
}

impl Ticket {
    pub fn of(answer: &Answer) -> Self {
        let cookie = answer.cookie.clone().expect("a cookie comes with it");
        let claims = cookie.split('.').nth(1).unwrap();
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        let sid = Sid::parse(claims["sid"].as_str().unwrap()).unwrap();
        let id = serde_json::from_str::<Value>(&answer.body).ok();
        let id = id.and_then(|body| body["session"]["id"].as_str().map(str::to_owned));
        Self { digest: sid.digest().as_bytes().to_vec(), cookie, id }
    }
}

/// A write that a client or the operator requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    Register,
    LogIn,
    LogOut { of: Digest },
    RevokeOne { by: Digest, of: Digest },
    RevokeOthers { by: Digest },
    ChangePassword { by: Digest, to: String },
    Close { by: Digest },
    // the operator's, by the command line
    Disable,
    Enable,
    Reset { to: String },
    RevokeAll,
    Delete,
}

/// The expected state of a user after a series of operations.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The account's id, if an answer contained it.
    pub account: Option<String>,
    pub is_there: bool,
    pub is_disabled: bool,
    pub password: String,
    pub version: i64,
    pub live: BTreeMap<Digest, Ticket>,
    /// Number of sessions in force whose cookies were lost with the answer.
    pub unheard: usize,
    pub ended: Vec<Ticket>,
    /// Number of this user's entries in the revocation feed.
    pub revocations: i64,
}

impl State {
    /// The state after an operation, and the session that it returned, if the answer arrived.
    #[must_use]
    pub fn after(&self, operation: &Operation, ticket: Option<Ticket>) -> Self {
        let mut state = self.clone();
        match operation {
            Operation::Register => {
                state.is_there = true;
                state.version = 1;
                state.begin(ticket);
            }
            Operation::LogIn => state.begin(ticket),
            Operation::LogOut { of } | Operation::RevokeOne { of, .. } => {
                state.ended.extend(state.live.remove(of));
                state.revocations += 1;
            }
            Operation::RevokeOthers { by } if state.has_other_than(Some(by)) => {
                state.end_all_but(Some(by));
            }
            Operation::RevokeAll if state.has_other_than(None) => state.end_all_but(None),
            // an operation without an effect writes nothing
            Operation::RevokeOthers { .. } | Operation::RevokeAll => {}
            Operation::Disable if state.is_disabled => {}
            Operation::ChangePassword { to, .. } => {
                state.end_all_but(None);
                state.password.clone_from(to);
                state.version += 1;
                state.begin(ticket);
            }
            Operation::Reset { to } => {
                state.end_all_but(None);
                state.password.clone_from(to);
                state.version += 1;
            }
            Operation::Close { .. } | Operation::Delete => {
                state.end_all_but(None);
                state.is_there = false;
                state.is_disabled = false;
            }
            Operation::Disable => {
                state.end_all_but(None);
                state.is_disabled = true;
            }
            Operation::Enable => state.is_disabled = false,
        }
        state
    }

    fn begin(&mut self, ticket: Option<Ticket>) {
        match ticket {
            Some(ticket) => drop(self.live.insert(ticket.digest.clone(), ticket)),
            None => self.unheard += 1,
        }
    }

    /// Whether another session than this one is in force.
    fn has_other_than(&self, kept: Option<&Digest>) -> bool {
        self.unheard > 0 || self.live.keys().any(|digest| Some(digest) != kept)
    }

    fn end_all_but(&mut self, kept: Option<&Digest>) {
        let kept = kept.and_then(|kept| self.live.remove_entry(kept));
        self.ended.extend(std::mem::take(&mut self.live).into_values());
        self.live.extend(kept);
        self.unheard = 0;
        self.revocations += 1;
    }

    /// Checks that the database has exactly this state.
    pub fn stands(&self, name: &str, rows: &Rows) -> Result<(), String> {
        let row = rows.accounts.get(name);
        let expected = self.is_there.then_some((self.version, self.is_disabled));
        let found = row.map(|(_, version, is_disabled)| (*version, *is_disabled));
        if expected != found {
            return Err(format!("the account is {found:?} instead of {expected:?}"));
        }
        let Some(id) = self.account.as_ref().or(row.map(|(id, ..)| id)) else { return Ok(()) };
        if row.is_some_and(|(found, ..)| found != id) {
            return Err("it is another account".to_owned());
        }
        let none = std::collections::BTreeSet::new();
        let live = rows.live.get(id).unwrap_or(&none);
        let lost = self.live.keys().filter(|digest| !live.contains(*digest)).count();
        if lost > 0 || live.len() != self.live.len() + self.unheard {
            return Err(format!(
                "{} sessions are in force, of which {} are known, instead of {} and {} unheard of",
                live.len(),
                self.live.len() - lost,
                self.live.len(),
                self.unheard
            ));
        }
        let revocations = rows.revocations.get(id).copied().unwrap_or_default();
        if revocations != self.revocations {
            return Err(format!(
                "{revocations} revocations are told instead of {}",
                self.revocations
            ));
        }
        Ok(())
    }
}

/// An operation that was acknowledged.
#[derive(Debug, Clone)]
pub struct Done {
    pub operation: Operation,
    pub ticket: Option<Ticket>,
    /// Finds the answer in the recording of system calls.
    pub request_id: String,
    /// When the answer arrived.
    pub at: Instant,
}

/// A user, and the history of their operations.
#[derive(Debug, Clone)]
pub struct User {
    pub name: String,
    pub state: State,
    pub done: Vec<Done>,
    /// An operation that was sent and may or may not have happened.
    pub pending: Option<Operation>,
    /// The password that the last operation replaced, or the one that it would have set.
    pub other_password: Option<String>,
}

impl User {
    pub fn new(name: String) -> Self {
        let password = format!("canary of {name} says 1");
        Self {
            name,
            state: State { password, ..State::default() },
            done: Vec::new(),
            pending: None,
            other_password: None,
        }
    }

    pub fn next_password(&self) -> String {
        let n = self.done.len() + 2;
        format!("canary of {} says {n}", self.name)
    }

    /// Records an acknowledged operation.
    pub fn did(&mut self, operation: Operation, ticket: Option<Ticket>, request_id: String) {
        self.state = self.state.after(&operation, ticket.clone());
        self.done.push(Done { operation, ticket, request_id, at: Instant::now() });
    }

    /// Reads from the database whether the pending operation happened completely or not at all, and
    /// checks that nothing else happened.
    pub fn settle(&mut self, rows: &Rows) -> Result<(), String> {
        let before = self.state.stands(&self.name, rows);
        let Some(operation) = self.pending.take() else { return self.lost(before) };
        self.other_password = match &operation {
            Operation::ChangePassword { to, .. } | Operation::Reset { to } => Some(to.clone()),
            _ => None,
        };
        if before.is_ok() {
            return Ok(());
        }
        let after = self.state.after(&operation, None);
        if let Err(differs) = after.stands(&self.name, rows) {
            let before = before.unwrap_err();
            return self
                .lost(Err(format!("{operation:?} is half done: {before}, and then {differs}")));
        }
        if self.other_password.is_some() {
            self.other_password = Some(self.state.password.clone());
        }
        self.state = after;
        if self.state.account.is_none() {
            self.state.account = rows.accounts.get(&self.name).map(|(id, ..)| id.clone());
        }
        Ok(())
    }

    fn lost(&self, found: Result<(), String>) -> Result<(), String> {
        let operations: Vec<_> = self.done.iter().rev().take(5).collect();
        found.map_err(|differs| {
            format!("{}: {differs}; the last operations: {operations:?}", self.name)
        })
    }
}

/// The states of a user after each operation, including the one that may have happened.
#[derive(Debug)]
pub struct History {
    name: String,
    states: Vec<State>,
    times: Vec<Instant>,
}

impl History {
    pub fn of(user: &User) -> Self {
        let password = User::new(user.name.clone()).state.password;
        let account = user.state.account.clone();
        let mut states = vec![State { account, password, ..State::default() }];
        for done in &user.done {
            states.push(states[states.len() - 1].after(&done.operation, done.ticket.clone()));
        }
        if let Some(operation) = &user.pending {
            states.push(states[states.len() - 1].after(operation, None));
        }
        let times = user.done.iter().map(|done| done.at).collect();
        Self { name: user.name.clone(), states, times }
    }

    /// The number of operations that were acknowledged before an instant.
    pub fn acknowledged(&self, before: Instant) -> usize {
        self.times.iter().filter(|at| **at < before).count()
    }

    /// Checks that all acknowledged operations are in the database, and the next one completely or
    /// not at all.
    pub fn stands(&self, acknowledged: usize, rows: &Rows) -> Result<(), String> {
        let known = self.states[acknowledged].stands(&self.name, rows);
        let next = self.states.get(acknowledged + 1);
        if known.is_ok() || next.is_some_and(|next| next.stands(&self.name, rows).is_ok()) {
            return Ok(());
        }
        known.map_err(|differs| format!("{} after {acknowledged} operations: {differs}", self.name))
    }
}
