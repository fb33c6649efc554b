//! What real VTNs say otherwise than the standard has it, as far as it needs an engine to survive it.

use super::pair::{Mode, Pair, t, usage_offer, wish};
use super::report_rules::{metadata, poll};
use crate::mock_vtn::{EventBuilder, VtnCore};
use crate::notice::Notice;
use crate::openadr::message::{
    DistributeEvent, EiResponse, EventStatus, OadrEvent, OptType, Payload, PayloadKind, PowerKind,
    RegisterReport, ResponseCode, Service, SiScale, Unit,
};
use crate::time::Span;

fn event(id: &str) -> EventBuilder {
    EventBuilder::new(id, t("2030-01-01T01:00:00Z"), Span::HOUR)
}

fn picture(code: Option<u16>, events: Vec<OadrEvent>) -> Payload {
    let response = code.map(|code| EiResponse {
        code: ResponseCode::from_token(&code.to_string()).unwrap(),
        description: None,
        request_id: "None".into(),
    });
    DistributeEvent { response, request_id: "None".into(), vtn_id: "vtn-1".into(), events }.into()
}

/// A VEN in the middle of an event.
fn busy() -> Pair {
    let mut pair = Pair::registered();
    pair.vtn.add_event(event("e1"));
    pair.run_to("2030-01-01T01:10:00Z");
    assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 1"]);
    pair
}

/// EPRI: no event at all, with or without a 200, cancels what there was; an error cancels nothing.
#[test]
fn a_picture_without_events_cancels_and_an_error_does_not() {
    for code in [None, Some(200)] {
        let mut pair = busy();
        pair.vtn.queue(picture(code, Vec::new()));
        pair.run(Span::from_seconds(12));
        assert_eq!(pair.told.last().map(String::as_str), Some("e1 end ImpliedCancelled"), "{code:?}");
    }
    for code in [452, 459, 500] {
        let mut pair = busy();
        pair.vtn.queue(picture(Some(code), Vec::new()));
        pair.run(Span::from_seconds(12));
        assert_eq!(pair.told.len(), 2, "{code}: {:?}", pair.told);
    }
}

/// OpenLEADR: the text `None` as requestID, and no eiResponse; it is repeated as it came.
#[test]
fn a_picture_whose_request_id_is_none_is_answered() {
    let mut pair = Pair::registered();
    pair.vtn.queue(picture(None, vec![event("e1").build()]));
    pair.run(Span::from_seconds(12));
    assert_eq!(pair.opts(), ["e1 0 optIn"]);
}

/// EPRI queues it after each registration.
#[test]
fn an_empty_list_of_reports_is_answered() {
    let mut pair = Pair::registered();
    let before = pair.vtn.count(PayloadKind::RegisteredReport);
    let message =
        RegisterReport { request_id: "r".into(), reports: Vec::new(), ven_id: None, report_request_id: None };
    pair.vtn.queue(message);
    pair.run(Span::from_seconds(12));
    assert_eq!(pair.vtn.count(PayloadKind::RegisteredReport), before + 1);
}

#[test]
fn an_event_that_is_active_over_or_cancelled_at_first_sight_is_answered() {
    let mut pair = Pair::registered();
    pair.run_to("2030-01-01T01:10:00Z");
    pair.vtn.add_event(event("active"));
    pair.vtn.add_event(EventBuilder::new("over", t("2029-12-31T00:00:00Z"), Span::HOUR));
    let mut cancelled = event("cancelled").build();
    cancelled.event.descriptor.status = EventStatus::Cancelled;
    pair.vtn.add_event(cancelled);
    pair.run(Span::from_seconds(12));
    for id in ["active", "over", "cancelled"] {
        assert!(
            pair.opts().iter().any(|opt| opt.starts_with(&format!("{id} 0 opt"))),
            "{id}: {:?}",
            pair.opts()
        );
    }
    assert!(pair.told.contains(&"active interval 0 = 1".to_owned()), "{:?}", pair.told);
    assert!(!pair.told.iter().any(|told| told.starts_with("cancelled start")), "{:?}", pair.told);
}

