//! The address of the client: that of the socket, or the one that a trusted proxy forwards.

use std::net::{IpAddr, SocketAddr};

use poem::http::{HeaderMap, HeaderName, header};
use poem::{Addr, Request};

use crate::core::net::TrustedProxies;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client, if it has one.
pub fn client_address(proxies: &TrustedProxies, request: &Request) -> Option<IpAddr> {
    Some(address_behind(proxies, peer(request)?, request.headers()))
}

/// The address that rate limits count. Requests over loopback without a trusted proxy have none,
/// because all of them share the same address.
pub fn counted_address(proxies: &TrustedProxies, request: &Request) -> Option<IpAddr> {
    let peer = peer(request)?;
    let is_everybodys = peer.is_loopback() && !proxies.contains(peer);
    if is_everybodys { None } else { Some(address_behind(proxies, peer, request.headers())) }
}

/// The trusted proxy that sent this request with `Forwarded`, which is not read, and without
/// `X-Forwarded-For`. Reading both headers would be unsafe: a proxy sets one of them and passes on
/// the client's value of the other.
pub fn proxy_with_forwarded(proxies: &TrustedProxies, request: &Request) -> Option<IpAddr> {
    let peer = peer(request)?;
    let headers = request.headers();
    let is_it = headers.contains_key(header::FORWARDED)
        && !headers.contains_key(X_FORWARDED_FOR)
        && proxies.contains(peer);
    is_it.then_some(peer)
}

/// The right-most address that is not a trusted proxy's. A client can write anything to the left of
/// it.
fn address_behind(proxies: &TrustedProxies, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    if !proxies.contains(peer) {
        return peer;
    }
    right_most(proxies, headers).unwrap_or(peer)
}

/// `None` if there is no hop, or if a hop before the client's address cannot be parsed.
fn right_most(proxies: &TrustedProxies, headers: &HeaderMap) -> Option<IpAddr> {
    // A client may write anything to the left of the proxy's own entry, so invalid text there is
    // ignored.
    let fields = headers.get_all(X_FORWARDED_FOR);
    let hops: Vec<&[u8]> =
        fields.iter().flat_map(|field| field.as_bytes().split(|byte| *byte == b',')).collect();
    let mut last = None;
    for hop in hops.into_iter().rev() {
        let address = address(std::str::from_utf8(hop).ok()?.trim())?;
        last = Some(address);
        if !proxies.contains(address) {
            break;
        }
    }
    last
}

/// The peer of the connection, if it has an address.
fn peer(request: &Request) -> Option<IpAddr> {
    match &request.remote_addr().0 {
        Addr::SocketAddr(peer) => Some(peer.ip().to_canonical()),
        Addr::Unix(_) | Addr::Custom(..) => None,
    }
}

/// Parses an address, possibly with a port. `unknown` and `_hidden` are not addresses.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address = text.parse().ok().or_else(with_port).or_else(in_brackets)?;
    Some(IpAddr::to_canonical(&address))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PEER: &str = "10.0.0.9";

    /// The client address for a service behind 10.0.0.0/8.
    fn client(fields: &[(&str, &str)]) -> String {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        address_behind(&proxies, PEER.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn xff_01_an_untrusted_peer_is_taken_at_its_socket() {
        let headers = HeaderMap::from_iter([(X_FORWARDED_FOR, "1.1.1.1".parse().unwrap())]);
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(address_behind(&TrustedProxies::default(), peer, &headers), peer);
    }

    #[test]
    fn xff_02_the_right_most_stranger_is_the_client() {
        for (fields, expected) in [
            (vec![("x-forwarded-for", "1.1.1.1, 203.0.113.5")], "203.0.113.5"),
            (vec![("x-forwarded-for", "1.1.1.1, 203.0.113.5, 10.1.1.1")], "203.0.113.5"),
            (
                vec![("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "203.0.113.5")],
                "203.0.113.5",
            ),
            (vec![("x-forwarded-for", "10.1.1.1, 10.2.2.2")], "10.1.1.1"),
            (vec![("x-forwarded-for", "::ffff:203.0.113.5")], "203.0.113.5"),
            (vec![("x-forwarded-for", "203.0.113.5:8080")], "203.0.113.5"),
            (vec![("x-forwarded-for", "[2001:db8::5]:4711")], "2001:db8::5"),
        ] {
            assert_eq!(client(&fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn xff_03_bytes_of_the_client_spoil_no_hop_of_the_proxy() {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let field = poem::http::HeaderValue::from_bytes(b"\xff, 203.0.113.5").unwrap();
        let headers = HeaderMap::from_iter([(X_FORWARDED_FOR, field)]);
        assert_eq!(
            address_behind(&proxies, PEER.parse().unwrap(), &headers).to_string(),
            "203.0.113.5"
        );
    }

    #[test]
    fn xff_03_what_cannot_be_read_leaves_the_peer() {
        let many = vec!["1.1.1.1"; 1000].join(", ") + ", nonsense";
        for fields in [
            vec![("x-forwarded-for", "nonsense")],
            vec![("x-forwarded-for", "1.1.1.1, unknown")],
            vec![("x-forwarded-for", "1.1.1.1, _hidden")],
            vec![("x-forwarded-for", "")],
            vec![("x-forwarded-for", "1.1.1.1,")],
            vec![("x-forwarded-for", &many)],
        ] {
            assert_eq!(client(&fields), PEER, "{fields:?}");
        }
    }

    #[test]
    fn att_17_06_forwarded_is_not_read_and_hides_no_address() {
        assert_eq!(client(&[("forwarded", "for=203.0.113.5")]), PEER);
        for forwarded in ["for=1.1.1.1", "for=203.0.113.5", "for=unknown", "nonsense", ""] {
            let fields = [("forwarded", forwarded), ("x-forwarded-for", "203.0.113.5")];
            assert_eq!(client(&fields), "203.0.113.5", "{forwarded:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_a_trusted_proxy_name_what_it_did_not_write(text in "[ -~]{0,80}") {
            let fields = format!("{text}, 203.0.113.5");
            let both = [("x-forwarded-for", &*fields), ("forwarded", &*text)];
            prop_assert_eq!(client(&both), "203.0.113.5");
        }
    }
}
