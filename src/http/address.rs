//! Where a request comes from: the socket says, or a proxy whose word is taken.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use poem::http::{HeaderMap, HeaderName, header};
use poem::{Addr, Request};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies that stand before this service.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// The address of the client, if it came by one.
    pub fn client(&self, request: &Request) -> Option<IpAddr> {
        match &request.remote_addr().0 {
            Addr::SocketAddr(peer) => {
                Some(self.behind(peer.ip().to_canonical(), request.headers()))
            }
            Addr::Unix(_) | Addr::Custom(..) => None,
        }
    }

    /// The address that limits count. Whoever comes over loopback by no proxy that was named has the
    /// same one as everybody: that is no reason to hold everybody up.
    pub fn counted(&self, request: &Request) -> Option<IpAddr> {
        let peer = match &request.remote_addr().0 {
            Addr::SocketAddr(peer) => peer.ip().to_canonical(),
            Addr::Unix(_) | Addr::Custom(..) => return None,
        };
        let is_everybodys = peer.is_loopback() && !self.trust(peer);
        if is_everybodys { None } else { Some(self.behind(peer, request.headers())) }
    }

    /// The right-most address that is no trusted proxy's. Anybody can write what stands left of it.
    /// Where two headers differ a client wrote one of them, and then only the proxy is known.
    fn behind(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trust(peer) {
            return peer;
        }
        // what a client wrote left of the proxy's own word may be anything, and spoils nothing
        let hop = |hop: &[u8]| address(std::str::from_utf8(hop).ok()?.trim());
        let x_forwarded_for = hops(headers, &X_FORWARDED_FOR, |field| {
            Some(field.split(|byte| *byte == b',').map(hop).collect())
        });
        let forwarded =
            hops(headers, &header::FORWARDED, |field| elements(std::str::from_utf8(field).ok()?));
        let claimed = match (&x_forwarded_for, &forwarded) {
            (None, None) => None,
            (Some(hops), None) | (None, Some(hops)) => self.right_most(hops),
            (Some(one), Some(other)) => {
                self.right_most(one).filter(|found| self.right_most(other) == Some(*found))
            }
        };
        claimed.unwrap_or(peer)
    }

    /// Is this one of them?
    pub fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// `None` if a hop before the first stranger cannot be read.
    fn right_most(&self, hops: &[Option<IpAddr>]) -> Option<IpAddr> {
        let mut last = None;
        for hop in hops.iter().rev() {
            last = Some((*hop)?);
            if !last.is_some_and(|address| self.trust(address)) {
                break;
            }
        }
        last
    }
}

/// Every hop that the fields of a header name, in their order; `None` for one that says no address.
/// No header at all is no answer, and an unreadable field is a hop that says none.
fn hops(
    headers: &HeaderMap,
    name: &HeaderName,
    read: impl Fn(&[u8]) -> Option<Vec<Option<IpAddr>>>,
) -> Option<Vec<Option<IpAddr>>> {
    let fields = headers.get_all(name);
    let hops: Vec<_> = fields
        .iter()
        .flat_map(|field| read(field.as_bytes()).unwrap_or_else(|| vec![None]))
        .collect();
    (!hops.is_empty()).then_some(hops)
}

/// The elements of a `Forwarded` field (RFC 7239, section 4). `None` if it is malformed.
fn elements(field: &str) -> Option<Vec<Option<IpAddr>>> {
    let mut elements = Vec::new();
    let mut from = None;
    let mut rest = field.trim_start();
    loop {
        let equals = rest.find(['=', ';', ',', '"'])?;
        let (name, value) = (&rest[..equals], rest[equals..].strip_prefix('=')?);
        let (value, behind) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?, // an address needs no backslash
            None => value.split_at(value.find([';', ',']).unwrap_or(value.len())),
        };
        if name.eq_ignore_ascii_case("for") {
            from = address(value.trim_end());
        }
        let behind = behind.trim_start();
        if let Some(next) = behind.strip_prefix(';') {
            rest = next.trim_start();
            continue;
        }
        elements.push(from.take());
        match behind.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None => return behind.is_empty().then_some(elements),
        }
    }
}

/// An address, perhaps with a port. `unknown` and `_hidden` are none.
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

    /// Who a service behind 10.0.0.0/8 takes for the client.
    fn client(fields: &[(&str, &str)]) -> String {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        proxies.behind(PEER.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn xff_01_an_untrusted_peer_is_taken_at_its_socket() {
        let headers = HeaderMap::from_iter([(X_FORWARDED_FOR, "1.1.1.1".parse().unwrap())]);
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(TrustedProxies::default().behind(peer, &headers), peer);
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
            (vec![("forwarded", "for=1.1.1.1;proto=http, for=203.0.113.5;by=_x")], "203.0.113.5"),
            (vec![("forwarded", "For=\"[2001:db8::5]:4711\"")], "2001:db8::5"),
            (vec![("forwarded", "proto=https;for=203.0.113.5")], "203.0.113.5"),
            (vec![("x-forwarded-for", "10.1.1.1, 10.2.2.2")], "10.1.1.1"),
            (vec![("x-forwarded-for", "::ffff:203.0.113.5")], "203.0.113.5"),
            (vec![("x-forwarded-for", "203.0.113.5:8080")], "203.0.113.5"),
        ] {
            assert_eq!(client(&fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn xff_03_bytes_of_the_client_spoil_no_hop_of_the_proxy() {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let field = poem::http::HeaderValue::from_bytes(b"\xff, 203.0.113.5").unwrap();
        let headers = HeaderMap::from_iter([(X_FORWARDED_FOR, field)]);
        assert_eq!(proxies.behind(PEER.parse().unwrap(), &headers).to_string(), "203.0.113.5");
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
            vec![("forwarded", "for=\"1.1.1.1")],
            vec![("forwarded", "for=\"1.1.1.1, for=203.0.113.5\"")],
            vec![("forwarded", "for=1.1.1.1, by=10.0.0.1")],
            vec![("forwarded", "for=unknown")],
            vec![("forwarded", ";;;")],
            vec![("forwarded", "")],
            // one of them was written by the client
            vec![("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "203.0.113.5")],
        ] {
            assert_eq!(client(&fields), PEER, "{fields:?}");
        }
        assert_eq!(
            client(&[("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "1.1.1.1")]),
            "1.1.1.1"
        );
    }

    proptest! {
        #[test]
        fn no_header_makes_a_trusted_proxy_name_what_it_did_not_write(text in "[ -~]{0,80}") {
            let fields = format!("{text}, 203.0.113.5");
            prop_assert_eq!(client(&[("x-forwarded-for", &fields)]), "203.0.113.5");
            let fields = format!("{text}, for=203.0.113.5");
            let found = client(&[("forwarded", &fields)]);
            prop_assert!(found == "203.0.113.5" || found == PEER, "{}", found);
        }
    }
}
