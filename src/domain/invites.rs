//! Invites: one-time codes for a registration.

use std::sync::Arc;
use std::time::Duration;

use crate::core::clock::{Clock, Timestamp};
use crate::core::error::InternalError;
use crate::core::secret::{InviteCode, InviteDigest, random_id};
use crate::domain::audit::event::Event;
use crate::domain::audit::journal::AuditLog;
use crate::store::{InviteRow, Store};

/// An invite without its code.
#[derive(Debug, Clone)]
pub struct Invite {
    pub id: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

impl From<InviteRow> for Invite {
    fn from(row: InviteRow) -> Self {
        Self {
            id: row.id,
            created_at: Timestamp::from_millis(row.created_at),
            expires_at: Timestamp::from_millis(row.expires_at),
        }
    }
}

/// Manages the invites in the database.
#[derive(Debug)]
pub struct Invites {
    store: Arc<Store>,
    clock: Clock,
    audit: Arc<AuditLog>,
}

impl Invites {
    pub fn new(store: Arc<Store>, clock: Clock, audit: Arc<AuditLog>) -> Self {
        Self { store, clock, audit }
    }

    /// Creates an invite for one account. Its code is only available here.
    pub async fn invite(&self, good_for: Duration) -> Result<(InviteCode, Invite), InternalError> {
        let code = InviteCode::random();
        let now = self.clock.now();
        let row = InviteRow {
            id: random_id(),
            created_at: now.millis(),
            expires_at: now.plus(good_for).millis(),
        };
        self.store.add_invite(code.digest(), &row).await?;
        self.audit.outside_requests().record_for_id(Event::InviteMade, &row.id);
        Ok((code, row.into()))
    }

    /// Lists a page of the valid invites, the first to expire first, starting after a given one.
    pub async fn list_invites(
        &self,
        behind: Option<&Invite>,
    ) -> Result<Vec<Invite>, InternalError> {
        const PAGE: i64 = 500; // a few tens of kilobytes
        let behind = behind.map_or((0, ""), |last| (last.expires_at.millis(), last.id.as_str()));
        let rows = self.store.invites_behind(self.clock.now().millis(), behind, PAGE).await?;
        Ok(rows.into_iter().map(Invite::from).collect())
    }

    /// Revokes an invite. Returns false if it was used, expired or never existed.
    pub async fn withdraw_invite(&self, id: &str) -> Result<bool, InternalError> {
        let removed = self.store.remove_invite(id).await?;
        if removed {
            self.audit.outside_requests().record_for_id(Event::InviteRevoked, id);
        }
        Ok(removed)
    }

    /// Returns the digest of the invite if it is valid now.
    pub(crate) async fn find_valid(
        &self,
        invite: Option<InviteDigest>,
    ) -> Result<Option<InviteDigest>, InternalError> {
        let Some(digest) = invite else { return Ok(None) };
        let is_there = self.store.has_invite(digest, self.clock.now().millis()).await?;
        Ok(is_there.then_some(digest))
    }
}
