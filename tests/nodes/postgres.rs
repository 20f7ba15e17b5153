//! PostgreSQL servers for one test each, on sockets in temporary folders.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A server. It is killed when it is dropped.
#[derive(Debug)]
pub struct Server {
    folder: tempfile::TempDir,
}

impl Server {
    /// A primary. The tests kill processes and not machines, so writes need no sync.
    pub fn start() -> Self {
        Self::with("fsync = off\nfull_page_writes = off\n")
    }

    /// A primary with durable commits, for measurements.
    pub fn durable() -> Self {
        Self::with("")
    }

    fn with(settings: &str) -> Self {
        let server = Self { folder: folder() };
        let made = ["--pgdata", "data", "--auth", "trust", "--username", "cloakroom"];
        server.run("initdb", &[&made[..], &["--encoding", "UTF8", "--no-sync"]].concat());
        let usual = "listen_addresses = ''\nmax_connections = 100\nwal_receiver_timeout = 5s\n";
        let file = server.folder.path().join("data/postgresql.conf");
        let made = fs::read_to_string(&file).unwrap();
        fs::write(&file, made + usual + settings).unwrap();
        server.resume();
        server
    }

    /// A standby, for which every commit at the primary waits from now on.
    pub fn standby(&self) -> Self {
        let standby = Self { folder: folder() };
        let socket = self.folder.path().to_str().unwrap();
        let copied = ["--host", socket, "--username", "cloakroom", "--pgdata", "data"];
        standby.run(
            "pg_basebackup",
            &[&copied[..], &["--write-recovery-conf", "--checkpoint", "fast", "--no-sync"]]
                .concat(),
        );
        standby.resume();
        self.sql("alter system set synchronous_standby_names = '*'");
        self.sql("select pg_reload_conf()");
        standby
    }

    /// The host part of a database URL.
    pub fn host(&self) -> String {
        format!("cloakroom@{}", self.encoded())
    }

    pub fn encoded(&self) -> String {
        self.folder.path().to_str().unwrap().replace('/', "%2F")
    }

    /// Starts the server again.
    pub fn resume(&self) {
        let socket = format!("-k {}", self.folder.path().display());
        self.control(&["--log", "log", "--options", &socket, "--wait", "start"]);
    }

    /// Stops the server without a shutdown, as a power cut would.
    pub fn kill(&self) {
        self.control(&["--mode", "immediate", "--wait", "stop"]);
    }

    pub fn promote(&self) {
        self.control(&["--wait", "promote"]);
    }

    /// Runs a statement and returns its output.
    pub fn sql(&self, sql: &str) -> String {
        self.sql_in("postgres", sql)
    }

    /// The same in another database.
    pub fn sql_in(&self, database: &str, sql: &str) -> String {
        let socket = self.folder.path().to_str().unwrap();
        let how = ["--host", socket, "--username", "cloakroom", "--dbname", database];
        self.run("psql", &[&how[..], &["--no-psqlrc", "-At", "--command", sql]].concat())
    }

    fn control(&self, arguments: &[&str]) {
        self.run("pg_ctl", &[&["--pgdata", "data"], arguments].concat());
    }

    /// Runs a program of PostgreSQL. These refuse to run as root, so they run as the package's user
    /// in that case.
    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let programs = std::env::var("POSTGRES_PROGRAMS").expect("tests/e2e/nodes says where");
        let program = Path::new(&programs).join(program);
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            let user = ["--reuid", "postgres", "--regid", "postgres", "--clear-groups"];
            command.args(user).arg(&program);
            command
        } else {
            Command::new(&program)
        };
        // a server that is started keeps its output open, so it goes to a file
        let said = fs::File::create(self.folder.path().join("said")).unwrap();
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.stderr(said.try_clone().unwrap()).stdout(said);
        let status = command.status().unwrap();
        let said = fs::read_to_string(self.folder.path().join("said")).unwrap();
        assert!(status.success(), "{} {arguments:?}: {said}", program.display());
        said.trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.folder.path().join("data/postmaster.pid").exists() {
            self.kill();
        }
    }
}

/// A folder that the server's user may write to.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("cloakroom-pg").tempdir().unwrap();
    if rustix::process::geteuid().is_root() {
        let owned = Command::new("chown").arg("postgres:").arg(folder.path()).status().unwrap();
        assert!(owned.success());
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    folder
}
