//! Lets each message in once.

use std::collections::{BTreeMap, BTreeSet};

use crate::openadr::trust::Fingerprint;
use crate::time::{Span, Timestamp};

/// Most nonces that are remembered; a VTN that sends one message a second for the whole window needs 600.
const MOST: usize = 10_000;

/// Why a message is taken for a repetition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Replay {
    #[error("it was signed at {timestamp}, {off} from now; at most {window} are allowed")]
    OutsideWindow { timestamp: Timestamp, off: Span, window: Span },
    #[error("its nonce was used before")]
    Repeated,
    #[error("too many messages came within {0}")]
    Full(Span),
}

/// Remembers every nonce until its message is too old to be let in anyway.
#[derive(Debug)]
pub(crate) struct ReplayGuard {
    window: Span,
    seen: BTreeSet<(Fingerprint, String)>,
    /// When each can be forgotten, oldest first.
    expiry: BTreeMap<Timestamp, Vec<(Fingerprint, String)>>,
}

impl ReplayGuard {
    /// Lets in what was signed at most `window` ago or ahead.
    pub(crate) const fn new(window: Span) -> Self {
        Self { window, seen: BTreeSet::new(), expiry: BTreeMap::new() }
    }

    /// Lets a message in, once; to be asked only after everything else about it was found good.
    pub(super) fn admit(
        &mut self,
        signer: Fingerprint,
        timestamp: Timestamp,
        nonce: &str,
        now: Timestamp,
    ) -> Result<(), Replay> {
        let off = (now - timestamp).abs();
        if off > self.window {
            return Err(Replay::OutsideWindow { timestamp, off, window: self.window });
        }
        self.forget_before(now);
        let entry = (signer, nonce.to_owned());
        if self.seen.contains(&entry) {
            return Err(Replay::Repeated);
        }
        if self.seen.len() >= MOST {
            return Err(Replay::Full(self.window));
        }
        self.expiry.entry(timestamp + self.window).or_default().push(entry.clone());
        self.seen.insert(entry);
        Ok(())
    }

    fn forget_before(&mut self, now: Timestamp) {
        while let Some(oldest) = self.expiry.first_entry().filter(|oldest| *oldest.key() < now) {
            for entry in oldest.remove() {
                self.seen.remove(&entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(text: &str) -> Fingerprint {
        Fingerprint::of(text.as_bytes())
    }

    #[test]
    fn a_message_is_let_in_once_and_within_its_window() {
        let mut guard = ReplayGuard::new(Span::MINUTE * 5);
        let t = |minutes: i64| Timestamp::from_seconds(1_000_000 + minutes * 60);
        assert_eq!(guard.admit(signer("a"), t(0), "n", t(0)), Ok(()));
        assert_eq!(guard.admit(signer("a"), t(0), "n", t(5)), Err(Replay::Repeated));
        assert_eq!(guard.admit(signer("b"), t(0), "n", t(5)), Ok(()), "nonces belong to their signer");
        assert_eq!(guard.admit(signer("a"), t(10), "m", t(5)), Ok(()), "a clock ahead");
        assert!(matches!(guard.admit(signer("a"), t(0), "x", t(6)), Err(Replay::OutsideWindow { .. })));
        assert!(matches!(guard.admit(signer("a"), t(12), "x", t(6)), Err(Replay::OutsideWindow { .. })));
        assert_eq!(
            guard.admit(signer("a"), t(10), "m", t(15)),
            Err(Replay::Repeated),
            "kept as long as it could come again"
        );
    }

    #[test]
    fn when_it_is_full_it_refuses_and_forgets_nothing_early() {
        let mut guard = ReplayGuard::new(Span::MINUTE);
        let now = Timestamp::from_seconds(1_000_000);
        for nonce in 0..MOST {
            assert_eq!(guard.admit(signer("a"), now, &nonce.to_string(), now), Ok(()));
        }
        assert_eq!(guard.admit(signer("a"), now, "one more", now), Err(Replay::Full(Span::MINUTE)));
        assert_eq!(guard.admit(signer("a"), now, "0", now), Err(Replay::Repeated));
        let later = now + Span::MINUTE + Span::SECOND;
        assert_eq!(guard.admit(signer("a"), later, "one more", later), Ok(()));
    }
}
