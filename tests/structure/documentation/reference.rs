//! Tests and writes the generated parts of `docs/reference`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::str::FromStr;

use cloakroom::domain::audit::event::Event;
use cloakroom::http::{Code, FieldCode};
use serde_json::Value;
use strum::VariantNames;

use super::settings::{comment, setting_sections};
use super::{read, root};
use crate::support::program::{PASSWORD, Service, text, unprepared};

const HOW_TO_RENEW: &str = "RENEW=1 cargo test --test structure documentation";

/// Compares the part of a page between two markers with the generated text, or writes it.
fn compare(page: &str, generated: &str) {
    let path = format!("docs/reference/{page}");
    let whole = read(&path);
    let (before, rest) = whole.split_once("<!-- generated -->\n").expect("a marker");
    let (now, after) = rest.split_once("<!-- end of generated -->").expect("an end marker");
    let generated = format!("\n{}\n\n", generated.trim());
    if now == generated {
        return;
    }
    assert!(
        std::env::var_os("RENEW").is_some(),
        "{path} is not what the program says; renew it by `{HOW_TO_RENEW}`. It should have:\n{generated}"
    );
    let whole = format!("{before}<!-- generated -->\n{generated}<!-- end of generated -->{after}");
    fs::write(root().join(path), whole).unwrap();
}

/// The text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[test]
fn the_settings_page_describes_every_setting() {
    compare("settings.md", &setting_sections());
}

#[test]
fn the_command_line_page_has_the_help_of_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let mut page = String::new();
    let mut commands = Vec::new();
    write_help(folder.path(), &mut Vec::new(), &mut page, &mut commands);
    assert!(commands.len() > 30, "{commands:?}");
    compare("command-line.md", &page);
}

/// Writes the help of a command, then that of its subcommands.
fn write_help(
    folder: &Path,
    path: &mut Vec<String>,
    page: &mut String,
    commands: &mut Vec<String>,
) {
    let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let output = unprepared(folder, &arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    let help = text(&output.stdout);
    let name = [vec!["cloakroom".to_owned()], path.clone()].concat().join(" ");
    writeln!(page, "## {name}\n\n```text\n{}\n```\n", help.trim_end()).unwrap();
    commands.push(name);
    for subcommand in subcommands(&help) {
        path.push(subcommand);
        write_help(folder, path, page, commands);
        path.pop();
    }
}

/// The names under "Commands:", which are indented by two spaces.
fn subcommands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    lines
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .filter(|name| name != "help")
        .collect()
}

#[test]
fn the_events_page_describes_every_event() {
    let source = read("src/domain/audit/event.rs");
    let file = syn::parse_file(&source).unwrap();
    let variants = file.items.iter().find_map(|item| match item {
        syn::Item::Enum(item) if item.ident == "Event" => Some(&item.variants),
        _ => None,
    });
    let comments = variants.unwrap().iter().map(|variant| comment(&variant.attrs));
    let comments: Vec<String> = comments.collect();
    assert_eq!(comments.len(), Event::VARIANTS.len());
    let mut page = "| event | when | fields | refusal |\n|---|---|---|---|\n".to_owned();
    for (name, comment) in Event::VARIANTS.iter().zip(&comments) {
        assert!(!comment.is_empty(), "{name} needs a comment: it is its description in the book");
        let (when, fields) = match comment.split_once("Fields: ") {
            Some((when, fields)) => (when, fields.trim_end_matches('.')),
            None => (comment.as_str(), ""),
        };
        let (fields, more) = fields.split_once(". ").unwrap_or((fields, ""));
        let when = [when.trim(), more].join(" ");
        let refusal = if Event::from_str(name).unwrap().is_refusal() { "yes" } else { "" };
        let (when, fields) = (cell(when.trim()), cell(fields));
        writeln!(page, "| `{name}` | {when} | {fields} | {refusal} |").unwrap();
    }
    compare("events.md", &page);
}

/// A running service with a user, whose users reach it at this URL.
fn start_service_at(folder: &Path, public_url: &str) -> Service {
    fs::write(folder.join("cloakroom.toml"), format!("public_url = \"{public_url}\"\n")).unwrap();
    let service = Service::start(folder, &["serve"]);
    assert_eq!(service.send("/register", &[("username", "ann"), ("password", PASSWORD)]).0, 201);
    service
}

