//! Builds the way to the mail server from the settings.

use crate::config::Config;
use crate::domain::mail::letter::Sender;
use crate::domain::mail::mailer::Mailer;

/// The way to the mail server, if the settings name one.
pub fn mailer(config: &Config) -> Option<Mailer> {
    let mail = config.mail.as_ref()?;
    let sender = Sender {
        name: mail.from.name.clone(),
        address: mail.from.address.clone(),
        site_name: config.site.name.clone(),
        origin: config.public_url.origin(),
        domain: config.public_url.mail_domain(),
    };
    Some(Mailer { server: mail.server(&config.data_dir), sender })
}
