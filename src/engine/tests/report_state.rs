//! Where the reports stand, as a person is told.

use super::opts::order;
use super::pair::{Pair, start, wish};
use crate::engine::{Effect, Fulfilled, Order, Progress, ReportsState, RequestState};
use crate::notice::ReportEnd;
use crate::openadr::message::PayloadKind;
use crate::time::Span;

const MINUTE: Span = Span::MINUTE;

fn state(pair: &mut Pair) -> ReportsState {
    match order(pair, Order::Reports) {
        Ok(Fulfilled::Reports(state)) => *state,
        other => panic!("{other:?}"),
    }
}

fn request(pair: &mut Pair, id: &str) -> RequestState {
    let requests = state(pair).requests;
    requests.into_iter().find(|request| request.id.as_str() == id).unwrap()
}

#[test]
fn what_is_on_offer_is_told_and_whether_the_vtn_knows_it() {
    let mut pair = Pair::new();
    let before = state(&mut pair);
    assert_eq!((before.offers.len(), before.registered, before.requests.len()), (3, false, 0));
    pair.run(MINUTE);
    assert!(state(&mut pair).registered);
    // After an update of the configuration, until the VTN has been told.
    pair.settings.offers[0].max_period = MINUTE * 30;
    pair.link_up = false;
    pair.restart();
    assert!(!state(&mut pair).registered);
    pair.link_up = true;
    pair.run(MINUTE * 10);
    assert!(state(&mut pair).registered);
}

#[test]
fn deliveries_are_counted_and_what_comes_next_is_told() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![
        wish("once", &["power"], Span::ZERO, Span::ZERO, None),
        wish("r1", &["energy", "power"], MINUTE, MINUTE * 5, None),
    ]);
    pair.run(MINUTE * 17);
    let once = request(&mut pair, "once");
    assert_eq!((once.delivered, once.progress), (1, Progress::Over(Some(ReportEnd::Complete))));
    let r1 = request(&mut pair, "r1");
    let from = start() + MINUTE;
    assert_eq!((r1.from, r1.specifier.as_str(), r1.owed), (Some(from), "usage", 0));
    assert_eq!((r1.delivered, r1.progress), (3, Progress::Due(from + MINUTE * 20)));
    let last = r1.last.unwrap() - (from + MINUTE * 15);
    assert!(last >= Span::ZERO && last < Span::from_seconds(10), "{last}");
    let record = r1.record.unwrap();
    assert_eq!((record.granularity, record.back, record.points.len()), (MINUTE, MINUTE * 5, 2));
    assert_eq!(record.reported_to, from + MINUTE * 15);
}

#[test]
fn what_is_owed_is_told_and_when_it_is_tried_again() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![wish("r1", &["power"], MINUTE, MINUTE, None)]);
    pair.run(MINUTE);
    pair.vtn.stumbles_over = Some(PayloadKind::UpdateReport);
    pair.run(MINUTE * 2);
    let told = state(&mut pair);
    assert_eq!((told.owed, told.requests[0].owed, told.requests[0].delivered), (2, 2, 0));
    let retry = told.retry.unwrap();
    assert!(retry.failures > 3 && retry.at > pair.now(), "{retry:?}");
    pair.vtn.stumbles_over = None;
    pair.run(MINUTE * 4);
    let told = state(&mut pair);
    assert_eq!((told.owed, told.retry), (0, None));
    assert_eq!(told.requests[0].delivered, 6);
}

/// The data do not come: the report is under way, and nobody knows when it will be there.
#[test]
fn a_report_whose_data_are_awaited_is_told_as_such() {
    let mut pair = Pair::registered();
    pair.meter_up = false;
    pair.vtn.request_reports(vec![wish("r1", &["power"], MINUTE, MINUTE, None)]);
    pair.run(MINUTE * 2 + Span::from_seconds(5));
    assert_eq!(request(&mut pair, "r1").progress, Progress::Collecting);
}

/// What was counted is forgotten by a restart, what was asked for is not.
#[test]
fn a_restart_begins_to_count_anew() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![
        wish("over", &["power"], Span::ZERO, Span::ZERO, None),
        wish("r1", &["power"], MINUTE, MINUTE, None),
    ]);
    pair.run(MINUTE * 4);
    pair.vtn.stumbles_over = Some(PayloadKind::UpdateReport);
    pair.vtn.request_reports(vec![wish("owed", &["power"], Span::ZERO, Span::ZERO, None)]);
    pair.run(MINUTE);
    pair.restart();
    pair.run(MINUTE * 2);
    let told = state(&mut pair);
    let ids: Vec<_> = told.requests.iter().map(|request| request.id.as_str()).collect();
    assert_eq!(ids, ["owed", "r1"]);
    let [owed, r1] = told.requests.as_slice() else { panic!("{told:?}") };
    assert_eq!((owed.owed, &owed.record, owed.progress), (1, &None, Progress::Over(None)));
    assert_eq!((r1.from, r1.delivered, r1.last), (None, 0, None));
    assert!(r1.record.is_some());
}

#[test]
fn requests_that_are_over_are_forgotten_in_the_end() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![wish("r1", &["power"], MINUTE, Span::HOUR, None)]);
    for number in 0..120 {
        let id = format!("once-{number}");
        pair.vtn.request_reports(vec![wish(&id, &["power"], Span::ZERO, Span::ZERO, None)]);
        pair.run(Span::from_seconds(30));
    }
    let told = state(&mut pair);
    assert_eq!(told.requests.len(), 100);
    let has = |id: &str| told.requests.iter().any(|request| request.id.as_str() == id);
    assert!(has("r1") && has("once-119") && !has("once-0"));
}

/// It promises nothing, so a full disk does not keep it back.
#[test]
fn it_is_told_even_where_what_happens_with_it_cannot_be_stored() {
    let mut pair = Pair::registered();
    let answer = Ok(Fulfilled::Reports(Box::new(state(&mut pair))));
    let told = Effect::Answer { number: 1, answer };
    assert!(matches!(told.unstored(), Some(Effect::Answer { answer: Ok(_), .. })));
}
