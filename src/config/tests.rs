//! Tests which settings are accepted, which are refused, and how they are serialized.

use std::fs;
use std::time::Duration;

use super::sources::find_file;
use super::{Config, Registration, Settings};
use crate::core::clock::days;
use crate::domain::passwords::cost::Argon2Params;

fn check(toml: &str) -> Result<Config, String> {
    let settings = toml::from_str(toml).map_err(|error| error.to_string())?;
    Config::check(settings).map_err(|error| error.to_string())
}

#[test]
fn nothing_needs_to_be_set() {
    let config = check("").unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8000");
    assert_eq!(config.public_url.origin(), "http://127.0.0.1:8000");
    assert_eq!(config.database_url.to_string(), "sqlite://cloakroom-data/cloakroom.db");
    assert_eq!(config.cookie.name, "session");
    assert_eq!(config.passwords.min_length, 15);
    assert_eq!(
        config.public_url.origins(),
        [
            "http://127.0.0.1:8000",
            "http://localhost:8000",
            "http://127.0.0.1:8000",
            "http://[::1]:8000"
        ]
    );
}

#[test]
fn the_settings_file_is_the_named_one_or_the_first_that_exists() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (here, system) = (at("cloakroom.toml"), at("etc.toml"));
    let usual = [here.as_path(), system.as_path()];
    assert_eq!(find_file(None, &usual).unwrap(), None);
    fs::write(&system, "").unwrap();
    assert_eq!(find_file(None, &usual).unwrap().as_ref(), Some(&system));
    fs::write(&here, "").unwrap();
    assert_eq!(find_file(None, &usual).unwrap().as_ref(), Some(&here));
    let refused = find_file(Some(at("other.toml")), &usual).unwrap_err().to_string();
    assert!(refused.contains("cannot read") && refused.contains("other.toml"), "{refused}");
    fs::write(at("other.toml"), "").unwrap();
    assert_eq!(find_file(Some(at("other.toml")), &usual).unwrap(), Some(at("other.toml")));
    fs::remove_file(&here).unwrap();
    std::os::unix::fs::symlink("nowhere", &here).unwrap();
    assert!(find_file(None, &usual).is_err(), "a broken link is not passed over");
}

#[test]
fn paths_in_a_settings_file_start_at_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a b#c").join("cloakroom.toml");
    fs::create_dir(file.parent().unwrap()).unwrap();
    let shown = |toml: &str| {
        fs::write(&file, toml).unwrap();
        let config = Config::check(Settings::read_file(file.clone()).unwrap()).unwrap();
        let shown = toml::to_string(&config).unwrap();
        shown.replace(folder.path().to_str().unwrap(), "…")
    };
    let all = shown("");
    assert!(all.contains("data_dir = \"…/a b#c/cloakroom-data\""), "{all}");
    assert!(all.contains("\"sqlite://…/a%20b%23c/cloakroom-data/cloakroom.db\""), "{all}");
    let all = shown(
        "data_dir = 'data'\ndatabase_url = 'sqlite:db/x.db?mode=rw'\n\
         tls = { certificate = 'a.pem', key = '/b.pem' }",
    );
    for line in [
        "data_dir = \"…/a b#c/data\"",
        "database_url = \"sqlite://…/a%20b%23c/db/x.db?mode=rw\"",
        "certificate = \"…/a b#c/a.pem\"",
        "key = \"/b.pem\"",
    ] {
        assert!(all.contains(line), "{line}: {all}");
    }
    for absolute in ["sqlite:///srv/x.db", "postgres://db.example/x"] {
        let all = shown(&format!("database_url = '{absolute}'"));
        assert!(all.contains(absolute), "{all}");
    }
}

#[test]
fn a_folder_with_an_odd_name_holds_its_own_database() {
    let config = check("data_dir = '/srv/100%20a?b#c'").unwrap();
    let address = config.database_url.expose();
    assert_eq!(address, "sqlite:///srv/100%2520a%3Fb%23c/cloakroom.db");
}

