//! The folders, and what prevents the service from starting.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use cloakroom::app::{self, Environment};
use cloakroom::core::clock::Clock;
use cloakroom::core::secret::Password;
use cloakroom::core::usernames::Username;
use cloakroom::domain::demo_users;

use crate::app::{CHEAP, PASSWORD, START, TestApp};

/// Starts again with the same data. Returns the error, if there is one.
pub async fn start_again(app: &TestApp) -> Result<(), String> {
    let environment =
        Environment { clock: Clock::at(START), hash_cost: CHEAP, ..Environment::real(&app.config) };
    let opened = app::open(&app.config, environment).await;
    opened.map(drop).map_err(|error| error.to_string())
}

fn key(app: &TestApp) -> std::path::PathBuf {
    let mut files = fs::read_dir(app.data("keys")).unwrap().map(|file| file.unwrap().path());
    files.find(|path| path.extension().is_some_and(|ending| ending == "pem")).unwrap()
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn key_01_the_key_and_the_database_are_their_owners_alone() {
    let app = TestApp::new().await;
    assert_eq!(mode(&key(&app)), 0o600);
    assert_eq!(mode(&app.data("keys")), 0o700);
    assert!(app.is_on_postgres() || mode(&app.data("cloakroom.db")) == 0o600);
}

#[tokio::test]
async fn key_01_keys_that_are_gone_are_not_made_anew_while_there_are_accounts() {
    let app = TestApp::new().await;
    fs::remove_file(key(&app)).unwrap();
    assert_eq!(start_again(&app).await, Ok(()), "nobody loses a session");
    assert!(app.eventually(async || app.domain.keys.can_sign()).await, "it has the new key");
    app.signed_in("ann").await;
    fs::remove_file(key(&app)).unwrap();
    let error = start_again(&app).await.unwrap_err();
    assert!(error.contains("restore them from a backup"), "{error}");
}

#[tokio::test]
async fn key_02_a_key_that_others_may_read_is_refused_with_the_command_that_mends_it() {
    let app = TestApp::new().await;
    let key = key(&app);
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let error = start_again(&app).await.unwrap_err();
    assert!(error.contains(&format!("chmod 0600 {}", key.display())), "{error}");
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(start_again(&app).await, Ok(()));
}

#[tokio::test]
async fn key_02_what_a_volume_gives_to_a_group_is_taken_away_and_what_leaked_is_refused() {
    let mut app = TestApp::new().await;
    app.signed_in("ann").await;
    let keys = app.data("keys");
    let paths = || {
        let files = fs::read_dir(&keys).unwrap().map(|entry| entry.unwrap().path());
        let database = ["cloakroom.db", "cloakroom.db-wal", "cloakroom.db-shm"];
        let database = database.map(|name| app.data(name)).into_iter();
        files.chain(database.filter(|path| path.exists())).collect::<Vec<_>>()
    };
    // As with fsGroup, and `chmod -R g+rw`.
    for folder in [app.data(""), keys.clone()] {
        fs::set_permissions(folder, Permissions::from_mode(0o2770)).unwrap();
    }
    for path in paths() {
        fs::set_permissions(path, Permissions::from_mode(0o660)).unwrap();
    }
    assert_eq!(start_again(&app).await, Ok(()));
    for path in paths() {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    for folder in [app.data(""), keys.clone()] {
        let mode = fs::metadata(&folder).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o750, "{}: it may be entered, and not changed", folder.display());
    }
    let key = key(&app);
    fs::set_permissions(&key, Permissions::from_mode(0o664)).unwrap();
    assert!(start_again(&app).await.unwrap_err().contains("other users can read"), "it leaked");
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    app.restarted().await;
    app.signed_in_again("ann").await;
}

#[tokio::test]
async fn key_02_what_is_no_file_of_ones_own_is_refused() {
    let app = TestApp::new().await;
    let key = key(&app);
    let elsewhere = app.data("elsewhere.pem");
    fs::rename(&key, &elsewhere).unwrap();
    symlink(&elsewhere, &key).unwrap();
    assert!(start_again(&app).await.unwrap_err().contains("leads out of its folder"), "a link");
    fs::remove_file(&key).unwrap();
    fs::create_dir(&key).unwrap();
    assert!(start_again(&app).await.unwrap_err().contains("not an Ed25519 key"), "a folder");
}

#[tokio::test]
async fn key_02_a_link_is_followed_within_the_folder_where_nobody_else_can_turn_it() {
    let app = TestApp::new().await;
    let key = key(&app);
    let folder = key.parent().unwrap();
    // As Kubernetes mounts a secret.
    let version = folder.join("..2026_11_28");
    let file = version.join(key.file_name().unwrap());
    fs::create_dir(&version).unwrap();
    fs::rename(&key, &file).unwrap();
    symlink("..2026_11_28", folder.join("..data")).unwrap();
    symlink(Path::new("..data").join(key.file_name().unwrap()), &key).unwrap();
    assert_eq!(start_again(&app).await, Ok(()));

    fs::set_permissions(&version, Permissions::from_mode(0o777)).unwrap();
    let error = start_again(&app).await.unwrap_err();
    assert!(error.contains("through a folder that other users can write to"), "{error}");
    fs::set_permissions(&version, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o444)).unwrap();
    let error = start_again(&app).await.unwrap_err();
    assert!(error.contains("other users can read"), "{error}");
    fs::remove_file(&file).unwrap();
    let error = start_again(&app).await.unwrap_err();
    assert!(error.contains("cannot read the keys"), "a link to nothing: {error}");
}

