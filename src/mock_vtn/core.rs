//! Plays the VTN: decides what to answer, remembers what came, and notes what a VEN does wrong.
//!
//! Pure, and with tables of its own: it shares the message types with the VEN and nothing else, so that it does not share its
//! mistakes either.

mod opt;
mod owed;
mod push;
mod report;
mod sender;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::openadr::message::{
    CancelPartyRegistration, CancelReport, CanceledPartyRegistration, CreateOpt, CreatePartyRegistration,
    CreateReport, CreatedEvent, CreatedPartyRegistration, DistributeEvent, Duration, EiResponse, EventId,
    EventStatus, OadrEvent, OptType, Payload, PayloadKind, Profile, ProfileName, RegistrationId, Report,
    ReportRequest, ReportRequestId, RequestId, RequestReregistration, Response, ResponseCode,
    ResponseRequired, Service, TransportName, VenId, VtnId,
};
use crate::time::{Span, Timestamp};

use owed::Owed;
use report::{Asked, Requests};
use sender::ven_id_of;

/// What a VTN answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// 200 with this message.
    Message(Box<Payload>),
    /// 200 without a body.
    Empty,
    /// Another HTTP status, perhaps with a `Retry-After` in seconds.
    Status(u16, Option<u32>),
    /// The last answer of that kind once more, to the octet.
    Repeat(PayloadKind),
}

/// What a VTN does wrong on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers with an HTTP status, perhaps with a `Retry-After` in seconds.
    Status(u16, Option<u32>),
    /// Answers 200 without a body, and does not look at the message.
    Empty,
    /// Answers `oadrResponse` with this code, and does not look at the message.
    Deny(ResponseCode),
    /// Handles the message, and answers with an HTTP status all the same: the answer is lost.
    LoseAnswer,
    /// Answers with the very octets of its last answer of that kind, and does not look at the message: somebody stands between.
    Repeat(PayloadKind),
}

/// An opt that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opt {
    /// About which event.
    pub event_id: EventId,
    /// About which version of it.
    pub modification: u32,
    /// In or out.
    pub opt: OptType,
    /// With which response code.
    pub code: ResponseCode,
}

/// How a VTN says that it does not know a VEN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// `oadrRequestReregistration`, as OpenLEADR does.
    #[default]
    RequestReregistration,
    /// `oadrResponse` 463 (rule 517).
    NotRegistered,
}

/// A VTN for one VEN.
#[derive(Debug)]
pub struct VtnCore {
    /// Who it is.
    pub vtn_id: VtnId,
    /// How often it wants to be polled.
    pub poll_freq: Span,
    /// Refuses registrations with this code.
    pub refuse: Option<ResponseCode>,
    /// How it says that it does not know a VEN.
    pub unknown: Unknown,
    /// Sent along whenever reports are registered (rule 344).
    pub piggyback: Vec<ReportRequest>,
    /// What the next requests meet.
    pub faults: VecDeque<Fault>,
    /// Answers 500 to this message, always.
    pub stumbles_over: Option<PayloadKind>,
    /// Answers 500 to every message with an answer about this event, always.
    pub stumbles_over_event: Option<EventId>,
    /// Report requests that it does not remember: their data are refused with 452.
    pub forgotten_reports: BTreeSet<ReportRequestId>,
    /// Cancels the reports that it gets next in the answer to them (rule 328).
    pub cancel_with_next_update: bool,
    /// The requestID of every `oadrDistributeEvent`; it need not be unique (rule 43).
    pub constant_request_id: Option<RequestId>,
    /// How many of its cancellations of reports were refused (rule 336).
    pub refused_cancellations: u32,
    /// Takes the next report, and answers under another requestID.
    pub mistake_next_update: bool,
    /// What it can report itself: its metadata, with `reportRequestID` 0.
    pub own_reports: Vec<Report>,
    requests_to_ven: Requests,
    asked_of_us: BTreeMap<ReportRequestId, Asked>,
    registration: Option<(VenId, RegistrationId)>,
    /// Where the VEN is pushed to; `None`: it polls.
    transport_address: Option<String>,
    /// The VEN has registered its reports: before that, nothing may be pushed.
    bootstrapped: bool,
    registrations: u32,
    requests: u32,
    owed: Owed,
    events: BTreeMap<EventId, OadrEvent>,
    changed: bool,
    distributed: Option<RequestId>,
    queue: VecDeque<Payload>,
    /// What came, oldest first.
    pub received: Vec<(Timestamp, PayloadKind)>,
    /// The verdicts in the logical answers that came, oldest first.
    pub verdicts: Vec<(PayloadKind, ResponseCode)>,
    /// The opts that came in `oadrCreatedEvent`, oldest first.
    pub opts: Vec<Opt>,
    /// The opts and schedules of `oadrCreateOpt` that were taken and not cancelled, oldest first.
    ///
    /// One that a newer replaces stays, since it may still be cancelled (rule 211).
    pub created_opts: Vec<CreateOpt>,
    /// The metadata that were registered last.
    pub offered: Vec<Report>,
    /// The reports that came, oldest first.
    pub reports: Vec<Report>,
    /// The requests that the VEN said are pending, last.
    pub pending: Vec<ReportRequestId>,
    /// Why messages that were pushed were not taken, oldest first.
    pub push_failures: Vec<String>,
    /// What the VEN did against the rules.
    pub violations: Vec<String>,
}

