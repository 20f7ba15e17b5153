//! Buffers security events and writes them to the database in batches, so that no response waits
//! for them or fails because of them.
//!
//! Events that any client can cause without limit are aggregated: for each account and address, the
//! first one is written immediately, and then one row a minute with a count. So a flood of login
//! attempts does not fill the disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::core::clock::{Clock, MAX_CLOCK_DIFFERENCE, Timestamp, mins};
use crate::core::error::InternalError;
use crate::core::ids::{AccountId, SessionId};
use crate::core::interval::LogLimiter;
use crate::core::secret::random_bytes;
use crate::domain::audit::context::{Credential, RequestContext};
use crate::domain::audit::event::{Event, first_id};
use crate::domain::roles::Role;
use crate::store::{EventRow, Store};

/// The maximum number of buffered events, about two megabytes: more than a minute of logins on two
/// cores.
const MAX_BUFFERED_EVENTS: usize = 8192;
/// The number of events in a transaction, which occupies the writer for a few milliseconds.
const BATCH: usize = 500;
/// How long equal refusals are counted before a row is written.
const WINDOW: Duration = mins(1);
/// The maximum number of accounts and addresses whose refusals are counted separately. All others
/// are counted together.
const MAX_WINDOWS: usize = 4096;

/// An event with the account, session or id that it concerns, as far as these are known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AuditRecord<'a> {
    pub event: Event,
    pub account: Option<&'a AccountId>,
    pub session: Option<&'a SessionId>,
    pub thing: Option<&'a str>,
    pub count: u64,
    pub context: &'a RequestContext,
}

/// Records the events of one request.
#[derive(Debug, Clone, Copy)]
pub struct Recorder<'a> {
    log: &'a AuditLog,
    context: &'a RequestContext,
}

/// The buffer of events that are not written yet.
#[derive(Debug)]
pub struct AuditLog {
    clock: Clock,
    buffer: Mutex<Buffer>,
    /// Held while a batch is written: the task that acquires it next knows that no other one holds
    /// unwritten events.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Buffer {
    rows: Vec<EventRow>,
    windows: HashMap<AggregationKey, AggregationWindow>,
    /// The number of events that did not fit into the buffer.
    lost: u64,
    limiter: LogLimiter,
}

/// Commands of operators and background jobs have no request.
pub(super) static OUTSIDE_REQUESTS: RequestContext =
    RequestContext { address: None, request_id: None };

/// The key by which refusals are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct AggregationKey {
    event: Event,
    account: Option<String>,
    address: Option<String>,
}

#[derive(Debug)]
struct AggregationWindow {
    ends: Timestamp,
    /// The number of refusals after the first one.
    more: i64,
}

impl AggregationWindow {
    /// Whether the window has ended, or the clock was set back. Concurrent requests read the clock
    /// one after the other and arrive here in any order, so a slightly earlier time is normal.
    fn is_over(&self, now: Timestamp) -> bool {
        self.ends <= now || self.ends.since(now) > WINDOW + MAX_CLOCK_DIFFERENCE
    }
}

impl AuditLog {
    pub fn new(clock: Clock) -> Self {
        Self { clock, buffer: Mutex::default(), writing: tokio::sync::Mutex::default() }
    }

    /// A recorder for the events of a request.
    pub fn during<'a>(&'a self, context: &'a RequestContext) -> Recorder<'a> {
        Recorder { log: self, context }
    }

