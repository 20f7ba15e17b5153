//! Nodes, nginx in front of them, and clients.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::http;
use crate::support::process::{Process, free_address};
use crate::support::raw::LONG;

pub const PASSWORD: &str = "canary correct horse battery";

/// The nodes, and the address of nginx.
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub front: SocketAddr,
    database: String,
    program: String,
    /// More settings of the nodes and commands.
    environment: Vec<(&'static str, String)>,
    folder: tempfile::TempDir,
    nginx: Option<Child>,
}

pub struct Node {
    pub at: SocketAddr,
    process: Process,
}

/// `BINARY`, or the program that was built with this test.
pub fn this_release() -> String {
    std::env::var("BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_cloakroom").to_owned())
}

impl Cluster {
    /// Three nodes that start concurrently on one database, with one folder of keys.
    pub fn of_three(database: &str) -> Self {
        Self::of(3, database)
    }

    /// The same with this number of nodes.
    pub fn of(nodes: usize, database: &str) -> Self {
        Self::of_program(&this_release(), nodes, database)
    }

    /// The same with more settings.
    pub fn with(settings: &[(&'static str, String)], nodes: usize, database: &str) -> Self {
        Self::start_all(&this_release(), settings, nodes, database)
    }

    /// The same with another release's program.
    pub fn of_program(program: &str, nodes: usize, database: &str) -> Self {
        Self::start_all(program, &[], nodes, database)
    }

    fn start_all(
        program: &str,
        settings: &[(&'static str, String)],
        nodes: usize,
        database: &str,
    ) -> Self {
        let mut cluster = Self {
            nodes: Vec::new(),
            front: free_address(),
            database: database.to_owned(),
            program: program.to_owned(),
            environment: settings.to_vec(),
            folder: tempfile::tempdir().unwrap(),
            nginx: None,
        };
        let places: Vec<_> = (0..nodes).map(|_| free_address()).collect();
        let started: Vec<_> = places.iter().map(|at| cluster.spawn(*at)).collect();
        cluster.nodes = started.into_iter().map(Node::ready).collect();
        cluster
    }

    /// Stops all nodes with SIGTERM.
    pub fn end(&mut self) {
        for node in &mut self.nodes {
            assert_eq!(node.end(), Some(0));
        }
    }

    /// Starts all nodes again at their addresses, on another database.
    pub fn start_on(&mut self, database: &str) {
        database.clone_into(&mut self.database);
        let places: Vec<_> = self.nodes.iter().map(|node| node.at).collect();
        self.nodes = places.iter().map(|at| self.spawn(*at).ready()).collect();
    }

    /// Uses this release's program for nodes that are started from now on.
    pub fn turn_to_this_release(&mut self) {
        self.program = this_release();
    }

    /// The number of nodes that run this release's program.
    pub fn served_by_this_release(&self) -> usize {
        let program = std::fs::canonicalize(this_release()).unwrap();
        let runs = |node: &&Node| {
            std::fs::read_link(format!("/proc/{}/exe", node.process.id())).unwrap() == program
        };
        self.nodes.iter().filter(runs).count()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command with the nodes' settings and returns its output.
    pub fn run(&self, arguments: &[&str]) -> String {
        self.run_on(&self.database, arguments)
    }

    /// The same on another database.
    pub fn run_on(&self, database: &str, arguments: &[&str]) -> String {
        let output = self.command(&self.program, database).args(arguments).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let failed = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {said}{failed}");
        said
    }

    /// Runs a command with another release's program.
    pub fn run_program(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program, &self.database).args(arguments).output().unwrap()
    }

    /// Starts a command on another database without waiting for it.
    pub fn start(&self, database: &str, arguments: &[&str]) -> Child {
        let mut command = self.command(&self.program, database);
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn command(&self, program: &str, database: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command.env("DATABASE_URL", database);
        command.env("CLOAKROOM_PUBLIC_URL", format!("http://{}", self.front));
        command.env("CLOAKROOM_TRUSTED_PROXIES", "127.0.0.1"); // each client states its own address
        command.envs(self.environment.iter().cloned());
        command
    }

    fn spawn(&self, at: SocketAddr) -> Node {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        let mut command = self.command(&self.program, &self.database);
        command.env("CLOAKROOM_LISTEN", at.to_string());
        Node { at, process: Process::spawn(command.stderr(log)) }
    }

    fn log(&self) -> std::path::PathBuf {
        self.folder.path().join("log")
    }

    pub fn logged(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap()
    }

    /// Stops a node with SIGTERM and starts another at its address.
    pub fn restart(&mut self, n: usize) {
        let at = self.nodes[n].at;
        assert_eq!(self.nodes[n].end(), Some(0));
        self.nodes[n] = self.spawn(at).ready();
    }

    /// Kills a node and starts another at its address.
    pub fn kill_and_start(&mut self, n: usize) {
        let at = self.nodes[n].at;
        self.nodes[n].process.kill();
        self.nodes[n] = self.spawn(at).ready();
    }

    /// Whether no process has ended or been replaced.
    pub fn is_as_started(&mut self) -> bool {
        self.nodes.iter_mut().all(|node| node.process.is_running())
    }

    pub fn start_nginx(&mut self) {
        let here = self.folder.path().display();
        let nodes: Vec<_> =
            self.nodes.iter().map(|node| format!("server {} max_fails=0;", node.at)).collect();
        let nodes = nodes.join(" ");
        let conf = format!(
            "daemon off; pid {here}/nginx.pid; error_log {here}/nginx.log; worker_processes 1;
             user root;
             events {{ worker_connections 1024; }}
             http {{
                 access_log off;
                 client_body_temp_path {here}/body; proxy_temp_path {here}/proxy;
                 fastcgi_temp_path {here}/fastcgi; uwsgi_temp_path {here}/uwsgi;
                 scgi_temp_path {here}/scgi;
                 upstream nodes {{ {nodes} keepalive 64; }}
                 server {{
                     listen {};
                     location / {{
                         proxy_pass http://nodes;
                         proxy_http_version 1.1;
                         proxy_set_header Connection '';
                         proxy_set_header Host $http_host;
                         proxy_next_upstream error timeout;
                     }}
                 }}
             }}",
            self.front
        );
        let conf = if rustix::process::geteuid().is_root() {
            conf
        } else {
            conf.replace("user root;", "")
        };
        let file = self.folder.path().join("nginx.conf");
        std::fs::write(&file, conf).unwrap();
        let mut command = Command::new(if Path::new("/usr/sbin/nginx").exists() {
            "/usr/sbin/nginx"
        } else {
            "nginx"
        });
        command.arg("-c").arg(&file).stdin(Stdio::null()).stderr(Stdio::null());
        self.nginx = Some(command.spawn().unwrap());
        let start = Instant::now();
        while std::net::TcpStream::connect(self.front).is_err() {
            assert!(start.elapsed() < LONG, "nginx does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(nginx) = &mut self.nginx {
            let pid = nginx.id().to_string();
            let _ = Command::new("kill").args(["-s", "QUIT", &pid]).status();
            let _ = nginx.wait();
        }
        if std::thread::panicking() {
            let logged = std::fs::read_to_string(self.log()).unwrap_or_default();
            let lines: Vec<_> = logged.lines().filter(|line| !line.contains("\"audit\"")).collect();
            eprintln!(
                "--- the nodes' log, its last lines\n{}",
                lines[lines.len().saturating_sub(20)..].join("\n")
            );
        }
    }
}

impl Node {
    /// Waits until the node serves.
    fn ready(mut self) -> Self {
        self.process.wait_until_it_serves().expect("it serves");
        self
    }

    fn end(&mut self) -> Option<i32> {
        self.process.signal("TERM");
        self.process.exit_code_within(Duration::from_mins(1))
    }

    /// The number of open files, including connections.
    pub fn files(&self) -> usize {
        self.process.open_files().len()
    }

    pub fn is_ready(&self) -> bool {
        Client::of(self.at).get("/readyz", "") == Some(200)
    }
}

/// A client with keep-alive connections to a node or to nginx.
#[derive(Clone)]
pub struct Client(Arc<http::Client>);

impl Client {
    pub fn of(at: SocketAddr) -> Self {
        Self(Arc::new(http::Client::of(at)))
    }

    /// The status and the cookie, or `None` if there was no answer.
    pub fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<(u16, Option<String>)> {
        let answer = self.0.call((method, path), headers, body)?;
        Some((answer.status, answer.session_cookie()))
    }

    pub fn get(&self, path: &str, cookie: &str) -> Option<u16> {
        self.call("GET", path, &[("cookie", cookie)], "").map(|(status, _)| status)
    }

    /// The body of the response to a `GET`.
    pub fn text(&self, path: &str) -> String {
        self.0.call(("GET", path), &[], "").unwrap().body
    }

    /// The body of the response to a `GET` with this session.
    pub fn text_with(&self, path: &str, cookie: &str) -> String {
        self.0.call(("GET", path), &[("cookie", cookie)], "").unwrap().body
    }

    pub fn private(&self, cookie: &str) -> Option<u16> {
        self.get("/private", cookie)
    }

    /// Registers an account from its own client address, which also signs in.
    pub fn register(&self, name: &str, n: usize) -> Option<(u16, Option<String>)> {
        let from = format!("10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255);
        let headers = [("content-type", "application/json"), ("x-forwarded-for", from.as_str())];
        let body = format!(r#"{{"username":"{name}","password":"{PASSWORD}"}}"#);
        self.call("POST", "/register", &headers, &body)
    }

    pub fn log_in(&self, name: &str) -> Option<(u16, Option<String>)> {
        self.log_in_with(name, PASSWORD)
    }

    pub fn log_in_with(&self, name: &str, password: &str) -> Option<(u16, Option<String>)> {
        let [a, b] = name
            .bytes()
            .fold(7_u16, |sum, byte| sum.wrapping_mul(31) ^ u16::from(byte))
            .to_be_bytes();
        let from = format!("10.200.{a}.{b}"); // attempts count per client address too
        let headers = [("content-type", "application/json"), ("x-forwarded-for", from.as_str())];
        let body = format!(r#"{{"username":"{name}","password":"{password}"}}"#);
        self.call("POST", "/login", &headers, &body)
    }

    pub fn change_password(
        &self,
        cookie: &str,
        current: &str,
        new: &str,
    ) -> Option<(u16, Option<String>)> {
        let headers = [("content-type", "application/json"), ("cookie", cookie)];
        let body = format!(r#"{{"current_password":"{current}","new_password":"{new}"}}"#);
        self.call("PUT", "/me/password", &headers, &body)
    }

    pub fn log_out(&self, cookie: &str) -> Option<u16> {
        self.call("POST", "/logout", &[("cookie", cookie)], "").map(|(status, _)| status)
    }
}