impl VtnCore {
    /// A VTN that knows nobody.
    #[must_use]
    pub fn new(vtn_id: &str, poll_freq: Span) -> Self {
        Self {
            vtn_id: VtnId::from(vtn_id),
            poll_freq,
            refuse: None,
            unknown: Unknown::default(),
            piggyback: Vec::new(),
            faults: VecDeque::new(),
            stumbles_over: None,
            stumbles_over_event: None,
            forgotten_reports: BTreeSet::new(),
            cancel_with_next_update: false,
            constant_request_id: None,
            refused_cancellations: 0,
            mistake_next_update: false,
            own_reports: Vec::new(),
            requests_to_ven: Requests::default(),
            asked_of_us: BTreeMap::new(),
            registration: None,
            transport_address: None,
            bootstrapped: false,
            registrations: 0,
            requests: 0,
            owed: Owed::default(),
            events: BTreeMap::new(),
            changed: false,
            distributed: None,
            queue: VecDeque::new(),
            received: Vec::new(),
            verdicts: Vec::new(),
            opts: Vec::new(),
            created_opts: Vec::new(),
            offered: Vec::new(),
            reports: Vec::new(),
            pending: Vec::new(),
            push_failures: Vec::new(),
            violations: Vec::new(),
        }
    }

    /// The VEN that is registered.
    #[must_use]
    pub fn registered(&self) -> Option<&VenId> {
        self.registration.as_ref().map(|(ven_id, _)| ven_id)
    }

    /// How many new registrations there were.
    #[must_use]
    pub const fn registrations(&self) -> u32 {
        self.registrations
    }

    /// How often this message came.
    #[must_use]
    pub fn count(&self, kind: PayloadKind) -> usize {
        self.received.iter().filter(|(_, other)| *other == kind).count()
    }

    /// Adds an event, or replaces it.
    pub fn add_event(&mut self, event: impl Into<OadrEvent>) {
        let event = event.into();
        self.events.insert(event.event.id().clone(), event);
        self.changed = true;
    }

    /// Changes an event; the modification number goes up by one (rule 5).
    pub fn modify_event(&mut self, id: &str, change: impl FnOnce(&mut OadrEvent)) {
        if let Some(event) = self.events.get_mut(&EventId::from(id)) {
            change(event);
            event.event.descriptor.modification_number += 1;
            self.changed = true;
        }
    }

    /// Calls an event off (rule 10).
    pub fn cancel_event(&mut self, id: &str) {
        self.modify_event(id, |event| event.event.descriptor.status = EventStatus::Cancelled);
    }

    /// Speaks of an event no more (rule 61).
    pub fn drop_event(&mut self, id: &str) {
        self.events.remove(&EventId::from(id));
        self.changed = true;
    }

