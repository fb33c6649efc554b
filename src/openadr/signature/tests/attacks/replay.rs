//! Good messages that come again, late, early, or with a time that nobody signed.

use super::{good, part, refused, resigned};
use crate::openadr::signature::tests::keys::Identity;
use crate::openadr::signature::tests::{WINDOW, gate, now, poll, signed};
use crate::time::Span;

fn protect(text: &str) -> &str {
    part(text, "<dsp:ReplayProtect>", "</dsp:ReplayProtect>")
}

/// Well signed, with that ReplayProtect.
fn protected_by(timestamp: &str, nonce: &str) -> String {
    let good = good();
    let other = format!(
        "<dsp:ReplayProtect><dsp:timestamp>{timestamp}</dsp:timestamp><dsp:nonce>{nonce}</dsp:nonce></dsp:ReplayProtect>"
    );
    resigned(&good.replace(protect(&good), &other), Identity::p256())
}

#[test]
fn rule_514_a_stripped_replay_protect_is_refused_even_with_a_good_signature() {
    let good = good();
    let text = good.replace(protect(&good), "");
    refused(&resigned(&text, Identity::p256()), "exactly one ReplayProtect, found none");
}

#[test]
fn times_far_away_or_without_zone_are_refused() {
    let taken = gate(Identity::p256()).open(protected_by("2030-01-01T12:00:00Z", "n").as_bytes(), now());
    assert_eq!(taken.unwrap().into_content(), poll());
    for (timestamp, why) in [
        ("2030-01-01T11:54:59Z", "was signed at"),
        ("2030-01-01T12:05:01Z", "was signed at"),
        ("2130-01-01T12:00:00Z", "was signed at"),
        ("1970-01-01T00:00:00Z", "was signed at"),
        ("2030-01-01T12:00:00+01:00", "was signed at"),
        ("2030-01-01T12:00:00", "a time with its zone"),
        ("2030-13-01T12:00:00Z", ""),
        ("99999999999-01-01T12:00:00Z", ""),
        ("now", ""),
        ("", ""),
    ] {
        refused(&protected_by(timestamp, "n"), why);
    }
}

#[test]
fn a_nonce_has_1_to_128_characters() {
    assert!(
        gate(Identity::p256())
            .open(protected_by("2030-01-01T12:00:00Z", &"n".repeat(128)).as_bytes(), now())
            .is_ok()
    );
    for nonce in [String::new(), "n".repeat(129), "n".repeat(1_000_000)] {
        refused(&protected_by("2030-01-01T12:00:00Z", &nonce), "1 to 128 characters");
    }
}

/// A fresh time that nobody signed, beside the old one that was.
#[test]
fn a_fresh_time_beside_the_signed_one_is_refused() {
    let old = protected_by("2029-01-01T12:00:00Z", "n");
    let fresh = "<dsp:ReplayProtect><dsp:timestamp>2030-01-01T12:00:00Z</dsp:timestamp><dsp:nonce>m</dsp:nonce></dsp:ReplayProtect>";
    let object = format!("<ds:Object>{fresh}</ds:Object>");
    refused(
        &old.replace("</ds:Signature>", &format!("{object}</ds:Signature>")),
        "ReplayProtect, found several",
    );
    refused(
        &old.replacen("<ds:KeyInfo>", &format!("<ds:KeyInfo>{fresh}"), 1),
        "ReplayProtect, found several",
    );
    let instead = old.replace(protect(&old), fresh);
    refused(&instead, "digest of #prop does not match");
}

/// What was good once stays used, whatever else came since then (an old event after its cancellation, for one).
#[test]
fn an_older_message_does_not_come_back_after_a_newer_one() {
    let identity = Identity::p256();
    let mut gate = gate(identity);
    let (first, second) = (signed(&poll(), identity), signed(&poll(), identity));
    assert!(gate.open(first.as_bytes(), now()).is_ok() && gate.open(second.as_bytes(), now()).is_ok());
    for old in [&first, &second, &first] {
        let refusal = gate.open(old.as_bytes(), now() + Span::SECOND).unwrap_err().to_string();
        assert!(refusal.contains("nonce was used before"), "{refusal}");
    }
    // Other octets round the same signature are no other message.
    let dressed = first.replace("<oadr:oadrPayload", "<!-- again --><oadr:oadrPayload");
    assert!(gate.open(dressed.as_bytes(), now()).is_err());
}

#[test]
fn old_future_and_repeated_messages_are_refused() {
    let identity = Identity::p256();
    let text = signed(&poll(), identity);
    for (later, why) in [(WINDOW + Span::SECOND, "was signed at"), (-WINDOW - Span::SECOND, "was signed at")]
    {
        let refusal = gate(identity).open(text.as_bytes(), now() + later).unwrap_err().to_string();
        assert!(refusal.contains(why), "{refusal}");
    }
    let mut gate = gate(identity);
    assert!(gate.open(text.as_bytes(), now()).is_ok());
    let refusal = gate.open(text.as_bytes(), now() + Span::SECOND).unwrap_err().to_string();
    assert!(refusal.contains("nonce was used before"), "{refusal}");
}

/// A message that is refused for another reason does not use up its nonce.
#[test]
fn a_forged_copy_does_not_lock_the_good_message_out() {
    let identity = Identity::p256();
    let mut gate = gate(identity);
    let good = signed(&poll(), identity);
    assert!(gate.open(good.replace("ven-01", "ven-02").as_bytes(), now()).is_err());
    assert!(gate.open(good.as_bytes(), now()).is_ok());
}

#[test]
fn rule_514_replay_protect_must_be_there_once_and_whole() {
    let good = signed(&poll(), Identity::p256());
    let protect = part(&good, "<dsp:ReplayProtect>", "</dsp:ReplayProtect>");
    for (text, why) in [
        (good.replace(protect, ""), "exactly one ReplayProtect, found none"),
        (good.replace(protect, &protect.repeat(2)), "exactly one ReplayProtect, found several"),
        (good.replace("<dsp:nonce>", "<dsp:nonce>x"), "digest of #prop does not match"),
    ] {
        refused(&text, why);
    }
}
