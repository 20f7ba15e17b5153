//! Tests of the program: started, used over a socket, killed and started again.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::Connection as _;

use crate::support::process::{Process, free_address};
use crate::support::program::{
    PASSWORD, Service, cloakroom, run, schema_of, text, unprepared, wait_until,
};
use crate::support::raw::LONG;

/// A service with a limit on the size of files, in KiB.
fn with_little_room(folder: &Path, kibibytes: u32) -> Service {
    let listen = free_address().to_string();
    let mut command = Command::new("bash");
    let program = env!("CARGO_BIN_EXE_cloakroom");
    let script =
        format!("trap '' XFSZ; ulimit -S -f {kibibytes}; exec {program} --listen {listen}");
    command.args(["-c", &script]).current_dir(folder).stderr(Stdio::null());
    Service::of(Process::serve(&mut command).expect("it serves"), listen)
}

#[test]
fn the_demo_replays_the_snippet() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &["serve", "--demo"]);
    for (username, password, roles) in
        [("tiangolo", "secret2", r#""roles":["admin"]"#), ("dmontagu", "secret1", r#""roles":[]"#)]
    {
        let (status, body, cookie) = service.log_in(username, password);
        assert_eq!(status, 200, "{body}");
        assert!(body.starts_with(r#"{"ok":true"#));
        let (status, body, _) =
            service.call("GET", "/private", &[("cookie", cookie.as_deref().unwrap())], "");
        assert_eq!(status, 200);
        let me = service.call("GET", "/me", &[("cookie", &*cookie.unwrap())], "").1;
        assert!(me.contains(roles), "{me}");
        assert!(body.contains(&format!(r#""username":"{username}""#)));
        assert!(body.contains("get some private data"));
    }
    let (status, body, _) = service.log_in("tiangolo", "secret1");
    assert_eq!(status, 403);
    assert!(body.contains("Invalid user or password"));
    let (status, body, _) =
        service.call("GET", "/private", &[("cookie", "session=made.up.one")], "");
    assert_eq!(status, 403);
    assert!(body.contains("Invalid authentication"));
    let (status, body, _) = service.call("GET", "/private", &[("cookie", "other=cookie")], "");
    assert_eq!(status, 401);
    assert!(body.contains("Not authenticated"));
    let (_, page, _) = service.call("GET", "/docs", &[], "");
    assert!(page.contains(r#"id="demo""#));
}

#[test]
fn the_demo_does_not_face_a_network() {
    let folder = tempfile::tempdir().unwrap();
    let open = ["--listen", "0.0.0.0:1", "--public-url", "https://x.example"];
    let refused = run(folder.path(), &[&open[..], &["serve", "--demo"]].concat(), "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("publicly known passwords"));
    let proxied = ["--public-url", "https://x.example", "serve", "--demo"];
    let refused = run(folder.path(), &proxied, "");
    assert_eq!(refused.status.code(), Some(1), "a proxy may stand in front");
    assert!(!folder.path().join("cloakroom-data").exists(), "nothing was made");

    drop(Service::start(folder.path(), &["serve", "--demo"]));
    let free = TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().to_string();
    let refused = run(folder.path(), &["--listen", &free, "--public-url", "https://x.example"], "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("the database contains demo users"));
}

#[test]
fn a_second_flag_lets_a_demo_face_a_network_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_address().port();
    let (listen, at) = (format!("0.0.0.0:{port}"), format!("127.0.0.1:{port}"));
    let demo = ["--listen", &listen, "serve", "--demo"];
    let start = |arguments: &[&str]| {
        let mut command = unprepared(folder.path(), arguments);
        command.env("CLOAKROOM_INSECURE_HTTP", "true").spawn().unwrap()
    };
    let refused = start(&demo).wait_with_output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("or add --demo-on-any-address"));
    let alone = run(folder.path(), &["serve", "--demo-on-any-address"], "");
    assert_eq!(alone.status.code(), Some(2), "it is no --demo by itself");
    drop(Service::start(folder.path(), &["serve", "--demo"])); // gives a user the role `admin`
    let mut child = start(&[&demo[..], &["--demo-on-any-address"]].concat());
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let every = format!("EVERY CLIENT that can reach {listen} can sign in as one of them");
    let said: Vec<_> = said.by_ref().take_while(|line| !line.contains("secret2")).collect();
    assert!(said.iter().any(|line| line.contains(&every)), "{said:?}");
    let service = Service::of(child, at);
    let (status, _, cookie) = service.log_in("tiangolo", "secret2");
    assert_eq!(status, 200);
    let me = service.call("GET", "/me", &[("cookie", &*cookie.unwrap())], "").1;
    assert!(me.contains(r#""roles":[]"#), "the role is for the users of this machine: {me}");
}

#[test]
fn a_session_survives_a_kill_and_ends_with_its_logout() {
    let folder = tempfile::tempdir().unwrap();
    let added = run(folder.path(), &["user", "add", "Ann"], &format!("{PASSWORD}\n"));
    assert_eq!((added.status.code(), text(&added.stdout)), (Some(0), "added ann\n".into()));

    let service = Service::start(folder.path(), &[]);
    let cookie = service.log_in("ann", PASSWORD).2.unwrap();
    service.signal("KILL");
    drop(service);
    // the address is part of the token's issuer, so it stays the same
    let listen = &["--public-url", "http://127.0.0.1:9"];
    let service = Service::start(folder.path(), listen);
    assert_eq!(service.private(&cookie), 403, "a token of another address is refused");
    let cookie = service.log_in("ann", PASSWORD).2.unwrap();
    service.signal("KILL");
    drop(service);
    let service = Service::start(folder.path(), listen);
    assert_eq!(service.private(&cookie), 200);
    assert_eq!(service.call("POST", "/logout", &[("cookie", &cookie)], "").0, 204);
    service.signal("KILL");
    drop(service);
    let service = Service::start(folder.path(), listen);
    assert_eq!(service.private(&cookie), 403);
}

#[test]
fn it_stops_when_asked_even_with_a_client_that_never_finishes() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start(folder.path(), &[]);
    let mut slow = TcpStream::connect(&service.at).unwrap();
    slow.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n").unwrap();
    assert_eq!(service.call("GET", "/livez", &[], "").0, 200);
    service.signal("TERM");
    assert_eq!(service.exit_code_within(LONG), Some(0));
}

#[test]
fn att_19_06_a_service_goes_on_at_signals_that_do_not_stop_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start_in(folder.path(), &["serve"], &[]);
    let log = || fs::read_to_string(folder.path().join("log")).unwrap();
    for (name, line) in [
        (
            "HUP",
            "SIGHUP: reloading the certificate, the signing keys, the peppers and the server secrets",
        ),
        ("USR1", "ignored the signal SIGUSR1; the service continues"),
        ("USR2", "ignored the signal SIGUSR2; the service continues"),
    ] {
        service.signal(name);
        wait_until(|| log().contains(line));
        assert_eq!(service.call("GET", "/readyz", &[], "").0, 200, "{name}");
    }
    service.signal("INT");
    assert_eq!(service.exit_code_within(LONG), Some(0));
    assert!(!log().contains("WARN") && log().contains("stopped"), "{}", log());
}

#[test]
fn it_stops_well_however_soon_after_it_said_that_it_serves() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..20 {
        let mut service = Service::start(folder.path(), &[]);
        service.signal("TERM");
        assert_eq!(service.exit_code_within(LONG), Some(0));
    }
}

#[test]
fn a_healthcheck_says_whether_it_is_ready_and_waits_for_no_answer_for_long() {
    let folder = tempfile::tempdir().unwrap();
    let check = |at: &str| {
        let checked = run(folder.path(), &["--listen", at, "healthcheck"], "");
        (checked.status.code(), text(&checked.stderr))
    };
    // it waits for two seconds, in which a busy machine may not have answered
    let is_late = |said: &str| said.contains("not respond in time");
    let answer_in_time = |check: &dyn Fn() -> (Option<i32>, String)| {
        let mut found = check();
        wait_until(|| {
            if is_late(&found.1) {
                found = check();
            }
            !is_late(&found.1)
        });
        found
    };
    let service = Service::start(folder.path(), &[]);
    let at = service.at.clone();
    assert_eq!(answer_in_time(&|| check(&at)), (Some(0), String::new()));
    let port = at.rsplit(':').next().unwrap();
    let everywhere = ["--listen", &format!("0.0.0.0:{port}"), "--public-url", "https://x.example"];
    let everywhere = [&everywhere[..], &["healthcheck"]].concat();
    let checked = answer_in_time(&|| {
        let checked = run(folder.path(), &everywhere, "");
        (checked.status.code(), text(&checked.stderr))
    });
    assert_eq!(checked, (Some(0), String::new()));
    drop(service);

    let refused = |(code, said): (Option<i32>, String), about: &str| {
        assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.contains(about), "{said}");
    };
    refused(check(&at), "does not respond");
    let other = TcpListener::bind(&at).unwrap();
    refused(check(&at), "does not respond in time");
    drop(other.accept());
    for (answer, about) in [
        ("HTTP/1.1 503 x\r\n\r\n", "not ready: it returned the status 503"),
        ("SSH-2.0-x_1.0", "not speak HTTP"),
    ] {
        let found = answer_in_time(&|| {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut stream = other.accept().unwrap().0;
                    let _ = stream.read(&mut [0; 1024]);
                    let _ = stream.write_all(answer.as_bytes()); // it may have given up
                });
                check(&at)
            })
        });
        refused(found, about);
    }
}

#[test]
fn it_serves_on_when_nobody_reads_what_it_prints() {
    let folder = tempfile::tempdir().unwrap();
    let free = free_address().to_string();
    let mut command = cloakroom(folder.path(), &["--listen", &free, "serve", "--demo"]);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take()); // as `cloakroom | head` does
    let service = Service::of(child, free);
    let start = Instant::now();
    while TcpStream::connect(&service.at).is_err() {
        assert!(start.elapsed() < Duration::from_secs(10), "it does not serve");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(service.log_in("tiangolo", "secret2").0, 200);
}

#[test]
fn dos_14_a_log_that_cannot_be_written_stops_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let free = free_address().to_string();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = cloakroom(folder.path(), &["--listen", &free, "serve", "--demo"]);
    let mut child = command.env("RUST_LOG", "trace").stderr(full).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    said.next().unwrap().unwrap();
    let service = Service::of(child, free);
    for _ in 0..10 {
        assert_eq!(service.call("GET", "/livez", &[], "").0, 200);
    }
    assert_eq!(service.log_in("tiangolo", "secret2").0, 200);
}

#[test]
fn ses_08_and_16_what_is_not_http_is_closed_and_what_is_too_large_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &[]);
    let answered = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(&service.at).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let _ = stream.write_all(bytes);
        let mut line = String::new();
        let _ = BufReader::new(stream).read_line(&mut line); // it stays empty if there is no answer
        line
    };
    assert!(
        answered(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").contains("400")
            || answered(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").is_empty()
    );
    assert!(answered(b"GET /livez HTTP/1.1\r\n\r\n").contains("400"), "no Host");
    let large = format!(
        "GET /private HTTP/1.1\r\nHost: localhost\r\nCookie: session={}\r\n\r\n",
        "a".repeat(20_000)
    );
    assert!(answered(large.as_bytes()).contains("431"));
    for size in [4_000, 8_000] {
        let cookie = format!("session={}", "a".repeat(size));
        assert_eq!(service.private(&cookie), 403);
    }
    let cookies = "a=b; ".repeat(10_000);
    let head = format!("GET /private HTTP/1.1\r\nHost: localhost\r\nCookie: {cookies}\r\n\r\n");
    assert!(answered(head.as_bytes()).contains("431"));
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X-A: b\r\n".repeat(100));
    assert!(answered(many.as_bytes()).contains("431"));
}

#[test]
fn pwd_01_a_body_without_end_is_refused_and_takes_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &[]);
    let refused = |length: &str, piece: &[u8]| {
        let mut stream = TcpStream::connect(&service.at).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let head = format!(
            "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        for _ in 0..16 * 1024 {
            if stream.write_all(piece).is_err() {
                break; // at most 16 MiB; the service closes the connection long before
            }
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    };
    let in_full = [b'x'; 1024];
    let in_chunks = format!("400\r\n{}\r\n", "x".repeat(1024));
    let all = || {
        refused("Content-Length: 1048576", &in_full);
        refused("Content-Length: 16777216", &in_full);
        refused("Transfer-Encoding: chunked", in_chunks.as_bytes());
    };
    all();
    let before = service.resident();
    for _ in 0..10 {
        all();
    }
    let risen = service.resident().saturating_sub(before);
    assert!(risen < 8 * 1024, "{risen} KiB more after hundreds of MiB");
    assert_eq!(service.log_in("ann", PASSWORD).0, 403, "it serves on");
}

