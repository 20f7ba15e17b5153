//! The list of sessions on the account page: the current session, and one page of the others, most
//! recently used first.

use super::page_time::PageTime;
use crate::core::clock::Timestamp;
use crate::domain::sessions::Session;

/// An account may have a hundred sessions, most of which look alike; a longer list would be hard to
/// read.
const SESSIONS_PER_PAGE: usize = 10;

/// One page of the list.
pub struct SessionList {
    pub current: SessionLine,
    /// The sessions on this page.
    pub others: Vec<SessionLine>,
    /// The number of sessions on all pages.
    pub others_count: usize,
    /// The page number, starting at 1.
    pub page: usize,
    pub last_page: usize,
}

/// A session in the list.
pub struct SessionLine {
    pub id: String,
    pub browser: String,
    pub address: Option<String>,
    pub signed_in: PageTime,
    pub last_used: PageTime,
}

impl SessionList {
    /// Creates the page with this number, or the nearest one. `all` may contain the current
    /// session.
    pub fn new(current: &Session, all: Vec<Session>, page: usize, now: Timestamp) -> Self {
        let is_other = |session: &Session| session.id != current.id;
        let mut others: Vec<Session> = all.into_iter().filter(is_other).collect();
        others.sort_by_key(|session| std::cmp::Reverse(session.last_seen_at));
        let last_page = others.len().div_ceil(SESSIONS_PER_PAGE).max(1);
        let page = page.clamp(1, last_page);
        let shown = others.iter().skip((page - 1) * SESSIONS_PER_PAGE).take(SESSIONS_PER_PAGE);
        Self {
            current: SessionLine::new(current, now),
            others: shown.map(|session| SessionLine::new(session, now)).collect(),
            others_count: others.len(),
            page,
            last_page,
        }
    }
}

impl SessionLine {
    /// The browser and its address, which tell the buttons of the list apart.
    pub fn description(&self) -> String {
        match &self.address {
            Some(address) => format!("{}, {address}", self.browser),
            None => self.browser.clone(),
        }
    }

    fn new(session: &Session, now: Timestamp) -> Self {
        let browser = session.client.browser.clone();
        Self {
            id: session.id.as_str().to_owned(),
            browser: browser.unwrap_or_else(|| "Unknown browser".to_owned()),
            address: session.client.address.clone(),
            signed_in: PageTime::ago(session.created_at, now),
            last_used: PageTime::ago(session.last_seen_at, now),
        }
    }
}