#[test]
fn each_price_of_a_hash_that_owasp_names_is_taken() {
    for (memory_kib, passes) in [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)] {
        let toml = format!("[passwords]\nmemory_kib = {memory_kib}\npasses = {passes}");
        let cost = check(&toml).unwrap().passwords.cost;
        assert_eq!(cost, Argon2Params { memory_kib, passes, lanes: 1 });
    }
    let shown = toml::to_string(&check("passwords.threads = 3").unwrap()).unwrap();
    let section =
        "[passwords]\nmin_length = 15\nmemory_kib = 19456\npasses = 2\nlanes = 1\nthreads = 3\n";
    assert!(shown.contains(section), "{shown}");
}

#[test]
fn att_17_02_registration_is_closed_by_default_where_accounts_open_apps() {
    let https = "public_url = 'https://id.example.org'\n";
    for (toml, registration) in [
        ("", Registration::Open),
        ("apps = ['https://wiki.example.org']", Registration::Closed),
        ("cookie.domain = 'example.org'", Registration::Closed),
        ("apps = ['https://wiki.example.org']\nregistration = 'open'", Registration::Open),
        ("cookie.domain = 'example.org'\nregistration = 'invite'", Registration::Invite),
        ("apps = []", Registration::Open),
    ] {
        let config = check(&format!("{https}{toml}")).unwrap();
        assert_eq!(config.registration, registration, "{toml}");
        assert_eq!(config.registration_is_set, toml.contains("registration"), "{toml}");
    }
}

#[test]
fn a_time_is_written_with_its_unit_and_shown_as_it_is_written() {
    let hold = |toml: &str| check(toml).unwrap().accounts.username_hold;
    assert_eq!(hold("").duration(), days(365));
    assert_eq!(hold("accounts.username_hold = 0").duration(), Duration::ZERO);
    for text in ["365d", "12h", "90m", "0"] {
        let toml = format!("accounts.username_hold = '{text}'");
        assert_eq!(hold(&toml).to_string(), text);
        let shown = toml::to_string(&check(&toml).unwrap()).unwrap();
        assert!(shown.contains(&format!("[accounts]\nusername_hold = \"{text}\"\n")), "{shown}");
    }
}

#[test]
fn an_inactivity_timeout_that_is_not_set_is_not_longer_than_the_session() {
    let shown = |toml: &str| {
        let sessions = check(toml).unwrap().sessions;
        let all = [sessions.idle, sessions.absolute, sessions.remember_idle];
        all.map(|period| period.to_string()).join(" ")
    };
    assert_eq!(shown(""), "8h 1d 14d");
    assert_eq!(shown("sessions.absolute = '4h'"), "4h 4h 14d");
    assert_eq!(shown("sessions.remember_absolute = '7d'"), "8h 1d 7d");
    assert_eq!(shown("sessions.idle = '2m'\nsessions.absolute = '400d'"), "2m 400d 14d");
}

#[test]
fn the_longest_session_is_a_remembered_one_unless_users_cannot_choose_it() {
    let longest = |toml: &str| check(toml).unwrap().sessions.longest().to_string();
    assert_eq!(longest(""), "30d");
    assert_eq!(longest("sessions.remember = false"), "1d");
    assert_eq!(longest("sessions.absolute = '60d'"), "60d");
}

#[test]
fn any_loopback_address_is_its_own_origin() {
    let config = check("listen = '127.0.0.2:8000'").unwrap();
    assert!(config.public_url.origins().contains(&"http://127.0.0.2:8000".to_owned()));
}

#[test]
fn the_cookie_is_named_after_what_the_browser_guarantees() {
    let https = "public_url = 'https://id.example.org'";
    assert_eq!(check(https).unwrap().cookie.name, "__Host-session");
    let domain = format!("{https}\ncookie.domain = 'example.org'");
    assert_eq!(check(&domain).unwrap().cookie.name, "__Secure-session");
    let named = format!("{https}\ncookie.name = 'sid'");
    assert_eq!(check(&named).unwrap().cookie.name, "sid");
}

#[test]
fn with_a_certificate_users_reach_it_by_https() {
    let tls = "tls.certificate = 'a.pem'\ntls.key = 'a.key'";
    let config = check(&format!("listen = '0.0.0.0:8443'\n{tls}")).unwrap();
    assert_eq!(config.public_url.origin(), "https://127.0.0.1:8443");
    assert_eq!(config.cookie.name, "__Host-session");
    let shown = toml::to_string(&config).unwrap();
    assert!(shown.contains("[tls]\ncertificate = \"a.pem\"\nkey = \"a.key\"\n"), "{shown}");
}

