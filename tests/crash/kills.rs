//! the process is killed at random times under clients that send all kinds of writes.

use std::time::{Duration, Instant};

use super::crowd::{Crowd, Tally};
use super::rng::Rng;
use super::service::{Service, copy};
use super::{asked, rows};

const CLIENTS: usize = 16;
/// Limit from the restart to the first successful answer.
const BACK: Duration = Duration::from_secs(1);
/// The process is killed after a random number of acknowledged writes up to `WRITES` and a random
/// number of milliseconds up to `LONGER`, and on a slow machine after `LONGEST`.
const WRITES: usize = 60;
const LONGER: usize = 60;
const LONGEST: Duration = Duration::from_secs(5);
/// Milliseconds, slightly more than a start takes, so that the process is killed during the start.
const START: usize = 60;

#[test]
#[ignore = "takes minutes: tests/e2e/crash"]
fn r_01_killed_at_any_time_it_loses_nothing_and_does_nothing_by_halves() {
    let folder = tempfile::tempdir().unwrap();
    let (data, aside) = (folder.path().join("cloakroom-data"), folder.path().join("aside"));
    let mut rng = Rng::new();
    let mut crowd = Crowd::new(CLIENTS, folder.path(), &mut rng);
    let (mut back, mut wrong) = (Vec::new(), Vec::new());
    let mut service = Service::start(folder.path());
    let kills = asked("KILLS", 50);
    for kill in 0..kills {
        let at_work = crowd.start(&[&service.at]);
        at_work.wait_for(rng.below(WRITES), LONGEST);
        std::thread::sleep(Duration::from_millis(rng.below(LONGER) as u64));
        service.kill();
        if rng.below(2) == 0 {
            at_work.kill_the_command();
        }
        crowd = at_work.stop();
        if rng.below(5) == 0 {
            let after = Duration::from_millis(rng.below(START) as u64);
            let was_killed = Service::start_and_kill(folder.path(), after);
            assert!(was_killed, "a start is killed, and does not fail");
        }
        let rows = rows::read(&copy(&data, &aside)).unwrap_or_else(|error| {
            panic!("after kill {kill}: {error}");
        });
        wrong.extend(crowd.settle(&rows));
        wrong.append(&mut crowd.tally.wrong.lock().unwrap());

        let began = Instant::now();
        service = Service::start(folder.path());
        let client = service.client();
        let live = crowd
            .users()
            .find_map(|user| user.state.live.values().next().map(|ticket| ticket.cookie.clone()));
        let first = match live {
            Some(cookie) => client.private(&cookie),
            None => client.get("/readyz", None).map(|answer| answer.status),
        };
        back.push(began.elapsed());
        if first != Some(200) {
            wrong.push(format!("the first answer after kill {kill} is {first:?}"));
        }
        wrong.extend(crowd.ask(&client));
        assert!(wrong.is_empty(), "after kill {kill}:\n{}", wrong.join("\n"));
    }
    let tally = &crowd.tally;
    back.sort();
    println!(
        "R-01: {kills} kills; {} writes acknowledged, {} without an answer, {} unavailable, {} overloaded, {} \
         throttled; 0 lost, 0 half done; the first 200 after {:?} (median), {:?} at the most",
        Tally::of(&tally.acknowledged),
        Tally::of(&tally.unanswered),
        Tally::of(&tally.unavailable),
        Tally::of(&tally.overloaded),
        Tally::of(&tally.throttled),
        back[back.len() / 2],
        back[back.len() - 1]
    );
    assert!(Tally::of(&tally.acknowledged) > 10 * usize::try_from(kills).unwrap());
    assert!(Tally::of(&tally.unanswered) > usize::try_from(kills).unwrap());
    assert!(back[back.len() - 1] < BACK, "{back:?}");
}