    /// Sends the events again although nothing has changed (rule 502).
    pub const fn repeat_events(&mut self) {
        self.changed = true;
    }

    /// Asks for reports at the next poll.
    pub fn request_reports(&mut self, report_requests: Vec<ReportRequest>) {
        let request_id = self.next_id();
        self.queue.push_back(CreateReport { request_id, report_requests, ven_id: None }.into());
    }

    /// Wants no more of these reports.
    pub fn cancel_reports(&mut self, ids: &[&str], report_to_follow: bool) {
        let request_id = self.next_id();
        let report_request_ids = ids.iter().map(|id| ReportRequestId::from(*id)).collect();
        self.queue.push_back(
            CancelReport { request_id, report_request_ids, report_to_follow, ven_id: None }.into(),
        );
    }

    /// Asks the VEN to register again.
    pub fn request_reregistration(&mut self) {
        if let Some((ven_id, _)) = &self.registration {
            self.queue.push_back(RequestReregistration { ven_id: ven_id.clone() }.into());
        }
    }

    /// Ends the registration.
    pub fn cancel_registration(&mut self) {
        let request_id = self.next_id();
        if let Some((ven_id, registration_id)) = self.registration.clone() {
            let ven_id = Some(ven_id);
            self.queue.push_back(CancelPartyRegistration { request_id, registration_id, ven_id }.into());
        }
    }

    /// Puts any message into the queue for the next poll.
    pub fn queue(&mut self, message: impl Into<Payload>) {
        self.queue.push_back(message.into());
    }

    /// Loses everything that it knew of the VEN, as after a restart without a disk.
    pub fn forget_everything(&mut self) {
        self.registration = None;
        self.bootstrapped = false;
        self.events.clear();
        self.queue.clear();
        self.created_opts.clear();
        self.offered.clear();
        self.pending.clear();
        self.requests_to_ven = Requests::default();
        self.asked_of_us.clear();
        self.distributed = None;
    }

    /// Answers a request to one of its services.
    pub fn handle(&mut self, now: Timestamp, service: Service, request: Payload) -> Answer {
        match self.faults.pop_front() {
            Some(Fault::Status(code, retry_after)) => return Answer::Status(code, retry_after),
            Some(Fault::Empty) => return Answer::Empty,
            Some(Fault::Repeat(kind)) => return Answer::Repeat(kind),
            Some(Fault::Deny(code)) => return deny(code, "as it was told to"),
            Some(Fault::LoseAnswer) => {
                self.answer(now, service, request);
                // What the VEN has not got it cannot answer.
                self.owed = Owed::default();
                return Answer::Status(500, None);
            }
            None => {}
        }
        self.answer(now, service, request)
    }

    fn answer(&mut self, now: Timestamp, service: Service, request: Payload) -> Answer {
        let kind = request.kind();
        self.received.push((now, kind));
        if kind.service() != service {
            self.violations.push(format!("{kind} came to {service}"));
            return Answer::Status(404, None);
        }
        let about = |event: &EventId| {
            matches!(&request, Payload::CreatedEvent(created)
                if created.event_responses.iter().any(|response| response.event_id == *event))
        };
        if self.stumbles_over == Some(kind) || self.stumbles_over_event.as_ref().is_some_and(about) {
            return Answer::Status(500, None);
        }
        if let Payload::QueryRegistration(query) = request {
            // A VEN that is registered learns its ids (rule 404).
            return self.created(query.request_id);
        }
        if let Payload::CreatePartyRegistration(create) = request {
            return self.create(create);
        }
        match self.identify(&request) {
            Ok(()) => {
                self.violations.extend(self.owed.came(&request));
                self.verdicts.extend(request.verdict().map(|verdict| (kind, verdict.code)));
                self.served(now, request)
            }
            Err(denial) => denial,
        }
    }

