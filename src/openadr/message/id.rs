//! Gives each kind of identifier a type of its own.
//!
//! **Reading of the standard:** identifiers are `xs:string`: case-sensitive, `0012` is not `12`, blanks
//! count, nothing is trimmed. An empty one means the same as an absent one (rule 46); the decoder turns
//! it into `None` wherever the schema lets the element be left out.

use std::fmt;
use std::sync::Arc;

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// From the text as it stands in the message.
            #[must_use]
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text as it stands in the message.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether there is no text in it.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    )*};
}

identifiers! {
    /// `ei:venID`: names a VEN, unique at its VTN (rule 70).
    VenId;
    /// `ei:vtnID`: names a VTN.
    VtnId;
    /// `ei:registrationID`: names one registration of a VEN.
    RegistrationId;
    /// `ei:eventID`: names an event, unique for each VEN (rule 70).
    EventId;
    /// `pyld:requestID`: repeated in the answer (rules 207, 303); may be empty.
    RequestId;
    /// `ei:signalID`: names a signal within its event (rule 107).
    SignalId;
    /// `ei:optID`: chosen by the VEN for an opt; need not be unique (rule 204).
    OptId;
    /// `ei:reportSpecifierID`: names one kind of report that its source offers.
    ReportSpecifierId;
    /// `ei:reportRequestID`: names one running request for a report (rule 322); `0` in metadata.
    ReportRequestId;
    /// `ei:rID`: names one data point of a report (rule 330).
    RId;
    /// `ei:resourceID`: names a resource behind a VEN.
    ResourceId;
    /// `emix:marketContext`: the URI of a programme.
    MarketContext;
}