#[test]
fn a_list_is_written_as_one_or_with_commas() {
    let list = check("trusted_proxies = ['10.0.0.0/8', '::1']").unwrap();
    let text = check("trusted_proxies = '10.0.0.0/8, ::1'").unwrap();
    assert_eq!(list.trusted_proxies, text.trusted_proxies);
    assert_eq!(list.trusted_proxies[1].to_string(), "::1/128");
    let origins = check("allowed_origins = 'https://App.example.org:443/'").unwrap();
    assert_eq!(origins.allowed_origins, ["https://app.example.org"]);
}

#[test]
fn what_cannot_be_meant_is_refused_in_a_sentence_that_names_it() {
    for (toml, about) in [
        ("listen = '0.0.0.0:80'", "can be reached from a network"),
        ("public_url = 'ftp://x'", "public_url"),
        ("public_url = 'https://x/path'", "must not contain anything after the host"),
        ("public_url = 'nonsense'", "is not a URL"),
        ("cookie.name = '__Host-session'", "requires an https"),
        ("cookie.name = 'a b'", "is not a valid cookie name"),
        ("cookie.domain = 'example.org'", "does not contain"),
        ("lisen = '127.0.0.1:1'", "lisen"),
        ("listen = 8000", "listen"),
        ("listen = '127.0.0.1:0'", "must name a port other than 0"),
        ("public_url = 'https://me:canary@x'", "must not contain"),
        ("accounts.username_hold = 'soon'", "365d"),
        ("accounts.username_hold = 5", "365d"),
        ("accounts.username_hold = '-5d'", "365d"),
        ("accounts.username_hold = '36501d'", "365d"),
        ("accounts.hold = '1d'", "hold"),
        ("sessions.idle = '1m'", "sessions.idle = 1m must be between 2m and 400d"),
        ("sessions.idle = 0", "sessions.idle = 0 must be between 2m and 400d"),
        ("sessions.absolute = '401d'", "sessions.absolute = 401d must be between 2m and 400d"),
        ("sessions.remember_idle = '1m'", "sessions.remember_idle = 1m must be between"),
        ("sessions.remember_absolute = '401d'", "sessions.remember_absolute = 401d must be"),
        (
            "sessions.idle = '25h'",
            "sessions.idle = 25h must not be longer than sessions.absolute, which is 1d",
        ),
        (
            "sessions.remember_idle = '10d'\nsessions.remember_absolute = '9d'",
            "sessions.remember_idle = 10d must not be longer than sessions.remember_absolute",
        ),
        ("sessions.remember = 'sometimes'", "remember"),
        ("sessions.timeout = '1h'", "timeout"),
        ("registration = 'invite-only'", "must be open, invite or closed"),
        ("log.format = 'text'", "must be auto, human or json"),
        ("listen = '8000'", "must be an IP address and a port, such as 127.0.0.1:8000"),
        ("metrics_listen = 'localhost:9100'", "must be an IP address and a port"),
        ("database_url = 'mysql://x'", "must start with sqlite: or postgres:"),
        ("allowed_origins = ['*']", "allowed_origins"),
        ("allowed_origins = ['null']", "allowed_origins"),
        ("allowed_origins = ['https://app.example.org/path']", "allowed_origins"),
        ("allowed_hosts = ['*']", "allowed_hosts"),
        ("allowed_hosts = ['id.internal:8000']", "must be a host name without a port"),
        ("allowed_hosts = ['.']", "allowed_hosts"),
        ("trusted_proxies = ['10.0.0.0/33']", "trusted_proxies"),
        ("trusted_proxies = ['proxy.internal']", "trusted_proxies"),
        ("passwords.memory_kib = 19455", "at least 19456"),
        ("passwords.memory_kib = 19456\npasswords.passes = 1", "at least 47104"),
        ("passwords.memory_kib = 12287\npasswords.passes = 3", "at least 12288"),
        ("passwords.memory_kib = 9215\npasswords.passes = 4", "at least 9216"),
        ("passwords.memory_kib = 7167\npasswords.passes = 10", "at least 7168"),
        ("passwords.memory_kib = 262145", "at most 262144"),
        ("passwords.passes = 11", "at most 262144, 10 and 8"),
        ("passwords.lanes = 9", "at most 262144, 10 and 8"),
        ("passwords.lanes = 0", "must be at least 1"),
        ("passwords.threads = 0", "between 1 and 128"),
        ("passwords.memory_kib = -1", "memory_kib"),
        ("passwords.salt = 1", "salt"),
        ("passwords.min_length = 7", "between 8 and 64"),
        ("passwords.min_length = 65", "between 8 and 64"),
        ("passwords.min_length = -1", "min_length"),
        ("passwords.shortest = 8", "shortest"),
        ("tokens.audiences = ['a b']", "without spaces"),
        ("tokens.audiences = ['']", "tokens.audiences"),
        ("tokens.audiences = ['http://127.0.0.1:8000/']", "is this service itself"),
        ("apps = ['wiki.example.org']", "apps"),
        ("apps = ['https://wiki.example.org/path']", "apps"),
        ("site.name = ''", "site.name"),
        ("site.name = ' x'", "without spaces around"),
        ("site.color = 'teal'", "#0b5f5a"),
        ("site.color = '#12345'", "#0b5f5a"),
        ("site.color = '#+12345'", "#0b5f5a"),
        ("site.color = '#ééé'", "#0b5f5a"),
        ("site.logo = 'logo.txt'", ".svg"),
        ("site.logo = '/nowhere/logo.svg'", "cannot be read"),
        ("log.format = 'xml'", "xml"),
        ("metrics_listen = '127.0.0.1:0'", "must name a port other than 0"),
        ("database_connections = 0", "between 1 and 1000"),
        ("database_connections = 1001", "between 1 and 1000"),
        ("tls.certificate = 'a.pem'", "tls.key is not"),
        ("tls.key = 'a.key'", "tls.certificate is not"),
        ("tls.keys = 'a.key'", "keys"),
        (
            "public_url = 'http://x'\ntls.certificate = 'a.pem'\ntls.key = 'a.key'",
            "must be an https URL",
        ),
    ] {
        let error = check(toml).unwrap_err();
        assert!(!error.contains("canary"), "{error}");
        assert!(error.contains(about), "{toml}: {error}");
    }
    assert!(check("listen = '0.0.0.0:80'\ninsecure_http = true").is_ok());
}

