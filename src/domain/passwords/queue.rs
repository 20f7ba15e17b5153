//! The hashing queue, which is shared fairly: by client address first, then by account. A client
//! that sends many requests cannot displace others.
//!
//! Threads serve the addresses in turn, and within an address its accounts in turn. If all slots
//! are taken, a request with a smaller share takes the youngest waiting slot of the largest share.
//! At most 64 requests wait, so linear searches are fast enough.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use tokio::sync::oneshot;

/// The maximum number of slots.
pub const MAX_SLOTS: usize = 64;
/// A request gets a slot if its expected wait does not exceed this. The value lets 24 simultaneous
/// logins succeed on two threads that take 160 ms for each.
const MAX_EXPECTED_WAIT: Duration = Duration::from_secs(2);
/// Work that has waited this long is refused.
const MAX_WAIT: Duration = Duration::from_secs(3);
/// A thread frees its memory after this long without work. The next job then spends some
/// milliseconds on page faults.
const MAX_IDLE_TIME: Duration = Duration::from_secs(10);

/// The working memory of a thread.
pub trait ReleaseMemory {
    /// Frees the memory. The next job allocates it again.
    fn release_memory(&mut self);
}

/// The client address and account that a request is counted for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Share {
    address: Option<IpAddr>,
    account: Option<String>,
}

impl Share {
    /// `None` is the common address of all requests over loopback without a trusted proxy. The
    /// account is the user name as it was typed, so that no query is needed.
    pub fn new(address: Option<IpAddr>, account: Option<&str>) -> Self {
        Self { address: address.map(network), account: account.map(str::to_owned) }
    }
}

/// An IPv6 client has a /64 (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & !u128::from(u64::MAX);
            Ipv6Addr::from(prefix).into()
        }
    }
}

/// All slots are taken. The client should retry after a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

/// The work returns the function that sends its result. It is called after the slot is free again,
/// so that a client that sends another request after the response finds the slot.
type Work<M> = Box<dyn FnOnce(&mut M) -> Answer + Send>;
type Answer = Box<dyn FnOnce() + Send>;

enum State<M> {
    /// The request does other work before it hashes.
    Reserved,
    Queued {
        since: Instant,
        work: Work<M>,
    },
    Running,
}

struct Entry<M> {
    id: u64,
    share: Share,
    state: State<M>,
    /// When its address was last served, or when the entry was added. The smallest is next.
    address_turn: u64,
    /// The same for its account.
    account_turn: u64,
    /// Whether the request still holds the slot.
    is_held: bool,
}

struct Inner<M> {
    entries: Vec<Entry<M>>,
    next: u64,
    is_closed: bool,
}

/// The queue for threads with the working memory `M`.
pub struct HashQueue<M> {
    inner: Mutex<Inner<M>>,
    wake: Condvar,
    threads: usize,
    /// How long a thread without work keeps its memory.
    max_idle_time: Duration,
    /// The average duration of recent jobs, in microseconds.
    took: AtomicU64,
    refused: Counter,
}

/// A slot in the queue. Dropping it releases it, or as soon as the thread has finished its work.
pub struct Slot<M: 'static> {
    queue: Arc<HashQueue<M>>,
    id: u64,
}

impl<M> fmt::Debug for HashQueue<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashQueue").field("threads", &self.threads).finish_non_exhaustive()
    }
}

impl<M> fmt::Debug for Slot<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("id", &self.id).finish_non_exhaustive()
    }
}

