//! The other side: a VTN to test against.
//!
//! [`VtnCore`] decides and remembers, in pure functions; [`MockVtn`] serves it over mutual TLS with signed messages;
//! [`TestCertificates`] makes what both sides need; [`Script`] lets things happen in their time.

#[cfg(feature = "daemon")]
mod certificates;
mod core;
mod event;
#[cfg(feature = "daemon")]
mod pusher;
#[cfg(feature = "daemon")]
mod script;
#[cfg(feature = "daemon")]
mod server;

#[cfg(feature = "daemon")]
pub use certificates::{CertificatesError, KeyKind, TestCertificates};
pub use core::{Answer, Fault, Opt, Unknown, VtnCore};
pub use event::EventBuilder;
#[cfg(feature = "daemon")]
pub use script::{BadScript, Script};
#[cfg(feature = "daemon")]
pub use server::{Link, MockVtn, MockVtnSettings};
