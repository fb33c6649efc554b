//! Takes the VEN from unknown to registered, and keeps it there.
//!
//! ```text
//!              ┌──────── refused, denied ────────┐
//!              v                                 │
//! Unregistered -> Querying -> Creating -> Registered <-> Renewing (both ids, rule 402)
//!              ^                             │
//!              └──── cancelled by a side ──── Leaving
//! ```
//!
//! A VEN that finds ids in its store renews them first (rule 405). Where the VTN refuses the ids, or gives others, it is a new
//! registration: everything of the old one is erased on both sides (rule 406).
//!
//! **Reading of the standard:** rules 301 and 309 ask for the reports to be registered after a restart, rule 405 does not after a
//! re-registration. Registering them cancels every running request (rule 306), so after a restart it is done only where they
//! have changed or the VTN has asked us to re-register (some VTNs mean "I do not know you" by that); `[ven] restart =
//! "register"` gives the other reading. `oadrRequestEvent` is sent after each registration of any kind, since events may have
//! passed while we were away.

use crate::notice::Notice;
use crate::openadr::message::{
    CancelPartyRegistration, CreatePartyRegistration, CreatedPartyRegistration, Payload, ProfileName,
    QueryRegistration, RegistrationId, ReportRequestId, RequestId, ResponseCode, TransportName, VenId,
};
use crate::time::Span;

use super::dice::Dice;
use super::settings::{Incoming, Settings};
use super::snapshot::{RegistrationRecord, Write};
use super::{Engine, Turn};

/// First wait after a refusal; it doubles up to [`LONGEST_REFUSAL`].
const FIRST_REFUSAL: Span = Span::MINUTE;
const LONGEST_REFUSAL: Span = Span::HOUR;

/// Where the VEN stands with the VTN.
#[derive(Debug)]
pub(super) enum Registration {
    /// The VTN does not know us; `next` is when we try, if at all.
    Unregistered { next: Option<Span>, refusals: u32 },
    /// We have asked what the VTN can do.
    Querying { request_id: RequestId, refusals: u32 },
    /// We have asked to be registered.
    Creating { request_id: RequestId, refusals: u32 },
    /// We have asked to be registered anew, with the ids that we hold.
    Renewing {
        record: RegistrationRecord,
        request_id: RequestId,
        /// The VTN may have lost what it knew of us.
        forgotten: bool,
    },
    /// The VTN knows us.
    Registered { record: RegistrationRecord, duties: Duties },
    /// We have asked to be let go.
    Leaving { record: RegistrationRecord, request_id: RequestId },
}

/// What a registered VEN has still to do, in this order.
///
/// A duty holds the requestID of its message, so that a retry is the same request.
#[derive(Debug, Default)]
pub(super) struct Duties {
    pub(super) register_reports: Option<RequestId>,
    /// The VTN asked for the metadata under this id (rule 311).
    pub(super) metadata_for: Option<ReportRequestId>,
    pub(super) request_events: Option<RequestId>,
}

impl Registration {
    pub(super) fn restored(record: Option<RegistrationRecord>) -> Self {
        match record {
            // The request gets its id when the first message is made.
            Some(record) => Self::Renewing { record, request_id: "".into(), forgotten: false },
            None => Self::Unregistered { next: Some(Span::ZERO), refusals: 0 },
        }
    }

    pub(super) const fn record(&self) -> Option<&RegistrationRecord> {
        match self {
            Self::Registered { record, .. }
            | Self::Renewing { record, .. }
            | Self::Leaving { record, .. } => Some(record),
            Self::Unregistered { .. } | Self::Querying { .. } | Self::Creating { .. } => None,
        }
    }

    /// Our id at the VTN, once it is granted.
    pub(super) const fn ven_id(&self) -> Option<&VenId> {
        match self.record() {
            Some(record) => Some(&record.ven_id),
            None => None,
        }
    }

    /// All events, please, as soon as we are registered.
    pub(super) fn want_events(&mut self, dice: &mut Dice) {
        if let Self::Registered { duties, .. } = self {
            duties.request_events.get_or_insert_with(|| dice.request_id());
        }
    }