impl<M: 'static> HashQueue<M> {
    pub fn new(threads: usize) -> Self {
        let inner = Inner { entries: Vec::new(), next: 0, is_closed: false };
        Self {
            inner: Mutex::new(inner),
            wake: Condvar::new(),
            threads,
            max_idle_time: MAX_IDLE_TIME,
            took: AtomicU64::new(0),
            refused: Counter::default(),
        }
    }

    /// Checks that a slot is available, so that a request is refused before it causes a query.
    pub fn check_capacity(&self, share: &Share) -> Result<(), QueueFull> {
        let is_free = self.inner().find_slot(share, self.capacity()).is_some();
        if is_free { Ok(()) } else { Err(self.refuse()) }
    }

    /// Reserves a slot for a request that does other work before it queues its job. Until then, a
    /// request with a smaller share may take the slot.
    pub fn reserve_slot(self: &Arc<Self>, share: &Share) -> Result<Slot<M>, QueueFull> {
        let mut inner = self.inner();
        let slot = inner.find_slot(share, self.capacity());
        let Some(slot) = slot else { return Err(self.refuse()) };
        if let FreeSlot::TakenFrom(index) = slot {
            drop(inner.entries.swap_remove(index)); // its request is refused
        }
        let id = inner.take_number();
        inner.entries.push(Entry {
            id,
            share: share.clone(),
            state: State::Reserved,
            address_turn: id,
            account_turn: id,
            is_held: true,
        });
        Ok(Slot { queue: Arc::clone(self), id })
    }

    fn refuse(&self) -> QueueFull {
        self.refused.inc();
        QueueFull
    }

    /// The number of slots that are expected to be served in time: an immediate refusal is better
    /// than one after seconds.
    fn capacity(&self) -> usize {
        let took = Duration::from_micros(self.took.load(Ordering::Relaxed).max(1));
        let in_time = MAX_EXPECTED_WAIT.as_micros() / took.as_micros() * self.threads as u128;
        usize::try_from(in_time).unwrap_or(MAX_SLOTS).clamp(self.threads, MAX_SLOTS)
    }

    fn inner(&self) -> MutexGuard<'_, Inner<M>> {
        self.inner.lock().expect("nothing panics while it holds the queue")
    }

    /// The number of requests that wait for a thread.
    pub fn waiting(&self) -> usize {
        let inner = self.inner();
        inner.entries.iter().filter(|entry| matches!(entry.state, State::Queued { .. })).count()
    }

    /// The number of refused requests since startup.
    pub fn refusals(&self) -> &Counter {
        &self.refused
    }

    /// Stops the threads. No more work is accepted.
    pub fn close(&self) {
        self.inner().is_closed = true;
        self.wake.notify_all();
    }

    /// The main loop of a hashing thread, which ends when the queue is closed.
    pub fn run_worker(&self, memory: &mut M)
    where
        M: ReleaseMemory,
    {
        while let Some((id, work)) = self.next(memory) {
            let begun = Instant::now();
            let answer = work(memory);
            let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            let lately = self.took.load(Ordering::Relaxed);
            self.took.store(update_average(lately, micros.max(1)), Ordering::Relaxed);
            self.inner().finish(id);
            answer();
        }
    }

    /// Waits for work. Returns `None` when the queue is closed.
    fn next(&self, memory: &mut M) -> Option<(u64, Work<M>)>
    where
        M: ReleaseMemory,
    {
        let mut release_at = Some(Instant::now() + self.max_idle_time);
        let mut inner = self.inner();
        loop {
            if inner.is_closed {
                return None;
            }
            inner.drop_overdue();
            if let Some(next) = inner.begin_next() {
                return Some(next);
            }
            let Some(at) = release_at else {
                inner = self.wake.wait(inner).expect("nothing panics while it holds the queue");
                continue;
            };
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(inner);
                memory.release_memory();
                release_at = None;
                inner = self.inner();
            } else {
                let woken = self.wake.wait_timeout(inner, left);
                inner = woken.expect("nothing panics while it holds the queue").0;
            }
        }
    }
}

impl<M: 'static> Slot<M> {
    /// Queues work and waits for its result. If the client disconnects, work that has not started
    /// is removed.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut M) -> T + Send + 'static,
    ) -> Result<T, QueueFull> {
        let (answer, answered) = oneshot::channel();
        let work = Box::new(move |memory: &mut M| -> Answer {
            let outcome = work(memory);
            Box::new(move || drop(answer.send(outcome))) // the request may have been canceled
        });
        self.queue.inner().queue(self.id, work);
        self.queue.wake.notify_one();
        // The slot was taken by another request, or the work waited too long.
        answered.await.map_err(|_dropped| self.queue.refuse())
    }
}

impl<M> Drop for Slot<M> {
    fn drop(&mut self) {
        let mut inner = self.queue.inner();
        let Some(index) = inner.entries.iter().position(|entry| entry.id == self.id) else {
            return;
        };
        match inner.entries[index].state {
            State::Running => inner.entries[index].is_held = false,
            State::Reserved | State::Queued { .. } => drop(inner.entries.swap_remove(index)),
        }
    }
}

/// Where a new request gets its slot.
enum FreeSlot {
    Unused,
    /// From the entry at this index, which loses it.
    TakenFrom(usize),
}

