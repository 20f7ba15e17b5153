//! The program with a certificate, and clients that trust the certificate's issuer.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::process::{Process, free_address};
use crate::support::raw;
pub use crate::support::raw::{LONG, rest};

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
    process: Process,
    pub at: SocketAddr,
    pub folder: tempfile::TempDir,
    pub authority: Authority,
}

impl Service {
    pub fn start() -> Self {
        let at = free_address();
        Self::at(at, "")
    }

    /// Starts the service after the shell has run `first`.
    pub fn at(at: SocketAddr, first: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        authority.make(folder.path(), |_| {});
        let process = Process::serve(&mut command(folder.path(), at, first)).expect("it serves");
        Self { process, at, folder, authority }
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
}

impl Deref for Service {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Service {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
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
    let at = free_address();
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
    let stream = raw::connect(at);
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(client, name).unwrap(), stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    stream
}

/// The certificate that a new connection gets.
pub fn presented(service: &Service) -> CertificateDer<'static> {
    let stream = service.connect("http/1.1");
    stream.conn.peer_certificates().unwrap()[0].clone().into_owned()
}
