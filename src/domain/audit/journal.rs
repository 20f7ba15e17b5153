//! Security events on their way into the database: written a little later, in batches, so that no answer
//! waits for them, and none fails when they cannot be written.
//!
//! What anybody can make happen as often as they like is written down once, and then once a minute with a
//! count, for each account and address: a flood of tries does not fill the disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::core::clock::{Clock, MAX_CLOCK_DIFFERENCE, Timestamp, mins};
use crate::core::error::InternalError;
use crate::core::ids::{AccountId, SessionId};
use crate::core::interval::LogLimiter;
use crate::core::secret::random_bytes;
use crate::domain::audit::context::RequestContext;
use crate::domain::audit::event::{Event, first_id};
use crate::store::{EventRow, Store};

/// Events that wait at the most, some two megabytes: more than a minute of logins on two cores.
const MOST_WAITING: usize = 8192;
/// Events of one transaction: some milliseconds of the one writer.
const BATCH: usize = 500;
/// How long the same refusals are counted before they are written again.
const WINDOW: Duration = mins(1);
/// Accounts and addresses whose refusals are counted apart; those of others are counted together.
const MOST_WINDOWS: usize = 4096;

/// What happened, and to whom or what, as far as that is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AuditRecord<'a> {
    pub event: Event,
    pub account: Option<&'a AccountId>,
    pub session: Option<&'a SessionId>,
    pub thing: Option<&'a str>,
    pub count: u64,
    pub context: &'a RequestContext,
}

/// Records events of one request.
#[derive(Debug, Clone, Copy)]
pub struct Recorder<'a> {
    log: &'a AuditLog,
    context: &'a RequestContext,
}

/// Events that wait to be written.
#[derive(Debug)]
pub struct AuditLog {
    clock: Clock,
    waiting: Mutex<Waiting>,
    /// One writes at a time: when the last one is done, no other holds events that are not written.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    rows: Vec<EventRow>,
    windows: HashMap<Same, Window>,
    /// How many found no room.
    lost: u64,
    limiter: LogLimiter,
}

/// What operators and background jobs do has no request.
pub(super) static OUTSIDE_REQUESTS: RequestContext =
    RequestContext { address: None, request_id: None };

/// What is the same of refusals that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Same {
    event: Event,
    account: Option<String>,
    address: Option<String>,
}

#[derive(Debug)]
struct Window {
    ends: Timestamp,
    /// How many there were after the first.
    more: i64,
}

impl Window {
    /// Has it ended, or was the clock set back since? Requests that are answered at once read the
    /// clock one after the other, and come here in any order: a little earlier is no clock set back.
    fn is_over(&self, now: Timestamp) -> bool {
        self.ends <= now || self.ends.since(now) > WINDOW + MAX_CLOCK_DIFFERENCE
    }
}

impl AuditLog {
    pub fn new(clock: Clock) -> Self {
        Self { clock, waiting: Mutex::default(), writing: tokio::sync::Mutex::default() }
    }

    /// Records what happens during a request.
    pub fn during<'a>(&'a self, context: &'a RequestContext) -> Recorder<'a> {
        Recorder { log: self, context }
    }