impl<M> Inner<M> {
    fn take_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn find_slot(&self, share: &Share, capacity: usize) -> Option<FreeSlot> {
        if self.entries.len() < capacity {
            return Some(FreeSlot::Unused);
        }
        let of_address = |address: &Option<IpAddr>| {
            self.entries.iter().filter(|entry| entry.share.address == *address).count()
        };
        let of_share =
            |share: &Share| self.entries.iter().filter(|entry| entry.share == *share).count();
        let waiting = self.entries.iter().enumerate().filter(|(_, entry)| !entry.is_running());
        // The youngest entry of the largest account of the largest address.
        let (index, largest) = waiting.max_by_key(|(_, entry)| {
            (of_address(&entry.share.address), of_share(&entry.share), entry.id)
        })?;
        let (own, other) = if largest.share.address == share.address {
            (of_share(share), of_share(&largest.share))
        } else {
            (of_address(&share.address), of_address(&largest.share.address))
        };
        (own + 1 < other).then_some(FreeSlot::TakenFrom(index))
    }

    fn queue(&mut self, id: u64, work: Work<M>) {
        let entry = self.entries.iter_mut().find(|entry| entry.id == id);
        if let Some(entry) = entry {
            entry.state = State::Queued { since: Instant::now(), work };
        }
    }

    fn drop_overdue(&mut self) {
        let is_overdue = |entry: &Entry<M>| match &entry.state {
            State::Queued { since, .. } => since.elapsed() >= MAX_WAIT,
            State::Reserved | State::Running => false,
        };
        self.entries.retain(|entry| !is_overdue(entry));
    }

    /// Starts the work of the address that was served longest ago, and within it of the account
    /// that was served longest ago.
    fn begin_next(&mut self) -> Option<(u64, Work<M>)> {
        let is_queued = |entry: &&Entry<M>| matches!(entry.state, State::Queued { .. });
        let queued = self.entries.iter().filter(is_queued);
        let address = queued.min_by_key(|entry| entry.address_turn)?.share.address;
        let queued = self.entries.iter().filter(is_queued);
        let of_address = queued.filter(|entry| entry.share.address == address);
        let id = of_address.min_by_key(|entry| (entry.account_turn, entry.id))?.id;
        let turn = self.take_number();
        let index = self.entries.iter().position(|entry| entry.id == id)?;
        let share = self.entries[index].share.clone();
        for entry in self.entries.iter_mut().filter(|entry| entry.share.address == address) {
            entry.address_turn = turn;
            if entry.share == share {
                entry.account_turn = turn;
            }
        }
        match std::mem::replace(&mut self.entries[index].state, State::Running) {
            State::Queued { work, .. } => Some((id, work)),
            State::Reserved | State::Running => None,
        }
    }

    fn finish(&mut self, id: u64) {
        self.entries.retain(|entry| entry.id != id || entry.is_held);
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == id) {
            entry.state = State::Reserved;
        }
    }
}

impl<M> Entry<M> {
    fn is_running(&self) -> bool {
        matches!(self.state, State::Running)
    }
}