    /// A recorder for commands of operators and background jobs.
    pub fn outside_requests(&self) -> Recorder<'_> {
        self.during(&OUTSIDE_REQUESTS)
    }

    /// Writes all buffered events and counts, at shutdown.
    pub async fn write_all(&self, store: &Store) {
        let now = self.clock.now();
        self.buffer().close_windows(now, |_| true);
        let _ = self.write(store, now).await; // the error was logged
    }

    /// Buffers an event. Returns false if it was only added to the count of a window.
    pub(crate) fn record(&self, at: Timestamp, record: AuditRecord<'_>) -> bool {
        let count = i64::try_from(record.count).unwrap_or(i64::MAX);
        let row = EventRow {
            account_id: record.account.map(|account| account.as_str().to_owned()),
            session_id: record.session.map(|session| session.as_str().to_owned()),
            thing: record.thing.map(str::to_owned),
            address: record.context.address.map(|address| address.to_string()),
            request_id: record.context.request_id.clone(),
            ..blank(at, record.event, count)
        };
        let mut buffer = self.buffer();
        let is_recorded = !record.event.is_refusal() || buffer.is_first(at, record.event, &row);
        if is_recorded {
            buffer.add(row);
        }
        is_recorded
    }

    /// Buffers an event outside of requests about something that is not an account, with its id.
    pub fn record_for_id(&self, at: Timestamp, event: Event, id: &str) {
        self.record(
            at,
            AuditRecord { thing: Some(id), ..AuditRecord::new(event, &OUTSIDE_REQUESTS) },
        );
    }

    /// Takes a batch of buffered events, oldest first.
    fn take(&self, now: Timestamp) -> Vec<EventRow> {
        let mut buffer = self.buffer();
        buffer.close_windows(now, |window| window.is_over(now));
        let lost = i64::try_from(std::mem::take(&mut buffer.lost)).unwrap_or(i64::MAX);
        if lost > 0 {
            buffer.rows.push(blank(now, Event::EventsLost, lost));
        }
        let most = buffer.rows.len().min(BATCH);
        buffer.rows.drain(..most).collect()
    }

    /// Puts events back that could not be written, in front of the others.
    fn put_back(&self, rows: Vec<EventRow>, fault: &InternalError) {
        let mut buffer = self.buffer();
        let behind = std::mem::replace(&mut buffer.rows, rows);
        for row in behind {
            buffer.add(row);
        }
        let (rows, lost) = (buffer.rows.len(), buffer.lost);
        let say = || {
            tracing::warn!(
                "{fault}; {rows} audit events wait to be written, and {lost} were dropped because the buffer was full"
            );
        };
        buffer.limiter.log(Instant::now(), say);
    }

    /// Writes the buffered events. If that fails, they stay in the buffer.
    pub async fn write(&self, store: &Store, now: Timestamp) -> Result<(), InternalError> {
        let _writing = self.writing.lock().await;
        loop {
            let rows = Arc::new(self.take(now));
            if rows.is_empty() {
                return Ok(());
            }
            if let Err(fault) = store.add_events(Arc::clone(&rows)).await {
                self.put_back(Arc::unwrap_or_clone(rows), &fault);
                return Err(fault);
            }
        }
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().expect("no code panics while it holds the buffer")
    }
}

impl<'a> AuditRecord<'a> {
    pub(super) fn new(event: Event, context: &'a RequestContext) -> Self {
        Self { event, account: None, session: None, thing: None, count: 1, context }
    }
}

impl Recorder<'_> {
    /// Records an event that concerns no account, or an unknown one.
    pub fn record(&self, event: Event) {
        self.record_session(event, None, None);
    }

    /// Records an event about an account.
    pub fn record_for(&self, event: Event, account: &AccountId) {
        self.record_session(event, Some(account), None);
    }

    /// Records an event about an account and one of its sessions, as far as these are known.
    pub fn record_session(
        &self,
        event: Event,
        account: Option<&AccountId>,
        session: Option<&SessionId>,
    ) {
        self.push(AuditRecord { account, session, ..AuditRecord::new(event, self.context) });
        let (account, session) = (account.map(AccountId::as_str), session.map(SessionId::as_str));
        tracing::info!(target: "audit", event = event.name(), account, session);
    }

    /// Records that an account exceeds its rate limit for changes. A client that continues causes
    /// one line a minute.
    pub fn record_throttled(&self, account: &AccountId) {
        let event = Event::AccountThrottled;
        let account = Some(account);
        if self.push(AuditRecord { account, ..AuditRecord::new(event, self.context) }) {
            let account = account.map(AccountId::as_str);
            tracing::info!(target: "audit", event = event.name(), account);
        }
    }

    /// Records that an account does not have a required role. A client that continues causes one
    /// line a minute.
    pub fn record_role_refused(&self, account: &AccountId, by: Credential<'_>) {
        let event = Event::RoleRefused;
        let record = AuditRecord::new(event, self.context);
        let account = Some(account);
        let (session, id) = match by {
            Credential::Session(session) => (Some(session), None),
            Credential::ApiToken(id) => (None, Some(id)),
        };
        if self.push(AuditRecord { account, session, thing: id, ..record }) {
            let (account, session) =
                (account.map(AccountId::as_str), session.map(SessionId::as_str));
            tracing::info!(target: "audit", event = event.name(), account, session, id);
        }
    }

    /// Records that an API token was refused. A client that continues causes one line a minute.
    pub fn record_api_token_refused(&self, account: Option<&AccountId>) {
        let event = Event::ApiTokenRefused;
        if self.push(AuditRecord { account, ..AuditRecord::new(event, self.context) }) {
            let account = account.map(AccountId::as_str);
            tracing::info!(target: "audit", event = event.name(), account);
        }
    }

    /// Records an event about an API token of an account, and the session that caused it.
    pub fn record_api_token(
        &self,
        event: Event,
        account: &AccountId,
        session: Option<&SessionId>,
        id: &str,
    ) {
        let (account, thing) = (Some(account), Some(id));
        self.push(AuditRecord { account, session, thing, ..AuditRecord::new(event, self.context) });
        let (account, session) = (account.map(AccountId::as_str), session.map(SessionId::as_str));
        tracing::info!(target: "audit", event = event.name(), account, session, id);
    }

    /// Records an event about something that is not an account, with its id.
    pub fn record_for_id(&self, event: Event, id: &str) {
        self.push(AuditRecord { thing: Some(id), ..AuditRecord::new(event, self.context) });
        event.log(id);
    }

    /// Records an event about an account and one of its roles.
    pub fn record_role(&self, event: Event, account: &AccountId, role: &Role) {
        let (account, id) = (Some(account), role.as_str());
        let thing = Some(id);
        self.push(AuditRecord { account, thing, ..AuditRecord::new(event, self.context) });
        let account = account.map(AccountId::as_str);
        tracing::info!(target: "audit", event = event.name(), account, id);
    }

    /// Records an event that happened `count` times.
    pub fn record_count(&self, event: Event, account: Option<&AccountId>, count: u64) {
        self.push(AuditRecord { account, count, ..AuditRecord::new(event, self.context) });
        let account = account.map(AccountId::as_str);
        tracing::info!(target: "audit", event = event.name(), account, count);
    }

    fn push(&self, record: AuditRecord<'_>) -> bool {
        self.log.record(self.log.clock.now(), record)
    }
}

