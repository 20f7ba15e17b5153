//! A minimal HTTP/1.1 client with one keep-alive connection.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;

const PASSWORD: &str = "a password for the measurement";

/// A connection that sends one request after another.
pub struct Connection(TcpStream);

/// A response with the status 200 or 201.
pub struct Answer(String);

impl Connection {
    pub fn to(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("a socket");
        Self(stream)
    }

    /// Sends a request and reads the whole response.
    pub fn ask(&mut self, request: &str) -> Answer {
        self.0.write_all(request.as_bytes()).expect("the connection is open");
        let mut text = String::new();
        let mut bytes = [0; 8192];
        loop {
            let count = self.0.read(&mut bytes).expect("the connection is open");
            assert!(count > 0, "the server closed the connection after {text:?}");
            text.push_str(std::str::from_utf8(&bytes[..count]).expect("an answer in ASCII"));
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length =
                head.split("\r\ncontent-length: ").nth(1).expect("every answer has a length");
            if Ok(body.len()) == length.lines().next().unwrap_or_default().parse() {
                assert!(head.starts_with("HTTP/1.1 20"), "{text}");
                return Answer(text);
            }
        }
    }
}

impl Answer {
    pub fn api_token(&self) -> &str {
        let token = self.0.split('"').find(|text| text.starts_with("clk_"));
        token.expect("the answer contains the new token")
    }

    pub fn session_cookie(&self) -> String {
        let cookie = self.0.split("set-cookie: ").find(|cookie| cookie.starts_with("session="));
        let cookie = cookie.expect("who signs in gets a cookie");
        cookie.split(';').next().unwrap_or_default().to_owned()
    }
}

/// The request for a path, with an API token.
pub fn get_with_token(host: &str, path: &str, token: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n")
}

/// The request that creates an API token.
pub fn token_creation(host: &str, cookie: &str) -> String {
    let body = r#"{"name":"measurement"}"#;
    format!(
        "POST /api-tokens HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The request for a path, with a cookie unless that is empty.
pub fn get(host: &str, path: &str, cookie: &str) -> String {
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n");
    if !cookie.is_empty() {
        write!(request, "Cookie: {cookie}\r\n").expect("a String takes everything");
    }
    request + "\r\n"
}

pub fn registration(host: &str, user: &str) -> String {
    post_credentials(host, "/register", user)
}

pub fn login(host: &str, user: &str) -> String {
    post_credentials(host, "/login", user)
}

fn post_credentials(host: &str, path: &str, user: &str) -> String {
    let body = format!(r#"{{"username":"{user}","password":"{PASSWORD}"}}"#);
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
