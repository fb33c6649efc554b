//! Knows who asks: tokens, what each may ask for, and who guesses too often.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, generate};
use tokio::sync::watch;

use crate::config::{Scope, TOKEN_HASH};
use crate::time::Span;

/// Before every token of ours, so that people and scanners of source code know what they see.
const PREFIX: &str = "ven_";
/// A token that is shorter can be guessed.
pub(in crate::daemon) const SHORTEST: usize = 32;
/// Who has failed more often than this within a while waits for each further failure.
const FREE_FAILURES: u32 = 5;
const WHILE: Span = Span::MINUTE;
const WAIT: Span = Span::SECOND;
/// Addresses whose failures are remembered.
const MOST_REMEMBERED: usize = 1024;

/// A token, of which nothing but its hash is kept.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::daemon) struct Token {
    pub(in crate::daemon) name: String,
    pub(in crate::daemon) hash: [u8; 32],
    pub(in crate::daemon) scopes: Vec<Scope>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("name", &self.name)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// SHA-256 of a token; it needs no salt, as nobody can go through 256 bits.
pub(in crate::daemon) fn hash(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}

/// The hash as the configuration has it.
pub(crate) fn written(token: &str) -> String {
    let digits = hash(token).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    format!("{TOKEN_HASH}{digits}")
}

/// A token of 256 bits.
///
/// # Errors
///
/// Where the system has no random numbers.
pub(crate) fn new_token(dice: &dyn SecureRandom) -> Result<String, ring::error::Unspecified> {
    let bytes: [u8; 32] = generate(dice)?.expose();
    Ok(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes)))
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::daemon) enum Who {
    /// Nobody that we know.
    Unknown,
    /// Somebody on this machine, where no tokens are configured.
    Local,
    /// The owner of a token.
    Known { name: String, scopes: Vec<Scope> },
}

impl Who {
    /// The name of the token, where there is one.
    pub(in crate::daemon) const fn name(&self) -> Option<&str> {
        match self {
            Self::Unknown | Self::Local => None,
            Self::Known { name, .. } => Some(name.as_str()),
        }
    }

    /// Whether they may ask for this.
    pub(in crate::daemon) fn may(&self, scope: &Scope) -> bool {
        match self {
            Self::Unknown => false,
            Self::Local => *scope == Scope::Read,
            Self::Known { scopes, .. } => scopes.contains(scope),
        }
    }
}

/// The tokens that there are; clones have the same ones.
#[derive(Clone, Debug, Default)]
pub(in crate::daemon) struct Tokens(watch::Sender<Vec<Token>>);

impl Tokens {
    pub(in crate::daemon) fn new(tokens: Vec<Token>) -> Self {
        Self(watch::Sender::new(tokens))
    }

    /// Whether anybody has one.
    pub(in crate::daemon) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// The names of those that are others than these, or are not there.
    pub(in crate::daemon) fn differing(&self, others: &Self) -> Vec<String> {
        let (ours, theirs) = (self.0.borrow(), others.0.borrow());
        let gone = ours.iter().filter(|token| !theirs.contains(token));
        gone.map(|token| token.name.clone()).collect()
    }

    /// From now on there are these, for all clones.
    pub(in crate::daemon) fn replace(&self, others: &Self) {
        let others = others.0.borrow().clone();
        self.0.send_replace(others);
    }

    /// What is admitted from now on is so by these.
    pub(super) fn admission(&self) -> Admission {
        Admission(self.0.subscribe())
    }

    /// Whose token this is. How long that takes says nothing about any: all are looked at, each to its end.
    pub(in crate::daemon) fn owner(&self, token: &str) -> Option<Who> {
        let shown = hash(token);
        let mut owner = None;
        for token in &*self.0.borrow() {
            if is_same(&token.hash, &shown) {
                owner = Some(Who::Known { name: token.name.clone(), scopes: token.scopes.clone() });
            }
        }
        owner
    }
}

/// By which tokens somebody was admitted.
#[derive(Clone, Debug)]
pub(in crate::daemon) struct Admission(watch::Receiver<Vec<Token>>);

impl Admission {
    /// Whether there have been others since.
    pub(super) fn is_over(&self) -> bool {
        // Where there are none any more, nobody may ask anything.
        self.0.has_changed().unwrap_or(true)
    }

    /// Resolves when there are others.
    pub(in crate::daemon) async fn over(mut self) {
        drop(self.0.changed().await);
    }
}

