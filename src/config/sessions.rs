//! The section `sessions`: how long sessions last.

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::period::Period;
use crate::core::clock::{days, mins};
use crate::domain::sessions::{DEFAULT_LIFETIMES, DEFAULT_REMEMBERED_LIFETIMES, Lifetimes};

/// The use of a session is recorded once a minute, so a shorter inactivity timeout would end
/// sessions that are in use.
const MIN_IDLE: Period = Period::of(mins(2));
/// Browsers keep no cookie longer (RFC 6265bis, section 5.5).
const MAX_ABSOLUTE: Period = Period::of(days(400));

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionSettings {
    /// How long a session lasts without being used: minutes, hours or days (`30m`, `8h`, `14d`), at
    /// least `2m`. It is accurate to one minute. Default: `8h`, or `sessions.absolute` if that is
    /// shorter.
    pub idle: Option<Period>,
    /// How long a session lasts in any case, at most `400d`.
    pub absolute: Option<Period>,
    /// Like `sessions.idle`, for users who chose to stay signed in. Default: `14d`, or
    /// `sessions.remember_absolute` if that is shorter.
    pub remember_idle: Option<Period>,
    /// Like `sessions.absolute`, for users who chose to stay signed in.
    pub remember_absolute: Option<Period>,
    /// Whether users can choose to stay signed in. With `false`, `remember` is ignored, and existing
    /// sessions get the lifetimes of `sessions.idle` and `sessions.absolute`.
    pub remember: Option<bool>,
}

/// The lifetimes of sessions.
#[derive(Debug, Clone, Serialize)]
pub struct Sessions {
    pub idle: Period,
    pub absolute: Period,
    pub remember_idle: Period,
    pub remember_absolute: Period,
    /// Whether users can choose to stay signed in.
    pub remember: bool,
}

impl SessionSettings {
    /// Merges two sources: the settings of `over` win.
    pub(super) fn merge(self, over: Self) -> Self {
        Self {
            idle: over.idle.or(self.idle),
            absolute: over.absolute.or(self.absolute),
            remember_idle: over.remember_idle.or(self.remember_idle),
            remember_absolute: over.remember_absolute.or(self.remember_absolute),
            remember: over.remember.or(self.remember),
        }
    }
}

impl Sessions {
    /// Refuses lifetimes that are too short to use a session, or longer than browsers keep a cookie.
    pub(super) fn check(settings: SessionSettings) -> Result<Self, ConfigError> {
        let SessionSettings { idle, absolute, remember_idle, remember_absolute, remember } =
            settings;
        let (idle, absolute) = check_lifetimes("", (idle, absolute), DEFAULT_LIFETIMES)?;
        let (remember_idle, remember_absolute) = check_lifetimes(
            "remember_",
            (remember_idle, remember_absolute),
            DEFAULT_REMEMBERED_LIFETIMES,
        )?;
        let remember = remember.unwrap_or(true);
        Ok(Self { idle, absolute, remember_idle, remember_absolute, remember })
    }

    /// The longest lifetime that a session can have.
    pub fn longest(&self) -> Period {
        if self.remember { self.absolute.max(self.remember_absolute) } else { self.absolute }
    }
}

/// Checks the inactivity timeout and the maximum age. `prefix` is that of the two settings.
fn check_lifetimes(
    prefix: &str,
    (idle, absolute): (Option<Period>, Option<Period>),
    default: Lifetimes,
) -> Result<(Period, Period), ConfigError> {
    let absolute = absolute.unwrap_or(Period::of(default.absolute));
    let idle = idle.unwrap_or(Period::of(default.idle).min(absolute));
    for (name, period) in [("idle", idle), ("absolute", absolute)] {
        if period < MIN_IDLE || period > MAX_ABSOLUTE {
            return Err(ConfigError::new(format!(
                "sessions.{prefix}{name} = {period} must be between {MIN_IDLE} and {MAX_ABSOLUTE}"
            )));
        }
    }
    if idle > absolute {
        return Err(ConfigError::new(format!(
            "sessions.{prefix}idle = {idle} must not be longer than sessions.{prefix}absolute, \
             which is {absolute}"
        )));
    }
    Ok((idle, absolute))
}
