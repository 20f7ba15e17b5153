//! Mail: the outbox, the texts, and the way to the mail server.

mod administration;
pub mod composer;
pub mod failure;
pub mod kind;
pub mod letter;
pub mod mailer;
pub mod new_mail;
mod notices;
pub mod outbox;
pub mod retry;
pub mod server;
mod smtp;