#[test]
fn enu_04_that_a_name_is_taken_is_said_after_the_whole_work_of_a_hash() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &[]);
    let work = |names: &[String], status: u16| {
        // CPU time, because elapsed time depends on what else the machine does
        let before = service.cpu();
        for name in names {
            let body = format!(r#"{{"username":"{name}","password":"{PASSWORD}"}}"#);
            let answer =
                service.call("POST", "/register", &[("content-type", "application/json")], &body);
            assert_eq!(answer.0, status, "{}", answer.1);
        }
        service.cpu() - before
    };
    let names: Vec<String> = (0..8).map(|n| format!("ann{n}")).collect();
    let (free, taken) = (work(&names, 201), work(&names, 409));
    assert!(taken > free / 2, "{taken} hundredths of a second against {free}");
}

#[test]
fn users_are_added_listed_and_given_new_passwords() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], input: &str| run(folder.path(), arguments, input);
    assert!(run(&["user", "add", "bob"], "a long enough password").status.success());
    assert!(run(&["user", "add", "ann"], &format!("{PASSWORD}\r\n")).status.success());
    assert!(run(&["user", "add", "root"], PASSWORD).status.success(), "the operator may");
    let listed = text(&run(&["user", "list"], "").stdout);
    let names: Vec<_> = listed.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["USER", "ann", "bob", "root"]);
    let listed = text(&run(&["user", "list", "--json"], "").stdout);
    let first: serde_json::Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    assert_eq!(first["username"], "ann");

    let service = Service::start(folder.path(), &[]);
    let cookie = service.log_in("ann", PASSWORD).2.unwrap();
    assert!(run(&["user", "passwd", "Ann"], "quite another password\n").status.success());
    assert_eq!(service.private(&cookie), 403, "her sessions have ended");
    assert_eq!(service.log_in("ann", PASSWORD).0, 403);
    assert_eq!(service.log_in("ann", "quite another password").0, 200);
}

