//! Decides which messages get in.

use crate::openadr::message::Payload;
use crate::openadr::trust::{Peer, Tolerance, Verified};
use crate::openadr::xml::{
    Document, Limits, XmlError, decode, decode_document, decode_signed_object, envelope,
};
use crate::time::{Span, Timestamp};

use super::certificate::{Distrust, Trust};
use super::replay::{Replay, ReplayGuard, Seen};
use super::verify::{Content, Covered, verify};

/// What is demanded of the messages of one VTN.
#[derive(Clone, Debug)]
pub(crate) enum Policy {
    /// A good signature.
    Require(Trust),
    /// A good signature where there is one. Whoever stands between can strip it, so this protects against accidents only.
    IfPresent(Trust),
    /// Nothing: the TLS connection is trusted alone.
    TlsOnly,
}

/// Lets messages in, or not.
#[derive(Debug)]
pub(crate) struct Gate {
    policy: Policy,
    tolerance: Tolerance,
    replay: ReplayGuard,
    limits: Limits,
}

/// Why a message was not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("message is unreadable: {0}")]
    Unreadable(#[from] XmlError),
    #[error("message is not signed; [signature] verify demands it")]
    Unsigned,
    #[error("signer is not trusted: {0}")]
    Distrust(#[from] Distrust),
    #[error("message is a repetition: {0}")]
    Replay(#[from] Replay),
    #[error("expected exactly one {name}, found {}", if *.more { "several" } else { "none" })]
    NotExactlyOne { name: &'static str, more: bool },
    #[error("comment or processing instruction inside the signature")]
    Comment,
    #[error("id \"{0}\" stands twice")]
    DuplicateId(String),
    #[error("algorithm \"{0}\" is not accepted")]
    Algorithm(String),
    #[error("the certificate's key cannot make a signature of {0}")]
    KeyMismatch(String),
    #[error("expected two references, found {0}")]
    References(usize),
    #[error("reference \"{0}\" is not of the form #id")]
    ReferenceUri(String),
    #[error("reference #{0} leads nowhere")]
    Dangling(String),
    #[error("reference #{0} leads to something that is not the message")]
    ForeignReference(String),
    #[error("expected one or two equal canonicalisations as transforms, found {0}")]
    Transforms(usize),
    #[error("{0} is not base64")]
    Base64(String),
    #[error("signature value does not match")]
    SignatureValue,
    #[error("digest of #{0} does not match")]
    Digest(String),
    #[error("the signature does not cover {0}")]
    NotCovered(&'static str),
}

impl Refusal {
    /// Nobody could understand it, whoever has sent it.
    pub(crate) const fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable(_))
    }
}

impl Gate {
    /// A gate with this policy, which lets in what was signed at most `window` ago or ahead.
    pub(crate) const fn new(policy: Policy, window: Span, limits: Limits) -> Self {
        Self { policy, tolerance: Tolerance::NONE, replay: ReplayGuard::new(window), limits }
    }

    /// The same, but lenient where the operator wants it.
    pub(crate) fn tolerating(self, tolerance: Tolerance) -> Self {
        Self { tolerance, ..self }
    }

    /// Demands something else from now on; what was let in stays known.
    pub(crate) fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Takes over what an earlier run has let in.
    pub(crate) fn remember(&mut self, stored: Vec<Seen>) {
        self.replay.remember(stored);
    }

    /// What was let in and is in no store yet, oldest first.
    pub(crate) fn unstored(&self) -> impl DoubleEndedIterator<Item = &Seen> {
        self.replay.unstored().iter()
    }

    /// The store keeps the oldest so many of those that it did not.
    pub(crate) fn stored(&mut self, count: usize) {
        self.replay.stored(count);
    }

    /// A store must keep what was signed then or later.
    pub(crate) fn keep_from(&self) -> Timestamp {
        self.replay.keep_from()
    }

    /// Lets a message in.
    ///
    /// # Errors
    ///
    /// Says which rule it broke.
    pub(crate) fn open(&mut self, bytes: &[u8], now: Timestamp) -> Result<Verified<Payload>, Refusal> {
        let covered = match self.look(bytes, now)? {
            Looked::Trusted(payload) => return Ok(Verified::new(payload, Peer { signer: None })),
            Looked::Signed(covered) => covered,
        };
        let payload = match &covered.content {
            Content::Object(octets) => decode_signed_object(octets, &self.limits)?,
            Content::Document(octets) => decode_document(octets, &self.limits)?,
        };
        if let Some((timestamp, nonce)) = &covered.freshness {
            self.replay.admit(covered.signer, *timestamp, nonce, now)?;
        }
        Ok(Verified::new(payload, Peer { signer: Some(covered.signer) }))
    }

    /// Reads a message as far as the policy wants it; the document as it came is forgotten before anything signed is read.
    fn look(&self, bytes: &[u8], now: Timestamp) -> Result<Looked, Refusal> {
        let document = Document::parse(bytes, &self.limits)?;
        let envelope = envelope(&document)?;
        let trust = match (&self.policy, envelope.signature) {
            (Policy::TlsOnly, _) | (Policy::IfPresent(_), None) => {
                return Ok(Looked::Trusted(decode(envelope.message)?));
            }
            (Policy::Require(_), None) => return Err(Refusal::Unsigned),
            (Policy::Require(trust) | Policy::IfPresent(trust), Some(_)) => trust,
        };
        let (Some(signature), Some(object)) = (envelope.signature, envelope.signed_object) else {
            return Err(Refusal::Unsigned);
        };
        Ok(Looked::Signed(verify(&document, signature, object, (trust, self.tolerance), now)?))
    }
}

/// What a first look at a message gives.
enum Looked {
    /// The policy trusts the connection.
    Trusted(Payload),
    /// What its signature covers.
    Signed(Covered),
}
