//! Counters for the metrics. No decision depends on them.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use strum::{IntoStaticStr, VariantNames};

use crate::domain::mail::kind::MailKind;

/// The outcome of a login or a confirmation, for the metrics.
#[derive(Debug, Clone, Copy, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum LoginOutcome {
    Succeeded,
    Refused,
    Throttled,
    Overloaded,
    Failed,
}

/// The outcome of a try to send a mail, for the metrics.
#[derive(Debug, Clone, Copy, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum MailOutcome {
    Sent,
    Postponed,
    Failed,
    /// Nobody got it: its account had changed, or the mailbox had too many mails of the kind.
    Dropped,
}

/// One label and its value.
pub type Label = [(&'static str, &'static str); 1];
/// Two labels and their values.
pub type LabelPair = [(&'static str, &'static str); 2];

/// Counters since startup.
#[derive(Debug)]
pub struct Counters {
    pub logins: Family<Label, Counter>,
    pub confirmations: Family<Label, Counter>,
    pub session_lookups: Family<Label, Counter>,
    /// Requests whose token was in the session cache. This counter and the next two belong to
    /// `session_lookups`, and are separate fields so that a request need not look its counter up.
    pub hits: Counter,
    /// Requests that looked up the signature and the row of their token.
    pub misses: Counter,
    /// Requests that shared the look-up of another request.
    pub shared: Counter,
    pub token_lookups: Family<Label, Counter>,
    /// Requests whose API token was in the cache. This counter and the next three belong to
    /// `token_lookups`.
    pub token_hits: Counter,
    /// Requests that looked up the row of their API token.
    pub token_misses: Counter,
    /// Requests that shared the look-up of another request.
    pub tokens_shared: Counter,
    /// Requests whose API token was refused.
    pub token_refusals: Counter,
    /// Active sessions, counted at most half a minute ago.
    pub sessions: Gauge,
    /// Tries to send a mail, by kind and outcome.
    pub mails: Family<LabelPair, Counter>,
    /// Mails that wait to be sent, counted at most half a minute ago.
    pub mails_waiting: Gauge,
    /// Mails that were given up, counted at most half a minute ago.
    pub mails_failed: Gauge,
    /// Errors of the key files that the service follows, by kind.
    pub key_errors: Family<Label, Gauge>,
}

impl Default for Counters {
    /// Every label exists from the start, so that Prometheus sees a counter's first increase.
    fn default() -> Self {
        let session_lookups = Family::<Label, Counter>::default();
        let result = |name| session_lookups.get_or_create_owned(&[("result", name)]);
        let (hits, misses, shared) = (result("hit"), result("miss"), result("shared"));
        let token_lookups = Family::<Label, Counter>::default();
        let result = |name| token_lookups.get_or_create_owned(&[("result", name)]);
        let (token_hits, token_misses) = (result("hit"), result("miss"));
        let (tokens_shared, token_refusals) = (result("shared"), result("refused"));
        let (logins, confirmations) = <(Family<Label, Counter>, Family<Label, Counter>)>::default();
        for outcome in LoginOutcome::VARIANTS {
            logins.get_or_create_owned(&[("outcome", *outcome)]);
            confirmations.get_or_create_owned(&[("outcome", *outcome)]);
        }
        let (sessions, key_errors) = <(_, Family<_, _>)>::default();
        let mails = Family::<LabelPair, Counter>::default();
        for kind in MailKind::names() {
            for outcome in MailOutcome::VARIANTS {
                mails.get_or_create_owned(&[("kind", *kind), ("outcome", *outcome)]);
            }
        }
        let (mails_waiting, mails_failed) = <(Gauge, Gauge)>::default();
        let counters = Self {
            logins,
            confirmations,
            session_lookups,
            hits,
            misses,
            shared,
            token_lookups,
            token_hits,
            token_misses,
            tokens_shared,
            token_refusals,
            sessions,
            mails,
            mails_waiting,
            mails_failed,
            key_errors,
        };
        counters.record_key_errors([0; 3]);
        counters
    }
}

impl Counters {
    pub(crate) fn count_login(&self, outcome: LoginOutcome) {
        self.logins.get_or_create(&[("outcome", outcome.into())]).inc();
    }

    pub(crate) fn count_confirmation(&self, outcome: LoginOutcome) {
        self.confirmations.get_or_create(&[("outcome", outcome.into())]).inc();
    }

    pub(crate) fn count_mail(&self, kind: MailKind, outcome: MailOutcome) {
        self.mails.get_or_create(&[("kind", kind.name()), ("outcome", outcome.into())]).inc();
    }

    pub(crate) fn record_mails(&self, waiting: i64, failed: i64) {
        self.mails_waiting.set(waiting);
        self.mails_failed.set(failed);
    }

    pub(crate) fn record_key_errors(&self, errors: [usize; 3]) {
        for (kind, errors) in ["signing_key", "pepper", "server_secret"].into_iter().zip(errors) {
            let errors = i64::try_from(errors).unwrap_or(i64::MAX);
            self.key_errors.get_or_create(&[("kind", kind)]).set(errors);
        }
    }
}
