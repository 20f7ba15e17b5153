//! Tests of `cloakroom mail`, and of what `doctor` and `restore` do with mail.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};
use serde_json::Value;

use crate::support::program::{Service, back_up, object, refused, run, said, text, wait_until};

/// Writes the settings of the folder.
fn set(folder: &Path, settings: &str) {
    fs::write(folder.join("cloakroom.toml"), settings).unwrap();
}

/// The files of mail in the data folder.
fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder.join("cloakroom-data/mail")) else { return Vec::new() };
    entries.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
}

/// The findings of `doctor` about mail: verdict and text.
fn findings(folder: &Path) -> Vec<(String, String)> {
    let done = run(folder, &["doctor", "--json"], "");
    let found: Value = serde_json::from_str(&text(&done.stdout)).unwrap();
    let found = found["findings"].as_array().unwrap().iter();
    let found = found.filter(|finding| finding["about"] == "mail");
    let part = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    found.map(|finding| (part(finding, "verdict"), part(finding, "says"))).collect()
}

#[test]
fn a_test_mail_says_which_step_failed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let test = ["mail", "test", "ops@example.org"];
    assert!(refused(folder, &test).contains("mail.server is not set"));
    assert!(findings(folder).is_empty());

    // Bound, but it does not listen, so it refuses connections and no other program takes the port.
    let closed = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&closed, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let at = SocketAddr::try_from(getsockname(&closed).unwrap()).unwrap();
    for (settings, sentence) in [
        ("server = 'smtps://relay.invalid'".to_owned(), "of relay.invalid (DNS): "),
        (format!("server = 'smtp://{at}'"), "cannot connect to 127.0.0.1:"),
        (format!("server = 'smtps://{at}'"), "cannot connect to 127.0.0.1:"),
        (format!("server = 'smtps://ann@{at}'"), "the user ann, but mail.password is not set"),
        (format!("server = 'smtps://{at}'\nca = 'no.pem'"), "no.pem) cannot be read: "),
        (format!("server = 'smtps://{at}'\nca = 'cloakroom.toml'"), "contains no certificate"),
    ] {
        set(folder, &format!("[mail]\n{settings}\n"));
        let error = refused(folder, &test);
        assert!(error.contains(sentence), "{settings}: {error}");
        let found = findings(folder);
        assert!(found.len() == 1 && found[0].0 == "wrong", "{found:?}");
        assert!(found[0].1.contains(sentence), "{found:?}");
    }
    set(folder, "mail.server = 'file'\n");
    assert!(findings(folder)[0].1.starts_with("mail is not sent, but written to "));
    assert!(!folder.join("cloakroom-data/mail").exists(), "doctor changes nothing");
    let done = said(folder, &test);
    assert!(done.starts_with("written to ") && done.contains(".eml"), "{done}");
    assert!(files(folder)[0].contains("To: ops@example.org\r\n"));
    let wrong = run(folder, &["mail", "test", "Ops <ops@example.org>"], "");
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn queued_mail_is_listed_retried_dropped_and_sent_by_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    set(folder, "mail.server = 'file'\n");
    let queue = || {
        let done = said(folder, &["mail", "test", "--queued", "ops@example.org"]);
        done.trim_end().strip_prefix("queued the mail ").unwrap().to_owned()
    };
    let [first, second] = [queue(), queue()];
    let listed = said(folder, &["mail", "list", "--json"]);
    let lines: Vec<Value> =
        listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert_eq!((&line["kind"], &line["state"]), (&"test".into(), &"waiting".into()));
        assert_eq!((&line["recipient"], &line["tries"]), (&"ops@example.org".into(), &0.into()));
    }
    assert!(said(folder, &["mail", "list"]).contains("due"));
    assert!(findings(folder).contains(&("note".into(), "mails that wait to be sent: 2".into())));
    assert_eq!(said(folder, &["mail", "retry", &first]), "queued 1 mail\n");
    assert_eq!(said(folder, &["mail", "retry", "--all"]), "queued 0 mails\n");
    assert_eq!(said(folder, &["mail", "drop", &second]), "removed 1 mail\n");
    assert!(refused(folder, &["mail", "drop", &second]).contains("it may have been sent"));
    assert!(refused(folder, &["mail", "retry", &second]).contains("it was sent or removed"));
    let service = Service::start(folder, &["serve"]);
    wait_until(|| files(folder).len() == 1);
    wait_until(|| said(folder, &["mail", "list", "--json"]).is_empty());
    drop(service);
    assert!(files(folder)[0].contains(&format!("Message-ID: <{first}@[127.0.0.1]>\r\n")));
}

#[test]
fn a_restore_sends_no_mail_of_the_time_of_the_backup() {
    let folder = tempfile::tempdir().unwrap();
    set(folder.path(), "mail.server = 'file'\n");
    said(folder.path(), &["mail", "test", "--queued", "ops@example.org"]);
    let backup = back_up(folder.path(), "backup", &[]);
    let manifest: Value =
        serde_json::from_str(&fs::read_to_string(backup.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["rows"]["mails"], 1);
    let elsewhere = tempfile::tempdir().unwrap();
    object(elsewhere.path(), &["restore", backup.to_str().unwrap(), "--json"]);
    assert_eq!(said(elsewhere.path(), &["mail", "list", "--json"]), "");
}