/// OpenLEADR and avob: a start in each interval (rule 103), no notification (rule 105).
#[test]
fn an_event_with_interval_starts_and_without_notification_is_carried_out() {
    let mut pair = Pair::registered();
    let mut odd = event("e1").level(2).build();
    odd.event.active_period.notification = None;
    odd.event.signals[0].intervals[0].start = Some(odd.event.active_period.start);
    pair.vtn.add_event(odd);
    pair.run_to("2030-01-01T01:10:00Z");
    assert_eq!(pair.opts(), ["e1 0 optIn"]);
    assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 2"]);
}

/// An event that was called off before it was decided, and comes again as if nothing had happened: it is answered, and nothing
/// waits for it for ever.
#[test]
fn an_undecided_event_that_was_called_off_and_comes_back_is_answered() {
    let mut off = event("e1").build();
    off.event.descriptor.status = EventStatus::Cancelled;
    let mut beyond_us = event("e1").build();
    beyond_us.event.descriptor.modification_number = 1;
    beyond_us.event.signals[0].intervals.clear();
    for second in [vec![off], vec![beyond_us], Vec::new()] {
        let mut pair = Pair::registered_in(Mode::Push);
        pair.decide = Box::new(|event, _| (event.id().as_str() != "e1").then(|| OptType::OptIn.into()));
        for events in [vec![event("e1").build()], second, vec![event("e1").build(), event("e2").build()]] {
            pair.push(Service::EiEvent, picture(None, events));
            pair.run(Span::from_millis(100));
        }
        pair.run(Span::MINUTE);
        let opts = pair.opts();
        assert!(opts.contains(&"e2 0 optIn".to_owned()), "{opts:?}");
        assert_eq!(opts.iter().rfind(|opt| opt.starts_with("e1")).map(String::as_str), Some("e1 0 optOut"));
    }
}

/// The same of a new version, in an event that runs on for a random while after it was dropped (rule 65).
#[test]
fn an_undecided_version_that_was_dropped_and_comes_back_is_answered() {
    let version = |number| {
        let mut event = event("e1").start_after(Span::MINUTE * 30).build();
        event.event.descriptor.modification_number = number;
        event
    };
    let mut pair = Pair::registered_in(Mode::Push);
    pair.push(Service::EiEvent, picture(None, vec![version(0)]));
    pair.run_to("2030-01-01T01:40:00Z");
    pair.decide = Box::new(|event, _| (event.modification() == 0).then(|| OptType::OptIn.into()));
    for events in [vec![version(1)], Vec::new(), vec![version(1), event("e2").build()]] {
        pair.push(Service::EiEvent, picture(None, events));
        pair.run(Span::from_millis(100));
    }
    pair.run(Span::MINUTE);
    assert_eq!(pair.opts(), ["e1 0 optIn", "e1 1 optOut", "e2 0 optIn"]);
}

/// Some VTNs leave the vtnID out; ids are looked at where they are there (rule 21).
#[test]
fn rule_21_a_picture_without_a_vtn_id_is_taken() {
    for (vtn_id, taken) in [("", true), ("vtn-1", true), ("VTN-1", false), ("other", false)] {
        let mut pair = Pair::registered();
        let Payload::DistributeEvent(mut message) = picture(None, vec![event("e1").build()]) else {
            panic!()
        };
        message.vtn_id = vtn_id.into();
        pair.vtn.queue(message);
        pair.run(Span::from_seconds(12));
        assert_eq!(pair.opts() == ["e1 0 optIn"], taken, "{vtn_id}: {:?}", pair.opts());
    }
}

/// An absent duration is read as zero: no granularity is the finest on offer, no reportBackDuration is a single report, no
/// reportInterval or one of length zero never ends.
#[test]
fn report_requests_with_zeros_and_gaps_are_served() {
    let zero = Span::ZERO;
    let for_ever = Some((t("2030-01-01T00:00:00Z"), zero));
    for (step, back, interval, ends) in [
        (zero, zero, None, true),
        (zero, Span::MINUTE, None, false),
        (Span::MINUTE, zero, None, true),
        (Span::MINUTE, Span::MINUTE, None, false),
        (Span::MINUTE, Span::MINUTE, for_ever, false),
        (Span::MINUTE, zero, for_ever, true),
    ] {
        let mut pair = Pair::registered();
        pair.vtn.request_reports(vec![wish("r1", &["power"], step, back, interval)]);
        pair.run(Span::HOUR);
        assert_eq!(pair.store.requests.is_empty(), ends, "{step} {back} {interval:?}");
        assert_eq!(pair.vtn.reports.len() == 1, ends, "{step} {back} {interval:?}");
        pair.assert_lawful();
    }
}

