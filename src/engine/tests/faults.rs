//! Faults: crashes at every step, disks that fill up, VTNs that stumble.

use super::pair::{Mode, Pair, metered, start, t, wish};
use crate::engine::Settings;
use crate::mock_vtn::{EventBuilder, Fault};
use crate::notice::Notice;
use crate::openadr::message::{Float, OptType, PayloadKind};
use crate::time::Span;

/// A conversation with a bit of everything.
fn scene(pair: &mut Pair) {
    pair.vtn.piggyback = vec![wish("p1", &["energy"], Span::SECOND * 5, Span::SECOND * 10, None)];
    pair.run(Span::from_seconds(3));
    pair.vtn.add_event(EventBuilder::new("e1", t("2030-01-01T00:00:20Z"), Span::from_seconds(30)));
    pair.run(Span::from_seconds(12));
    pair.vtn.request_reports(vec![wish("once", &["power"], Span::ZERO, Span::ZERO, None)]);
    pair.vtn.add_event(EventBuilder::new("e2", t("2030-01-01T00:00:30Z"), Span::ZERO));
    pair.run(Span::from_seconds(30));
    pair.vtn.modify_event("e1", |e| e.event.descriptor.priority = Some(1));
    pair.run(Span::from_seconds(12));
    pair.vtn.cancel_event("e2");
    pair.run(Span::from_seconds(30));
}

/// The handler says something else each time it is asked: only what is stored before it is spoken keeps the VEN to its word.
fn fickle() -> super::pair::Decide {
    let mut turn = 0;
    Box::new(move |_, _| {
        turn += 1;
        Some(if turn % 2 == 1 { OptType::OptIn } else { OptType::OptOut }.into())
    })
}

fn with_crash_at(mode: Mode, step: u64) -> Pair {
    let mut pair = Pair::in_mode(mode);
    pair.decide = fickle();
    pair.crash_at = Some(step);
    scene(&mut pair);
    pair
}

/// Kill the VEN after each of its steps in turn, stored but not yet spoken: the same opt for the same version, every report, one registration.
#[test]
fn a_crash_after_any_step_is_survived() {
    survives_crashes(Mode::Pull);
}

/// A message that was pushed and not answered is pushed again.
#[test]
fn a_crash_after_any_step_is_survived_in_push_mode() {
    survives_crashes(Mode::Push);
}

fn survives_crashes(mode: Mode) {
    let steps = { with_crash_at(mode, u64::MAX).handled };
    assert!(steps > 40, "{steps}");
    for step in 1..steps {
        let pair = with_crash_at(mode, step);
        assert_eq!(pair.crash_at, None, "step {step} was reached");
        let mut opts: Vec<_> = pair.vtn.opts.iter().map(|o| (&o.event_id, o.modification, o.opt)).collect();
        opts.sort();
        opts.dedup();
        let versions: std::collections::BTreeSet<_> =
            opts.iter().map(|(id, number, _)| (*id, *number)).collect();
        assert_eq!(versions.len(), opts.len(), "step {step}: a version was answered in two ways: {opts:?}");
        assert_eq!(versions.len(), 4, "step {step}: {versions:?}");
        let registered = pair.store.registration.as_ref().map(|record| record.ven_id.clone());
        assert_eq!(registered.as_ref(), pair.vtn.registered(), "step {step}");
        assert!(pair.vtn.registrations() <= 2, "step {step}: at most one orphan");
        assert!(
            pair.reported("once").len() == 1 || pair.vtn.count(PayloadKind::UpdateReport) > 0,
            "step {step}"
        );
        let periodic = pair.reported("p1");
        for (at, _, value, _) in &periodic {
            assert_eq!(*value, Float::from(metered(*at)), "step {step}");
        }
        let mut starts: Vec<_> = periodic.iter().map(|(at, ..)| *at).collect();
        // What was in flight at the crash comes again.
        starts.sort();
        starts.dedup();
        assert!(starts.windows(2).all(|w| w[1] - w[0] == Span::from_seconds(5)), "step {step}: {starts:?}");
        assert!(starts.len() >= 10, "step {step}: {starts:?}");
        assert!(starts.last().is_some_and(|last| *last > start() + Span::MINUTE), "step {step}");
    }
}