#[test]
fn the_metrics_page_describes_every_metric() {
    let folder = tempfile::tempdir().unwrap();
    let at = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fs::write(folder.path().join("cloakroom.toml"), format!("metrics_listen = \"{at}\"\n"))
        .unwrap();
    let service = Service::start(folder.path(), &["serve"]);
    assert_eq!(service.call("GET", "/livez", &[], "").0, 200);
    let metrics = ureq::get(format!("http://{at}/metrics")).call().unwrap();
    let metrics = metrics.into_body().read_to_string().unwrap();
    let mut page = "| metric | type | labels | description |\n|---|---|---|---|\n".to_owned();
    for line in metrics.lines() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|line| line.split_once(' '))
        else {
            continue;
        };
        let kind = metrics.lines().find_map(|line| line.strip_prefix(&format!("# TYPE {name} ")));
        let kind = kind.unwrap();
        let total = if kind == "counter" { "_total" } else { "" };
        let labels = cell(&labels_of(&metrics, name));
        writeln!(page, "| `{name}{total}` | {kind} | {labels} | {} |", cell(help)).unwrap();
    }
    compare("metrics.md", &page);
}

/// The labels of a metric, with the values that they always have.
fn labels_of(metrics: &str, name: &str) -> String {
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in metrics.lines().filter(|line| line.starts_with(name)) {
        let Some((_, rest)) = line.split_once('{') else { continue };
        for label in rest.split_once('}').unwrap().0.split(',') {
            let (label, value) = label.split_once('=').unwrap();
            labels.entry(label).or_default().insert(value.trim_matches('"'));
        }
    }
    labels.remove("le"); // of every histogram
    let described = labels.iter().map(|(label, values)| match *label {
        "operation" | "status" => format!("`{label}`"),
        "pool" => format!("`{label}`: `readers`, `writer`; on PostgreSQL other names"),
        label => {
            let values: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
            format!("`{label}`: {}", values.join(", "))
        }
    });
    described.collect::<Vec<_>>().join("; ")
}

#[test]
fn the_problem_codes_page_describes_every_code() {
    let document: Value = serde_json::from_str(&read("openapi/openapi.json")).unwrap();
    let mut page = String::new();
    for code in Code::VARIANTS {
        let code = Code::from_str(code).unwrap();
        let (name, status) = (code.name(), code.status().as_u16());
        writeln!(page, "## {name}\n\n{status} · {}\n", code.title()).unwrap();
        writeln!(page, "> {}\n", code.detail()).unwrap();
        if code.explanation() != code.detail() {
            writeln!(page, "{}\n", code.explanation()).unwrap();
        }
        writeln!(page, "Operations: {}\n", operations_with(&document, code)).unwrap();
    }
    page.push_str("## Codes of fields\n\n`errors[].code` is one of: ");
    let names: Vec<_> = FieldCode::VARIANTS.iter().map(|code| format!("`{code}`")).collect();
    page.push_str(&names.join(", "));
    let described = &document["components"]["schemas"]["FieldErrorCode"]["description"];
    writeln!(page, ".\n\n{}", described.as_str().unwrap()).unwrap();
    compare("problem-codes.md", &page);
}

/// Which operations of the document can answer a code.
fn operations_with(document: &Value, code: Code) -> String {
    let status = code.status().as_str().to_owned();
    let (mut with, mut all) = (Vec::new(), 0);
    for methods in document["paths"].as_object().unwrap().values() {
        for operation in methods.as_object().unwrap().values().filter(|one| one.is_object()) {
            all += 1;
            let description = &operation["responses"][&status]["description"];
            let named = format!("`{}`", code.name());
            if description.as_str().is_some_and(|text| text.contains(&named)) {
                with.push(format!("`{}`", operation["operationId"].as_str().unwrap()));
            }
        }
    }
    match with.len() {
        0 => {
            "no operation of the document, but pages, unknown paths and unknown methods".to_owned()
        }
        count if count == all => "all".to_owned(),
        _ => with.join(", "),
    }
}

