//! TLS with a certificate and key from two PEM files, which are reloaded when they change.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use webpki::{EndEntityCert, KeyUsage};
use zeroize::Zeroizing;

use crate::core::clock::{Clock, Timestamp};
use crate::core::ownership;

/// The ALPN protocols, preferred first (RFC 7301).
const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";
/// The interval between checks for changed files.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// How much of a response is buffered while the client does not read.
const SENT_AHEAD: usize = 16 * 1024;

/// Why a certificate or its key cannot be used. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {0}: {1}{remedy}", remedy = ownership::remedy(.0, .1))]
    Unreadable(PathBuf, io::Error),
    #[error(
        "{0} does not contain a certificate in PEM format; name the file with the whole certificate chain"
    )]
    NotACertificate(PathBuf),
    #[error("the certificate in {0} is not valid yet; check the clock of this machine, or wait")]
    NotYet(PathBuf),
    #[error("the certificate in {0} has expired; renew it")]
    Expired(PathBuf),
    #[error(
        "the certificate in {0} is not for servers; get a certificate with the extended key usage serverAuth"
    )]
    NotForServers(PathBuf),
    #[error(
        "{0} does not contain a usable private key in PEM format; the key must not be encrypted with a password"
    )]
    NotAKey(PathBuf),
    #[error("other users can read {0}, which contains a private key; run: chmod 0600 {0}")]
    OpenToOthers(PathBuf),
    #[error(
        "{path} belongs to the user {owner}, but the service runs as the user {user}; run as root: chown {user} {path}"
    )]
    WrongOwner { path: PathBuf, owner: u32, user: u32 },
    #[error(
        "the key in {1} does not belong to the certificate in {0}; name a certificate and its key"
    )]
    NotAPair(PathBuf, PathBuf),
}

/// The certificate of a listener.
pub struct Tls {
    files: CertificateFiles,
    /// The state of the files at startup.
    looks: FileStamps,
    clock: Clock,
    provider: Arc<CryptoProvider>,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
}

#[derive(Debug)]
struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    /// The user who may own the key, in addition to root.
    user: u32,
}

/// For each file the metadata that changes with it, or `None` if it does not exist.
type FileStamps = [Option<(u64, u64, i64, i64)>; 2];

/// The certificate and key for new connections.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.pair())
    }
}

impl Current {
    fn pair(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, pair: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
    }
}

impl Tls {
    /// Reads the certificate and key, and checks that they are valid.
    pub fn open(certificate: &Path, key: &Path, clock: Clock) -> Result<Self, TlsError> {
        Self::open_for(rustix::process::geteuid().as_raw(), certificate, key, clock)
    }

