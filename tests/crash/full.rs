//! a disk without room.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::crowd::{Crowd, Tally};
use super::dice::Dice;
use super::people::{Deed, Person};
use super::rows;
use super::service::{Service, copy};

/// Whoever asks for a write is refused within this.
const REFUSED: Duration = Duration::from_secs(1);
/// When there is room again, it is used within this.
const RECOVERED: Duration = Duration::from_secs(5);

/// A small disk of its own. It wants root.
struct Disk(tempfile::TempDir);

impl Disk {
    fn of(size: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder.path());
        let mounted = mount.status().unwrap().success();
        assert!(mounted, "a disk of {size} cannot be mounted: run this as root");
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

#[test]
#[ignore = "wants root: tests/crash/run"]
fn r_06_a_full_disk_refuses_writes_at_once_lets_people_in_and_is_used_again() {
    let disk = Disk::of("8m");
    let aside = tempfile::tempdir().unwrap();
    let data = disk.path().join("cloakroom-data");
    let service = Service::start(disk.path());
    let client = service.client();
    let mut dice = Dice::new();

    let mut crowd = Crowd::new(4, disk.path(), &mut dice);
    let at_work = crowd.start(&[&service.at]);
    at_work.wait_for(60, Duration::from_secs(10));
    let ballast = disk.path().join("ballast");
    let filled = fs::write(&ballast, vec![0xa5; 8 << 20]);
    assert!(filled.is_err(), "it is full now");
    at_work.wait_for(usize::MAX, Duration::from_secs(2));
    crowd = at_work.stop();
    let refused = Tally::of(&crowd.tally.unavailable);
    assert!(refused > 0, "{:?}", crowd.tally);
    let ticket = crowd.people().find_map(|person| person.state.live.values().next().cloned());
    let cookie = ticket.expect("somebody is signed in").cookie;

    let mut worst = Duration::ZERO;
    let stranger = Person::new("stranger".to_owned());
    for n in 0..40 {
        let asked = Instant::now();
        let answer = match n % 2 {
            0 => client.register(&stranger.name, &stranger.state.password).unwrap(),
            _ => client.call(("DELETE", "/sessions"), Some(&cookie), None).unwrap(),
        };
        worst = worst.max(asked.elapsed());
        assert!(answer.is_unavailable(), "{answer:?}");
        assert_eq!(client.private(&cookie), Some(200), "a session goes on");
    }

    fs::remove_file(&ballast).unwrap();
    let freed = Instant::now();
    let mut fresh = Person::new("fresh".to_owned());
    while !fresh.state.is_there {
        fresh.ask_for(Deed::Register, &client, &crowd.tally);
        fresh.pending = None; // it was refused, and is asked for again
        assert!(freed.elapsed() < RECOVERED, "it does not recover");
    }
    let recovered = freed.elapsed();
    let mut wrong = crowd.settle(&rows::read(&copy(&data, aside.path())).unwrap());
    wrong.append(&mut crowd.tally.wrong.lock().unwrap());
    wrong.extend(crowd.ask(&client));
    println!(
        "R-06: {} writes acknowledged before, {refused} refused while it filled up, then each \
         within {worst:?}; written again after {recovered:?}; 0 lost",
        Tally::of(&crowd.tally.acknowledged)
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(worst < REFUSED, "{worst:?}");
}