/// The fields `Set-Cookie` of a response, with tokens and dates replaced.
fn cookies_set(service: &Service, path: &str, body: &str) -> Vec<String> {
    let agent: ureq::Agent = ureq::Agent::config_builder().max_redirects(0).build().into();
    let request = agent.post(format!("http://{}{path}", service.at));
    let response = request.content_type("application/json").send(body).unwrap();
    let set = response.headers().get_all("set-cookie").iter();
    set.map(|set| without_values(set.to_str().unwrap())).collect()
}

fn without_values(set: &str) -> String {
    let (name, rest) = set.split_once('=').unwrap();
    let (value, attributes) = rest.split_once("; ").unwrap();
    let value = if value.is_empty() { "" } else { "<token>" };
    let attributes = attributes.split("; ").map(|one| match one.split_once('=') {
        Some(("Expires", _)) => "Expires=<date>".to_owned(),
        _ => one.to_owned(),
    });
    format!("{name}={value}; {}", attributes.collect::<Vec<_>>().join("; "))
}

#[test]
fn the_cookies_page_shows_what_is_set() {
    let log_in = format!(r#"{{"username": "ann", "password": "{PASSWORD}"}}"#);
    let remember = log_in.replace('}', r#", "remember": true}"#);
    let mut page = String::new();
    for public_url in ["http://localhost:8000", "https://id.example.org"] {
        let folder = tempfile::tempdir().unwrap();
        let service = start_service_at(folder.path(), public_url);
        for (what, path, body) in [
            ("sign-in", "/login", log_in.as_str()),
            ("sign-in with `remember`", "/login", &remember),
            ("sign-out with `forget_device`", "/logout", r#"{"forget_device": true}"#),
        ] {
            let set = cookies_set(&service, path, body);
            let lines: Vec<_> = set.iter().map(|set| format!("Set-Cookie: {set}")).collect();
            writeln!(page, "`{public_url}`, {what}:\n\n```http\n{}\n```\n", lines.join("\n"))
                .unwrap();
        }
    }
    compare("cookies-and-tokens.md", &page);
}

/// The variables of a YAML file, as `NAME: value` or as `{ name: NAME, value: value }`.
fn variables(yaml: &str) -> Vec<(String, String)> {
    let lines = yaml.lines().filter_map(|line| line.split_once("CLOAKROOM_"));
    let pairs = lines.filter_map(|(before, rest)| {
        let (name, value) = rest.split_once(": ").filter(|_| !before.contains('#'))?;
        let name = name.split(',').next().unwrap();
        Some((format!("CLOAKROOM_{name}"), value.trim_matches([' ', '}', '"']).to_owned()))
    });
    pairs.collect()
}

#[test]
fn the_files_for_containers_set_valid_settings() {
    for (file, host) in [("compose.yaml", "172.30.0.2"), ("kubernetes.yaml", "10.0.0.2")] {
        let variables = variables(&read(&format!("docs/deploy/{file}")));
        assert!(variables.len() >= 3, "{file}: {variables:?}");
        let folder = tempfile::tempdir().unwrap();
        let mut command =
            unprepared(folder.path(), &["--listen", "0.0.0.0:8000", "config", "--json"]);
        let output = command.envs(variables).output().unwrap();
        assert!(output.status.success(), "{file}: {}", text(&output.stderr));
        let settings: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
        assert_eq!(settings["public_url"], "https://id.example.org", "{file}");
        let network = settings["trusted_proxies"][0].as_str().unwrap();
        let network: ipnet::IpNet = network.parse().unwrap();
        assert!(network.contains(&host.parse::<std::net::IpAddr>().unwrap()), "{file}");
    }
}

/// The rows of `docs/reference/limits.md` name the line of code that sets the limit, in a comment.
#[test]
fn the_limits_page_agrees_with_the_code() {
    let page = read("docs/reference/limits.md");
    let mut checked = 0;
    for row in page.lines().filter(|line| line.starts_with("| ") && !line.contains("| limit")) {
        let (_, rest) = row.split_once("<!-- ").unwrap_or_else(|| panic!("no line of code: {row}"));
        let (file, code) = rest.split_once(" -->").unwrap().0.split_once(": ").unwrap();
        assert!(
            read(file).contains(code),
            "{file} has no `{code}` any more: check this row of docs/reference/limits.md\n{row}"
        );
        checked += 1;
    }
    assert!(checked > 15, "the rows are written differently");
}