/// The unit on offer is what is delivered, whatever the request says.
#[test]
fn a_report_request_with_another_unit_gets_what_is_on_offer() {
    let mut pair = Pair::registered();
    let mut odd = wish("r1", &["energy"], Span::ZERO, Span::ZERO, None);
    odd.specifier.payloads[0].unit = Some(Unit::Energy(PowerKind::Reactive, SiScale::Kilo));
    assert_ne!(odd.specifier.payloads[0].unit, usage_offer().points[0].unit);
    pair.vtn.request_reports(vec![odd]);
    poll(&mut pair);
    assert_eq!(pair.reported("r1").len(), 1);
    pair.assert_lawful();
}

/// Several requests in a message, one of them for metadata, then the same ids again, then all of them cancelled along with others
/// that never were.
#[test]
fn many_report_requests_come_and_go_together() {
    let mut pair = Pair::registered();
    let many: Vec<_> = (0..50).map(|at| format!("r{at}")).collect();
    let wishes = |r_id| many.iter().map(|id| wish(id, &[r_id], Span::MINUTE, Span::MINUTE, None)).collect();
    for r_id in ["power", "energy"] {
        pair.vtn.request_reports(wishes(r_id));
        poll(&mut pair);
        assert_eq!(pair.store.requests.len(), 50);
    }
    pair.run(Span::MINUTE * 2);
    assert!(pair.reported("r7").iter().all(|(_, point, ..)| point == "energy"));
    let mut ids: Vec<&str> = many.iter().map(String::as_str).collect();
    ids.insert(25, "unknown");
    pair.vtn.cancel_reports(&ids, false);
    poll(&mut pair);
    assert!(pair.store.requests.is_empty(), "one that is not known does not keep the others alive");
    pair.vtn.request_reports(vec![metadata("m1", Span::ZERO)]);
    let registered = pair.vtn.count(PayloadKind::RegisterReport);
    poll(&mut pair);
    assert_eq!(pair.vtn.count(PayloadKind::RegisterReport), registered + 1);
}

#[test]
fn a_cancellation_that_comes_with_the_answer_to_a_report_is_kept_to() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![wish("r1", &["power"], Span::MINUTE, Span::MINUTE, None)]);
    pair.vtn.cancel_with_next_update = true;
    pair.run(Span::MINUTE * 10);
    assert_eq!((pair.vtn.reports.len(), pair.store.requests.len()), (1, 0));
    pair.assert_lawful();
}

/// A VTN that comes back as another: its ids count from then on, and people are told.
#[test]
fn ids_that_come_back_changed_are_taken_and_told() {
    let mut pair = Pair::registered();
    pair.vtn = VtnCore::new("vtn-2", Span::from_seconds(10));
    pair.run(Span::MINUTE * 5);
    pair.vtn.add_event(event("e1"));
    poll(&mut pair);
    assert_eq!(pair.opts(), ["e1 0 optIn"]);
    let told = |n: &Notice| matches!(n, Notice::Registered { vtn_id, .. } if vtn_id.as_str() == "vtn-2");
    assert!(pair.notices.iter().any(told), "{:?}", pair.notices);
    assert_eq!(pair.store.registration.as_ref().map(|record| record.vtn_id.as_str()), Some("vtn-2"));
}

/// What the VTN's clock says of when a message was made decides nothing.
#[test]
fn a_vtn_whose_clock_is_minutes_off_is_understood() {
    for off in [-Span::MINUTE * 10, Span::MINUTE * 10] {
        let mut pair = Pair::registered();
        let mut odd = event("e1").build();
        odd.event.descriptor.created_date_time = pair.now() + off;
        pair.vtn.queue(picture(None, vec![odd]));
        poll(&mut pair);
        assert_eq!(pair.opts(), ["e1 0 optIn"]);
        pair.vtn.add_event(event("e1"));
        pair.run_to("2030-01-01T01:10:00Z");
        assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 1"]);
    }
}