    /// The same for a service that runs as this user.
    pub fn open_for(
        user: u32,
        certificate: &Path,
        key: &Path,
        clock: Clock,
    ) -> Result<Self, TlsError> {
        let files =
            CertificateFiles { certificate: certificate.to_owned(), key: key.to_owned(), user };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let looks = files.stamps();
        let pair = files.read(&provider, clock.now())?;
        let current = Arc::new(Current(RwLock::new(Arc::new(pair))));
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider has the ciphers of TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as _);
        config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec()];
        // Sessions are resumed with tickets, encrypted under a key that changes every six hours.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if let Ok(ticketer) = aws_lc_rs::Ticketer::new() {
            config.ticketer = ticketer;
        }
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { files, looks, clock, provider, current, acceptor })
    }

    /// Whether the certificate is valid for this host.
    pub fn names(&self, host: &str) -> bool {
        let pair = self.current.pair();
        let named = pair.end_entity_cert().ok().and_then(|der| {
            let name = ServerName::try_from(host.trim_matches(['[', ']'])).ok()?;
            EndEntityCert::try_from(der).ok()?.verify_is_valid_for_subject_name(&name).ok()
        });
        named.is_some()
    }

    /// Performs the handshake. Also returns whether the client negotiated HTTP/2.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, bool)> {
        let mut stream = self.acceptor.accept(stream).await?;
        let session = stream.get_mut().1;
        session.set_buffer_limit(Some(SENT_AHEAD));
        let is_http_2 = session.alpn_protocol() == Some(HTTP_2);
        Ok((stream, is_http_2))
    }

    /// Reloads the files when they have changed, and at SIGHUP. Open connections keep their
    /// certificate.
    pub async fn watch(&self) {
        let mut hangups = signal(SignalKind::hangup()).expect("SIGHUP can be listened for");
        let mut ticks = interval(WATCH_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut known, mut before) = (self.looks, self.looks);
        loop {
            let is_asked = tokio::select! {
                _ = ticks.tick() => false,
                _ = hangups.recv() => true,
            };
            let looks = self.files.stamps();
            // A file may still be incomplete, or the other one may be written after it.
            let is_complete = looks == before;
            before = looks;
            if is_asked || (is_complete && looks != known) {
                known = looks;
                self.renew();
            }
        }
    }

    fn renew(&self) {
        match self.files.read(&self.provider, self.clock.now()) {
            Ok(pair) => {
                self.current.replace(pair);
                tracing::info!("loaded the certificate in {}", self.files.certificate.display());
            }
            Err(error) => tracing::error!(
                "the certificate was not reloaded, and the service keeps the previous one: {error}"
            ),
        }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl CertificateFiles {
    fn read(&self, provider: &CryptoProvider, now: Timestamp) -> Result<CertifiedKey, TlsError> {
        let Self { certificate, key, user } = self;
        let chain = read_chain(certificate)?;
        check(&chain[0], certificate, now)?;
        let pair = CertifiedKey::from_der(chain, read_key(key, *user)?, provider);
        pair.map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsError::NotAPair(certificate.clone(), key.clone())
            }
            _ => TlsError::NotAKey(key.clone()),
        })
    }

    fn stamps(&self) -> FileStamps {
        let look = |meta: Metadata| (meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec());
        [&self.certificate, &self.key].map(|path| fs::metadata(path).ok().map(look))
    }
}

/// The certificates of a file, the server's own first. There is at least one.
fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = fs::read(path).map_err(|error| TlsError::Unreadable(path.to_owned(), error))?;
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    chain.ok_or_else(|| TlsError::NotACertificate(path.to_owned()))
}

/// Checks that the certificate is for servers and valid now. Clients judge the issuer: there are no
/// trust anchors here, but the other checks come first.
fn check(der: &CertificateDer<'_>, path: &Path, now: Timestamp) -> Result<(), TlsError> {
    use webpki::Error::{
        CertExpired, CertNotValidYet, InvalidCertValidity, RequiredEkuNotFoundContext,
    };
    let not_one = |_| TlsError::NotACertificate(path.to_owned());
    let certificate = EndEntityCert::try_from(der).map_err(not_one)?;
    let seconds = u64::try_from(now.seconds()).unwrap_or(0);
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let usage = KeyUsage::server_auth();
    match certificate.verify_for_usage(&[], &[], &[], now, usage, None, None) {
        Err(CertNotValidYet { .. }) => Err(TlsError::NotYet(path.to_owned())),
        Err(CertExpired { .. } | InvalidCertValidity) => Err(TlsError::Expired(path.to_owned())),
        Err(RequiredEkuNotFoundContext(_)) => Err(TlsError::NotForServers(path.to_owned())),
        Err(_) | Ok(_) => Ok(()),
    }
}

/// Reads the key. Tools that renew certificates replace links, so links are followed. A key that
/// belongs to root may be readable by a group, as Kubernetes and Debian provide it.
fn read_key(path: &Path, user: u32) -> Result<PrivateKeyDer<'static>, TlsError> {
    let unreadable = |error| TlsError::Unreadable(path.to_owned(), error);
    let meta = fs::metadata(path).map_err(unreadable)?;
    let others = if meta.uid() == 0 { 0o037 } else { 0o077 };
    if meta.mode() & others != 0 {
        return Err(TlsError::OpenToOthers(path.to_owned()));
    }
    let owner = meta.uid();
    if owner != 0 && owner != user {
        return Err(TlsError::WrongOwner { path: path.to_owned(), owner, user });
    }
    let pem = Zeroizing::new(fs::read(path).map_err(unreadable)?);
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| TlsError::NotAKey(path.to_owned()))
}
