//! Notices: whoever is told of an event, an answer or the VTN is told all that we know.

use super::pair::{Pair, t, wish};
use crate::handler::{Decision, EndReason};
use crate::mock_vtn::{EventBuilder, Fault};
use crate::notice::{DecidedBy, Notice};
use crate::openadr::message::{Float, OptType, PayloadKind};
use crate::time::Span;

fn hour(id: &str) -> EventBuilder {
    EventBuilder::new(id, t("2030-01-01T12:00:00Z"), Span::HOUR)
}

/// The notices that `which` says something about.
fn told<T>(pair: &Pair, which: impl Fn(&Notice) -> Option<T>) -> Vec<T> {
    pair.notices.iter().filter_map(which).collect()
}

#[test]
fn an_event_is_told_with_the_times_at_which_it_will_be_carried_out() {
    let mut pair = Pair::registered();
    let steps = [(Span::MINUTE * 30, 1), (Span::MINUTE * 30, 2)];
    pair.vtn.add_event(hour("e1").steps(steps).start_after(Span::MINUTE * 5));
    pair.run_to("2030-01-01T14:00:00Z");
    let received = told(&pair, |notice| {
        if let Notice::EventReceived { plan, modified: false, delivery } = notice {
            Some((plan.clone(), delivery.clone()))
        } else {
            None
        }
    });
    let [(plan, delivery)] = received.as_slice() else { panic!("{received:?}") };
    let start = plan.timeline.start;
    assert!(start >= t("2030-01-01T12:00:00Z") && start <= t("2030-01-01T12:05:00Z"), "{start}");
    let (middle, end) = (start + Span::MINUTE * 30, start + Span::HOUR);
    assert_eq!(plan.steps, [[(start, Some(middle)), (middle, Some(end))]]);
    assert_eq!(delivery.ven_id.as_str(), pair.store.registration.as_ref().unwrap().ven_id.as_str());
    assert!(delivery.at < t("2030-01-01T00:01:00Z"), "{}", delivery.at);
    let started = told(&pair, |notice| {
        if let Notice::EventStarted { timeline, late_by, .. } = notice {
            Some((timeline.start, *late_by))
        } else {
            None
        }
    });
    assert_eq!(started, [(start, Span::ZERO)]);
    let intervals = told(&pair, |notice| {
        if let Notice::EventInterval { interval, .. } = notice {
            Some((interval.index, interval.value, interval.start))
        } else {
            None
        }
    });
    assert_eq!(intervals, [(0, Some(Float::from(1)), start), (1, Some(Float::from(2)), middle)]);
    let ended = told(&pair, |notice| {
        if let Notice::EventEnded { timeline, why, .. } = notice { Some((timeline.end, *why)) } else { None }
    });
    assert_eq!(ended, [(Some(end), EndReason::Completed)]);
}

#[test]
fn what_is_told_late_says_how_late() {
    let mut pair = Pair::registered();
    pair.vtn.poll_freq = Span::MINUTE * 5;
    pair.run_to("2030-01-01T12:10:00Z");
    pair.vtn.add_event(hour("e1"));
    pair.run(Span::MINUTE * 6);
    let late = told(&pair, |notice| {
        if let Notice::EventStarted { late_by, .. } | Notice::EventInterval { late_by, .. } = notice {
            Some(*late_by)
        } else {
            None
        }
    });
    assert_eq!(late.len(), 2);
    assert!(late.iter().all(|late| *late >= Span::MINUTE * 10 && *late <= Span::MINUTE * 16), "{late:?}");
}

#[test]
fn an_event_that_is_near_is_told_once() {
    let mut pair = Pair::registered();
    pair.vtn.add_event(hour("e1").ramps(Span::MINUTE * 10, Span::ZERO));
    let near = |pair: &Pair| {
        told(
            pair,
            |notice| if let Notice::EventNear { timeline, .. } = notice { timeline.ramp_up } else { None },
        )
    };
    pair.run_to("2030-01-01T11:49:00Z");
    assert_eq!(near(&pair), []);
    pair.run_to("2030-01-01T12:30:00Z");
    assert_eq!(near(&pair), [(t("2030-01-01T11:50:00Z"), t("2030-01-01T12:00:00Z"))]);
}

