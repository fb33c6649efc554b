//! What programs are given of our environment: secrets of the daemon may stand in it, which are none of their business.

use std::ffi::OsString;

/// What programs need to find others, files and words.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// Those variables that every program gets, as far as they are set.
pub(super) fn inherited() -> impl Iterator<Item = (&'static str, OsString)> {
    INHERITED.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
}