#[test]
fn sessions_ended_from_the_command_line_are_refused_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], input: &str| run(folder.path(), arguments, input);
    assert!(run(&["user", "add", "ann"], PASSWORD).status.success());
    let service = Service::start(folder.path(), &[]);
    let refused_soon = |cookie: &str| {
        let start = Instant::now();
        loop {
            let asked = start.elapsed(); // the answer may take longer on a busy machine
            if service.private(cookie) != 200 {
                break;
            }
            assert!(asked < Duration::from_secs(1), "still accepted");
        }
        assert_eq!(service.private(cookie), 403);
    };
    let (one, two) =
        (service.log_in("ann", PASSWORD).2.unwrap(), service.log_in("ann", PASSWORD).2.unwrap());
    assert_eq!((service.private(&one), service.private(&two)), (200, 200));
    let listed = text(&run(&["session", "list", "ann", "--json"], "").stdout);
    assert_eq!(listed.lines().count(), 2);
    let newest: serde_json::Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    assert_eq!(newest["address"], "127.0.0.1");
    let id = newest["id"].as_str().unwrap();
    assert_eq!(text(&run(&["session", "revoke", "ann", id], "").stdout), "revoked 1 session\n");
    refused_soon(&two);
    assert_eq!(service.private(&one), 200);
    assert_eq!(run(&["session", "revoke", "ann", id], "").status.code(), Some(1));
    // an id may begin with a hyphen; this one is unknown but no usage error
    let odd = run(&["session", "revoke", "ann", "-hcdefghijklmnopqrstuv"], "");
    assert_eq!(odd.status.code(), Some(1));
    assert_eq!(
        text(&run(&["session", "revoke", "ann", "--all"], "").stdout),
        "revoked 1 session\n"
    );
    refused_soon(&one);
    let three = service.log_in("ann", PASSWORD).2.unwrap();
    assert_eq!(service.private(&three), 200);
    assert!(run(&["user", "passwd", "ann"], "quite another password").status.success());
    refused_soon(&three);
}

#[test]
fn users_are_disabled_enabled_and_deleted_under_a_running_service() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], input: &str| run(folder.path(), arguments, input);
    assert!(run(&["user", "add", "ann"], PASSWORD).status.success());
    let service = Service::start(folder.path(), &[]);
    let refused_soon = |cookie: &str| {
        let start = Instant::now();
        loop {
            let asked = start.elapsed(); // the answer may take longer on a busy machine
            if service.private(cookie) != 200 {
                break;
            }
            assert!(asked < Duration::from_secs(1), "still accepted");
        }
        assert_eq!(service.private(cookie), 403);
    };
    let cookie = service.log_in("ann", PASSWORD).2.unwrap();
    let shown = text(&run(&["user", "show", "Ann", "--json"], "").stdout);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["username"], &shown["sessions"]), (&"ann".into(), &1.into()));
    assert_eq!(shown["disabled_at"], serde_json::Value::Null);

    let said = text(&run(&["user", "disable", "ann"], "").stdout);
    assert_eq!(said, "ann is disabled; all sessions and API tokens of this user were revoked\n");
    refused_soon(&cookie);
    assert_eq!(service.log_in("ann", PASSWORD).0, 403);
    let shown = text(&run(&["user", "show", "ann"], "").stdout);
    assert!(shown.contains("disabled    20") && shown.contains("sessions    0"), "{shown}");
    assert!(run(&["user", "disable", "ann"], "").status.success(), "twice is as good as once");

    assert_eq!(
        text(&run(&["user", "enable", "ann"], "").stdout),
        "ann is enabled and can sign in\n"
    );
    assert_eq!(service.private(&cookie), 403, "what has ended has ended");
    let cookie = service.log_in("ann", PASSWORD).2.unwrap();
    assert_eq!(text(&run(&["user", "delete", "ann", "--yes"], "").stdout), "deleted ann\n");
    refused_soon(&cookie);
    for command in [&["show"][..], &["disable"], &["enable"], &["delete", "--yes"]] {
        let gone = run(&[&["user"], command, &["ann"]].concat(), "");
        assert_eq!(gone.status.code(), Some(1));
        assert_eq!(text(&gone.stderr), "cloakroom: there is no user ann\n");
    }
    assert!(run(&["user", "add", "ann"], PASSWORD).status.success(), "the name is free");
}