    /// The message that takes us on; also moves to the state that waits for its reply.
    pub(super) fn next_message(
        &mut self,
        now: Span,
        settings: &Settings,
        dice: &mut Dice,
    ) -> Option<Payload> {
        match self {
            Self::Unregistered { next: Some(next), refusals } if *next <= now => {
                *self = Self::Querying { request_id: dice.request_id(), refusals: *refusals };
                self.next_message(now, settings, dice)
            }
            Self::Unregistered { .. } | Self::Registered { .. } => None,
            Self::Querying { request_id, .. } => {
                Some(QueryRegistration { request_id: request_id.clone() }.into())
            }
            Self::Creating { request_id, .. } => {
                let create = create(settings, request_id.clone());
                Some(CreatePartyRegistration { ven_id: settings.ven_id.clone(), ..create }.into())
            }
            Self::Renewing { record, request_id, .. } => {
                if request_id.is_empty() {
                    *request_id = dice.request_id();
                }
                let create = create(settings, request_id.clone());
                let (registration_id, ven_id) = (record.registration_id.clone(), record.ven_id.clone());
                let (registration_id, ven_id) = (Some(registration_id), Some(ven_id));
                Some(CreatePartyRegistration { registration_id, ven_id, ..create }.into())
            }
            Self::Leaving { record, request_id } => {
                let registration_id = record.registration_id.clone();
                let ven_id = Some(record.ven_id.clone());
                Some(
                    CancelPartyRegistration { request_id: request_id.clone(), registration_id, ven_id }
                        .into(),
                )
            }
        }
    }
}

fn create(settings: &Settings, request_id: RequestId) -> CreatePartyRegistration {
    CreatePartyRegistration {
        request_id,
        registration_id: None,
        ven_id: None,
        profile_name: ProfileName::B,
        transport_name: TransportName::SimpleHttp,
        transport_address: match &settings.incoming {
            Incoming::Pull => None,
            Incoming::Push { address } => Some(address.clone()),
        },
        report_only: false,
        xml_signature: settings.xml_signature,
        ven_name: settings.ven_name.clone(),
        http_pull_model: Some(settings.polls()),
    }
}

impl Engine {
    /// The VTN says what it can do; whatever it is, we ask to be registered.
    pub(super) fn queried(&mut self, reply: &CreatedPartyRegistration) -> Result<(), String> {
        if let Registration::Querying { refusals, .. } = self.registration {
            let speaks_b = reply.profiles.iter().any(|profile| profile.name == ProfileName::B);
            if reply.response.code.is_success() && !speaks_b {
                return Err("the vtn does not speak profile 2.0b".into());
            }
            self.registration = Registration::Creating { request_id: self.dice.request_id(), refusals };
        }
        Ok(())
    }

    /// The VTN has answered our request to be registered (anew).
    pub(super) fn registration_answered(&mut self, turn: &mut Turn, reply: CreatedPartyRegistration) {
        if !matches!(self.registration, Registration::Creating { .. } | Registration::Renewing { .. }) {
            // Meanwhile the registration has been cancelled, from whichever side.
            return;
        }
        let granted = reply.response.code.is_success().then_some((reply.registration_id, reply.ven_id));
        match granted {
            Some((Some(registration_id), Some(ven_id))) => {
                let record = RegistrationRecord {
                    registration_id,
                    ven_id,
                    vtn_id: reply.vtn_id,
                    poll_freq: reply
                        .requested_poll_freq
                        .map(|d| d.nominal())
                        .filter(|freq| *freq > Span::ZERO),
                    reports_registered: None,
                };
                self.granted(turn, record);
            }
            // OpenLEADR refuses with 200 and no ids.
            Some(_) => self.refused(turn, ResponseCode::NOT_REGISTERED, "the vtn gave no ids".into()),
            None => self.refused(turn, reply.response.code, reply.response.description.unwrap_or_default()),
        }
    }