/// An exponential moving average of job durations, in which the last job has a weight of 1/16.
fn update_average(lately: u64, now: u64) -> u64 {
    match lately {
        0 => now,
        _ => (lately * 15 + now.min(lately * 4)).div_ceil(16),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use crate::domain::passwords::queue::*;

    type Queue = Arc<HashQueue<Vec<u32>>>;

    impl ReleaseMemory for Vec<u32> {
        fn release_memory(&mut self) {
            self.clear();
        }
    }

    /// A queue without threads, whose work the test runs.
    fn queue() -> Queue {
        Arc::new(HashQueue::new(1))
    }

    fn from(address: u8, account: &str) -> Share {
        Share::new(Some([192, 0, 2, address].into()), Some(account))
    }

    /// Queues work that records a number.
    fn add(queue: &Queue, share: &Share, number: u32) -> Slot<Vec<u32>> {
        let slot = queue.reserve_slot(share).unwrap();
        queue.inner().queue(
            slot.id,
            Box::new(move |done: &mut Vec<u32>| -> Answer {
                done.push(number);
                Box::new(|| ())
            }),
        );
        slot
    }

    /// Runs all queued work in the order of a thread.
    fn work_off(queue: &Queue) -> Vec<u32> {
        let mut done = Vec::new();
        loop {
            let next = queue.inner().begin_next();
            let Some((id, work)) = next else { return done };
            work(&mut done)();
            queue.inner().finish(id);
        }
    }

    #[test]
    fn att_17_09_addresses_are_served_in_turn_and_within_them_accounts() {
        let queue = queue();
        let mut slots = Vec::new();
        for number in 0..4 {
            slots.push(add(&queue, &from(1, "ann"), number));
        }
        slots.push(add(&queue, &from(1, "bob"), 10));
        slots.push(add(&queue, &from(2, "ann"), 20));
        slots.push(add(&queue, &from(2, "ann"), 21));
        slots.push(add(&queue, &from(3, "eve"), 30));
        assert_eq!(work_off(&queue), [0, 20, 30, 10, 21, 1, 2, 3]);
    }

    #[test]
    fn att_17_09_a_client_that_comes_again_and_again_is_served_no_more_often_than_one_that_waits() {
        let queue = queue();
        let _waiting: Vec<_> = (0..3).map(|n| add(&queue, &from(1, "ann"), n)).collect();
        let mut done = Vec::new();
        let mut again = Vec::new();
        for number in 10..13 {
            again.push(add(&queue, &from(2, "eve"), number));
            for _ in 0..2 {
                let (id, work) = queue.inner().begin_next().unwrap();
                work(&mut done)();
                queue.inner().finish(id);
            }
        }
        assert_eq!(done, [0, 10, 1, 11, 2, 12]);
    }

    #[test]
    fn att_17_09_a_smaller_share_takes_the_youngest_slot_of_the_largest_that_is_not_begun() {
        let queue = queue();
        let crowd: Vec<_> = (0..64).map(|n| add(&queue, &from(1, "ann"), n)).collect();
        assert_eq!(queue.check_capacity(&from(1, "ann")), Err(QueueFull));
        assert_eq!(queue.reserve_slot(&from(1, "ann")).err(), Some(QueueFull));
        assert_eq!(queue.refusals().get(), 2);
        let others: Vec<_> = (2..34).map(|n| add(&queue, &from(n, "ann"), 100)).collect();
        assert_eq!(queue.waiting(), 64);
        let numbers = work_off(&queue);
        assert_eq!(numbers.iter().filter(|number| **number == 100).count(), 32);
        assert_eq!(numbers.iter().max_by_key(|number| **number % 100), Some(&31));
        drop((crowd, others));
        assert!(queue.inner().entries.is_empty());
    }

    #[test]
    fn att_17_09_within_an_address_the_largest_account_makes_room() {
        let queue = queue();
        let _crowd: Vec<_> =
            (0..64).map(|n| add(&queue, &Share::new(None, Some("eve")), n)).collect();
        let _other = add(&queue, &Share::new(None, Some("ann")), 100);
        assert_eq!(queue.check_capacity(&Share::new(None, Some("eve"))), Err(QueueFull));
        assert_eq!(work_off(&queue)[..2], [0, 100]);
    }

    #[test]
    fn equal_shares_take_no_slot_of_each_other() {
        let queue = queue();
        let _crowd: Vec<_> = (0..64).map(|n| add(&queue, &from(n, "ann"), n.into())).collect();
        assert_eq!(queue.check_capacity(&from(100, "ann")), Err(QueueFull));
        let halves = self::queue();
        let _halves: Vec<_> =
            (0..64).map(|n| add(&halves, &from(n % 32, "ann"), n.into())).collect();
        assert_eq!(halves.check_capacity(&from(1, "ann")), Err(QueueFull));
        assert_eq!(halves.check_capacity(&from(100, "ann")), Ok(()));
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let share = |address: &str| Share::new(Some(address.parse().unwrap()), None);
        assert_eq!(share("2001:db8:1:2::1"), share("2001:db8:1:2:ffff::2"));
        assert_ne!(share("2001:db8:1:2::1"), share("2001:db8:1:3::1"));
        assert_eq!(share("::ffff:192.0.2.1"), share("192.0.2.1"));
    }

    #[test]
    fn dos_09_a_client_that_goes_away_frees_its_slot_when_its_work_is_done() {
        let queue = queue();
        let gone = add(&queue, &from(1, "ann"), 0);
        drop(gone);
        assert!(work_off(&queue).is_empty(), "what was not begun is not done");
        let gone = add(&queue, &from(1, "ann"), 1);
        let (id, _work) = queue.inner().begin_next().unwrap();
        drop(gone);
        assert_eq!(queue.inner().entries.len(), 1, "it is being done");
        queue.inner().finish(id);
        assert_eq!(queue.inner().entries.len(), 0);
    }

    #[tokio::test]
    async fn a_slot_that_was_lost_says_so_to_its_request() {
        let queue = queue();
        let crowd: Vec<_> = (0..64).map(|_| queue.reserve_slot(&from(1, "ann")).unwrap()).collect();
        let _other = queue.reserve_slot(&from(2, "bob")).unwrap();
        let last = crowd.last().unwrap();
        assert_eq!(last.run(|_| ()).await, Err(QueueFull), "before its work was queued");
        let waits = async { crowd[62].run(|_| ()).await };
        let third = async { queue.reserve_slot(&from(3, "eve")).map(std::mem::forget) };
        let (displaced, taken) = tokio::join!(waits, third);
        assert_eq!((displaced, taken), (Err(QueueFull), Ok(())));
    }

    #[tokio::test]
    async fn dos_08_a_request_that_has_waited_three_seconds_is_refused() {
        let queue = queue();
        let slots = [1, 2].map(|address| queue.reserve_slot(&from(address, "ann")).unwrap());
        let overdue = async {
            let mut inner = queue.inner();
            let past = Instant::now().checked_sub(MAX_WAIT).unwrap();
            let State::Queued { since, .. } = &mut inner.entries[0].state else {
                panic!("it is not queued")
            };
            *since = past;
            inner.drop_overdue();
            assert_eq!(inner.entries.len(), 1, "the other one waits on");
            drop(inner);
            queue.close();
            assert_eq!(work_off(&queue), Vec::<u32>::new());
        };
        let (first, second, ()) = tokio::join!(slots[0].run(|_| ()), slots[1].run(|_| ()), overdue);
        assert_eq!((first, second), (Err(QueueFull), Ok(())));
        assert_eq!(queue.refusals().get(), 1);
    }

    #[tokio::test]
    async fn a_request_that_follows_an_answer_finds_the_slot_free() {
        let queue = queue();
        let worker = Arc::clone(&queue);
        let worker = thread::spawn(move || worker.run_worker(&mut Vec::new()));
        for _ in 0..1000 {
            queue.took.store(9_000_000, Ordering::Relaxed); // now there is one slot
            queue.reserve_slot(&from(1, "ann")).unwrap().run(|_| ()).await.unwrap();
        }
        queue.close();
        worker.join().unwrap();
    }

    #[tokio::test]
    async fn a_thread_without_work_frees_its_memory_and_works_on() {
        /// Reports each release.
        struct Counted(mpsc::Sender<()>);
        impl ReleaseMemory for Counted {
            fn release_memory(&mut self) {
                self.0.send(()).unwrap();
            }
        }
        let (released, has_released) = mpsc::channel();
        let max_idle_time = Duration::from_millis(1);
        let queue = Arc::new(HashQueue { max_idle_time, ..HashQueue::new(1) });
        let worker = Arc::clone(&queue);
        let worker = thread::spawn(move || worker.run_worker(&mut Counted(released)));
        for _ in 0..2 {
            has_released.recv_timeout(Duration::from_mins(2)).unwrap();
            queue.reserve_slot(&from(1, "ann")).unwrap().run(|_| ()).await.unwrap();
        }
        has_released.recv_timeout(Duration::from_mins(2)).unwrap();
        queue.close();
        worker.join().unwrap();
        assert!(has_released.try_recv().is_err(), "once for each time without work");
    }

    #[test]
    fn threads_end_with_the_queue() {
        let queue = queue();
        let (ended, has_ended) = mpsc::channel();
        let worker = Arc::clone(&queue);
        thread::spawn(move || {
            worker.run_worker(&mut Vec::new());
            ended.send(()).unwrap();
        });
        queue.close();
        assert!(has_ended.recv_timeout(Duration::from_mins(2)).is_ok());
    }

    #[test]
    fn no_more_get_a_slot_than_are_done_in_time() {
        let queue: Queue = Arc::new(HashQueue::new(2));
        for (millis, capacity) in [(0, 64), (20, 64), (100, 40), (160, 24), (1_000, 4), (9_000, 2)]
        {
            queue.took.store(millis * 1_000, Ordering::Relaxed);
            assert_eq!(queue.capacity(), capacity, "{millis} ms each");
        }
    }

    #[test]
    fn att_17_09_two_slow_cores_have_slots_for_twenty_four_addresses_at_once() {
        let queue: Queue = Arc::new(HashQueue::new(2));
        queue.took.store(160_000, Ordering::Relaxed);
        let slots: Vec<_> = (0..24).map(|n| queue.reserve_slot(&from(n, "ann"))).collect();
        assert!(slots.iter().all(Result::is_ok));
        assert_eq!(queue.check_capacity(&from(24, "ann")), Err(QueueFull));
    }

    #[test]
    fn one_job_that_was_held_up_changes_little_and_many_are_believed() {
        assert_eq!(update_average(0, 25_000), 25_000);
        assert_eq!(update_average(25_000, 1_000_000), 29_688);
        let after = |jobs: usize, from: u64, each: u64| {
            (0..jobs).fold(from, |lately, _| update_average(lately, each))
        };
        assert!(after(20, 25_000, 100_000) > 75_000);
        assert!(after(40, 100_000, 25_000) < 32_000);
        assert!(after(100, 1, 25_000) > 20_000, "even from next to nothing");
    }
}
