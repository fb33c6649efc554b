//! Holds what a message means, as plain structs named after the standard's elements.
//!
//! Nothing here knows of XML. The comments cite the rules of the OpenADR 2.0b profile specification
//! v1.1 by number; the order of the fields is the order of the schema.

#[cfg(test)]
pub(crate) mod arbitrary;
mod duration;
mod event;
mod id;
mod interval;
mod market_context;
mod number;
mod opt;
mod party;
mod poll;
mod report;
mod response;
mod target;
mod token;
mod unit;

pub use duration::{BadDuration, Duration};
pub use event::*;
pub use id::*;
pub use interval::*;
pub use number::{BadFloat, Float};
pub use opt::*;
pub use party::*;
pub use poll::*;
pub use report::*;
pub use response::*;
pub use rust_decimal::Decimal;
pub use target::*;
pub use unit::*;

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use token::tokens;

macro_rules! payloads {
    ($($(#[$doc:meta])* $variant:ident($type:ty) = $element:literal,)*) => {
        /// A message: what stands inside `oadr:oadrSignedObject`.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Payload { $($(#[$doc])* $variant($type),)* }

        /// Which message it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum PayloadKind { $($(#[$doc])* $variant,)* }

        impl Payload {
            /// Which message it is.
            #[must_use]
            pub const fn kind(&self) -> PayloadKind {
                match self { $(Self::$variant(_) => PayloadKind::$variant,)* }
            }
        }

        impl Serialize for Payload {
            /// One object, named as the message's element.
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut named = serializer.serialize_map(Some(1))?;
                match self { $(Self::$variant(message) => named.serialize_entry($element, message)?,)* }
                named.end()
            }
        }

        $(impl From<$type> for Payload {
            fn from(message: $type) -> Self {
                Self::$variant(message)
            }
        })*

        impl PayloadKind {
            /// The local name of its element in the namespace `oadr`.
            #[must_use]
            pub const fn element(self) -> &'static str {
                match self { $(Self::$variant => $element,)* }
            }

            /// From the local name of its element.
            #[must_use]
            pub fn from_element(name: &str) -> Option<Self> {
                match name { $($element => Some(Self::$variant),)* _ => None }
            }

            /// Every message that is understood.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
        }

        impl std::fmt::Display for PayloadKind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.element())
            }
        }
    };
}

payloads! {
    /// The VTN's events.
    DistributeEvent(DistributeEvent) = "oadrDistributeEvent",
    /// The VEN's answers to events.
    CreatedEvent(CreatedEvent) = "oadrCreatedEvent",
    /// The VEN asks for all events.
    RequestEvent(RequestEvent) = "oadrRequestEvent",
    /// The general answer.
    Response(Response) = "oadrResponse",
    /// No more of an opt schedule.
    CancelOpt(CancelOpt) = "oadrCancelOpt",
    /// Answer to [`CancelOpt`].
    CanceledOpt(CanceledOpt) = "oadrCanceledOpt",
    /// The VEN opts in or out, for one event or for some time.
    CreateOpt(Box<CreateOpt>) = "oadrCreateOpt",
    /// Answer to [`CreateOpt`].
    CreatedOpt(CreatedOpt) = "oadrCreatedOpt",
    /// No more reports for these requests.
    CancelReport(CancelReport) = "oadrCancelReport",
    /// Answer to [`CancelReport`].
    CanceledReport(CanceledReport) = "oadrCanceledReport",
    /// Asks for reports.
    CreateReport(CreateReport) = "oadrCreateReport",
    /// Answer to [`CreateReport`].
    CreatedReport(CreatedReport) = "oadrCreatedReport",
    /// Offers reports.
    RegisterReport(RegisterReport) = "oadrRegisterReport",
    /// Answer to [`RegisterReport`].
    RegisteredReport(RegisteredReport) = "oadrRegisteredReport",
    /// Report data.
    UpdateReport(UpdateReport) = "oadrUpdateReport",
    /// Answer to [`UpdateReport`].
    UpdatedReport(UpdatedReport) = "oadrUpdatedReport",
    /// Ends a registration.
    CancelPartyRegistration(CancelPartyRegistration) = "oadrCancelPartyRegistration",
    /// Answer to [`CancelPartyRegistration`].
    CanceledPartyRegistration(CanceledPartyRegistration) = "oadrCanceledPartyRegistration",
    /// Asks for a registration.
    CreatePartyRegistration(CreatePartyRegistration) = "oadrCreatePartyRegistration",
    /// Answer to [`CreatePartyRegistration`] and [`QueryRegistration`].
    CreatedPartyRegistration(CreatedPartyRegistration) = "oadrCreatedPartyRegistration",
    /// The VTN asks the VEN to register again.
    RequestReregistration(RequestReregistration) = "oadrRequestReregistration",
    /// Asks what the VTN can do.
    QueryRegistration(QueryRegistration) = "oadrQueryRegistration",
    /// Asks for whatever waits at the VTN.
    Poll(Poll) = "oadrPoll",
}

impl Payload {
    /// What a VEN says in a logical answer to something; `None` where this is no such answer.
    pub(crate) const fn verdict(&self) -> Option<&EiResponse> {
        if let Self::CreatedEvent(m) = self {
            Some(&m.response)
        } else if let Self::Response(m) = self {
            Some(&m.response)
        } else if let Self::CreatedReport(m) = self {
            Some(&m.response)
        } else if let Self::CanceledReport(m) = self {
            Some(&m.response)
        } else if let Self::RegisteredReport(m) = self {
            Some(&m.response)
        } else if let Self::UpdatedReport(m) = self {
            Some(&m.response)
        } else if let Self::CanceledPartyRegistration(m) = self {
            Some(&m.response)
        } else {
            None
        }
    }
}

impl From<CreateOpt> for Payload {
    fn from(message: CreateOpt) -> Self {
        Self::CreateOpt(Box::new(message))
    }
}

tokens! {
    /// A service of the profile; also the last segment of its URL (rule 511).
    Service {
        /// Events.
        EiEvent = "EiEvent",
        /// Opt states and schedules.
        EiOpt = "EiOpt",
        /// Reports.
        EiReport = "EiReport",
        /// Registration.
        EiRegisterParty = "EiRegisterParty",
        /// Polling; exists at the VTN only (rule 501).
        OadrPoll = "OadrPoll",
    }
}

impl PayloadKind {
    /// The service that takes this message as a request, where a VEN sends it.
    ///
    /// An [`PayloadKind::Response`] answers `oadrRequestReregistration` and goes to `EiRegisterParty`.
    #[must_use]
    pub const fn service(self) -> Service {
        match self {
            Self::DistributeEvent | Self::CreatedEvent | Self::RequestEvent => Service::EiEvent,
            Self::CancelOpt | Self::CanceledOpt | Self::CreateOpt | Self::CreatedOpt => Service::EiOpt,
            Self::CancelReport
            | Self::CanceledReport
            | Self::CreateReport
            | Self::CreatedReport
            | Self::RegisterReport
            | Self::RegisteredReport
            | Self::UpdateReport
            | Self::UpdatedReport => Service::EiReport,
            Self::Response
            | Self::CancelPartyRegistration
            | Self::CanceledPartyRegistration
            | Self::CreatePartyRegistration
            | Self::CreatedPartyRegistration
            | Self::RequestReregistration
            | Self::QueryRegistration => Service::EiRegisterParty,
            Self::Poll => Service::OadrPoll,
        }
    }
}
