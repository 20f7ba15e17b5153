//! Fuzzes the client address: headers of an untrusted peer are ignored, and no client behind a
//! trusted proxy gets the address of another. The first line of the input is `X-Forwarded-For`; the
//! next ones are `Forwarded` fields, which have no effect.

#![no_main]

use std::net::{IpAddr, SocketAddr};

use cloakroom::core::net::TrustedProxies;
use cloakroom::http::fuzzing::{client_address, counted_address};
use libfuzzer_sys::fuzz_target;
use poem::http::uri::Scheme;
use poem::http::{HeaderValue, Request as Head};
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Body, Request};

const PROXIES: [&str; 2] = ["10.0.0.0/8", "fd00::/8"];
const PROXY: &str = "10.0.0.9";
const STRANGER: &str = "192.0.2.7";
/// The client that a trusted proxy saw at its socket.
const CLIENT: &str = "203.0.113.5";

fn client(proxies: &TrustedProxies, peer: &str, fields: &[(&str, HeaderValue)]) -> IpAddr {
    let mut head = Head::new(()).into_parts().0;
    for (name, value) in fields {
        let name: poem::http::HeaderName = name.parse().expect("a name of ours");
        head.headers.append(name, value.clone());
    }
    let peer = SocketAddr::new(peer.parse().expect("an address of ours"), 4711);
    let parts = (head, LocalAddr::default(), RemoteAddr(Addr::socket(peer)), Scheme::HTTP);
    let request = Request::from_parts(parts.into(), Body::empty());
    let found = client_address(proxies, &request).expect("it came by an address");
    assert_eq!(counted_address(proxies, &request), Some(found), "it is nobody's loopback");
    found
}

fuzz_target!(|data: &[u8]| {
    let networks = PROXIES.map(|network| network.parse().expect("a network of ours"));
    let proxies = TrustedProxies::new(networks.to_vec());
    let [proxy, seen] = [PROXY, CLIENT].map(|text| text.parse::<IpAddr>().expect("an address"));
    let mut fields = Vec::new();
    for (n, line) in data.split(|byte| *byte == b'\n').enumerate() {
        let name = if n == 0 { "x-forwarded-for" } else { "forwarded" };
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        if !line.is_empty() {
            fields.push((name, value));
        }
    }
    assert_eq!(client(&proxies, STRANGER, &fields).to_string(), STRANGER);

    // the result is an address from a header, and that of a proxy only if there is no other
    let found = client(&proxies, PROXY, &fields);
    let written = String::from_utf8_lossy(data);
    let words = written.split([',', ';', '=', '"', ' ', '\t', '\n', '[', ']']);
    let mut addresses = words.filter_map(|word| {
        let word = word.trim();
        let socket = || Some(word.parse::<SocketAddr>().ok()?.ip());
        let host = || word.rsplit_once(':')?.0.parse().ok();
        Some(word.parse().ok().or_else(socket).or_else(host)?.to_canonical())
    });
    assert!(found == proxy || addresses.any(|address: IpAddr| address == found), "{found}");

    // a proxy appends the client's address, so what the client sent has no effect
    let of = |name: &str| -> Vec<_> {
        fields.iter().filter(|(known, _)| *known == name).cloned().collect()
    };
    let mut added = fields.clone();
    added.push(("x-forwarded-for", CLIENT.parse().expect("a field of ours")));
    assert_eq!(client(&proxies, PROXY, &added), seen);
    assert_eq!(found, client(&proxies, PROXY, &of("x-forwarded-for")), "`Forwarded` is not read");
    if let [(name, field)] = &of("x-forwarded-for")[..] {
        let joined = [field.as_bytes(), b", ", CLIENT.as_bytes()].concat();
        let joined = HeaderValue::from_bytes(&joined).expect("it was a field");
        assert_eq!(client(&proxies, PROXY, &[(name, joined)]), seen);
    }
});
