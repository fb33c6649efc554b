//! Reports: what was asked for, all of it, once.

use super::pair::{Pair, metered, start, t, usage_offer, wish};
use crate::engine::Settings;
use crate::mock_vtn::Fault;
use crate::notice::{Notice, ReportEnd};
use crate::openadr::message::{
    DataQuality, Duration, Float, PayloadKind, ReadingType, ReportRequest, ReportSpecifier,
};
use crate::time::{Span, Timestamp};

/// Every start of a point that was reported, in order.
fn starts(pair: &Pair, id: &str, point: &str) -> Vec<Timestamp> {
    pair.reported(id).into_iter().filter(|(_, r_id, ..)| r_id == point).map(|(start, ..)| start).collect()
}

/// Reported from `from` to `to` in steps, without gap, doubt or repetition.
fn assert_complete(pair: &Pair, id: &str, (from, to, step): (Timestamp, Timestamp, Span)) {
    let expected: Vec<_> =
        std::iter::successors(Some(from), |at| Some(*at + step)).take_while(|at| *at < to).collect();
    assert_eq!(starts(pair, id, "energy"), expected);
    for (start, _, value, quality) in pair.reported(id) {
        assert_eq!((value, quality), (Float::from(metered(start)), DataQuality::Good));
    }
}

#[test]
fn rules_300_314_316_329_a_periodic_report_comes_each_period_with_all_its_steps() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![wish("r1", &["energy", "power"], Span::MINUTE, Span::MINUTE * 5, None)]);
    pair.run(Span::HOUR + Span::MINUTE);
    assert_eq!(pair.vtn.pending, ["r1".into()]);
    assert_eq!(pair.vtn.reports.len(), 12);
    // Asked for at 00:00:10, it starts with the next whole minute.
    assert_complete(&pair, "r1", (start() + Span::MINUTE, start() + Span::MINUTE * 61, Span::MINUTE));
    let report = &pair.vtn.reports[0];
    assert_eq!(report.intervals.len(), 10, "an interval of its own for each value");
    assert_eq!(report.duration, Some(Duration::from_seconds(300)));
    let uids: Vec<_> = report.intervals.iter().map(|i| i.uid.clone().unwrap()).collect();
    assert_eq!(uids, (0..10).map(|uid: i32| uid.to_string()).collect::<Vec<_>>());
    pair.assert_lawful();
}

/// Rule 342: point data have a start and no duration, interval data and mixed have both.
#[test]
fn rules_315_342_the_form_of_the_intervals_follows_from_the_data() {
    for (points, with_duration) in
        [(vec!["power"], false), (vec!["energy"], true), (vec!["energy", "power"], true)]
    {
        let mut pair = Pair::registered();
        pair.vtn.request_reports(vec![wish("r1", &points, Span::MINUTE, Span::MINUTE, None)]);
        pair.run(Span::MINUTE * 3);
        let intervals = &pair.vtn.reports[0].intervals;
        assert!(
            intervals.iter().all(|i| i.start.is_some() && i.duration.is_some() == with_duration),
            "{points:?}"
        );
    }
}

#[test]
fn rules_325_341_a_report_keeps_to_its_interval() {
    let mut pair = Pair::registered();
    let (from, lasts) = (t("2030-01-01T00:10:30Z"), Span::MINUTE * 7);
    pair.vtn.request_reports(vec![wish(
        "r1",
        &["energy"],
        Span::MINUTE,
        Span::MINUTE * 2,
        Some((from, lasts)),
    )]);
    pair.run(Span::HOUR);
    assert_complete(&pair, "r1", (from, from + lasts, Span::MINUTE));
    assert_eq!(pair.vtn.reports.len(), 4, "the last one is shorter");
    assert!(pair.store.requests.is_empty());
    let ended = Notice::ReportEnded { request_id: "r1".into(), why: ReportEnd::Complete };
    assert!(pair.notices.contains(&ended));
}

/// Rule 324: a reportBackDuration of zero is one report, at once, after its confirmation.
#[test]
fn rules_324_329_a_one_shot_report_comes_at_once_and_once() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![wish("once", &["energy", "power"], Span::ZERO, Span::ZERO, None)]);
    pair.run(Span::from_seconds(12));
    let kinds: Vec<_> = pair.vtn.received.iter().map(|(_, kind)| *kind).collect();
    let confirmed = kinds.iter().position(|kind| *kind == PayloadKind::CreatedReport);
    let sent = kinds.iter().position(|kind| *kind == PayloadKind::UpdateReport);
    assert!(confirmed < sent && confirmed.is_some(), "{kinds:?}");
    assert_eq!(pair.reported("once").len(), 2);
    pair.run(Span::HOUR);
    assert_eq!(pair.vtn.reports.len(), 1);
    assert_eq!(pair.vtn.pending, ["once".into()], "it was pending when it was confirmed (rule 329)");
    pair.assert_lawful();
}