#[test]
fn a_decision_of_the_default_says_why_it_was_needed() {
    let mut pair = Pair::registered();
    pair.decide = Box::new(|_, _| None);
    pair.vtn.add_event(hour("e1"));
    pair.run(Span::MINUTE * 2);
    let decided = told(&pair, |notice| {
        if let Notice::OptDecided { opt, by, reason, .. } = notice {
            Some((*opt, *by, reason.clone()))
        } else {
            None
        }
    });
    let [(OptType::OptOut, DecidedBy::Default, Some(reason))] = decided.as_slice() else {
        panic!("{decided:?}")
    };
    assert!(reason.starts_with("the handler has not answered within"), "{reason}");
}

#[test]
fn a_handler_that_gives_its_reasons_has_them_told() {
    let mut pair = Pair::registered();
    pair.decide = Box::new(|event, _| {
        Some(match event.id().as_str() {
            "e1" => Decision::Because(OptType::OptIn, "level 1".to_owned()),
            _ => Decision::Undecided("it has ended".to_owned()),
        })
    });
    pair.vtn.add_event(hour("e1"));
    pair.vtn.add_event(hour("e2"));
    pair.run(Span::SECOND * 30);
    let decided = told(&pair, |notice| {
        let Notice::OptDecided { opt, by, reason, .. } = notice else { return None };
        Some((*opt, *by, reason.clone().unwrap_or_default()))
    });
    assert_eq!(decided.len(), 2);
    assert!(decided.contains(&(OptType::OptIn, DecidedBy::Handler, "level 1".to_owned())), "{decided:?}");
    assert!(
        decided.contains(&(OptType::OptOut, DecidedBy::Default, "it has ended".to_owned())),
        "{decided:?}"
    );
}

#[test]
fn a_vtn_that_goes_away_is_told_once_however_often_it_is_tried() {
    let mut pair = Pair::registered();
    for _ in 0..2 {
        pair.notices.clear();
        pair.link_up = false;
        pair.run(Span::HOUR);
        pair.link_up = true;
        pair.run(Span::MINUTE * 10);
        let away = told(
            &pair,
            |notice| if let Notice::VtnAway { first, .. } = notice { Some(*first) } else { None },
        );
        assert!(away.len() > 5, "{away:?}");
        assert!(away[0] && away[1..].iter().all(|first| !first), "{away:?}");
        assert_eq!(told(&pair, |notice| matches!(notice, Notice::VtnBack { .. }).then_some(())).len(), 1);
    }
}

#[test]
fn a_refused_message_says_what_it_was_about() {
    let about = |pair: &Pair, kind: PayloadKind| {
        told(pair, |notice| {
            if let Notice::MessageRefused { message, about, .. } = notice
                && *message == kind
            {
                Some(about.clone())
            } else {
                None
            }
        })
    };
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![wish("r1", &["energy"], Span::MINUTE, Span::MINUTE, None)]);
    pair.run(Span::MINUTE * 2);
    pair.vtn.forgotten_reports.insert("r1".into());
    pair.run(Span::MINUTE * 2);
    assert_eq!(about(&pair, PayloadKind::UpdateReport), [["r1"]]);

    let mut pair = Pair::registered();
    pair.vtn.add_event(hour("e1"));
    pair.decide_after = Span::from_seconds(3);
    while pair.asked.is_empty() {
        pair.run(Span::SECOND);
    }
    pair.vtn.faults.push_back(Fault::Status(406, None));
    pair.run(Span::MINUTE);
    assert_eq!(about(&pair, PayloadKind::CreatedEvent), [["e1"]]);
}
