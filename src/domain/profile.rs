//! The profile of an account: what its user has chosen to show to others.

use std::sync::Arc;
use std::time::Duration;

use crate::core::clock::Clock;
use crate::core::display_names::DisplayName;
use crate::core::error::InternalError;
use crate::domain::accounts::Account;
use crate::domain::audit::context::RequestContext;
use crate::domain::audit::event::Event;
use crate::domain::audit::journal::AuditLog;
use crate::domain::sessions::AuthenticatedSession;
use crate::domain::sessions::cache::SessionCache;
use crate::domain::throttle::attempts::Throttle;
use crate::store::{ProfileOutcome, Store};

/// The error of a change to the profile.
#[derive(Debug)]
pub enum UpdateProfileError {
    /// The account exceeds its rate limit for changes; nothing was done.
    TooManyAttempts {
        wait: Duration,
    },
    Internal(InternalError),
}

impl From<InternalError> for UpdateProfileError {
    fn from(fault: InternalError) -> Self {
        Self::Internal(fault)
    }
}

/// The profiles of all accounts.
#[derive(Debug)]
pub struct Profiles {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Clock,
    pub(crate) throttle: Arc<Throttle>,
    pub(crate) cache: Arc<SessionCache>,
    pub(crate) audit: Arc<AuditLog>,
}

impl Profiles {
    /// Sets or removes the display name of the signed-in user. Existing sessions show it at once on
    /// this node, and within a second on the other nodes. Returns the account as it is afterwards.
    pub async fn set_display_name(
        &self,
        who: &AuthenticatedSession,
        display_name: Option<DisplayName>,
        context: &RequestContext,
    ) -> Result<Account, UpdateProfileError> {
        let (account, audit) = (&who.account.id, self.audit.during(context));
        let turn = self.throttle.profile_turn(account).await?;
        let turn = turn.map_err(|wait| {
            audit.record_throttled(account);
            UpdateProfileError::TooManyAttempts { wait }
        })?;
        let now = self.clock.now().millis();
        let name = display_name.as_ref().map(DisplayName::as_str);
        match self.store.set_display_name(account.as_str(), name, now, turn).await? {
            ProfileOutcome::Unchanged => {}
            ProfileOutcome::Changed => {
                self.cache.invalidate_account(account);
                audit.record_session(Event::ProfileUpdated, Some(account), Some(&who.session.id));
            }
            ProfileOutcome::RateLimited => {
                audit.record_throttled(account); // concurrent requests used up the limit
                let wait = self.throttle.account_wait();
                return Err(UpdateProfileError::TooManyAttempts { wait });
            }
        }
        Ok(Account { display_name, ..who.account.clone() })
    }
}