#[test]
fn invites_are_made_listed_taken_back_and_used() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("cloakroom.toml"), "registration = 'invite'\n").unwrap();
    let run = |arguments: &[&str]| run(folder.path(), arguments, "");
    let made = run(&["--public-url", "https://id.example.org", "invite"]);
    let printed = text(&made.stdout);
    let (header, printed) = printed.split_once('\n').unwrap();
    assert_eq!(header.split_whitespace().collect::<Vec<_>>(), ["EXPIRES", "LINK"]);
    let (rest, code) = printed.trim_end().split_once('=').unwrap();
    assert!(code.len() == 32 && code.bytes().all(|byte| byte.is_ascii_hexdigit()), "{code}");
    assert_eq!(rest, "in 7 days  https://id.example.org/register?invite");
    let logged = text(&made.stderr);
    assert!(logged.lines().count() == 1 && logged.contains("invite_made"), "{logged}");
    assert!(!logged.contains(code), "{logged}");

    let three = text(&run(&["invite", "--count", "3", "--expires", "12h", "--json"]).stdout);
    assert_eq!(three.lines().count(), 3);
    let last: serde_json::Value = serde_json::from_str(three.lines().last().unwrap()).unwrap();
    let listed = text(&run(&["invite", "list", "--json"]).stdout);
    assert_eq!(listed.lines().count(), 4);
    assert!(!listed.contains(last["code"].as_str().unwrap()));
    let id = last["id"].as_str().unwrap();
    assert_eq!(text(&run(&["invite", "revoke", id]).stdout), "revoked 1 invite\n");
    assert_eq!(run(&["invite", "revoke", id]).status.code(), Some(1));
    assert_eq!(text(&run(&["invite", "list"]).stdout).lines().count(), 4, "with the header");
    assert_eq!(run(&["invite", "--expires", "7w"]).status.code(), Some(2));

    let service = Service::start(folder.path(), &[]);
    let json = [("content-type", "application/json")];
    let register = |invite: &str| {
        let body = format!(r#"{{"username":"ann","password":"{PASSWORD}","invite":"{invite}"}}"#);
        service.call("POST", "/register", &json, &body).0
    };
    assert_eq!(register(last["code"].as_str().unwrap()), 403, "it was taken back");
    assert_eq!((register(code), register(code)), (201, 403));
    let open = cloakroom(folder.path(), &["invite"]).env("CLOAKROOM_REGISTRATION", "open").output();
    assert!(text(&open.unwrap().stderr).contains("do not need an invite"));
}

#[test]
fn keys_are_listed_and_rotated_under_a_running_service() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], input: &str| run(folder.path(), arguments, input);
    assert!(run(&["user", "add", "ann"], PASSWORD).status.success());
    let service = Service::start(folder.path(), &[]);
    let before = service.log_in("ann", PASSWORD).2.unwrap();
    assert!(text(&run(&["key", "rotate"], "").stdout).contains("is now used to sign new tokens"));
    let listed = text(&run(&["key", "list"], "").stdout);
    let does: Vec<_> = listed.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(does, ["USE", "verifies", "signs"]);
    let kid = |cookie: &str| cookie.split('.').next().unwrap().to_owned();
    wait_until(|| kid(&service.log_in("ann", PASSWORD).2.unwrap()) != kid(&before));
    assert_eq!(service.private(&before), 200, "nobody is logged out");
    let old = listed.lines().nth(1).unwrap().split_whitespace().nth(2).unwrap();
    fs::remove_file(folder.path().join(old)).unwrap();
    wait_until(|| service.private(&before) != 200);
}

#[test]
fn programs_that_start_at_once_on_an_empty_folder_share_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let start = |_| unprepared(folder.path(), &["migrate"]).spawn().unwrap();
    let children: Vec<_> = (0..4).map(start).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    assert_eq!(text(&run(folder.path(), &["key", "list"], "").stdout).lines().count(), 2);
}

#[test]
fn a_command_that_fails_says_why_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    assert!(run(folder.path(), &["user", "add", "ann"], PASSWORD).status.success());
    for (arguments, input, code, about) in [
        (&["user", "add", "ann"][..], PASSWORD, 1, "the user ann already exists"),
        (&["user", "add", "a b"], PASSWORD, 1, "is not a valid user name"),
        (&["user", "add", "bob"], "short", 1, "at least 15 characters"),
        (&["user", "add", "robert"], "robert robert 123", 1, "mostly the user name"),
        (&["user", "passwd", "ann"], "passwordpassword", 1, "This password is widely used"),
        (&["user", "add", "bob"], "", 1, "contains no password"),
        (&["user", "passwd", "bob"], PASSWORD, 1, "there is no user bob"),
        (&["user", "passwd", "bob"], "", 1, "there is no user bob"),
        (&["user", "add", "ann"], "", 1, "the user ann already exists"),
        (&["session", "revoke", "ann"], "", 2, "<NAME> <ID|--all>"),
        (&["--listen", "8000", "config"], "", 2, "such as 127.0.0.1:8000"),
        (&["--data-dir", "/dev/null", "migrate"], "", 1, "cannot create the folder"),
        (
            &["--database-url", "mysql://x", "migrate"],
            "",
            1,
            "must start with sqlite: or postgres:",
        ),
        (&["--database-url", "mysql://x", "config"], "", 1, "must start with sqlite: or postgres:"),
        (&["--config", "nothing.toml", "config"], "", 1, "cannot read nothing.toml: No such file"),
        (&["--public-url", "nonsense", "config"], "", 1, "public_url"),
        (&["--nonsense"], "", 2, "--nonsense"),
        (&["user", "add", "bob", "password"], "", 2, "unexpected argument"),
    ] {
        let failed = run(folder.path(), arguments, input);
        let said = text(&failed.stderr);
        assert_eq!(failed.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(about), "{arguments:?}: {said}");
        assert!(code == 2 || said.lines().count() == 1, "{arguments:?}: {said}");
        assert!(!said.contains("canary"));
    }
}