    fn granted(&mut self, turn: &mut Turn, mut new: RegistrationRecord) {
        let summary = self.settings.offers_summary();
        let (mut known, mut lost) = (false, false);
        if let Registration::Renewing { record, forgotten, .. } = &self.registration
            && record.registration_id == new.registration_id
            && record.ven_id == new.ven_id
        {
            let again = *forgotten || self.settings.register_reports_on_start;
            new.reports_registered = record.reports_registered.clone().filter(|_| !again);
            (known, lost) = (true, *forgotten);
        }
        if !known {
            self.answers.clear();
            self.erase(turn);
        } else if self.answers.first().is_none() {
            self.confirm_again();
        }
        if lost {
            // Told twice, a schedule is the same (rule 203).
            self.availability.owe_all(turn, &mut self.dice);
        }
        let register_reports = new.reports_registered.as_ref() != Some(&summary);
        let duties = Duties {
            register_reports: register_reports.then(|| self.dice.request_id()),
            metadata_for: None,
            request_events: Some(self.dice.request_id()),
        };
        self.cancelled = None;
        turn.write(Write::Registration(Some(new.clone())));
        turn.notify(Notice::Registered {
            ven_id: new.ven_id.clone(),
            registration_id: new.registration_id.clone(),
            vtn_id: new.vtn_id.clone(),
            renewed: known,
            poll: self.settings.polls().then(|| self.poll_interval(&new)),
        });
        self.registration = Registration::Registered { record: new, duties };
        self.polling.now(turn.now.since_start);
    }

    /// The time between polls that holds: what the VTN asks for, inside what the configuration allows.
    pub(super) fn poll_interval(&self, record: &RegistrationRecord) -> Span {
        let asked = record.poll_freq.unwrap_or(self.settings.poll_default);
        asked.max(self.settings.poll_min).min(self.settings.poll_max)
    }

    /// The VTN does not want us: ids that it refuses are worthless, so a new registration is tried; else we wait.
    pub(super) fn refused(&mut self, turn: &mut Turn, code: ResponseCode, why: String) {
        let refusals = match &self.registration {
            Registration::Renewing { .. } => {
                self.registration =
                    Registration::Unregistered { next: Some(turn.now.since_start), refusals: 0 };
                return;
            }
            Registration::Querying { refusals, .. }
            | Registration::Creating { refusals, .. }
            | Registration::Unregistered { refusals, .. } => *refusals,
            Registration::Registered { .. } | Registration::Leaving { .. } => 0,
        };
        let doubled = FIRST_REFUSAL * (1_i64 << refusals.min(10));
        let wait = self.dice.around(doubled.min(LONGEST_REFUSAL));
        turn.notify(Notice::RegistrationRefused { code, why, retry_in: wait });
        let next = Some(turn.now.since_start + wait);
        self.registration = Registration::Unregistered { next, refusals: refusals + 1 };
    }

    /// The VTN wants us to register again, or does not know us any more: with our ids first.
    pub(super) fn renew(&mut self, forgotten: bool) {
        let state = std::mem::replace(
            &mut self.registration,
            Registration::Unregistered { next: Some(Span::ZERO), refusals: 0 },
        );
        self.registration = if let Registration::Registered { record, .. } = state {
            Registration::Renewing { record, request_id: self.dice.request_id(), forgotten }
        } else {
            state
        };
    }

    /// The registration has ended, from whichever side (rule 407).
    pub(super) fn unregistered(&mut self, turn: &mut Turn, by_vtn: bool) {
        self.erase(turn);
        turn.write(Write::Registration(None));
        let retry_in = self.settings.register_after_cancel.filter(|_| by_vtn);
        turn.notify(Notice::RegistrationCancelled { by_vtn, retry_in });
        let next = retry_in.map(|wait| turn.now.since_start + wait);
        self.registration = Registration::Unregistered { next, refusals: 0 };
    }

    /// The operator wants to leave.
    pub(super) fn leave(&mut self) {
        let request_id = self.dice.request_id();
        self.registration = match self.registration.record() {
            Some(record) => Registration::Leaving { record: record.clone(), request_id },
            None => Registration::Unregistered { next: None, refusals: 0 },
        };
    }

    /// Whether a registration with that id is ours.
    pub(super) fn is_ours(&self, registration_id: &RegistrationId) -> bool {
        self.registration.record().is_some_and(|record| record.registration_id == *registration_id)
    }
}
