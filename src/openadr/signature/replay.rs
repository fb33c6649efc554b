//! Lets each message in once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

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
    #[error(
        "it was signed at {timestamp}; what was signed up to {to} is forgotten already, so the clock went back"
    )]
    Forgotten { timestamp: Timestamp, to: Timestamp },
    #[error("too many messages came within {0}")]
    Full(Span),
}

/// A message that was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) signer: Fingerprint,
    pub(crate) timestamp: Timestamp,
    pub(crate) nonce: String,
}

/// Remembers every nonce until its message is too old to be let in anyway.
#[derive(Debug)]
pub(crate) struct ReplayGuard {
    window: Span,
    seen: BTreeSet<(Fingerprint, String)>,
    /// When each can be forgotten, oldest first.
    expiry: BTreeMap<Timestamp, Vec<(Fingerprint, String)>>,
    /// The newest timestamp of those that were forgotten: it bars the way where the clock goes back behind it.
    forgotten_to: Option<Timestamp>,
    /// Those that no store keeps yet, in the order in which they came.
    unstored: VecDeque<Seen>,
}

impl ReplayGuard {
    /// Lets in what was signed at most `window` ago or ahead.
    pub(crate) const fn new(window: Span) -> Self {
        Self {
            window,
            seen: BTreeSet::new(),
            expiry: BTreeMap::new(),
            forgotten_to: None,
            unstored: VecDeque::new(),
        }
    }

    /// Takes over what an earlier run has let in.
    pub(super) fn remember(&mut self, stored: Vec<Seen>) {
        for seen in stored {
            self.keep(&seen);
        }
    }

    fn keep(&mut self, seen: &Seen) {
        let entry = (seen.signer, seen.nonce.clone());
        self.expiry.entry(seen.timestamp + self.window).or_default().push(entry.clone());
        self.seen.insert(entry);
    }

    /// What is to be stored.
    pub(super) const fn unstored(&self) -> &VecDeque<Seen> {
        &self.unstored
    }

    /// The store keeps the oldest so many of those that it did not.
    pub(super) fn stored(&mut self, count: usize) {
        self.unstored.drain(..count.min(self.unstored.len()));
    }

    /// A store must keep what was signed then or later.
    pub(super) fn keep_from(&self) -> Timestamp {
        self.forgotten_to.unwrap_or(Timestamp::EPOCH)
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
        if let Some(to) = self.forgotten_to.filter(|to| timestamp <= *to) {
            return Err(Replay::Forgotten { timestamp, to });
        }
        let entry = (signer, nonce.to_owned());
        if self.seen.contains(&entry) {
            return Err(Replay::Repeated);
        }
        if self.seen.len() >= MOST {
            return Err(Replay::Full(self.window));
        }
        let seen = Seen { signer, timestamp, nonce: entry.1 };
        self.keep(&seen);
        self.unstored.push_back(seen);
        Ok(())
    }

    fn forget_before(&mut self, now: Timestamp) {
        while let Some(oldest) = self.expiry.first_entry().filter(|oldest| *oldest.key() < now) {
            self.forgotten_to = self.forgotten_to.max(Some(*oldest.key() - self.window));
            for entry in oldest.remove() {
                self.seen.remove(&entry);
            }
        }
        while self.unstored.front().is_some_and(|seen| seen.timestamp + self.window < now) {
            self.unstored.pop_front();
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
    fn what_was_let_in_is_known_after_a_restart_and_a_clock_that_goes_back() {
        let t = |minutes: i64| Timestamp::from_seconds(1_000_000 + minutes * 60);
        let mut guard = ReplayGuard::new(Span::MINUTE * 5);
        guard.admit(signer("a"), t(0), "n", t(0)).unwrap();
        guard.admit(signer("a"), t(1), "m", t(1)).unwrap();
        let stored: Vec<Seen> = guard.unstored().iter().cloned().collect();
        guard.stored(stored.len());
        assert!(guard.unstored().is_empty());
        let mut again = ReplayGuard::new(Span::MINUTE * 5);
        again.remember(stored);
        assert!(again.unstored().is_empty(), "the store has them");
        assert_eq!(again.admit(signer("a"), t(1), "m", t(2)), Err(Replay::Repeated));
        for guard in [&mut guard, &mut again] {
            assert_eq!(guard.admit(signer("a"), t(9), "later", t(9)), Ok(()));
            assert_eq!(guard.keep_from(), t(1), "the newest that was forgotten stays as a mark");
            let forgotten = Replay::Forgotten { timestamp: t(1), to: t(1) };
            assert_eq!(guard.admit(signer("a"), t(1), "m", t(2)), Err(forgotten), "the clock went back");
            assert_eq!(
                guard.admit(signer("a"), t(2), "new", t(2)),
                Ok(()),
                "what is new is let in all the same"
            );
        }
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