#[test]
fn settings_come_from_the_file_the_environment_and_flags_in_this_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cloakroom.toml");
    fs::write(&file, "listen = '127.0.0.1:1'\nregistration = 'closed'\ncookie.name = 'a'\n")
        .unwrap();
    let mut command = cloakroom(folder.path(), &["--listen", "127.0.0.1:3", "config"]);
    command.env("CLOAKROOM_LISTEN", "127.0.0.1:2").env("CLOAKROOM_COOKIE__NAME", "b");
    command.env("CLOAKROOM_PASSWORDS__PASSES", "3");
    command.env("CLOAKROOM_PASSWORDS__MIN_LENGTH", "12");
    command.env("DATABASE_URL", "postgres://me:canary@db/x");
    let output = command.output().unwrap();
    let shown = text(&output.stdout);
    for line in [
        "listen = \"127.0.0.1:3\"",
        "public_url = \"http://127.0.0.1:3\"",
        "registration = \"closed\"",
        "name = \"b\"",
        "passes = 3",
        "min_length = 12",
        "database_url = \"postgres://me:…@db/x\"",
    ] {
        assert!(shown.contains(line), "{line} is not in {shown} {}", text(&output.stderr));
    }
    for (name, about) in [("CLOAKROOM_LISTEM", "listem"), ("CLOAKROOM_COOKIE__NAM", "nam")] {
        let refused = cloakroom(folder.path(), &["config"]).env(name, "x").output().unwrap();
        assert_eq!(refused.status.code(), Some(1));
        assert!(text(&refused.stderr).contains(about), "{}", text(&refused.stderr));
    }
    fs::write(&file, "lisen = 'x'\n").unwrap();
    let refused = run(folder.path(), &["config"], "");
    assert!(text(&refused.stderr).contains("cloakroom.toml"), "{}", text(&refused.stderr));
    fs::write(&file, "docs = true\n[cookie\n").unwrap();
    let refused = text(&run(folder.path(), &["config"], "").stderr);
    assert_eq!(refused.lines().count(), 1, "{refused}");
    assert!(refused.starts_with("cloakroom: cloakroom.toml: "), "{refused}");
    assert!(refused.contains("line 2, column 8: unclosed table"), "{refused}");
}

