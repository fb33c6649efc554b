//! Registers a VEN at a VTN: the messages of `EiRegisterParty`.

use serde::Serialize;

use super::{Duration, EiResponse, RegistrationId, RequestId, Service, VenId, VtnId, tokens};

tokens! {
    /// `oadr:oadrProfileName`.
    ProfileName {
        /// OpenADR 2.0a.
        A = "2.0a",
        /// OpenADR 2.0b.
        B = "2.0b",
    }
}

tokens! {
    /// `oadr:oadrTransportName`.
    TransportName {
        /// HTTP, pull or push.
        SimpleHttp = "simpleHttp",
        /// XMPP.
        Xmpp = "xmpp",
    }
}

/// `oadr:oadrQueryRegistration`: what can this VTN do? Changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryRegistration {
    /// Repeated in the answer.
    #[serde(rename = "requestID")]
    pub request_id: RequestId,
}

/// `oadr:oadrCreatePartyRegistration`: register, or with both ids register anew (rule 402).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatePartyRegistration {
    /// Repeated in the answer.
    #[serde(rename = "requestID")]
    pub request_id: RequestId,
    /// Only for a re-registration.
    #[serde(rename = "registrationID")]
    pub registration_id: Option<RegistrationId>,
    /// For a re-registration, or where the VTN preallocated it.
    #[serde(rename = "venID")]
    pub ven_id: Option<VenId>,
    /// The profile that will be spoken.
    pub profile_name: ProfileName,
    /// The transport that will be used.
    pub transport_name: TransportName,
    /// Where the VEN can be reached; required for push and XMPP.
    pub transport_address: Option<String>,
    /// Only reports, no events.
    pub report_only: bool,
    /// "I support XML signatures."
    pub xml_signature: bool,
    /// For people.
    pub ven_name: Option<String>,
    /// Whether the VEN polls; required for simpleHttp.
    pub http_pull_model: Option<bool>,
}

/// `oadr:oadrCreatedPartyRegistration`: answer to create and to query (rules 403, 404).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedPartyRegistration {
    /// The verdict.
    pub response: EiResponse,
    /// Absent where the VEN is not registered.
    #[serde(rename = "registrationID")]
    pub registration_id: Option<RegistrationId>,
    /// Absent where the VEN is not registered.
    #[serde(rename = "venID")]
    pub ven_id: Option<VenId>,
    /// Who answers.
    #[serde(rename = "vtnID")]
    pub vtn_id: VtnId,
    /// Everything that the VTN can speak.
    pub profiles: Vec<Profile>,
    /// Minimum time between two polls.
    pub requested_poll_freq: Option<Duration>,
    /// Keys of the deployment, by service.
    pub service_specific_info: Vec<ServiceInfo>,
    /// Keys of the deployment, by name.
    pub extensions: Vec<Extension>,
}

/// `oadr:oadrProfile`: a profile and its transports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// Which profile.
    pub name: ProfileName,
    /// Over which transports.
    pub transports: Vec<TransportName>,
}

/// `oadr:oadrInfo`: a key and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    /// `oadr:oadrKey`.
    pub key: String,
    /// `oadr:oadrValue`.
    pub value: String,
}

/// `oadr:oadrService`: what the VTN says of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceInfo {
    /// Of which service.
    pub service: Service,
    /// At least one.
    pub info: Vec<Info>,
}

/// `oadr:oadrExtension`: what the VTN says beside the standard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// Any number.
    pub info: Vec<Info>,
}

/// `oadr:oadrCancelPartyRegistration`: ends the registration, from either side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelPartyRegistration {
    /// Repeated in the answer.
    #[serde(rename = "requestID")]
    pub request_id: RequestId,
    /// Which registration.
    #[serde(rename = "registrationID")]
    pub registration_id: RegistrationId,
    /// From a VEN always (rule 508).
    #[serde(rename = "venID")]
    pub ven_id: Option<VenId>,
}

/// `oadr:oadrCanceledPartyRegistration`: answer to [`CancelPartyRegistration`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CanceledPartyRegistration {
    /// The verdict.
    pub response: EiResponse,
    /// Which registration.
    #[serde(rename = "registrationID")]
    pub registration_id: Option<RegistrationId>,
    /// From a VEN always (rule 508).
    #[serde(rename = "venID")]
    pub ven_id: Option<VenId>,
}

/// `oadr:oadrRequestReregistration`: register again, please. Some VTNs mean "I do not know you".
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestReregistration {
    /// Whom it concerns.
    #[serde(rename = "venID")]
    pub ven_id: VenId,
}