#[test]
fn a_full_disk_promises_nothing_keeps_polling_and_recovers() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(EventBuilder::new("before", t("2030-01-01T01:00:00Z"), Span::HOUR));
    pair.run(Span::from_seconds(12));
    pair.disk_up = false;
    pair.vtn.add_event(EventBuilder::new("during", t("2030-01-01T02:00:00Z"), Span::HOUR));
    let polls = pair.vtn.count(PayloadKind::Poll);
    pair.run(Span::MINUTE * 5);
    assert!(pair.vtn.count(PayloadKind::Poll) > polls + 20, "it goes on polling");
    assert_eq!(pair.asked, ["before new"], "a new event is not put to the handler");
    assert!(pair.opts().contains(&"during 0 optOut".to_owned()), "{:?}", pair.opts());
    assert!(pair.notices.iter().any(|notice| matches!(notice, Notice::StoreFailed { .. })));
    pair.repair_disk(u64::MAX);
    pair.run(Span::MINUTE);
    assert_eq!(pair.asked, ["before new", "during new"]);
    assert_eq!(pair.opts().last().map(String::as_str), Some("during 0 optIn"));
    assert!(pair.notices.iter().any(|notice| matches!(notice, Notice::OptChanged { .. })));
}

#[test]
fn a_full_disk_may_be_met_with_silence() {
    let mut pair = Pair::with(Settings { opt_when_full: None, ..Settings::default() });
    pair.run(Span::SECOND);
    pair.disk_up = false;
    pair.vtn.add_event(EventBuilder::new("e1", t("2030-01-01T02:00:00Z"), Span::HOUR));
    pair.run(Span::MINUTE * 5);
    assert!(pair.opts().is_empty() && pair.asked.is_empty());
    pair.repair_disk(u64::MAX);
    pair.run(Span::MINUTE);
    assert_eq!(pair.opts(), ["e1 0 optIn"; 2], "as it is owed, and again as it is asked for again");
}

/// A VTN that fails on one kind of message, whatever it is, is still polled and still answered otherwise.
#[test]
fn a_vtn_that_stumbles_over_reports_is_still_polled() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![wish("r1", &["energy"], Span::MINUTE, Span::MINUTE, None)]);
    pair.run(Span::MINUTE);
    pair.vtn.stumbles_over = Some(PayloadKind::UpdateReport);
    let polls = pair.vtn.count(PayloadKind::Poll);
    pair.vtn.add_event(EventBuilder::new("e1", t("2030-01-01T02:00:00Z"), Span::HOUR));
    pair.run(Span::MINUTE * 30);
    assert!(pair.vtn.count(PayloadKind::Poll) - polls > 150);
    assert_eq!(pair.opts(), ["e1 0 optIn"]);
}

#[test]
fn every_way_of_failing_is_survived() {
    for fault in [
        Fault::Status(500, None),
        Fault::Status(503, Some(1)),
        Fault::Status(404, None),
        Fault::Status(301, None),
        Fault::Status(403, None),
        Fault::Empty,
        Fault::LoseAnswer,
    ] {
        let mut pair = Pair::registered();
        for round in 0..20 {
            pair.vtn.faults.push_back(fault.clone());
            pair.vtn.add_event(EventBuilder::new(
                &format!("e{round}"),
                t("2030-01-02T02:00:00Z"),
                Span::HOUR,
            ));
            pair.run(Span::MINUTE * 3);
        }
        pair.vtn.faults.clear();
        pair.vtn.repeat_events();
        pair.run(Span::MINUTE * 12);
        for round in 0..20 {
            let opt = format!("e{round} 0 optIn");
            assert!(pair.opts().contains(&opt), "{fault:?}: {opt} is missing of {:?}", pair.opts());
        }
    }
}