#[test]
fn the_document_is_printed_without_a_database_or_a_setting() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = cloakroom(folder.path(), &["openapi"]);
    let output = command.env("CLOAKROOM_LISTEN", "nonsense").output().unwrap();
    assert_eq!(text(&output.stdout), include_str!("../../openapi/openapi.json"));
    let yaml = run(folder.path(), &["openapi", "--format", "yaml"], "");
    assert_eq!(text(&yaml.stdout), include_str!("../../openapi/openapi.yaml"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn migrating_says_where_the_database_stands() {
    let folder = tempfile::tempdir().unwrap();
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let names = fs::read_dir(migrations).unwrap().map(|entry| entry.unwrap().file_name());
    let numbers = names.map(|name| name.to_str().unwrap()[..4].parse::<u32>().unwrap());
    let there = format!("is up to date at migration {}", numbers.max().unwrap());
    for _ in 0..2 {
        let output = run(folder.path(), &["migrate"], "");
        assert!(text(&output.stdout).contains(&there), "{there}");
    }
}

/// The lines of a log in JSON.
fn objects(log: &str) -> Vec<serde_json::Value> {
    let object = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    log.lines().map(object).collect()
}

#[test]
fn a_clock_that_is_behind_the_database_is_told_at_the_start() {
    const WARNING: &str = "the clock is behind";
    let folder = tempfile::tempdir().unwrap();
    if schema_of(folder.path()).is_some() {
        return; // with PostgreSQL, `doctor` runs the same query
    }
    run(folder.path(), &["user", "add", "ann"], PASSWORD);
    let log = || fs::read_to_string(folder.path().join("log")).unwrap();
    drop(Service::start_in(folder.path(), &["serve"], &[]));
    assert!(!log().contains(WARNING), "{}", log());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let file = folder.path().join("cloakroom-data/cloakroom.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
        let mut database = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        let later = "update accounts set created_at = 4102444800000"; // the year 2100
        sqlx::query(later).execute(&mut database).await.unwrap();
        database.close().await.unwrap();
    });
    let service = Service::start_in(folder.path(), &["serve"], &[]);
    wait_until(|| log().contains(WARNING));
    assert!(log().contains("2100-01-01T00:00:00Z"), "{}", log());
    drop(service);
}

#[test]
fn security_events_are_logged_by_name_with_account_address_and_request() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start_in(folder.path(), &["serve"], &[]);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let call = |method: &str, path: &str, cookie: &str, body: &str| {
        let mut headers = vec![("cookie", cookie), ("traceparent", parent)];
        if !body.is_empty() {
            headers.push(("content-type", "application/json"));
        }
        let (status, _, set) = service.call(method, path, &headers, body);
        (status, set.unwrap_or_default())
    };
    let account = format!(r#"{{"username":"ann","password":"{PASSWORD}"}}"#);
    let wrong = account.replace("horse", "cow");
    let unknown = wrong.replace("ann", "nobody1");
    let change =
        format!(r#"{{"current_password":"{PASSWORD}","new_password":"canary the next one"}}"#);
    let confirming = r#"{"current_password":"canary the next one"}"#;

    let (status, first) = call("POST", "/register", "", &account);
    assert_eq!(status, 201);
    let (_, second) = call("POST", "/login", "", &account);
    assert_eq!(call("POST", "/login", "", &wrong).0, 403);
    assert_eq!(call("POST", "/login", "", &unknown).0, 403);
    assert_eq!(call("DELETE", "/sessions", &second, "").0, 200);
    assert_eq!(call("PUT", "/me/password", &second, &change.replace("horse", "cow")).0, 403);
    let (_, third) = call("PUT", "/me/password", &second, &change);
    assert_eq!(call("POST", "/logout", &first, "").0, 204, "it has ended already");
    let strange = [("origin", "https://evil.example"), ("cookie", &third)];
    assert_eq!(service.call("POST", "/logout", &strange, "").0, 403);
    let (status, fourth) = call("POST", "/session/confirm/password", &third, confirming);
    assert_eq!(status, 200);
    assert_eq!(call("DELETE", "/me", &fourth, "").0, 204);
    for _ in 0..6 {
        call("POST", "/login", "", &unknown);
    }
    let added = run(folder.path(), &["user", "add", "bob"], PASSWORD);
    assert_eq!(objects(&text(&added.stderr))[0]["event"], "user_added");
    drop(service);

    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    let audit: Vec<_> =
        objects(&log).into_iter().filter(|line| line["target"] == "audit").collect();
    let events: Vec<_> = audit.iter().map(|line| line["event"].as_str().unwrap()).collect();
    let expected = [
        "account_registered",
        "login_succeeded",
        "login_failed",
        "login_failed",
        "other_sessions_revoked",
        "password_refused",
        "password_changed",
        "cross_origin_refused",
        "public_url_mismatch",
        "session_confirmed",
        "account_closed",
        "login_failed",
        "login_failed",
        "login_failed",
        "login_failed",
    ];
    assert_eq!(events[..expected.len()], expected);
    assert!(events.contains(&"login_throttled"), "{events:?}");
    let ann = audit[0]["account"].as_str().unwrap();
    for (n, line) in audit.iter().enumerate() {
        let knows = line["account"] == ann;
        assert_eq!(knows, ![3, 7, 8].contains(&n) && n < 11, "{line}");
        assert_eq!(line["span"]["address"], "127.0.0.1");
        assert!(line["span"]["request_id"].is_string(), "{line}");
        assert_eq!(line["span"]["traceparent"] == parent, ![7, 8].contains(&n), "{line}");
    }
    assert!(!log.contains("nobody1") && !log.contains("canary"));
}

#[test]
fn a_known_browser_that_fails_ten_times_is_logged_as_distrusted() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start_in(folder.path(), &["serve"], &[]);
    assert!(run(folder.path(), &["user", "add", "ann"], PASSWORD).status.success());
    let body = |password: &str| format!(r#"{{"username":"ann","password":"{password}"}}"#);
    let url = format!("http://{}/login", service.at);
    let json = ("content-type", "application/json");
    let answer = ureq::post(&url).header(json.0, json.1).send(body(PASSWORD)).unwrap();
    let mut sets = answer.headers().get_all("set-cookie").iter().map(|set| set.to_str().unwrap());
    let device = sets.find(|set| set.starts_with("device=")).unwrap().split(';').next().unwrap();
    for _ in 0..10 {
        let failed = service.call("POST", "/login", &[json, ("cookie", device)], &body("canary"));
        assert_eq!(failed.0, 403);
    }
    drop(service);
    let lines = objects(&fs::read_to_string(folder.path().join("log")).unwrap());
    let audit: Vec<_> = lines.iter().filter(|line| line["target"] == "audit").collect();
    let events: Vec<_> = audit.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events.iter().filter(|event| **event == "login_failed").count(), 10);
    assert_eq!(events.last(), Some(&"device_distrusted"));
    assert_eq!(events.iter().filter(|event| **event == "device_distrusted").count(), 1);
    assert_eq!(audit.last().unwrap()["account"], audit[0]["account"]);
}

#[test]
fn what_the_operator_does_is_logged_by_the_command() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("cloakroom.toml"), "registration = 'invite'\n").unwrap();
    let mut account = serde_json::Value::Null;
    for (arguments, event) in [
        (&["user", "add", "ann"][..], "user_added"),
        (&["user", "passwd", "ann"], "password_reset"),
        (&["session", "revoke", "ann", "--all"], "all_sessions_revoked"),
        (&["user", "disable", "ann"], "user_disabled"),
        (&["user", "enable", "ann"], "user_enabled"),
        (&["user", "delete", "ann", "--yes"], "user_deleted"),
        (&["invite"], "invite_made"),
        (&["key", "rotate"], "key_rotated"),
        (&["pepper", "add"], "pepper_added"),
    ] {
        if event == "all_sessions_revoked" {
            let service = Service::start_in(folder.path(), &["serve"], &[]);
            let body = format!(r#"{{"username":"ann","password":"{PASSWORD}"}}"#);
            let json = ("content-type", "application/json");
            assert_eq!(service.call("POST", "/login", &[json], &body).0, 200);
        }
        let done = run(folder.path(), arguments, PASSWORD);
        let logged = text(&done.stderr);
        assert!(done.status.success(), "{arguments:?}: {logged}");
        let lines = objects(&logged);
        assert_eq!((lines.len(), lines[0]["event"].as_str()), (1, Some(event)), "{logged}");
        if event == "user_added" {
            account = lines[0]["account"].clone();
        }
        let is_at = if lines[0]["id"].is_string() { &lines[0]["account"] } else { &account };
        assert_eq!(&lines[0]["account"], is_at, "{logged}");
        assert!(!logged.contains("canary"), "{logged}");
    }
    let off = cloakroom(folder.path(), &["invite"]).env("RUST_LOG", "audit=off").output().unwrap();
    assert_eq!(text(&off.stderr), "");
}

#[test]
fn a_line_carries_the_id_that_is_in_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start_in(folder.path(), &["serve"], &[("RUST_LOG", "off")]);
    let answer = ureq::post(format!("http://{}/login", service.at))
        .config()
        .http_status_as_error(false)
        .build()
        .header("traceparent", "00-x")
        .header("content-type", "application/json")
        .send(r#"{"username":"ann","password":"canary"}"#);
    let id = answer.unwrap().headers()["x-request-id"].to_str().unwrap().to_owned();
    drop(service);
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    let lines = objects(&log);
    assert_eq!(lines.len(), 1, "audit lines stay: {log}");
    assert_eq!(lines[0]["span"]["request_id"], id);
    assert_eq!(lines[0]["span"]["traceparent"], serde_json::Value::Null);
}

