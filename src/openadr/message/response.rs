//! Says how a request was taken: response codes, and the general answer.

use serde::{Serialize, Serializer};

use std::fmt;

use super::{RequestId, VenId};

/// `ei:responseCode`: three digits.
///
/// The first digit decides (2 is success, 1 and 3 are success without action, 4 and 5 are errors); the exact number is
/// informational except where a rule names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResponseCode(u16);

impl ResponseCode {
    /// 200: OK.
    pub const OK: Self = Self(200);
    /// 450: out of sequence, as an event with a lower modification number (rule 58).
    pub const OUT_OF_SEQUENCE: Self = Self(450);
    /// 451: not allowed.
    pub const NOT_ALLOWED: Self = Self(451);
    /// 452: an id that is not known here (rules 21, 208, 304, 400).
    pub const INVALID_ID: Self = Self(452);
    /// 453: not recognised.
    pub const NOT_RECOGNIZED: Self = Self(453);
    /// 454: a value out of its range, or a request beyond the offer (rule 340).
    pub const INVALID_DATA: Self = Self(454);
    /// 459: another violation, as missing or unexpected content (rule 33).
    pub const COMPLIANCE_ERROR: Self = Self(459);
    /// 460: an event's signal is not supported (rules 48, 109).
    pub const SIGNAL_NOT_SUPPORTED: Self = Self(460);
    /// 461: the report is not supported.
    pub const REPORT_NOT_SUPPORTED: Self = Self(461);
    /// 462: neither market context nor target is ours (rule 48).
    pub const TARGET_MISMATCH: Self = Self(462);
    /// 463: not registered, or not authorised (rule 517).
    pub const NOT_REGISTERED: Self = Self(463);
    /// Something else about the deployment; which resource a signal is for cannot be told (rule 112).
    pub const DEPLOYMENT_ERROR: Self = Self(469);

    /// From a number of up to three digits.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        if code <= 999 { Some(Self(code)) } else { None }
    }

    /// From exactly three digits.
    #[must_use]
    pub fn from_token(text: &str) -> Option<Self> {
        (text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok().map(Self))?
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Whether the request was taken.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self.0 / 100, 1..=3)
    }

    /// Whether the VTN does not know who we are, so that registering again is the way out.
    #[must_use]
    pub const fn denies_registration(self) -> bool {
        matches!(self.0, 452 | 463)
    }
}

impl Serialize for ResponseCode {
    /// As in a message: `200`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.0)
    }
}

impl fmt::Debug for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `ei:eiResponse`: how the request named by `request_id` was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EiResponse {
    /// The verdict.
    pub code: ResponseCode,
    /// For people.
    pub description: Option<String>,
    /// The requestID of the request; empty where it had none.
    #[serde(rename = "requestID")]
    pub request_id: RequestId,
}

impl EiResponse {
    /// 200 to the request of that id.
    #[must_use]
    pub fn ok(request_id: RequestId) -> Self {
        Self { code: ResponseCode::OK, description: Some("OK".into()), request_id }
    }

    /// An error to the request of that id.
    #[must_use]
    pub fn error(code: ResponseCode, why: impl Into<String>, request_id: RequestId) -> Self {
        Self { code, description: Some(why.into()), request_id }
    }
}

impl fmt::Display for EiResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.description.as_deref() {
            Some(why) if !why.is_empty() => write!(f, "{} {why}", self.code),
            _ => write!(f, "{}", self.code),
        }
    }
}

/// `oadr:oadrResponse`: the answer where no other is foreseen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The verdict.
    pub response: EiResponse,
    /// From a VEN always (rule 508).
    #[serde(rename = "venID")]
    pub ven_id: Option<VenId>,
}