#[tokio::test]
async fn key_03_what_is_no_ed25519_key_is_refused() {
    let app = TestApp::new().await;
    let key = key(&app);
    for text in [
        "",
        "changeme",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    ] {
        fs::write(&key, text).unwrap();
        let error = start_again(&app).await.unwrap_err();
        assert!(error.contains("not an Ed25519 key"), "{text:?}: {error}");
    }
    // PKCS#8 with a seed of zeros.
    let zeros = "MC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let weak = format!("-----BEGIN PRIVATE KEY-----\n{zeros}\n-----END PRIVATE KEY-----\n");
    fs::write(&key, weak).unwrap();
    let error = start_again(&app).await.unwrap_err();
    assert!(error.contains("easy to guess"), "{error}");
}

#[tokio::test]
async fn sta_09_a_corrupt_database_is_refused_and_left_as_it_is() {
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("cloakroom.db");
    let garbage = vec![0x5a; 8192];
    fs::write(&file, &garbage).unwrap();
    let settings = cloakroom::config::Settings {
        data_dir: Some(elsewhere.path().to_owned()),
        ..Default::default()
    };
    let config = cloakroom::config::Config::check(settings).unwrap();
    let environment =
        Environment { clock: Clock::at(START), hash_cost: CHEAP, ..Environment::real(&config) };
    let error = app::open(&config, environment).await.map(drop).unwrap_err().to_string();
    assert!(error.contains("the database is damaged"), "{error}");
    assert!(fs::read(&file).unwrap() == garbage);
}

#[tokio::test]
async fn sta_09_no_new_database_is_made_in_place_of_one_that_is_gone() {
    let app = TestApp::new().await;
    if app.is_on_postgres() {
        return; // operators create it on a server
    }
    app.domain.store.close().await;
    fs::remove_file(app.data("cloakroom.db")).unwrap();
    let error = start_again(&app).await.unwrap_err();
    assert!(error.contains("is missing"), "{error}");
    assert!(!app.data("cloakroom.db").exists());
}

#[tokio::test]
async fn the_demo_users_are_found_while_one_has_the_password_that_everybody_knows() {
    let app = TestApp::new().await;
    assert!(!demo_users::has_demo_users(&app.domain).await.unwrap(), "there are none");
    demo_users::add_demo_users(&app.domain).await.unwrap();
    for (name, _) in demo_users::DEMO_USERS {
        assert!(demo_users::has_demo_users(&app.domain).await.unwrap());
        let password = Password::new(PASSWORD.to_owned());
        let password = app.domain.rules.passwords.check(&password, None).unwrap();
        let name = Username::parse(name).unwrap();
        app.domain.reset_password(&name, password).await.unwrap();
    }
    assert!(!demo_users::has_demo_users(&app.domain).await.unwrap());
}
