//! Tests of the certificate and key files: what is refused at the start, and what is reloaded.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};

use super::service::{Authority, LONG, Service, healthcheck, presented, put, started};
use crate::support::program::wait_until;

const READ: &str = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[track_caller]
fn refused(folder: &tempfile::TempDir, about: &str) {
    let (code, said) = started(folder.path());
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.starts_with("cloakroom: ") && said.contains(about), "{said}");
    assert!(!folder.path().join("cloakroom-data").exists(), "nothing was made");
}

#[test]
fn a_pair_that_cannot_be_used_is_refused_at_the_start_in_a_sentence() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let (certificate, key) = (folder.path().join("tls.pem"), folder.path().join("tls.key"));
    refused(&folder, "cannot read tls.pem");
    authority.make(folder.path(), |params| params.not_after = date_time_ymd(2020, 1, 1));
    refused(&folder, "has expired");
    authority.make(folder.path(), |params| params.not_before = date_time_ymd(2200, 1, 1));
    refused(&folder, "is not valid yet");
    authority.make(folder.path(), |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    refused(&folder, "is not for servers");

    authority.make(folder.path(), |_| {});
    let other = fs::read_to_string(&key).unwrap();
    authority.make(folder.path(), |_| {});
    let own = fs::read_to_string(&key).unwrap();
    put(&key, &other);
    refused(&folder, "the key in tls.key does not belong to the certificate in tls.pem");
    put(&key, &own);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    refused(&folder, "chmod 0600 tls.key");
    for nonsense in ["", "nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
    {
        put(&key, nonsense);
        refused(&folder, "tls.key does not contain a usable private key");
    }
    put(&key, &own);
    let good = fs::read_to_string(&certificate).unwrap();
    for nonsense in ["", &own, &good.replace("MII", "AII")] {
        put(&certificate, nonsense);
        refused(&folder, "tls.pem does not contain a certificate");
    }
    fs::remove_file(&key).unwrap();
    put(&certificate, &good);
    refused(&folder, "cannot read tls.key");
}

#[test]
fn a_renewed_certificate_is_taken_up_and_a_bad_pair_is_not() {
    let service = Service::start();
    let mut open = service.connect("http/1.1");
    let mut still_answers = || {
        open.write_all(READ.as_bytes()).unwrap();
        let mut start = [0; 12];
        open.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
        let _ = open.read(&mut [0; 4096]).unwrap();
    };
    still_answers();
    let first = presented(&service);
    service.authority.make(service.folder.path(), |_| {});
    let renewed = changed(&service, &first);
    still_answers();

    put(&service.folder.path().join("tls.key"), "nonsense");
    wait_until(|| service.log().contains("the certificate was not reloaded"));
    assert_eq!(*presented(&service), *renewed);

    service.authority.make(service.folder.path(), |_| {});
    changed(&service, &renewed);
    // The regular check finds no change now, so the signal is what reloads the files.
    let loads = || service.log().matches("loaded the certificate in").count();
    let before = loads();
    service.signal("HUP");
    wait_until(|| loads() > before);
    still_answers();
    for name in ["USR1", "USR2"] {
        service.signal(name);
        still_answers();
    }
    assert!(service.log().contains("SIGHUP: reloading the certificate"), "{}", service.log());
}

/// Waits until the service presents another certificate than this one.
fn changed(service: &Service, before: &[u8]) -> Vec<u8> {
    let start = Instant::now();
    loop {
        let now = presented(service);
        if *now != *before {
            return now.to_vec();
        }
        assert!(start.elapsed() < LONG, "{}", service.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_healthcheck_speaks_tls_where_the_service_does() {
    let service = Service::start();
    let start = Instant::now();
    loop {
        let checked = healthcheck(&service);
        if checked.status.code() == Some(0) {
            break;
        }
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        let is_late = said.contains("not respond in time"); // on a busy machine
        assert!(is_late && start.elapsed() < LONG, "{said}");
    }
}

#[test]
fn a_certificate_for_other_names_is_said_to_be_one() {
    let service = Service::start();
    assert!(!service.log().contains("the certificate is not valid for"), "{}", service.log());
    drop(service);
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    authority.make(folder.path(), |params| params.subject_alt_names.clear());
    let tls = cloakroom::server::Tls::open(
        &folder.path().join("tls.pem"),
        &folder.path().join("tls.key"),
        cloakroom::core::clock::Clock::System,
    );
    let tls = tls.unwrap();
    assert!(!tls.names("localhost") && !tls.names("127.0.0.1") && !tls.names("[::1]"));
}

#[test]
fn a_key_of_the_user_of_the_service_is_taken_and_that_of_another_user_is_not() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    authority.make(folder.path(), |_| {});
    let [certificate, key] = ["tls.pem", "tls.key"].map(|name| folder.path().join(name));
    if std::os::unix::fs::chown(&key, Some(65_534), None).is_err() {
        return; // only root can change the owner of a file
    }
    let open = |user| {
        let clock = cloakroom::core::clock::Clock::System;
        cloakroom::server::Tls::open_for(user, &certificate, &key, clock).map(drop)
    };
    open(65_534).unwrap();
    let why = open(10_001).unwrap_err().to_string();
    assert!(
        why.contains("belongs to the user 65534, but the service runs as the user 10001"),
        "{why}"
    );
    assert!(why.ends_with(&format!("run as root: chown 10001 {}", key.display())), "{why}");
}