    /// Records what operators and background jobs do.
    pub fn outside_requests(&self) -> Recorder<'_> {
        self.during(&OUTSIDE_REQUESTS)
    }

    /// Writes what waits and what was counted: at the end.
    pub async fn write_all(&self, store: &Store) {
        let now = self.clock.now();
        self.waiting().close_windows(now, |_| true);
        let _ = self.write(store, now).await; // it was logged
    }

    /// Notes what happened. False if it is only counted, with others of its kind a moment ago.
    pub(crate) fn note(&self, at: Timestamp, happened: AuditRecord<'_>) -> bool {
        let count = i64::try_from(happened.count).unwrap_or(i64::MAX);
        let row = EventRow {
            account_id: happened.account.map(|account| account.as_str().to_owned()),
            session_id: happened.session.map(|session| session.as_str().to_owned()),
            thing: happened.thing.map(str::to_owned),
            address: happened.context.address.map(|address| address.to_string()),
            request_id: happened.context.request_id.clone(),
            ..blank(at, happened.event, count)
        };
        let mut waiting = self.waiting();
        let is_noted = !happened.event.is_refusal() || waiting.is_first(at, happened.event, &row);
        if is_noted {
            waiting.add(row);
        }
        is_noted
    }

    /// Notes what happened outside of a request to something that has no account, by its id.
    pub fn note_thing(&self, at: Timestamp, event: Event, id: &str) {
        self.note(
            at,
            AuditRecord { thing: Some(id), ..AuditRecord::new(event, &OUTSIDE_REQUESTS) },
        );
    }

    /// Events that nobody has written yet, the oldest first.
    fn take(&self, now: Timestamp) -> Vec<EventRow> {
        let mut waiting = self.waiting();
        waiting.close_windows(now, |window| window.is_over(now));
        let lost = i64::try_from(std::mem::take(&mut waiting.lost)).unwrap_or(i64::MAX);
        if lost > 0 {
            waiting.rows.push(blank(now, Event::EventsLost, lost));
        }
        let most = waiting.rows.len().min(BATCH);
        waiting.rows.drain(..most).collect()
    }

    /// Back to the others: they could not be written.
    fn put_back(&self, rows: Vec<EventRow>, fault: &InternalError) {
        let mut waiting = self.waiting();
        let behind = std::mem::replace(&mut waiting.rows, rows);
        for row in behind {
            waiting.add(row);
        }
        let (rows, lost) = (waiting.rows.len(), waiting.lost);
        let say = || tracing::warn!("{fault}; {rows} events wait, and {lost} found no room");
        waiting.limiter.log(Instant::now(), say);
    }

    /// Writes what waits; what cannot be written waits on.
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

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("nobody panics while noting")
    }
}

impl<'a> AuditRecord<'a> {
    pub(super) fn new(event: Event, context: &'a RequestContext) -> Self {
        Self { event, account: None, session: None, thing: None, count: 1, context }
    }
}

impl Recorder<'_> {
    /// Records what concerns no account, or none that is known.
    pub fn record(&self, event: Event) {
        self.record_session(event, None, None);
    }

    /// Records what happened to an account.
    pub fn record_for(&self, event: Event, account: &AccountId) {
        self.record_session(event, Some(account), None);
    }

    /// Records what happened to an account and one of its sessions, as far as these are known.
    pub fn record_session(
        &self,
        event: Event,
        account: Option<&AccountId>,
        session: Option<&SessionId>,
    ) {
        self.note(AuditRecord { account, session, ..AuditRecord::new(event, self.context) });
        let (account, session) = (account.map(AccountId::as_str), session.map(SessionId::as_str));
        tracing::info!(target: "audit", event = event.name(), account, session);
    }

    /// Records that an account asks for changes faster than it may. A client that goes on costs a line a
    /// minute.
    pub fn record_throttled(&self, account: &AccountId) {
        let event = Event::AccountThrottled;
        let account = Some(account);
        if self.note(AuditRecord { account, ..AuditRecord::new(event, self.context) }) {
            let account = account.map(AccountId::as_str);
            tracing::info!(target: "audit", event = event.name(), account);
        }
    }

    /// Records what happened to something that has no account, by its id.
    pub fn record_for_id(&self, event: Event, id: &str) {
        self.note(AuditRecord { thing: Some(id), ..AuditRecord::new(event, self.context) });
        event.log(id);
    }

    /// Records what happened to so many at once.
    pub fn record_count(&self, event: Event, account: Option<&AccountId>, count: u64) {
        self.note(AuditRecord { account, count, ..AuditRecord::new(event, self.context) });
        let account = account.map(AccountId::as_str);
        tracing::info!(target: "audit", event = event.name(), account, count);
    }

    fn note(&self, record: AuditRecord<'_>) -> bool {
        self.log.note(self.log.clock.now(), record)
    }
}

impl Waiting {
    fn add(&mut self, row: EventRow) {
        if self.rows.len() < MOST_WAITING {
            self.rows.push(row);
        } else {
            self.lost += u64::try_from(row.count).unwrap_or(1);
        }
    }

