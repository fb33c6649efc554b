//! Signatures against peers, damage and attacks.

mod attacks;
mod c14n;
mod fuzz;
mod keys;
mod mutation;
mod peers;
mod quirks;

use keys::{Identity, dice};

use super::{Gate, Policy, Trust, sign};
use crate::openadr::message::{Payload, Poll};
use crate::openadr::xml::Limits;
use crate::time::{Span, Timestamp};

const WINDOW: Span = Span::from_seconds(300);

fn poll() -> Payload {
    Poll { ven_id: "ven-01".into() }.into()
}

fn now() -> Timestamp {
    "2030-01-01T12:00:00Z".parse().unwrap()
}

/// A gate that trusts this identity.
fn gate(identity: &Identity) -> Gate {
    Gate::new(Policy::Require(Trust::Pinned(vec![identity.key.fingerprint()])), WINDOW, Limits::VEN)
}

fn signed(payload: &Payload, identity: &Identity) -> String {
    sign(payload, &identity.key, now(), &dice()).unwrap()
}

#[test]
fn what_we_sign_we_believe() {
    use proptest::strategy::{Strategy as _, ValueTree as _};
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for identity in [Identity::p256(), Identity::rsa()] {
        let mut gate = gate(identity);
        for _ in 0..50 {
            let payload =
                crate::openadr::message::arbitrary::payload().new_tree(&mut runner).unwrap().current();
            let verified = gate.open(signed(&payload, identity).as_bytes(), now()).unwrap();
            assert_eq!(verified.peer().signer, Some(identity.key.fingerprint()));
            assert_eq!(verified.into_content(), payload);
        }
    }
}

#[test]
fn rule_514_the_policy_decides_about_unsigned_messages() {
    let (ours, theirs) = (Identity::p256(), Identity::rsa());
    let unsigned = crate::openadr::xml::encode(&poll()).unsigned();
    let (good, foreign) = (signed(&poll(), ours), signed(&poll(), theirs));
    let trust = || Trust::Pinned(vec![ours.key.fingerprint()]);
    for (policy, takes_unsigned, takes_good, takes_foreign) in [
        (Policy::Require(trust()), false, true, false),
        (Policy::IfPresent(trust()), true, true, false),
        (Policy::TlsOnly, true, true, true),
    ] {
        let mut gate = Gate::new(policy, WINDOW, Limits::VEN);
        assert_eq!(gate.open(unsigned.as_bytes(), now()).is_ok(), takes_unsigned);
        assert_eq!(gate.open(good.as_bytes(), now()).is_ok(), takes_good);
        assert_eq!(gate.open(foreign.as_bytes(), now()).is_ok(), takes_foreign);
    }
}