impl Buffer {
    fn add(&mut self, row: EventRow) {
        if self.rows.len() < MAX_BUFFERED_EVENTS {
            self.rows.push(row);
        } else {
            self.lost += u64::try_from(row.count).unwrap_or(1);
        }
    }

    /// Whether this refusal is the first of its key for a while. Otherwise it is counted.
    fn is_first(&mut self, now: Timestamp, event: Event, row: &EventRow) -> bool {
        let (account, address) = (row.account_id.clone(), row.address.clone());
        let mut key = AggregationKey { event, account, address };
        if self.windows.len() >= MAX_WINDOWS && !self.windows.contains_key(&key) {
            key = AggregationKey { event, account: None, address: None }; // count it with all others
        }
        if let Some(window) = self.windows.get_mut(&key).filter(|window| !window.is_over(now)) {
            window.more += row.count;
            return false;
        }
        let begun = AggregationWindow { ends: now.plus(WINDOW), more: 0 };
        if let Some(before) = self.windows.insert(key.clone(), begun) {
            self.count(now, &key, before.more);
        }
        true
    }

    /// Adds a row for each window that is selected by `which`, with its count.
    fn close_windows(&mut self, now: Timestamp, which: impl Fn(&AggregationWindow) -> bool) {
        let closed: Vec<_> = self.windows.extract_if(|_, window| which(window)).collect();
        for (key, window) in closed {
            self.count(now, &key, window.more);
        }
    }

    fn count(&mut self, now: Timestamp, key: &AggregationKey, more: i64) {
        if more > 0 {
            let (account_id, address) = (key.account.clone(), key.address.clone());
            self.add(EventRow { account_id, address, ..blank(now, key.event, more) });
        }
    }
}

fn blank(at: Timestamp, event: Event, count: i64) -> EventRow {
    EventRow {
        id: id(at),
        at: at.millis(),
        event: event.name().to_owned(),
        refusal: event.is_refusal().into(),
        account_id: None,
        session_id: None,
        thing: None,
        count,
        address: None,
        request_id: None,
    }
}