#[test]
fn a_database_password_is_masked_when_it_is_shown() {
    for (address, shown) in [
        ("postgres://me:canary@db/x", "postgres://me:…@db/x"),
        ("postgres://db/x?user=me&password=canary", "postgres://db/x?user=me&password=…"),
        ("postgres://db/x?sslmode=disable&p%61ssword=canary", "postgres://db/x?sslmode=disable&…"),
        ("postgres://db/x?password=%63anary&port=1", "postgres://db/x?password=…&port=1"),
        ("postgres://db/x?pass%77ord=%63anary", "postgres://db/x?…"),
        ("postgres://db/x?%70%61%73%73%77%6f%72%64=canary", "postgres://db/x?…"),
        ("postgres://db/x?Password=canary", "postgres://db/x?…"),
        ("postgres://db/x?passwort=canary", "postgres://db/x?passwort=…"),
        ("postgres://db/x?canary", "postgres://db/x?…"),
        ("postgres://db/x?sslkey=canary", "postgres://db/x?sslkey=…"),
        ("postgres://db/x?options[search_path]=a", "postgres://db/x?options[search_path]=a"),
        ("postgres://me:%63anary@db/x", "postgres://me:…@db/x"),
        ("postgres://me:canary/x@db/x", "postgres:…"),
        ("postgres://me:12/canary@db/x", "postgres:…"),
        ("postgres://me:12?canary@db/x", "postgres:…"),
        ("postgres://me:12#canary@db/x", "postgres:…"),
        ("postgres://db/x#canary", "postgres://db/x#…"),
    ] {
        let settings: Settings = toml::from_str(&format!("database_url = '{address}'")).unwrap();
        assert!(!format!("{settings:?}").contains("canary"));
        let config = Config::check(settings).unwrap();
        assert_eq!(config.database_url.to_string(), shown);
        assert!(!format!("{config:?}").contains("canary"));
        assert!(!toml::to_string(&config).unwrap().contains("canary"));
    }
}