/// Rules 304, 317, 340: what is not on offer is refused, and nothing of the message is begun.
#[test]
fn rules_304_317_340_a_wish_beyond_the_offer_is_refused() {
    let minute = Span::MINUTE;
    let good = wish("good", &["power"], minute, minute, None);
    let mut foreign = wish("bad", &["power"], minute, minute, None);
    foreign.specifier.report_specifier_id = "nothing".into();
    let ended = wish("bad", &["power"], minute, minute, Some((start() - Span::DAY, Span::HOUR)));
    for (bad, code) in [
        (foreign, 452),
        (wish("bad", &["gas"], minute, minute, None), 452),
        (wish("bad", &["power"], Span::from_millis(10), minute, None), 454),
        (wish("bad", &["power"], minute * 2, minute, None), 454),
        (wish("bad", &["power"], Span::DAY, Span::DAY, None), 454),
        (ended, 454),
    ] {
        let mut pair = Pair::registered();
        pair.vtn.request_reports(vec![good.clone(), bad]);
        pair.run(minute * 10);
        let refused = |notice: &Notice| matches!(notice, Notice::ReportRequestRefused { code: found, .. } if found.number() == code);
        assert!(pair.notices.iter().any(refused), "{code}: {:?}", pair.notices);
        assert!(pair.vtn.reports.is_empty() && pair.vtn.pending.is_empty());
    }
}

/// Rule 344: requests may come along with the answer to the metadata; they are confirmed by a message of their own.
#[test]
fn rule_344_a_request_sent_along_is_confirmed_and_served() {
    let mut pair = Pair::new();
    pair.vtn.piggyback = vec![wish("p1", &["energy"], Span::MINUTE, Span::MINUTE, None)];
    pair.run(Span::MINUTE * 5);
    assert_eq!(pair.vtn.pending, ["p1".into()]);
    assert!(pair.vtn.reports.len() >= 3);
    pair.assert_lawful();
}

#[test]
fn rule_336_a_cancelled_report_ends_at_once() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![
        wish("r1", &["energy"], Span::MINUTE, Span::MINUTE, None),
        wish("r2", &["energy"], Span::MINUTE, Span::MINUTE, None),
    ]);
    pair.run(Span::MINUTE * 5 + Span::from_seconds(30));
    pair.vtn.cancel_reports(&["r1"], false);
    pair.run(Span::from_seconds(12));
    let reports = pair.reported("r1").len();
    assert_eq!(pair.vtn.pending, ["r2".into()]);
    pair.run(Span::HOUR);
    assert_eq!(pair.reported("r1").len(), reports);
    assert!(pair.reported("r2").len() > reports + 50);
    pair.vtn.cancel_reports(&["r2", "unknown"], false);
    pair.run(Span::from_seconds(12));
    assert!(pair.vtn.pending.is_empty(), "the known ones are cancelled (rule 336)");
}

/// Rule 345: one last report; until it is sent, the request is pending.
#[test]
fn rule_345_a_cancelled_report_may_have_one_to_follow() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![wish("r1", &["energy"], Span::MINUTE, Span::MINUTE * 10, None)]);
    pair.run_to("2030-01-01T00:15:30Z");
    pair.vtn.cancel_reports(&["r1"], true);
    pair.run(Span::from_seconds(12));
    assert_eq!(pair.vtn.pending, ["r1".into()]);
    pair.run(Span::HOUR);
    assert_complete(&pair, "r1", (start() + Span::MINUTE, start() + Span::MINUTE * 15, Span::MINUTE));
    assert!(pair.store.requests.is_empty());
}

/// Rule 306: registering the reports again cancels what runs; the metadata carry the id under which they were asked for (rule 311).
#[test]
fn rules_306_311_327_metadata_are_sent_on_request_and_cancel_what_runs() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![wish("r1", &["energy"], Span::MINUTE, Span::MINUTE, None)]);
    pair.run(Span::MINUTE * 5);
    let mut metadata: ReportRequest = wish("m1", &["0"], Span::ZERO, Span::ZERO, None);
    metadata.specifier.report_specifier_id = ReportSpecifier::METADATA.into();
    metadata.specifier.payloads[0].reading_type = ReadingType::NotApplicable;
    pair.vtn.request_reports(vec![metadata]);
    pair.run(Span::from_seconds(12));
    assert_eq!(pair.vtn.count(PayloadKind::RegisterReport), 2);
    let reports = pair.vtn.reports.len();
    pair.run(Span::HOUR);
    assert_eq!(pair.vtn.reports.len(), reports);
    pair.assert_lawful();
}

/// Nothing is lost while the VTN is away, and nothing comes twice when it is back.
#[test]
fn reports_wait_for_a_vtn_that_is_away() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![wish("r1", &["energy"], Span::MINUTE, Span::MINUTE * 5, None)]);
    pair.run(Span::MINUTE);
    pair.link_up = false;
    pair.run(Span::HOUR * 3);
    pair.link_up = true;
    pair.run(Span::MINUTE * 21);
    let end = starts(&pair, "r1", "energy").last().copied().unwrap() + Span::MINUTE;
    assert!(end > start() + Span::HOUR * 3);
    assert_complete(&pair, "r1", (start() + Span::MINUTE, end, Span::MINUTE));
    assert!(pair.store.owed.is_empty());
}