    /// Is it from the VEN that is registered (rules 508, 517)?
    fn identify(&mut self, request: &Payload) -> Result<(), Answer> {
        let Some(claimed) = ven_id_of(request) else {
            self.violations.push(format!("{} has no venID", request.kind()));
            return Err(deny(ResponseCode::INVALID_ID, "venID is missing"));
        };
        match &self.registration {
            Some((ven_id, _)) if *ven_id == claimed => Ok(()),
            Some(_) => Err(deny(ResponseCode::INVALID_ID, "venID is not known")),
            None => Err(match self.unknown {
                Unknown::RequestReregistration => message(RequestReregistration { ven_id: claimed }),
                Unknown::NotRegistered => deny(ResponseCode::NOT_REGISTERED, "not registered"),
            }),
        }
    }

    fn served(&mut self, now: Timestamp, request: Payload) -> Answer {
        match request {
            Payload::Poll(_) => self.poll(now),
            Payload::RequestEvent(request) => self.distribute(now, request.request_id),
            Payload::CreatedEvent(created) => self.created_event(created),
            Payload::CreateOpt(create) => self.create_opt(now, *create),
            Payload::CancelOpt(cancel) => self.cancel_opt(cancel),
            Payload::RegisterReport(register) => self.register_report(now, register),
            Payload::CreatedReport(created) => self.created_report(now, created),
            Payload::CanceledReport(canceled) => self.canceled_report(now, canceled),
            Payload::CreateReport(create) => self.create_report(now, create),
            Payload::CancelReport(cancel) => self.cancel_report(cancel),
            Payload::RegisteredReport(registered) => self.registered_report(now, registered),
            Payload::UpdatedReport(updated) => self.updated_report(updated),
            Payload::UpdateReport(update) => self.update_report(update),
            Payload::CancelPartyRegistration(cancel) => {
                self.forget_everything();
                let (registration_id, ven_id) = (Some(cancel.registration_id), cancel.ven_id);
                let response = EiResponse::ok(cancel.request_id);
                message(CanceledPartyRegistration { response, registration_id, ven_id })
            }
            Payload::CanceledPartyRegistration(canceled) => {
                if canceled.response.code.is_success() {
                    self.forget_everything();
                }
                deny(ResponseCode::OK, "OK")
            }
            Payload::Response(_) => Answer::Empty,
            Payload::DistributeEvent(_)
            | Payload::CanceledOpt(_)
            | Payload::CreatedOpt(_)
            | Payload::CreatePartyRegistration(_)
            | Payload::CreatedPartyRegistration(_)
            | Payload::RequestReregistration(_)
            | Payload::QueryRegistration(_) => {
                self.violations.push(format!("a ven does not send {}", request.kind()));
                deny(ResponseCode::COMPLIANCE_ERROR, "unexpected message")
            }
        }
    }

    fn create(&mut self, create: CreatePartyRegistration) -> Answer {
        // A VEN that registers (again) may have lost what it was sent.
        self.owed = Owed::default();
        let request_id = create.request_id;
        let pushed_to = create.transport_address.is_some();
        if create.profile_name != ProfileName::B || create.http_pull_model != Some(!pushed_to) {
            self.violations.push("registered for something else than 2.0b by http pull or push".into());
        }
        if create.registration_id.is_some() && create.ven_id.is_none() {
            self.violations.push("registered anew without a venID (rule 402)".into());
        }
        if let Some(code) = self.refuse {
            return self.created_with(EiResponse::error(code, "refused", request_id), false);
        }
        if let Some(claimed) = create.registration_id {
            let known = self.registration.as_ref().is_some_and(|(_, ours)| *ours == claimed);
            if !known {
                let response =
                    EiResponse::error(ResponseCode::INVALID_ID, "registrationID is not known", request_id);
                return self.created_with(response, false);
            }
            self.transport_address = create.transport_address;
            return self.created(request_id);
        }
        // A new registration erases whatever there was (rule 406).
        let events = std::mem::take(&mut self.events);
        self.forget_everything();
        self.events = events;
        self.registrations += 1;
        let ven_id = create.ven_id.unwrap_or_else(|| VenId::new(format!("ven-{}", self.registrations)));
        let registration_id = RegistrationId::new(format!("registration-{}", self.registrations));
        self.registration = Some((ven_id, registration_id));
        self.transport_address = create.transport_address;
        self.created(request_id)
    }

