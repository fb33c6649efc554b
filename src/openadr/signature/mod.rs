//! Signs what we say and believes what others say: XML signatures with ReplayProtect.
//!
//! ```text
//! sign:    Payload -> oadrSignedObject -> digests -> SignedInfo -> signature -> document
//! believe: bytes -> tree -> structure -> algorithms -> key -> signature -> digests -> replay -> Verified<Payload>
//! ```
//!
//! **See what is signed:** the structure is checked before any digest, by fixed places and not by a general engine; the message and
//! its ReplayProtect are then decoded from the very octets that were digested, never from the received document.
//!
//! **Reading of the standard:** rule 514 lists SHA-1 beside SHA-256, section 10.6 does not; SHA-1 is refused. It names inclusive
//! C14N only; exclusive is accepted too, since VTNs use it, and Canonical XML 1.1, its successor. The signature may stand behind the signed object.

mod algorithm;
mod certificate;
mod description;
mod encrypted;
mod gate;
mod general;
mod key;
mod replay;
mod sign;
mod verify;

#[cfg(test)]
mod tests;

pub(crate) use certificate::{Trust, common_name, has_alternative_names};
pub(crate) use description::Description;
pub(crate) use encrypted::private_key;
pub(crate) use gate::{Gate, Policy, Refusal};
pub(crate) use general::{TrustedKey, check};
pub(crate) use key::SigningKey;
pub(crate) use replay::Seen;
pub(crate) use sign::sign;
