//! Takes opts and schedules, and holds them to the rules of `EiOpt`.

use super::{Answer, VtnCore, message};
use crate::openadr::message::{
    CancelOpt, CanceledOpt, CreateOpt, CreatedOpt, EiResponse, EiTarget, ResponseCode, ResponseRequired,
};
use crate::time::{Span, Timestamp};

/// How far `createdDateTime` may be from our clock; the certification tests take about a minute.
const RECENT: Span = Span::MINUTE;

/// Why an opt is not taken.
struct Refusal {
    code: ResponseCode,
    why: &'static str,
    /// Whether the VEN is to blame; how the events have changed meanwhile it cannot know.
    is_violation: bool,
}

impl VtnCore {
    pub(super) fn create_opt(&mut self, now: Timestamp, create: CreateOpt) -> Answer {
        let (opt_id, request_id) = (create.opt_id.clone(), create.request_id.clone());
        if (now - create.created_date_time).abs() > RECENT {
            self.violations.push(format!("createdDateTime of opt {opt_id} is not of now"));
        }
        let refusal = against_the_form(&create).or_else(|| self.against_the_event(&create));
        let response = match refusal {
            Some(Refusal { code, why, is_violation }) => {
                if is_violation {
                    self.violations.push(format!("opt {opt_id}: {why}"));
                }
                EiResponse::error(code, why, request_id)
            }
            None => {
                self.created_opts.push(create);
                EiResponse::ok(request_id)
            }
        };
        message(CreatedOpt { response, opt_id })
    }

    /// Whether the event of an event opt is there, and may be opted for in this way.
    fn against_the_event(&self, create: &CreateOpt) -> Option<Refusal> {
        let qualified = create.qualified_event_id.as_ref()?;
        let Some(distributed) = self.events.get(&qualified.event_id) else {
            let why = "eventID is not known";
            return Some(Refusal { code: ResponseCode::INVALID_ID, why, is_violation: false });
        };
        if distributed.event.modification() != qualified.modification_number {
            let why = "modificationNumber is another";
            return Some(Refusal { code: ResponseCode::OUT_OF_SEQUENCE, why, is_violation: false });
        }
        if distributed.response_required == ResponseRequired::Never {
            return Some(violation(ResponseCode::NOT_ALLOWED, "the event wants no opt (rules 12, 206)"));
        }
        (!is_part(&create.target, &distributed.event.target))
            .then(|| violation(ResponseCode::TARGET_MISMATCH, "the event is not for that target (rule 206)"))
    }

    pub(super) fn cancel_opt(&mut self, cancel: CancelOpt) -> Answer {
        let CancelOpt { request_id, opt_id, .. } = cancel;
        let before = self.created_opts.len();
        self.created_opts.retain(|opt| opt.opt_id != opt_id || opt.qualified_event_id.is_some());
        let response = if self.created_opts.len() < before {
            EiResponse::ok(request_id)
        } else if self.created_opts.iter().any(|opt| opt.opt_id == opt_id) {
            self.violations.push(format!("opt {opt_id} is for an event and was cancelled (rule 211)"));
            EiResponse::error(ResponseCode::NOT_ALLOWED, "an event opt cannot be cancelled", request_id)
        } else {
            EiResponse::error(ResponseCode::INVALID_ID, "optID is not known", request_id)
        };
        message(CanceledOpt { response, opt_id: Some(opt_id) })
    }
}

const fn violation(code: ResponseCode, why: &'static str) -> Refusal {
    Refusal { code, why, is_violation: true }
}

/// What can be seen from the message alone.
fn against_the_form(create: &CreateOpt) -> Option<Refusal> {
    if create.opt_id.is_empty() {
        return Some(violation(ResponseCode::INVALID_ID, "optID is empty (rule 204)"));
    }
    if create.target.ven_ids.iter().any(|ven_id| *ven_id != create.ven_id) {
        return Some(violation(ResponseCode::TARGET_MISMATCH, "the target is another ven (rule 202)"));
    }
    let why = match (&create.qualified_event_id, &create.availability, &create.market_context) {
        (None, None, _) => "neither qualifiedEventID nor vavailability (rule 206)",
        (Some(_), Some(_), _) => "vavailability beside qualifiedEventID (rule 206)",
        (Some(_), _, Some(_)) => "marketContext beside qualifiedEventID (rule 206)",
        _ if create.device_class.as_ref().is_some_and(|classes| !is_of_classes(classes)) => {
            "oadrDeviceClass holds more or less than device classes (rule 209)"
        }
        _ => return None,
    };
    Some(violation(ResponseCode::COMPLIANCE_ERROR, why))
}

/// Whether it has device classes and nothing else.
fn is_of_classes(target: &EiTarget) -> bool {
    let rest = EiTarget { end_device_assets: Vec::new(), ..target.clone() };
    rest.is_empty() && !target.end_device_assets.is_empty()
}

