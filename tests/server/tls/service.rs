//! The program with a certificate, and clients that trust the certificate's issuer.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

pub const LONG: Duration = Duration::from_secs(10);

/// The certificate authority of a test.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Makes a certificate with this change to its parameters, and writes it and its key to the
    /// folder.
    pub fn make(&self, folder: &Path, change: impl FnOnce(&mut CertificateParams)) {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        put(&folder.join("tls.key"), &key.serialize_pem());
        put(&folder.join("tls.pem"), &(certificate.pem() + &self.0.pem()));
    }

    /// A client that trusts this authority and offers these protocols.
    pub fn client(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

/// Writes a file atomically with mode 0600, as ACME clients do.
pub fn put(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(beside, path).unwrap();
}

/// The program as a process. It is killed when it is dropped.
pub struct Service {
    child: Child,
    pub at: SocketAddr,
    pub folder: tempfile::TempDir,
    pub authority: Authority,
}

impl Service {
    pub fn start() -> Self {
        let at = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self::at(at, "")
    }

    /// Starts the service after the shell has run `first`.
    pub fn at(at: SocketAddr, first: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        authority.make(folder.path(), |_| {});
        let mut child = command(folder.path(), at, first).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = said.next().map(Result::unwrap).unwrap_or_default();
        assert!(said.contains(&format!("serves at https://127.0.0.1:{}", at.port())), "{said}");
        Self { child, at, folder, authority }
    }

    /// A connection that offers this protocol.
    pub fn connect(&self, protocol: &str) -> Tls {
        connect(self.at, self.authority.client(&[protocol]))
    }

    /// The answer to these bytes in HTTP/1.1, on a new connection.
    pub fn sent(&self, bytes: &str) -> String {
        let mut stream = self.connect("http/1.1");
        stream.write_all(bytes.as_bytes()).unwrap();
        rest(&mut stream)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// The resident memory in KiB.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// The exit code, or `None` if the process has not ended in time.
    pub fn ended(&mut self, within: Duration) -> Option<i32> {
        let start = Instant::now();
        while start.elapsed() < within {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("still running after {within:?}");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program in this folder, with the certificate and key in it.
fn command(folder: &Path, at: SocketAddr, first: &str) -> Command {
    let program = std::env::var("BINARY"); // a release build, for measurements
    let program = program.unwrap_or_else(|_| env!("CARGO_BIN_EXE_cloakroom").to_owned());
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{first}exec \"$0\" --listen {at} 2>log"), &program]);
    command.current_dir(folder).env_clear().stdout(Stdio::piped());
    command.env("CLOAKROOM_TLS__CERTIFICATE", "tls.pem").env("CLOAKROOM_TLS__KEY", "tls.key");
    command
}

/// Starts the program with the certificate and key in this folder, and returns its exit code and
/// log.
pub fn started(folder: &Path) -> (Option<i32>, String) {
    let at = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let Output { status, .. } = command(folder, at, "").output().unwrap();
    (status.code(), fs::read_to_string(folder.join("log")).unwrap())
}

/// Runs `cloakroom healthcheck`.
pub fn healthcheck(service: &Service) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloakroom"));
    command.args(["--listen", &service.at.to_string(), "healthcheck"]).env_clear();
    let file = |name: &str| -> PathBuf { service.folder.path().join(name) };
    command.env("CLOAKROOM_TLS__CERTIFICATE", file("tls.pem"));
    command.env("CLOAKROOM_TLS__KEY", file("tls.key")).output().unwrap()
}

pub type Tls = StreamOwned<ClientConnection, TcpStream>;

pub fn connect(at: SocketAddr, client: Arc<ClientConfig>) -> Tls {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.set_write_timeout(Some(LONG)).unwrap();
    stream.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(client, name).unwrap(), stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    stream
}

/// Reads until the service closes the connection.
pub fn rest(stream: &mut impl Read) -> String {
    let start = Instant::now();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(start.elapsed() < LONG, "it was not closed");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The certificate that a new connection gets.
pub fn presented(service: &Service) -> CertificateDer<'static> {
    let stream = service.connect("http/1.1");
    stream.conn.peer_certificates().unwrap()[0].clone().into_owned()
}