    /// Is it the first of its kind for a while? Else it is counted.
    fn is_first(&mut self, now: Timestamp, event: Event, row: &EventRow) -> bool {
        let (account, address) = (row.account_id.clone(), row.address.clone());
        let mut same = Same { event, account, address };
        if self.windows.len() >= MOST_WINDOWS && !self.windows.contains_key(&same) {
            same = Same { event, account: None, address: None }; // with all others
        }
        if let Some(window) = self.windows.get_mut(&same).filter(|window| !window.is_over(now)) {
            window.more += row.count;
            return false;
        }
        let begun = Window { ends: now.plus(WINDOW), more: 0 };
        if let Some(before) = self.windows.insert(same.clone(), begun) {
            self.count(now, &same, before.more);
        }
        true
    }

    /// Writes down what was counted in windows.
    fn close_windows(&mut self, now: Timestamp, which: impl Fn(&Window) -> bool) {
        let closed: Vec<_> = self.windows.extract_if(|_, window| which(window)).collect();
        for (same, window) in closed {
            self.count(now, &same, window.more);
        }
    }

    fn count(&mut self, now: Timestamp, same: &Same, more: i64) {
        if more > 0 {
            let (account_id, address) = (same.account.clone(), same.address.clone());
            self.add(EventRow { account_id, address, ..blank(now, same.event, more) });
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
                events.note(at, record_of(Event::LoginThrottled, &account));
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
            events.note(NOON, AuditRecord { context: &context, ..failed });
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
            events.note(NOON, AuditRecord::new(Event::CrossOriginRefused, &context));
        }
        {
            let waiting = events.waiting();
            assert!(waiting.windows.len() <= MOST_WINDOWS + Event::ALL.len());
            assert!(waiting.rows.len() <= MOST_WAITING);
        }
        let first = RequestContext { address: Some(IpAddr::from([0; 4])), request_id: None };
        events.note(NOON, AuditRecord::new(Event::CrossOriginRefused, &first)); // once more
        events.write(&store, NOON.plus(hours(1))).await.unwrap();
        let rows = names_and_counts(&store).await;
        assert!(rows.len() < MOST_WAITING, "{}", rows.len());
        assert_eq!(rows.iter().map(|(_, count)| count).sum::<i64>(), 50_001);
    }

    #[tokio::test]
    async fn what_cannot_be_written_waits_and_what_finds_no_room_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let broken = open_store(folder.path()).await;
        broken.close().await;
        let (events, account) = (AuditLog::new(Clock::System), AccountId::from("ann".to_owned()));
        for _ in 0..10_000 {
            events.note(NOON, record_of(Event::LoginSucceeded, &account));
        }
        assert!(events.write(&broken, NOON).await.is_err());
        assert_eq!(events.waiting().rows.len(), MOST_WAITING);
        fs::remove_file(folder.path().join("events.db")).unwrap();
        let whole = open_store(folder.path()).await;
        events.write(&whole, NOON).await.unwrap();
        events.write(&whole, NOON).await.unwrap();
        let rows = names_and_counts(&whole).await;
        let lost: Vec<_> = rows.iter().filter(|(event, _)| event == "events_lost").collect();
        assert_eq!(lost.iter().map(|(_, count)| count).sum::<i64>(), 10_000 - 8192);
        assert_eq!(rows.len() - lost.len(), MOST_WAITING);
    }

    #[tokio::test]
    async fn att_17_01_requests_that_read_the_clock_in_another_order_begin_no_window() {
        let folder = tempfile::tempdir().unwrap();
        let store = open_store(folder.path()).await;
        let (events, account) = (AuditLog::new(Clock::System), AccountId::from("ann".to_owned()));
        for milli in [1, 0, 300, 2, 0, 1] {
            let at = NOON.plus(Duration::from_millis(milli));
            events.note(at, record_of(Event::LoginFailed, &account));
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
        for at in [NOON, NOON, NOON.before(hours(5)), NOON.before(hours(5))] {
            events.note(at, record_of(Event::LoginFailed, &account));
        }
        events.write(&store, NOON).await.unwrap();
        let rows = names_and_counts(&store).await;
        assert_eq!(rows.iter().map(|(_, count)| count).sum::<i64>(), 4, "{rows:?}");
    }
}
