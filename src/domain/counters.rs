//! Counters for the metrics. No decision depends on them.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use strum::{IntoStaticStr, VariantNames};

use crate::domain::mail::kind::MailKind;

/// The outcome of a login, a confirmation or a recovery, for the metrics.
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
    /// Nobody got it: there was no such account or it had changed, the mailbox had too many mails of
    /// the kind, or a link was not sent within half an hour.
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
    /// New passwords that were set with a link, or that were refused.
    pub recoveries: Family<Label, Counter>,
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
        let [logins, confirmations, recoveries] = <[Family<Label, Counter>; 3]>::default();
        for outcome in LoginOutcome::VARIANTS {
            for family in [&logins, &confirmations, &recoveries] {
                family.get_or_create_owned(&[("outcome", *outcome)]);
            }
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
            recoveries,
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

    pub(crate) fn count_recovery(&self, outcome: LoginOutcome) {
        self.recoveries.get_or_create(&[("outcome", outcome.into())]).inc();
    }

    pub(crate) fn count_mail(&self, kind: MailKind, outcome: MailOutcome) {
        self.count_mails(kind, outcome, 1);
    }

    pub(crate) fn count_mails(&self, kind: MailKind, outcome: MailOutcome, count: u64) {
        let labels = [("kind", kind.name()), ("outcome", outcome.into())];
        self.mails.get_or_create(&labels).inc_by(count);
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