#[test]
fn inj_05_what_anybody_sends_is_logged_on_one_line_and_steers_no_terminal() {
    for format in ["human", "json"] {
        let folder = tempfile::tempdir().unwrap();
        let environment = [
            ("RUST_LOG", "trace"),
            ("CLOAKROOM_LOG__FORMAT", format),
            ("CLOAKROOM_TRUSTED_PROXIES", "127.0.0.1"),
        ];
        let service = Service::start_in(folder.path(), &["serve"], &environment);
        let said = "x\\n{\"level\":\"forged\"}\\u001b[2J\\u202e";
        let body = format!(r#"{{"username":"{said}","password":"{said}","{said}":1}}"#);
        let requests = [
            "GET /%0d%0aforged%1b%5b2J HTTP/1.1".to_owned(),
            "GET /a\u{202e}\u{85}b HTTP/1.1".to_owned(),
            "GET /\u{1b}[2J HTTP/1.1".to_owned(),
            "GET /private HTTP/1.1\r\nCookie: session=a\u{1b}[2J\u{85}b".to_owned(),
            "POST /logout HTTP/1.1\r\ntraceparent: 00-a\"}\u{9b}2J\tforged".to_owned(),
            "POST /logout HTTP/1.1\r\nX-Forwarded-For: 1.1.1.1\tforged\u{9b}2J".to_owned(),
            "POST /logout HTTP/1.1\r\nOrigin: https://x\u{1b}[2J\tforged".to_owned(),
            format!(
                "POST /login HTTP/1.1\r\nUser-Agent: a\u{9b}2J\u{202e}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}",
                body.len()
            ),
        ];
        for head in requests {
            let mut stream = TcpStream::connect(&service.at).unwrap();
            let body = if head.contains("Length") { &body } else { "" };
            let head = format!("{head}\r\nHost: {}\r\nConnection: close\r\n\r\n{body}", service.at);
            stream.write_all(head.as_bytes()).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        }
        drop(service);
        let log = fs::read_to_string(folder.path().join("log")).unwrap();
        assert!(log.contains("login_failed") || log.contains("answered"), "{log}");
        for line in log.lines() {
            let is_whole = match format {
                "json" => serde_json::from_str::<serde_json::Value>(line).is_ok(),
                _ => line.starts_with("20"),
            };
            assert!(is_whole, "{line:?}");
            let steers = |c: char| c.is_control() || c == '\u{202e}';
            assert!(!line.contains(steers), "{line:?}");
        }
    }
}

/// All that a run leaves behind, by name: output, logs, stored files and metrics.
fn left_behind(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            left_behind(&path, found);
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

/// The files that every run leaves behind.
fn files_of(folder: &Path) -> &'static [&'static str] {
    let files = &["log", ".pem", "cloakroom.db", "cloakroom.db-wal"];
    if schema_of(folder).is_some() { &files[..2] } else { files }
}

#[test]
fn no_password_token_code_or_device_is_logged_stored_or_counted() {
    let folder = tempfile::tempdir().unwrap();
    let made = run(folder.path(), &["invite", "--count", "2", "--json"], "");
    let made = text(&made.stdout);
    let code = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["code"].as_str().unwrap().to_owned()
    };
    let codes: Vec<_> = made.lines().map(code).collect();
    let metrics = free_address().to_string();
    let environment = [
        ("RUST_LOG", "trace"),
        ("CLOAKROOM_REGISTRATION", "invite"),
        ("CLOAKROOM_METRICS_LISTEN", metrics.as_str()),
    ];
    let mut service = Service::start_in(folder.path(), &["serve"], &environment);
    let mut secrets = codes.clone();

    // the cookies of each answer are secrets
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().into();
    let mut call = |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", service.at));
        let kind = if body.starts_with('{') { "json" } else { "x-www-form-urlencoded" };
        if !body.is_empty() {
            request = request.header("content-type", format!("application/{kind}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = agent.run(request.body(body.to_owned()).unwrap()).unwrap();
        let sets = response.headers().get_all("set-cookie").iter();
        let cookies: Vec<String> =
            sets.map(|set| set.to_str().unwrap().split(';').next().unwrap().to_owned()).collect();
        let values = cookies.iter().filter_map(|cookie| cookie.split_once('=')).map(|two| two.1);
        // "1", which tells the form that the browser accepts cookies, is not secret
        for value in values.filter(|value| value.len() > 1) {
            secrets.push(value.to_owned());
            secrets.push(value.rsplit('.').next().unwrap().to_owned()); // its signature
        }
        response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), cookies.join("; "))
    };
    let page = ("accept", "text/html");
    let account = |invite: &str| {
        format!(r#"{{"username":"ann","password":"{PASSWORD}","invite":"{invite}"}}"#)
    };
    assert_eq!(call("POST", "/register", &[], &account("canary-invite")).0, 403);
    let (status, cookies) = call("POST", "/register", &[], &account(&codes[0]));
    assert_eq!(status, 201);
    assert!(cookies.contains("session=") && cookies.contains("device="), "{cookies}");
    let with = [("cookie", cookies.as_str())];
    assert_eq!(call("GET", "/private?canary=query", &with, "").0, 200);
    assert_eq!(call("GET", "/private", &[("cookie", "session=canary.canary.canary")], "").0, 403);
    assert_eq!(call("GET", "/private", &[("authorization", "Basic canary")], "").0, 401);
    let login = "username=canary-as-a-name&password=canary+by+form";
    assert_eq!(call("POST", "/login", &[with[0], page], login).0, 403);
    assert_eq!(call("POST", "/login", &with, r#"{"username":"ann","password":"canary"}"#).0, 403);
    assert_eq!(call("POST", "/login", &with, r#"{"username":"ann","canary":"canary","#).0, 400);
    let login = format!("username=ann&password={}", PASSWORD.replace(' ', "+"));
    let (status, cookies) = call("POST", "/login", &[with[0], page], &login);
    assert_eq!(status, 303);
    let with = [("cookie", cookies.as_str())];
    let invited = format!("/register?invite={}", codes[1]);
    assert_eq!(call("GET", &invited, &[page], "").0, 200);
    let change =
        |new: &str| format!(r#"{{"current_password":"{PASSWORD}","new_password":"{new}"}}"#);
    assert_eq!(call("PUT", "/me/password", &with, &change("canary")).0, 422);
    let (status, cookies) = call("PUT", "/me/password", &with, &change("canary the next one"));
    assert_eq!(status, 204);
    assert_eq!(call("POST", "/logout", &[("cookie", cookies.as_str())], "").0, 204);

    let answer = ureq::get(format!("http://{metrics}/metrics")).call().unwrap();
    let media_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(media_type.starts_with("application/openmetrics-text"), "{media_type}");
    let told = answer.into_body().read_to_string().unwrap();
    let is_there = r#"cloakroom_requests_total{operation="readPrivate",status="200"} 1"#;
    assert!(told.contains(is_there) && told.contains("cloakroom_connections 1"), "{told}");
    let elsewhere = ureq::get(format!("http://{metrics}/private")).call();
    assert!(matches!(elsewhere, Err(ureq::Error::StatusCode(404))));
    assert_eq!(service.call("GET", "/metrics", &[], "").0, 404, "on a listener of its own only");

    let mut found = vec![("metrics".to_owned(), told.into_bytes())];
    left_behind(folder.path(), &mut found); // including SQLite's journal
    service.signal("TERM");
    assert_eq!(service.exit_code_within(LONG), Some(0));
    left_behind(folder.path(), &mut found);
    for name in files_of(folder.path()) {
        assert!(found.iter().any(|(path, _)| path.ends_with(name)), "{name} is not looked at");
    }
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.contains("answered") && log.contains("password_changed"), "there is a log: {log}");
    assert!(secrets.len() > 10, "{secrets:?}");
    secrets.push("canary".to_owned());
    for (path, bytes) in &found {
        for secret in &secrets {
            let at = memchr::memmem::find(bytes, secret.as_bytes());
            let around = |at: usize| {
                let end = bytes.len().min(at + 100);
                String::from_utf8_lossy(&bytes[at.saturating_sub(200)..end]).into_owned()
            };
            assert!(at.is_none(), "{secret} is in {path}: {:?}", at.map(around));
        }
    }
}

#[test]
fn a_disk_that_was_full_holds_nobody_up_when_there_is_room_again() {
    if std::env::var_os("TEST_DATABASE_URL").is_some() {
        return; // with PostgreSQL, the disk is the server's
    }
    let folder = tempfile::tempdir().unwrap();
    let service = with_little_room(folder.path(), 1024);
    let json = [("content-type", "application/json")];
    let register = |n: usize| {
        let body = format!(r#"{{"username":"user{n}","password":"{PASSWORD}"}}"#);
        service.call("POST", "/register", &json, &body)
    };
    let (status, _, cookie) = register(0);
    assert_eq!(status, 201);
    let full = (1..200).map(register).find(|(status, ..)| *status != 201);
    let (status, body, _) = full.expect("a mebibyte is soon full");
    assert_eq!(status, 503, "{body}");
    assert!(body.contains(r#""code":"unavailable""#), "{body}");
    assert_eq!(service.log_in("user0", PASSWORD).0, 503);
    assert_eq!(service.private(&cookie.unwrap()), 200, "what only reads goes on");

    let pid = rustix::process::Pid::from_raw(service.id().cast_signed()).unwrap();
    let unlimited = rustix::process::Rlimit { current: None, maximum: None };
    rustix::process::prlimit(Some(pid), rustix::process::Resource::Fsize, unlimited).unwrap();
    wait_until(|| service.log_in("user0", PASSWORD).0 == 200);
    assert_eq!(register(200).0, 201);
}

#[test]
fn who_moves_house_takes_accounts_passwords_and_sessions_along() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = |name: &str| format!("sqlite://{}/{name}", folder.path().display());
    let here = file("cloakroom.db");
    // between two files, or to PostgreSQL and back
    let there = schema_of(elsewhere.path()).unwrap_or_else(|| file("there.db"));
    let at = |database: &str| {
        let place = ["--database-url", database, "--public-url", "http://127.0.0.1:9"];
        Service::start(folder.path(), &place)
    };
    let run = |arguments: &[&str]| run(folder.path(), arguments, PASSWORD);
    assert!(run(&["--database-url", &here, "migrate"]).status.success());
    assert!(run(&["--database-url", &here, "user", "add", "ann"]).status.success());
    assert!(run(&["--database-url", &here, "user", "add", "bob"]).status.success());
    assert!(run(&["--database-url", &here, "user", "disable", "bob"]).status.success());
    let service = at(&here);
    let [kept, ended] = [(); 2].map(|()| service.log_in("ann", PASSWORD).2.unwrap());
    assert_eq!(service.call("POST", "/logout", &[("cookie", &ended)], "").0, 204);
    assert_eq!(service.log_in("bob", "something else entirely").0, 403);
    drop(service);

    let moved = run(&["move", "--from", &here, "--to", &there]);
    let said = text(&moved.stdout);
    assert!(moved.status.success(), "{}", text(&moved.stderr));
    assert!(said.starts_with("copied ") && said.contains("and compared them"), "{said}");
    let back = file("back.db");
    assert!(run(&["move", "--from", &there, "--to", &back]).status.success());
    for database in [&there, &back] {
        let service = at(database);
        assert_eq!(service.private(&kept), 200, "whoever was signed in still is");
        assert_eq!(service.private(&ended), 403);
        assert_eq!(service.log_in("ann", PASSWORD).0, 200);
        assert_eq!(service.log_in("bob", PASSWORD).0, 403);
    }
    let nowhere = file("nowhere.db");
    for (from, to, about) in [
        (&here, &there, "is not empty; name an empty database"),
        (&nowhere, &there, "there is no database at"),
        (&here, &here, "are the same database"),
    ] {
        let refused = run(&["move", "--from", from, "--to", to]);
        let said = text(&refused.stderr);
        assert_eq!((refused.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.contains(about), "{said}");
    }
    assert!(!folder.path().join("nowhere.db").exists());
}