/// A lost answer: the same report under the same requestID comes again, equal in its values.
#[test]
fn a_report_whose_answer_was_lost_is_repeated_equal() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![wish("r1", &["energy"], Span::MINUTE, Span::MINUTE, None)]);
    pair.run(Span::from_seconds(15));
    pair.run_to("2030-01-01T00:02:00Z");
    pair.vtn.faults.push_back(Fault::LoseAnswer);
    pair.run(Span::MINUTE);
    let report = pair.vtn.reports.iter().filter(|report| report.start == Some(t("2030-01-01T00:01:00Z")));
    let report: Vec<_> = report.collect();
    assert!(report.windows(2).all(|pair| pair[0] == pair[1]));
}

/// What falls due while the VEN is dead is reported when it is back: the span is put together, nothing is left out.
#[test]
fn after_a_restart_the_missed_time_is_reported() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![wish("r1", &["energy"], Span::MINUTE, Span::MINUTE * 5, None)]);
    pair.run(Span::HOUR);
    pair.set_clock(pair.now() + Span::HOUR * 5);
    pair.restart();
    pair.run(Span::MINUTE * 10);
    assert_complete(&pair, "r1", (start() + Span::MINUTE, start() + Span::MINUTE * 366, Span::MINUTE));
}

#[test]
fn time_beyond_what_is_kept_is_left_out_and_told() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![wish("r1", &["energy"], Span::MINUTE, Span::MINUTE * 5, None)]);
    pair.run(Span::HOUR);
    pair.set_clock(pair.now() + Span::DAY * 3);
    pair.restart();
    pair.run(Span::MINUTE * 10);
    assert!(pair.notices.iter().any(|notice| matches!(notice, Notice::ReportSkipped { .. })));
    let after = starts(&pair, "r1", "energy").into_iter().find(|at| *at > start() + Span::HOUR * 2).unwrap();
    let oldest = pair.now() - Span::DAY;
    assert!(after >= oldest - Span::MINUTE * 20, "{after} is older than what is kept");
}

/// Rule 318: a value is never invented; a placeholder says that it is one.
#[test]
fn rule_318_without_data_the_report_holds_placeholders() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![wish("r1", &["energy", "power"], Span::MINUTE, Span::MINUTE * 2, None)]);
    pair.meter_up = false;
    pair.run(Span::MINUTE * 6);
    let reported = pair.reported("r1");
    assert_eq!(reported.len(), 8, "two reports of two steps of two points");
    assert!(
        reported
            .iter()
            .all(|(_, _, value, quality)| *value == Float::from(0) && *quality == DataQuality::Bad)
    );
    pair.meter_up = true;
    pair.run(Span::MINUTE * 3);
    assert!(pair.reported("r1").iter().any(|(.., quality)| *quality == DataQuality::Good));
    pair.assert_lawful();
}

/// Rule 304: a VTN that has forgotten a request gets no more of it.
#[test]
fn rule_304_a_request_that_the_vtn_forgot_ends() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![wish("r1", &["energy"], Span::MINUTE, Span::MINUTE, None)]);
    pair.run(Span::MINUTE * 2);
    pair.vtn.forgotten_reports.insert("r1".into());
    pair.run(Span::MINUTE * 2);
    let ended = Notice::ReportEnded { request_id: "r1".into(), why: ReportEnd::Unknown };
    assert!(pair.notices.contains(&ended), "{:?}", pair.notices);
    assert!(pair.store.requests.is_empty() && pair.store.owed.is_empty());
}

/// Rule 328: a cancellation may come along with the answer to a report; it is not confirmed.
#[test]
fn rules_328_335_a_cancellation_sent_along_ends_the_report() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![wish("r1", &["energy"], Span::MINUTE, Span::MINUTE, None)]);
    pair.run(Span::MINUTE * 2);
    pair.vtn.cancel_with_next_update = true;
    pair.run(Span::HOUR);
    assert!(pair.store.requests.is_empty());
    assert!(pair.vtn.reports.len() <= 3);
    assert_eq!(pair.vtn.count(PayloadKind::CanceledReport), 0);
}

#[test]
fn a_long_backlog_does_not_make_the_ven_deaf() {
    let mut pair = Pair::with(Settings { offers: vec![usage_offer()], ..Settings::default() });
    pair.vtn.poll_freq = Span::SECOND;
    pair.run(Span::SECOND);
    pair.vtn.request_reports(vec![wish("r1", &["energy"], Span::SECOND, Span::SECOND, None)]);
    pair.run(Span::from_seconds(5));
    pair.link_up = false;
    pair.run(Span::HOUR);
    pair.link_up = true;
    pair.run(Span::MINUTE * 6);
    let last: Vec<_> = pair.vtn.received.iter().rev().take(400).map(|(_, kind)| *kind).collect();
    let polls = last.iter().filter(|kind| **kind == PayloadKind::Poll).count();
    assert!(polls >= 5, "{polls} polls among the last {}", last.len());
}
