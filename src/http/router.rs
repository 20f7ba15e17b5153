//! What answers at which path.

use std::collections::HashMap;

use poem::endpoint::BoxEndpoint;
use poem::http::Method;

/// Paths, their methods, and what answers.
pub type Table = HashMap<String, HashMap<Method, BoxEndpoint<'static>>>;