#[test]
fn mail_15_control_characters_in_the_sender_of_mail_are_refused() {
    for (toml, about) in [
        (r#"site.name = "x\r\nBcc: e@e.org""#, "site.name"),
        (r#"site.name = "x\u0000""#, "site.name"),
        (r#"mail.from = "x\r\nBcc: e@e.org <a@x.org>""#, "mail.from"),
        (r#"mail.from = "x\u0085 <a@x.org>""#, "mail.from"),
        (r#"mail.from = "a@x.org\r\nBcc: e@e.org""#, "mail.from"),
        (r#"mail.from = "a@x.org>\r\nBcc: <e@e.org>""#, "mail.from"),
    ] {
        let error = check(toml).unwrap_err();
        assert!(error.starts_with(about) && !error.contains(['\r', '\n']), "{error}");
    }
}

#[test]
fn the_sender_of_mail_is_derived_from_the_site_or_set() {
    let from = |toml: &str| {
        let config = check(&format!("mail.server = 'file'\n{toml}")).unwrap();
        let shown = toml::to_string(&config).unwrap();
        let (_, section) = shown.split_once("[mail]\n").expect("it is shown");
        let line = section.lines().find(|line| line.starts_with("from = ")).unwrap();
        line.strip_prefix("from = ").unwrap().trim_matches('"').to_owned()
    };
    assert_eq!(from(""), "Cloakroom <no-reply@localhost>");
    assert_eq!(from("listen = '[::1]:8000'"), "Cloakroom <no-reply@localhost>");
    let https = "public_url = 'https://id.example.org'\n";
    assert_eq!(from(https), "Cloakroom <no-reply@id.example.org>");
    assert_eq!(from(&format!("{https}site.name = 'Büro'")), "Büro <no-reply@id.example.org>");
    assert_eq!(from("mail.from = 'ops@Example.org'"), "ops@example.org");
    assert_eq!(from("mail.from = 'Ops, Inc. <ops@example.org>'"), "Ops, Inc. <ops@example.org>");
    for wrong in ["", "Ops", "Ops <ops>", "<ops@example.org> Ops", "ops@localhost"] {
        let error = check(&format!("mail.from = '{wrong}'")).unwrap_err();
        assert!(error.starts_with("mail.from"), "{error}");
    }
}

#[test]
fn a_mail_server_is_used_behind_https_and_its_password_is_never_shown() {
    let https = "public_url = 'https://id.example.org'";
    let smtps = "mail.server = 'smtps://ann@relay.example.org'";
    for (toml, about) in [
        (format!("{smtps}\npublic_url = 'http://id.example.org'"), "https public_url"),
        ("mail.server = 'smtp.example.org'".to_owned(), "smtps://"),
        (
            format!("mail.server = 'smtps://a:canary@x.org'\nmail.password = 'canary'\n{https}"),
            "both set",
        ),
        (
            format!("mail.server = 'smtps://x.org'\nmail.password = 'canary'\n{https}"),
            "names no user",
        ),
        ("mail.serve = 'file'".to_owned(), "serve"),
    ] {
        let error = check(&toml).unwrap_err();
        assert!(error.contains(about) && !error.contains("canary"), "{toml}: {error}");
    }
    // On this machine and in a folder, nothing is read on the way.
    check(smtps).unwrap();
    check("mail.server = 'file'\npublic_url = 'http://id.example.org'").unwrap();
    for toml in [
        format!("{smtps}\nmail.password = 'canary'\n{https}"),
        format!("mail.server = 'smtps://ann:canary@relay.example.org'\n{https}"),
    ] {
        let settings: Settings = toml::from_str(&toml).unwrap();
        assert!(!format!("{settings:?}").contains("canary"));
        let config = Config::check(settings).unwrap();
        assert!(!format!("{config:?}").contains("canary"));
        let shown = toml::to_string(&config).unwrap();
        let section = "[mail]\nserver = \"smtps://ann@relay.example.org:465\"\npassword = \"…\"\n\
                       from = \"Cloakroom <no-reply@id.example.org>\"\n";
        assert!(shown.contains(section), "{shown}");
    }
    let shown = toml::to_string(&check("mail.from = 'a@x.org'").unwrap()).unwrap();
    assert!(!shown.contains("[mail]"), "without a server there is no mail: {shown}");
}
