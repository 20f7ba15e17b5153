//! backups during writes by many clients.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::crowd::{Crowd, Tally};
use super::model::History;
use super::rng::Rng;
use super::rows;
use super::service::{Service, cloakroom};

const CLIENTS: usize = 8;
/// Limit for restoring a backup and starting the service; both usually take far less.
const DRILL: Duration = Duration::from_mins(5);

struct Backup {
    began: Instant,
    ended: Instant,
    path: PathBuf,
}

fn back_up(folder: &Path) -> Backup {
    let began = Instant::now();
    let done = cloakroom(folder, &["backup", "backups", "--json"]).output().unwrap();
    let ended = Instant::now();
    assert!(done.status.success(), "{}", std::fs::read_to_string(folder.join("log")).unwrap());
    let said: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    Backup { began, ended, path: folder.join(said["path"].as_str().unwrap()) }
}

#[test]
#[ignore = "takes seconds: tests/e2e/crash"]
fn r_12_and_sta_12_a_backup_under_load_is_whole_and_has_all_that_was_acknowledged_before() {
    let wanted = super::asked("BACKUPS", 6);
    let folder = tempfile::tempdir().unwrap();
    let mut rng = Rng::new();
    let mut crowd = Crowd::without_operator(CLIENTS, folder.path(), &mut rng);
    let mut service = Service::start(folder.path());
    let at_work = crowd.start(&[&service.at]);
    let mut backups = Vec::new();
    std::fs::create_dir(folder.path().join("backups")).unwrap();
    for _ in 0..wanted {
        at_work.wait_for(20, Duration::from_secs(5));
        backups.push(back_up(folder.path()));
    }
    crowd = at_work.stop();
    service.kill();
    assert!(crowd.tally.wrong.lock().unwrap().is_empty(), "{:?}", crowd.tally);
    let histories: Vec<_> = crowd.users().map(|user| History::of(user)).collect();
    let slowest = backups.iter().map(|one| one.ended - one.began).max().unwrap();
    for (n, backup) in backups.iter().enumerate() {
        let rows = rows::read(&backup.path.join("cloakroom.db")).unwrap();
        for history in &histories {
            // a backup contains all that was acknowledged before it began, and perhaps what was
            // done during it
            let (first, last) =
                (history.acknowledged(backup.began), history.acknowledged(backup.ended));
            let stands = (first..=last).any(|operations| history.stands(operations, &rows).is_ok());
            assert!(stands, "backup {n}: {:?}", history.stands(first, &rows));
        }
    }

    let drill = tempfile::tempdir().unwrap();
    let last = backups.last().unwrap();
    let began = Instant::now();
    let path = last.path.to_str().unwrap();
    let restored = cloakroom(drill.path(), &["restore", path, "--keep-sessions"]).status().unwrap();
    assert!(restored.success());
    let service = Service::start(drill.path());
    let client = service.client();
    let took = began.elapsed();
    let rows = rows::read(&last.path.join("cloakroom.db")).unwrap();
    let mut good = 0;
    for user in crowd.users() {
        let known = user.done.iter().filter_map(|done| done.ticket.as_ref());
        for ticket in known {
            let is_live = rows.live.values().any(|live| live.contains(&ticket.digest));
            let expected = if is_live { 200 } else { 403 };
            assert_eq!(client.private(&ticket.cookie), Some(expected));
            good += usize::from(is_live);
        }
    }
    println!(
        "R-12: {wanted} backups while {} writes were acknowledged, each whole and with all that was \
         acknowledged before, the slowest in {slowest:?}; restored and started in {took:?}, {good} \
         sessions good",
        Tally::of(&crowd.tally.acknowledged)
    );
    assert!(good > 0 && took < DRILL, "{took:?}");
}
