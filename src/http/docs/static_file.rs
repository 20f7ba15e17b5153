//! A static file as an endpoint, with compression and an `ETag`.

use std::sync::{LazyLock, OnceLock};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hyper::body::Bytes;
use miniz_oxide::inflate::decompress_to_vec;
use poem::http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::{Endpoint, Request, Response, Result};
use sha2::{Digest, Sha256};

/// A browser may use its cached copy if the `ETag`, a digest of the content, is still the same.
const REVALIDATE: &str = "no-cache";

/// A static file. Its variants are created on first use.
pub struct File {
    kind: &'static str,
    /// The uncompressed content.
    plain: LazyLock<Bytes, Box<dyn FnOnce() -> Bytes + Send>>,
    packed: Option<&'static [u8]>,
    digest: OnceLock<String>,
}

impl File {
    pub fn plain(kind: &'static str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::new(kind, None, move || bytes)
    }

    pub fn from_gzip(kind: &'static str, gzip: &'static [u8]) -> Self {
        Self::new(kind, Some(gzip), move || {
            let bytes = decompress_to_vec(deflate_stream(gzip));
            Bytes::from(bytes.expect("a file that was embedded can be unpacked"))
        })
    }

    pub fn new(
        kind: &'static str,
        packed: Option<&'static [u8]>,
        plain: impl FnOnce() -> Bytes + Send + 'static,
    ) -> Self {
        Self { kind, plain: LazyLock::new(Box::new(plain)), packed, digest: OnceLock::new() }
    }

    /// A digest of the content: the first 12 bytes of the SHA-256 of the stored variant.
    fn digest(&self) -> &str {
        self.digest.get_or_init(|| {
            let kept = self.packed.unwrap_or_else(|| &self.plain);
            BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(kept)[..12])
        })
    }
}

impl Endpoint for File {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        // The documents depend on the settings, so they have no `ETag`.
        let is_file = !self.kind.starts_with("application/");
        let packed = self.packed.filter(|_| takes_gzip(request.headers()));
        let mut response =
            Response::builder().content_type(self.kind).header(header::CACHE_CONTROL, REVALIDATE);
        if is_file {
            // The compressed variant needs a different `ETag`, because its bytes differ (RFC 9110,
            // section 8.8.3.3).
            let coding = if packed.is_some() { "-gzip" } else { "" };
            let tag = format!("\"{}{coding}\"", self.digest());
            response = response.header(header::ETAG, &tag).header(header::VARY, "Accept-Encoding");
            if is_known(&request, &tag) {
                return Ok(response.status(StatusCode::NOT_MODIFIED).finish());
            }
        }
        if let Some(packed) = packed {
            let gzip = HeaderValue::from_static("gzip");
            return Ok(response
                .header(header::CONTENT_ENCODING, gzip)
                .body(Bytes::from_static(packed)));
        }
        Ok(response.body(self.plain.clone()))
    }
}

/// The compressed data in a gzip file without optional fields (RFC 1952, section 2.3): its header takes
/// 10 bytes, and its checksum and length take 8.
fn deflate_stream(gzip: &'static [u8]) -> &'static [u8] {
    const START: [u8; 4] = [0x1f, 0x8b, 8, 0]; // deflate, no flags
    assert!(gzip.starts_with(&START), "an embedded file is packed by `gzip -n`");
    &gzip[10..gzip.len() - 8]
}

/// Whether the client accepts gzip: the weight of `gzip`, else of `*` (RFC 9110, section 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let codings = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let weight = |wanted: &str| {
        codings.into_iter().flat_map(|codings| codings.split(',')).find_map(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let is_it = parts.next()?.eq_ignore_ascii_case(wanted);
            let weight = parts.find_map(|parameter| parameter.strip_prefix("q="));
            is_it.then(|| weight.map_or(1.0, |weight| weight.parse::<f32>().unwrap_or(0.0)))
        })
    };
    weight("gzip").or_else(|| weight("*")).is_some_and(|weight| weight > 0.0)
}

/// Whether the client has this version in its cache (RFC 9110, section 13.1.2).
fn is_known(request: &Request, tag: &str) -> bool {
    request.header(header::IF_NONE_MATCH).is_some_and(|tags| {
        tags.split(',')
            .map(str::trim)
            .any(|known| known == "*" || known.trim_start_matches("W/") == tag)
    })
}
