//! Tests of the network edge over TLS, in HTTP/1.1 and HTTP/2: real certificates, real sockets, raw
//! frames.

mod certificates;
mod floods;
mod frames;
mod places;
mod requests;
mod service;
mod times;