/// Whether everything that an opt names is among what its event names; an event for the whole VEN is for all that it has.
fn is_part(opt: &EiTarget, event: &EiTarget) -> bool {
    let but_ven = EiTarget { ven_ids: Vec::new(), ..event.clone() };
    but_ven.is_empty()
        || (within(&opt.aggregated_pnodes, &event.aggregated_pnodes)
            && within(&opt.end_device_assets, &event.end_device_assets)
            && within(&opt.meter_assets, &event.meter_assets)
            && within(&opt.pnodes, &event.pnodes)
            && within(&opt.service_areas, &event.service_areas)
            && within(&opt.service_delivery_points, &event.service_delivery_points)
            && within(&opt.service_locations, &event.service_locations)
            && within(&opt.transport_interfaces, &event.transport_interfaces)
            && within(&opt.group_ids, &event.group_ids)
            && within(&opt.group_names, &event.group_names)
            && within(&opt.resource_ids, &event.resource_ids)
            && within(&opt.party_ids, &event.party_ids))
}

fn within<T: PartialEq>(part: &[T], whole: &[T]) -> bool {
    part.iter().all(|entry| whole.contains(entry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock_vtn::EventBuilder;
    use crate::openadr::message::{
        Available, CreatePartyRegistration, Duration, OadrEvent, OptId, OptReason, OptType, Payload,
        ProfileName, QualifiedEventId, ResourceId, Service, TransportName, Vavailability,
    };

    fn now() -> Timestamp {
        "2030-01-01T12:00:00Z".parse().unwrap()
    }

    /// A VTN that knows `ven-1`, and an event `e` for its resource `a`.
    fn vtn() -> VtnCore {
        let mut vtn = VtnCore::new("vtn", Span::MINUTE);
        let create = CreatePartyRegistration {
            request_id: "r".into(),
            registration_id: None,
            ven_id: None,
            profile_name: ProfileName::B,
            transport_name: TransportName::SimpleHttp,
            transport_address: None,
            report_only: false,
            xml_signature: true,
            ven_name: None,
            http_pull_model: Some(true),
        };
        vtn.handle(now(), Service::EiRegisterParty, create.into());
        let mut event = OadrEvent::from(EventBuilder::new("e", now(), Span::HOUR));
        event.event.target = EiTarget::resource("a".into());
        vtn.add_event(event);
        vtn
    }

    fn schedule(id: &str) -> CreateOpt {
        let available = Available { start: now() + Span::HOUR, duration: Duration::from_seconds(3600) };
        CreateOpt {
            opt_id: id.into(),
            opt_type: OptType::OptOut,
            opt_reason: OptReason::Schedule,
            market_context: Some("http://markets.example.org/dr".into()),
            ven_id: "ven-1".into(),
            availability: Some(Vavailability { available: vec![available] }),
            created_date_time: now(),
            request_id: "r".into(),
            qualified_event_id: None,
            target: EiTarget::ven("ven-1".into()),
            device_class: None,
        }
    }

    fn about_event(id: &str) -> CreateOpt {
        let event = QualifiedEventId { event_id: "e".into(), modification_number: 0 };
        CreateOpt {
            market_context: None,
            availability: None,
            qualified_event_id: Some(event),
            target: EiTarget { resource_ids: vec!["a".into()], ..EiTarget::ven("ven-1".into()) },
            ..schedule(id)
        }
    }

    fn sent(vtn: &mut VtnCore, request: impl Into<Payload>) -> Payload {
        match vtn.handle(now(), Service::EiOpt, request.into()) {
            Answer::Message(answer) => *answer,
            other @ (Answer::Empty | Answer::Status(..) | Answer::Repeat(_)) => panic!("{other:?}"),
        }
    }

    /// The code of the answer, which repeats requestID and optID.
    fn created(vtn: &mut VtnCore, create: &CreateOpt) -> u16 {
        let Payload::CreatedOpt(answer) = sent(vtn, create.clone()) else { panic!("{create:?}") };
        assert_eq!((&answer.opt_id, &answer.response.request_id), (&create.opt_id, &create.request_id));
        answer.response.code.number()
    }

    fn cancelled(vtn: &mut VtnCore, id: &str) -> u16 {
        let cancel = CancelOpt { request_id: "c".into(), opt_id: id.into(), ven_id: "ven-1".into() };
        let Payload::CanceledOpt(answer) = sent(vtn, cancel) else { panic!("{id}") };
        assert_eq!((answer.opt_id, answer.response.request_id), (Some(OptId::from(id)), "c".into()));
        answer.response.code.number()
    }

    #[test]
    fn lawful_opts_are_taken_and_kept() {
        let mut vtn = vtn();
        let all =
            [schedule("s"), about_event("o"), CreateOpt { target: EiTarget::default(), ..schedule("t") }];
        for create in &all {
            assert_eq!(created(&mut vtn, create), 200);
        }
        assert_eq!(vtn.created_opts, all);
        assert_eq!(vtn.violations, [""; 0]);
    }

    /// An id covers everything that was sent under it (rule 204); an event opt is not cancelled (rule 211).
    #[test]
    fn schedules_are_cancelled_by_their_id() {
        let mut vtn = vtn();
        for create in [schedule("s"), schedule("s"), schedule("t"), about_event("o")] {
            created(&mut vtn, &create);
        }
        let codes = ["s", "s", "nonsense"].map(|id| cancelled(&mut vtn, id));
        assert_eq!(codes, [200, 452, 452]);
        assert_eq!(vtn.violations, [""; 0], "an id that has been forgotten breaks no rule");
        assert_eq!(cancelled(&mut vtn, "o"), 451);
        assert_eq!(vtn.violations, ["opt o is for an event and was cancelled (rule 211)"]);
        let kept: Vec<_> = vtn.created_opts.iter().map(|opt| opt.opt_id.as_str()).collect();
        assert_eq!(kept, ["t", "o"]);
    }

    #[test]
    fn opts_against_the_rules_are_refused_and_noted() {
        let target = |id: &str| EiTarget::resource(ResourceId::from(id));
        let classes = EiTarget { end_device_assets: vec!["Thermostat".into()], ..EiTarget::default() };
        let mixed = EiTarget { resource_ids: vec!["a".into()], ..classes.clone() };
        let cases = [
            (CreateOpt { opt_id: "".into(), ..schedule("") }, 452, "rule 204"),
            (CreateOpt { availability: None, ..schedule("s") }, 459, "rule 206"),
            (CreateOpt { availability: schedule("").availability, ..about_event("s") }, 459, "rule 206"),
            (CreateOpt { market_context: Some("x".into()), ..about_event("s") }, 459, "rule 206"),
            (CreateOpt { target: EiTarget::ven("ven-2".into()), ..schedule("s") }, 462, "rule 202"),
            (CreateOpt { target: target("z"), ..about_event("s") }, 462, "rule 206"),
            (CreateOpt { device_class: Some(mixed), ..schedule("s") }, 459, "rule 209"),
            (CreateOpt { device_class: Some(EiTarget::default()), ..schedule("s") }, 459, "rule 209"),
        ];
        for (create, code, rule) in cases {
            let mut vtn = vtn();
            assert_eq!(created(&mut vtn, &create), code, "{create:?}");
            assert!(vtn.violations.iter().all(|why| why.contains(rule)), "{:?}", vtn.violations);
            assert_eq!((vtn.violations.len(), vtn.created_opts.len()), (1, 0), "{create:?}");
        }
        let mut vtn = vtn();
        assert_eq!(created(&mut vtn, &CreateOpt { device_class: Some(classes), ..schedule("s") }), 200);
        assert_eq!(created(&mut vtn, &CreateOpt { target: target("z"), ..schedule("s") }), 200);
    }

    #[test]
    fn an_event_that_wants_no_answer_takes_no_opt() {
        let mut vtn = vtn();
        vtn.modify_event("e", |event| event.response_required = ResponseRequired::Never);
        let modified = QualifiedEventId { event_id: "e".into(), modification_number: 1 };
        let create = CreateOpt { qualified_event_id: Some(modified), ..about_event("o") };
        assert_eq!(created(&mut vtn, &create), 451);
        assert_eq!(vtn.violations, ["opt o: the event wants no opt (rules 12, 206)"]);
    }

    /// The VEN cannot know yet, so it breaks no rule.
    #[test]
    fn opts_for_events_that_have_changed_are_refused() {
        let mut vtn = vtn();
        vtn.modify_event("e", |_| {});
        assert_eq!(created(&mut vtn, &about_event("o")), 450);
        vtn.drop_event("e");
        assert_eq!(created(&mut vtn, &about_event("o")), 452);
        assert!(vtn.violations.is_empty() && vtn.created_opts.is_empty());
    }

    #[test]
    fn an_old_creation_time_is_noted() {
        let mut vtn = vtn();
        let create = CreateOpt { created_date_time: now() - Span::HOUR, ..schedule("s") };
        assert_eq!(created(&mut vtn, &create), 200);
        assert_eq!(vtn.violations, ["createdDateTime of opt s is not of now"]);
    }

    #[test]
    fn another_ven_is_not_known() {
        let mut vtn = vtn();
        let create = CreateOpt { ven_id: "ven-2".into(), ..schedule("s") };
        let Payload::Response(answer) = sent(&mut vtn, create) else { panic!("it was taken") };
        assert_eq!(answer.response.code, ResponseCode::INVALID_ID);
        assert!(vtn.created_opts.is_empty());
    }

    /// An event for the whole VEN is for each of its resources.
    #[test]
    fn an_event_without_resources_takes_opts_for_any() {
        let mut vtn = vtn();
        vtn.add_event(EventBuilder::new("e", now(), Span::HOUR));
        let create = CreateOpt { target: EiTarget::resource("z".into()), ..about_event("o") };
        assert_eq!(created(&mut vtn, &create), 200);
    }
}
