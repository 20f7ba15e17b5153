//! Which accounts have which roles: the operator gives roles, takes them and lists them.

use std::sync::Arc;

use crate::core::clock::{Clock, Timestamp};
use crate::core::error::InternalError;
use crate::core::ids::AccountId;
use crate::domain::accounts::Account;
use crate::domain::audit::event::Event;
use crate::domain::audit::journal::AuditLog;
use crate::domain::roles::{MAX_ROLES, Role, TooManyRoles};
use crate::domain::sessions::cache::SessionCache;
use crate::store::{AccountChange, GiveRoleOutcome, Store};

/// The roles of all accounts.
///
/// A change takes effect in existing sessions and ends none: every request that begins after the
/// change was acknowledged sees it on this node, and within a second on the other nodes.
#[derive(Debug)]
pub struct RoleAssignments {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Clock,
    pub(crate) cache: Arc<SessionCache>,
    pub(crate) audit: Arc<AuditLog>,
}

/// The outcome of giving or taking a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleChange {
    NoSuchAccount,
    /// The account had the role already, or did not have it, and nothing was written.
    Unchanged,
    Done,
}

/// The error of giving a role.
#[derive(Debug)]
pub enum GiveRoleError {
    /// The account has as many roles as it may have.
    TooManyRoles(TooManyRoles),
    Internal(InternalError),
}

impl From<InternalError> for GiveRoleError {
    fn from(fault: InternalError) -> Self {
        Self::Internal(fault)
    }
}

impl RoleAssignments {
    /// Gives a role to an account.
    pub async fn give_role(
        &self,
        account: &AccountId,
        role: &Role,
    ) -> Result<RoleChange, GiveRoleError> {
        let now = self.clock.now().millis();
        let (id, name) = (account.as_str(), role.as_str());
        match self.store.give_role((id, name), MAX_ROLES, now).await? {
            GiveRoleOutcome::NoSuchAccount => Ok(RoleChange::NoSuchAccount),
            GiveRoleOutcome::Unchanged => Ok(RoleChange::Unchanged),
            GiveRoleOutcome::TooMany => Err(GiveRoleError::TooManyRoles(TooManyRoles)),
            GiveRoleOutcome::Given => Ok(self.record_change(account, role, Event::RoleGiven)),
        }
    }

    /// Takes a role from an account.
    pub async fn take_role(
        &self,
        account: &AccountId,
        role: &Role,
    ) -> Result<RoleChange, InternalError> {
        let now = self.clock.now().millis();
        match self.store.take_role((account.as_str(), role.as_str()), now).await? {
            AccountChange::NoSuchAccount => Ok(RoleChange::NoSuchAccount),
            AccountChange::Unchanged(_) => Ok(RoleChange::Unchanged),
            AccountChange::Changed(_) => Ok(self.record_change(account, role, Event::RoleTaken)),
        }
    }

    /// Has the account's sessions read again, and records the event.
    fn record_change(&self, account: &AccountId, role: &Role, event: Event) -> RoleChange {
        self.cache.invalidate_account(account);
        self.audit.outside_requests().record_role(event, account, role);
        RoleChange::Done
    }

    /// Lists the roles of an account in alphabetical order, with the times when they were given.
    pub async fn roles_of(
        &self,
        account: &AccountId,
    ) -> Result<Vec<(String, Timestamp)>, InternalError> {
        let rows = self.store.roles_of(account.as_str()).await?.into_iter();
        let mut roles: Vec<_> =
            rows.map(|row| (row.role, Timestamp::from_millis(row.given_at))).collect();
        roles.sort_unstable();
        Ok(roles)
    }

    /// Lists the roles that any account has in alphabetical order, with the number of accounts.
    pub async fn count_by_role(&self) -> Result<Vec<(String, u64)>, InternalError> {
        let rows = self.store.count_by_role().await?.into_iter();
        let mut roles: Vec<_> = rows.map(|row| (row.role, row.accounts.unsigned_abs())).collect();
        roles.sort_unstable();
        Ok(roles)
    }

    /// Lists a page of the accounts that have a role, in the order of their ids, starting after an
    /// id.
    pub async fn accounts_with_role(
        &self,
        role: &Role,
        after: Option<&AccountId>,
    ) -> Result<Vec<Account>, InternalError> {
        const PAGE: i64 = 500; // a few hundred kilobytes at most
        let page = (after.map_or("", AccountId::as_str), PAGE);
        let rows = self.store.accounts_with_role(role.as_str(), page).await?;
        Ok(rows.into_iter().map(|row| Account::from_row(row).0).collect())
    }
}