fn id(at: Timestamp) -> Vec<u8> {
    let mut id = first_id(at);
    id.extend(random_bytes::<10>());
    id
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::IpAddr;

    use strum::VariantNames;

    use crate::core::clock::hours;
    use crate::domain::audit::fixtures::*;
    use crate::domain::audit::journal::*;

    #[tokio::test]
    async fn dos_14_a_flood_of_refusals_is_a_row_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let store = open_store(folder.path()).await;
        let (events, account) = (AuditLog::new(Clock::System), AccountId::from("ann".to_owned()));
        for second in 0..180 {
            for _ in 0..1000 {
                let at = NOON.plus(Duration::from_secs(second));
                events.record(at, record_of(Event::LoginThrottled, &account));
            }
            events.write(&store, NOON.plus(Duration::from_secs(second))).await.unwrap();
        }
        events.write(&store, NOON.plus(hours(1))).await.unwrap();
        let rows = names_and_counts(&store).await;
        assert_eq!(rows.len(), 6, "{rows:?}");
        assert_eq!(rows.iter().map(|(_, count)| count).sum::<i64>(), 180_000);
    }

    #[tokio::test]
    async fn what_was_counted_is_written_down_with_whom_it_was_and_from_where() {
        let folder = tempfile::tempdir().unwrap();
        let store = open_store(folder.path()).await;
        let (events, account) = (AuditLog::new(Clock::System), AccountId::from("ann".to_owned()));
        let address = Some(IpAddr::from([192, 0, 2, 1]));
        for _ in 0..3 {
            let context = RequestContext { address, request_id: None };
            let failed = record_of(Event::LoginFailed, &account);
            events.record(NOON, AuditRecord { context: &context, ..failed });
        }
        events.write(&store, NOON.plus(WINDOW)).await.unwrap();
        let rows = rows(&store).await;
        assert_eq!(rows.iter().map(|row| row.count).collect::<Vec<_>>(), [1, 2]);
        for row in rows {
            assert_eq!(row.account_id.as_deref(), Some("ann"));
            assert_eq!(row.address.as_deref(), Some("192.0.2.1"));
        }
    }

    #[tokio::test]
    async fn dos_14_a_flood_from_everywhere_takes_bounded_memory_and_loses_no_count() {
        let folder = tempfile::tempdir().unwrap();
        let store = open_store(folder.path()).await;
        let events = AuditLog::new(Clock::System);
        for n in 0..50_000_u32 {
            let address = Some(IpAddr::from(n.to_be_bytes()));
            let context = RequestContext { address, request_id: None };
            events.record(NOON, AuditRecord::new(Event::CrossOriginRefused, &context));
        }
        {
            let buffer = events.buffer();
            assert!(buffer.windows.len() <= MAX_WINDOWS + Event::VARIANTS.len());
            assert!(buffer.rows.len() <= MAX_BUFFERED_EVENTS);
        }
        let first = RequestContext { address: Some(IpAddr::from([0; 4])), request_id: None };
        events.record(NOON, AuditRecord::new(Event::CrossOriginRefused, &first)); // a second one
        events.write(&store, NOON.plus(hours(1))).await.unwrap();
        let rows = names_and_counts(&store).await;
        assert!(rows.len() < MAX_BUFFERED_EVENTS, "{}", rows.len());
        assert_eq!(rows.iter().map(|(_, count)| count).sum::<i64>(), 50_001);
    }

    #[tokio::test]
    async fn what_cannot_be_written_waits_and_what_finds_no_room_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let broken = open_store(folder.path()).await;
        broken.close().await;
        let (events, account) = (AuditLog::new(Clock::System), AccountId::from("ann".to_owned()));
        for _ in 0..10_000 {
            events.record(NOON, record_of(Event::LoginSucceeded, &account));
        }
        assert!(events.write(&broken, NOON).await.is_err());
        assert_eq!(events.buffer().rows.len(), MAX_BUFFERED_EVENTS);
        fs::remove_file(folder.path().join("events.db")).unwrap();
        let whole = open_store(folder.path()).await;
        events.write(&whole, NOON).await.unwrap();
        events.write(&whole, NOON).await.unwrap();
        let rows = names_and_counts(&whole).await;
        let lost: Vec<_> = rows.iter().filter(|(event, _)| event == "events_lost").collect();
        assert_eq!(lost.iter().map(|(_, count)| count).sum::<i64>(), 10_000 - 8192);
        assert_eq!(rows.len() - lost.len(), MAX_BUFFERED_EVENTS);
    }

    #[tokio::test]
    async fn att_17_01_requests_that_read_the_clock_in_another_order_begin_no_window() {
        let folder = tempfile::tempdir().unwrap();
        let store = open_store(folder.path()).await;
        let (events, account) = (AuditLog::new(Clock::System), AccountId::from("ann".to_owned()));
        for milli in [1, 0, 300, 2, 0, 1] {
            let at = NOON.plus(Duration::from_millis(milli));
            events.record(at, record_of(Event::LoginFailed, &account));
        }
        events.write(&store, NOON.plus(hours(1))).await.unwrap();
        let counts: Vec<_> =
            names_and_counts(&store).await.into_iter().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 5]);
    }

    #[tokio::test]
    async fn a_clock_that_was_set_back_keeps_no_count() {
        let folder = tempfile::tempdir().unwrap();
        let store = open_store(folder.path()).await;
        let (events, account) = (AuditLog::new(Clock::System), AccountId::from("ann".to_owned()));
        for at in [NOON, NOON, NOON.minus(hours(5)), NOON.minus(hours(5))] {
            events.record(at, record_of(Event::LoginFailed, &account));
        }
        events.write(&store, NOON).await.unwrap();
        let rows = names_and_counts(&store).await;
        assert_eq!(rows.iter().map(|(_, count)| count).sum::<i64>(), 4, "{rows:?}");
    }
}
