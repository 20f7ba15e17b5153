//! The keys of counts, which are stored as digests.

use std::net::IpAddr;

use crate::core::net::network_of;
use crate::domain::keys::server_secret::ServerSecrets;
use crate::store::AttemptKey;

/// The key of a count.
pub(super) enum ThrottleKey<'a> {
    Name(&'a str),
    Device(&'a str),
    Devices(&'a str),
    Session(&'a str),
    Account(&'a str),
    Profile(&'a str),
    Codes(&'a str),
    Mailbox { kind: &'a str, mailbox: &'a str },
    Address(IpAddr),
    Registrations(IpAddr),
    AllRegistrations,
    Resets(IpAddr),
    AllResets,
    Recoveries(&'a str),
}

impl ThrottleKey<'_> {
    /// A digest under the server secret: a client may type anything as a user name, and it must not
    /// be stored. Another current secret yields other digests, so all counts start again.
    pub fn digest(&self, secrets: &ServerSecrets) -> AttemptKey {
        let (kind, who) = match self {
            Self::Name(name) => ("name", (*name).to_owned()),
            Self::Device(id) => ("device", (*id).to_owned()),
            Self::Devices(account) => ("devices", (*account).to_owned()),
            Self::Session(id) => ("session", (*id).to_owned()),
            Self::Account(id) => ("account", (*id).to_owned()),
            Self::Profile(id) => ("profile", (*id).to_owned()),
            Self::Codes(account) => ("codes", (*account).to_owned()),
            Self::Mailbox { kind, mailbox } => ("mailbox", format!("{kind} {mailbox}")),
            Self::Address(address) => ("address", network_of(*address)),
            Self::Registrations(address) => ("registrations", network_of(*address)),
            Self::AllRegistrations => ("registrations", "all".to_owned()),
            Self::Resets(address) => ("resets", network_of(*address)),
            Self::AllResets => ("resets", "all".to_owned()),
            Self::Recoveries(account) => ("recoveries", (*account).to_owned()),
        };
        secrets.throttle_digest(&format!("{kind} {who}"))
    }
}