/// Compares to the end, whatever differs first.
fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let differing = one.iter().zip(other).fold(0, |differing, (one, other)| differing | (one ^ other));
    std::hint::black_box(differing) == 0
}

/// Who has shown wrong tokens lately.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Failures {
    by_peer: BTreeMap<IpAddr, (Span, u32)>,
}

impl Failures {
    /// Counts one more, and says how long its answer is to wait.
    pub(in crate::daemon) fn count(&mut self, peer: IpAddr, now: Span) -> Span {
        if !self.by_peer.contains_key(&peer) && self.by_peer.len() >= MOST_REMEMBERED {
            self.by_peer.retain(|_, (since, _)| now - *since < WHILE);
            if self.by_peer.len() >= MOST_REMEMBERED {
                // So many at once are one attack.
                return WAIT;
            }
        }
        let (since, failures) = self.by_peer.entry(peer).or_insert((now, 0));
        if now - *since >= WHILE {
            (*since, *failures) = (now, 0);
        }
        *failures = failures.saturating_add(1);
        if *failures > FREE_FAILURES { WAIT } else { Span::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::{Failures, MOST_REMEMBERED, SHORTEST, Token, Tokens, Who, hash, is_same, new_token, written};
    use crate::config::Scope;
    use crate::daemon::entropy;
    use crate::time::Span;

    fn peer(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    #[test]
    fn a_token_has_256_bits_and_no_two_are_alike() {
        let (one, other) = (new_token(&entropy::dice()).unwrap(), new_token(&entropy::dice()).unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), "ven_".len() + 43, "32 octets in base64");
        assert!(one.len() >= SHORTEST);
    }

    #[test]
    fn a_hash_is_written_as_sha256sum_writes_it() {
        // printf abc | sha256sum
        let expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(written("abc"), expected);
    }

    #[test]
    fn a_token_is_known_by_all_of_its_hash() {
        let token =
            |name: &str, text| Token { name: name.into(), hash: hash(text), scopes: vec![Scope::Meter] };
        let tokens = Tokens::new(vec![token("a", "one"), token("b", "two")]);
        let owner = |text| match tokens.owner(text) {
            Some(Who::Known { name, .. }) => Some(name),
            Some(Who::Unknown | Who::Local) | None => None,
        };
        assert_eq!(
            (owner("one").as_deref(), owner("two").as_deref(), owner("onE")),
            (Some("a"), Some("b"), None)
        );
        let whole = hash("one");
        for at in 0..32 {
            let mut other = whole;
            other[at] ^= 1;
            assert!(!is_same(&whole, &other), "octet {at}");
        }
        assert!(!format!("{tokens:?}").contains(&written("one")[7..17]), "hashes are in no log");
    }

    #[tokio::test]
    async fn tokens_that_are_replaced_are_so_for_everybody_who_knows_them() {
        let token = |name: &str, text| Token { name: name.into(), hash: hash(text), scopes: Vec::new() };
        let tokens = Tokens::new(vec![token("a", "one"), token("b", "two"), token("c", "three")]);
        let clone = tokens.clone();
        let admission = clone.admission();
        let others = Tokens::new(vec![token("a", "one"), token("b", "zwei")]);
        assert_eq!(tokens.differing(&others), ["b", "c"]);
        assert!(!admission.is_over());
        tokens.replace(&others);
        assert!(admission.is_over());
        admission.over().await;
        assert!(clone.owner("two").is_none() && clone.owner("three").is_none());
        assert!(clone.owner("one").is_some() && clone.owner("zwei").is_some());
    }

    #[test]
    fn who_fails_too_often_waits_and_others_do_not() {
        let mut failures = Failures::default();
        let at = Span::from_seconds;
        let waits: Vec<_> = (0..7).map(|second| failures.count(peer(1), at(second)).seconds()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(failures.count(peer(2), at(8)), Span::ZERO, "another");
        assert_eq!(failures.count(peer(1), at(60)), Span::ZERO, "a minute later");
    }

    #[test]
    fn failures_of_ever_new_addresses_take_no_more_memory() {
        let mut failures = Failures::default();
        for number in 0..5000 {
            failures.count(peer(number), Span::ZERO);
        }
        assert_eq!(failures.by_peer.len(), MOST_REMEMBERED);
        assert_eq!(failures.count(peer(6000), Span::ZERO), Span::SECOND, "unknown ones wait meanwhile");
        assert_eq!(failures.count(peer(6000), Span::MINUTE), Span::ZERO, "old ones are forgotten");
        assert_eq!(failures.by_peer.len(), 1);
    }
}
