//! A-STA: what happens when the database is changed from outside while the service runs.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

use super::crowd::{Crowd, Tally};
use super::model::{Operation, User};
use super::rng::Rng;
use super::rows;
use super::service::{Client, Service, copy};
use crate::support::raw::limit;

/// How long a recently read session stays in the cache.
const KNOWN: Duration = Duration::from_millis(1500);
/// Limit for the answer to a write.
const REFUSED: Duration = Duration::from_secs(2);
/// Limit for recovery.
const RECOVERED: Duration = Duration::from_secs(5);

/// Waits until the condition holds, and returns how long it took.
fn within(most: Duration, is_so: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    loop {
        let asked = began.elapsed(); // the answer may take longer on a busy machine
        if is_so() {
            break;
        }
        assert!(asked < most, "not within {most:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    began.elapsed()
}

/// A service, a signed-in user, and the user's cookie.
struct Scene {
    folder: tempfile::TempDir,
    service: Service,
    ann: User,
    tally: Tally,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let service = Service::start(folder.path());
        let mut scene =
            Self { folder, service, ann: User::new("ann".to_owned()), tally: Tally::default() };
        scene.ask_for(Operation::Register);
        for _ in 0..3 {
            scene.ask_for(Operation::LogIn);
        }
        assert_eq!(Tally::of(&scene.tally.acknowledged), 4);
        scene
    }

    fn ask_for(&mut self, operation: Operation) {
        self.ann.ask_for(operation, &self.service.client(), &self.tally);
    }

    /// Changes the database as another program would.
    fn sql(&self, sql: &'static str) {
        rows::block(async {
            let options = SqliteConnectOptions::new().filename(self.data().join("cloakroom.db"));
            let mut other = SqliteConnection::connect_with(&options).await.unwrap();
            sqlx::query(sql).execute(&mut other).await.unwrap();
            other.close().await.unwrap();
        });
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("cloakroom-data")
    }

    fn client(&self) -> Client {
        self.service.client()
    }

    fn cookie(&self) -> String {
        self.ann.state.live.values().next().unwrap().cookie.clone()
    }

    /// The statuses of a login, a guarded read and `/readyz`.
    fn statuses(&self) -> [Option<u16>; 3] {
        let client = self.client();
        let write = client.log_in("ann", &self.ann.state.password).map(|answer| answer.status);
        let ready = client.get("/readyz", None).map(|answer| answer.status);
        [write, client.private(&self.cookie()), ready]
    }

    fn is_at_home(&self) -> bool {
        self.statuses() == [Some(200); 3]
    }

    /// Checks that no write is acknowledged and that soon everything except the liveness check is
    /// refused.
    fn refuses_all(&self, what: &str) {
        let client = self.client();
        let stranger = User::new(format!("stranger{}", what.len()));
        let began = Instant::now();
        let first = client.register(&stranger.name, &stranger.state.password).unwrap();
        assert!(first.is_unavailable(), "{what}: {first:?}");
        assert!(began.elapsed() < limit(REFUSED), "{what}: {:?}", began.elapsed());
        let began = Instant::now();
        while began.elapsed() < KNOWN {
            let logout = client.call(("POST", "/logout"), Some(&self.cookie()), None).unwrap();
            assert!(logout.is_unavailable(), "{what}: {logout:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(self.statuses(), [Some(503); 3], "{what}");
        assert_eq!(client.get("/livez", None).unwrap().status, 200);
    }

    /// Checks that all acknowledged writes are in the database file.
    fn has_lost_nothing(&mut self) {
        let aside = self.folder.path().join("aside");
        let rows = rows::read(&copy(&self.data(), &aside)).unwrap();
        // the history does not contain the logins of `is_at_home`
        let digests = &rows.live[self.ann.state.account.as_ref().unwrap()];
        assert!(self.ann.state.live.keys().all(|digest| digests.contains(digest)));
    }
}

#[test]
#[ignore = "takes seconds: tests/e2e/crash"]
fn sta_06_while_another_program_holds_the_database_reads_go_on_and_writes_are_refused_in_time() {
    let mut scene = Scene::new();
    let file = scene.data().join("cloakroom.db");
    let worst = Mutex::new(Duration::ZERO);
    rows::block(async {
        let options = SqliteConnectOptions::new().filename(file);
        let mut other = SqliteConnection::connect_with(&options).await.unwrap();
        let held = other.begin_with("begin exclusive").await.unwrap();
        let began = Instant::now();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let (scene, worst) = (&scene, &worst);
                scope.spawn(move || {
                    let client = scene.client();
                    while began.elapsed() < Duration::from_secs(10) {
                        let asked = Instant::now();
                        let answer = match n % 2 {
                            0 => client.log_in("ann", &scene.ann.state.password),
                            _ => client.call(("POST", "/logout"), Some(&scene.cookie()), None),
                        };
                        assert!(answer.as_ref().unwrap().is_unavailable(), "{answer:?}");
                        let mut worst = worst.lock().unwrap();
                        *worst = asked.elapsed().max(*worst);
                    }
                });
            }
            while began.elapsed() < Duration::from_secs(10) {
                assert_eq!(scene.client().private(&scene.cookie()), Some(200));
                assert_eq!(scene.client().get("/readyz", None).unwrap().status, 200);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        held.rollback().await.unwrap();
        other.close().await.unwrap();
    });
    let again = within(limit(RECOVERED), || scene.is_at_home());
    let worst = worst.into_inner().unwrap();
    println!("STA-06: refused within {worst:?}, and written again after {again:?}");
    assert!(worst < limit(REFUSED), "{worst:?}");
    scene.has_lost_nothing();
}

/// The path to which the test moves a file.
fn aside(file: &Path) -> PathBuf {
    file.with_added_extension("aside")
}

#[test]
#[ignore = "takes seconds: tests/e2e/crash"]
fn sta_08_a_database_that_is_gone_or_another_one_takes_no_write_and_is_not_made_anew() {
    for name in ["cloakroom.db", "cloakroom.db-wal", "cloakroom.db-shm"] {
        for replaced in [false, true] {
            let mut scene = Scene::new();
            assert!(scene.is_at_home());
            let file = scene.data().join(name);
            fs::rename(&file, aside(&file)).unwrap();
            if replaced {
                fs::copy(aside(&file), &file).unwrap();
            }
            scene.refuses_all(name);
            assert_eq!(file.exists(), replaced, "nothing is made anew");
            // the service finds it again without a restart
            fs::rename(aside(&file), &file).unwrap();
            let again = within(limit(RECOVERED), || scene.is_at_home());
            println!("STA-08: {name} was away, and is written again after {again:?}");
            scene.has_lost_nothing();
        }
    }
}

#[test]
#[ignore = "takes seconds: tests/e2e/crash"]
fn sta_08_a_database_that_was_cut_off_takes_no_write_any_more() {
    for name in ["cloakroom.db", "cloakroom.db-wal"] {
        for kept in [0, 1, 2] {
            let scene = Scene::new();
            // with a checkpoint, some data is in the database file; without, all of it is in the
            // log
            if name == "cloakroom.db" {
                scene.sql("pragma wal_checkpoint(passive)");
            }
            assert!(scene.is_at_home());
            let file = OpenOptions::new().write(true).open(scene.data().join(name)).unwrap();
            let size = file.metadata().unwrap().len();
            file.set_len(size * kept / 3).unwrap();
            scene.refuses_all(&format!("{name}, cut to {kept}/3 of {size} bytes"));
        }
    }
}

#[test]
fn whoever_asks_sqlite_to_shorten_its_files_holds_nobody_up() {
    let mut scene = Scene::new();
    assert!(scene.is_at_home());
    let size = |scene: &Scene| fs::metadata(scene.data().join("cloakroom.db-wal")).unwrap().len();
    let before = size(&scene);
    scene.sql("vacuum");
    scene.sql("pragma wal_checkpoint(truncate)");
    assert!(size(&scene) < before);
    assert!(scene.is_at_home());
    scene.ask_for(Operation::LogIn);
    scene.has_lost_nothing();
}

#[test]
fn sta_09_a_corrupt_database_is_refused_at_start_and_left_as_it_is() {
    let mut scene = Scene::new();
    scene.service.kill();
    let file = scene.data().join("cloakroom.db");
    drop(rows::read(&file).unwrap()); // a checkpoint moves the log into the database
    let whole = fs::read(&file).unwrap();
    let spoiled = |from: usize, to: usize| {
        let mut bytes = whole.clone();
        bytes[from..to].fill(0xa5);
        bytes
    };
    for (what, bytes) in [
        ("no database at all", b"this is no database".repeat(500)),
        ("a spoiled first page", spoiled(0, 100)),
        ("cut in the middle", whole[..whole.len() / 2].to_vec()),
        ("cut behind the first page", whole[..4096].to_vec()),
    ] {
        fs::write(&file, &bytes).unwrap();
        let code = Service::started_by(
            scene.folder.path(),
            std::process::Command::new(super::service::program()),
        )
        .err();
        assert_eq!(code, Some(Some(1)), "{what}");
        assert!(fs::read(&file).unwrap() == bytes, "{what}: the file was touched");
    }
    let log = fs::read_to_string(scene.folder.path().join("log")).unwrap();
    assert!(log.lines().last().unwrap().starts_with("cloakroom: the database is damaged"), "{log}");
    fs::write(&file, &whole).unwrap();
    scene.service = Service::start(scene.folder.path());
    assert!(scene.is_at_home());
}

#[test]
#[ignore = "takes seconds: tests/e2e/crash"]
fn sta_13_two_services_on_one_file_lose_nothing_and_know_each_others_endings() {
    let folder = tempfile::tempdir().unwrap();
    let (data, aside) = (folder.path().join("cloakroom-data"), folder.path().join("aside"));
    let mut rng = Rng::new();
    let mut crowd = Crowd::new(8, folder.path(), &mut rng);
    for _ in 0..super::asked("ROUNDS", 8) {
        let mut two = [Service::start(folder.path()), Service::start(folder.path())];
        let at_work = crowd.start(&[&two[0].at, &two[1].at]);
        at_work.wait_for(40, Duration::from_secs(5));
        let first = rng.below(2);
        two[first].kill();
        at_work.wait_for(10, Duration::from_secs(1));
        two[1 - first].kill();
        crowd = at_work.stop();
        let mut wrong = crowd.settle(&rows::read(&copy(&data, &aside)).unwrap());
        wrong.append(&mut crowd.tally.wrong.lock().unwrap());
        let two = [Service::start(folder.path()), Service::start(folder.path())];
        // a session that is ended at one process is refused by the other within a second
        for user in crowd.actors.iter_mut().flat_map(|actor| &mut actor.users).take(5) {
            let [one, other] = [0, 1].map(|n| two[n].client());
            let Some(ticket) = user.state.live.values().next().cloned() else { continue };
            assert_eq!(other.private(&ticket.cookie), Some(200));
            user.ask_for(Operation::LogOut { of: ticket.digest }, &one, &crowd.tally);
            within(Duration::from_secs(1), || other.private(&ticket.cookie) == Some(403));
        }
        wrong.extend(crowd.ask(&two[1].client()));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
    println!("STA-13: {} writes acknowledged, 0 lost", Tally::of(&crowd.tally.acknowledged));
}

#[test]
fn a_folder_that_cannot_be_written_to_is_refused_at_start() {
    // a path below a regular file, which even root cannot create
    let folder = tempfile::tempdir().unwrap();
    File::create(folder.path().join("cloakroom-data")).unwrap();
    let program = std::process::Command::new(super::service::program());
    assert_eq!(Service::started_by(folder.path(), program).err(), Some(Some(1)));
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.starts_with("cloakroom: cannot create the folder"), "{log}");
}