    fn created(&self, request_id: RequestId) -> Answer {
        self.created_with(EiResponse::ok(request_id), true)
    }

    fn created_with(&self, response: EiResponse, with_ids: bool) -> Answer {
        let (ven_id, registration_id) = self.registration.clone().filter(|_| with_ids).unzip();
        message(CreatedPartyRegistration {
            response,
            registration_id,
            ven_id,
            vtn_id: self.vtn_id.clone(),
            profiles: vec![Profile { name: ProfileName::B, transports: vec![TransportName::SimpleHttp] }],
            requested_poll_freq: self
                .transport_address
                .is_none()
                .then(|| Duration::from_span(self.poll_freq)),
            service_specific_info: Vec::new(),
            extensions: Vec::new(),
        })
    }

    fn poll(&mut self, now: Timestamp) -> Answer {
        if self.transport_address.is_some() {
            self.violations.push("a VEN that is pushed to polls (rule 51)".into());
        }
        self.queue_own_reports(now);
        if let Some(waiting) = self.queue.pop_front() {
            self.owed.sent(&waiting);
            self.hand_out(&waiting);
            return Answer::Message(Box::new(waiting));
        }
        if self.changed { self.distribute(now, RequestId::from("")) } else { deny(ResponseCode::OK, "OK") }
    }

    fn distribute(&mut self, now: Timestamp, in_answer_to: RequestId) -> Answer {
        message(self.picture(now, Some(EiResponse::ok(in_answer_to))))
    }

    fn picture(&mut self, now: Timestamp, response: Option<EiResponse>) -> DistributeEvent {
        self.changed = false;
        let request_id = self.constant_request_id.clone().unwrap_or_else(|| self.next_id());
        self.distributed = Some(request_id.clone());
        let mut events: Vec<_> = self.events.values().cloned().collect();
        for event in &mut events {
            // The creation time of the payload, the same in all events (rule 115).
            event.event.descriptor.created_date_time = now;
        }
        self.owed.distributed(&events);
        DistributeEvent { response, request_id, vtn_id: self.vtn_id.clone(), events }
    }

    fn created_event(&mut self, created: CreatedEvent) -> Answer {
        if !created.event_responses.is_empty() && !created.response.request_id.is_empty() {
            self.violations.push(
                "eiResponse of oadrCreatedEvent has a requestID beside eventResponses (rule 42)".into(),
            );
        }
        if created.event_responses.is_empty() && created.response.code.is_success() {
            self.violations.push("oadrCreatedEvent says nothing (rule 35)".into());
        }
        for response in created.event_responses {
            let event = self.events.get(&response.event_id);
            if event.is_some_and(|event| event.response_required == ResponseRequired::Never) {
                self.violations.push(format!("event {} was answered against its will", response.event_id));
            }
            if self.distributed.as_ref() != Some(&response.request_id) {
                self.violations
                    .push(format!("event {} was answered under another requestID", response.event_id));
            }
            // A cancellation that is confirmed is not told again (rule 52).
            if event.is_some_and(|event| event.event.descriptor.status == EventStatus::Cancelled) {
                self.events.remove(&response.event_id);
            }
            self.opts.push(Opt {
                event_id: response.event_id,
                modification: response.modification_number,
                opt: response.opt_type,
                code: response.code,
            });
        }
        deny(ResponseCode::OK, "OK")
    }

    fn next_id(&mut self) -> RequestId {
        self.requests += 1;
        RequestId::new(format!("vtn-{}", self.requests))
    }
}

fn message(payload: impl Into<Payload>) -> Answer {
    Answer::Message(Box::new(payload.into()))
}

/// `oadrResponse` to something without a requestID.
fn deny(code: ResponseCode, why: &str) -> Answer {
    let response = EiResponse { code, description: Some(why.into()), request_id: RequestId::from("") };
    message(Response { response, ven_id: None })
}
