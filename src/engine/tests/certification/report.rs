//! Reports: subjects R0 and R1.

use crate::engine::Input;
use crate::engine::tests::pair::{Pair, start, t, wish};
use crate::engine::tests::report_rules::{metadata, of_the_vtn, poll, wish_of};
use crate::notice::Notice;
use crate::openadr::message::{PayloadKind, ReportRequest};
use crate::time::{Span, Timestamp};

const ONCE: (Span, Span) = (Span::ZERO, Span::ZERO);
const MINUTELY: (Span, Span) = (Span::MINUTE, Span::MINUTE);

/// A request for the status.
fn status(id: &str, how: (Span, Span), interval: Option<(Timestamp, Span)>) -> ReportRequest {
    wish_of("status", id, "status", how, interval)
}

fn reports(pair: &Pair, id: &str) -> usize {
    pair.vtn.reports.iter().filter(|report| report.report_request_id.as_str() == id).count()
}

/// The VTN can report, and the VEN asks for its metadata.
fn vtn_that_reports(mode: crate::engine::tests::pair::Mode) -> Pair {
    let mut pair = Pair::registered_in(mode);
    pair.vtn.own_reports = vec![of_the_vtn()];
    pair
}

fn ask(pair: &mut Pair, request: ReportRequest) {
    pair.input(Input::RequestReports { requests: vec![request], along: false });
    poll(pair);
}

fn of_vtn(id: &str, how: (Span, Span)) -> ReportRequest {
    wish_of("vtn", id, "energy", how, None)
}

/// How often the VTN has sent metadata and data that were taken.
fn taken(pair: &Pair) -> (usize, usize) {
    let metadata = |notice: &&Notice| matches!(notice, Notice::VtnReportsRegistered { .. });
    let data = |notice: &&Notice| matches!(notice, Notice::VtnReported { .. });
    (pair.notices.iter().filter(metadata).count(), pair.notices.iter().filter(data).count())
}

subject! {
    /// One status, at once.
    fn r1_3010_one_shot_status, r0_8010_one_shot_status(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.request_reports(vec![status("s1", ONCE, None)]);
        pair.run(Span::MINUTE);
        assert_eq!(reports(&pair, "s1"), 1);
        assert_eq!(pair.vtn.reports[0].intervals.len(), 1);
        pair.assert_lawful();
    }
}

subject! {
    /// A status each minute, for five minutes.
    fn r1_3020_periodic_status, r0_8020_periodic_status(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.request_reports(vec![status("s1", MINUTELY, Some((start(), Span::MINUTE * 5)))]);
        pair.run(Span::HOUR);
        assert!((4..=5).contains(&reports(&pair, "s1")), "{}", reports(&pair, "s1"));
        assert!(pair.store.requests.is_empty());
        pair.assert_lawful();
    }
}

subject! {
    /// What changes in the status, from two minutes later, with the load control state.
    fn r1_3025_status_on_change, r0_8025_status_on_change(mode) {
        let mut pair = Pair::registered_in(mode);
        let from = start() + Span::MINUTE * 2;
        let how = (Span::ZERO, Span::MINUTE);
        pair.vtn.request_reports(vec![status("s1", how, Some((from, Span::MINUTE * 5)))]);
        pair.run_to("2030-01-01T00:02:30Z");
        assert_eq!(reports(&pair, "s1"), 0);
        pair.run(Span::HOUR);
        assert_eq!(reports(&pair, "s1"), 5);
        assert!(pair.vtn.reports.iter().all(|report| report.start >= Some(from)));
        pair.assert_lawful();
    }
}

subject! {
    /// Two minutes, two reports.
    fn r1_3027_short_status, r0_8027_short_status(mode) {
        let mut pair = Pair::registered_in(mode);
        let from = start() + Span::MINUTE;
        pair.vtn.request_reports(vec![status("s1", MINUTELY, Some((from, Span::MINUTE * 2)))]);
        pair.run(Span::HOUR);
        assert_eq!(reports(&pair, "s1"), 2);
        pair.assert_lawful();
    }
}

subject! {
    /// Two requests run at once.
    fn r1_3030_two_requests, r0_8030_two_requests(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.request_reports(vec![status("s1", MINUTELY, None)]);
        poll(&mut pair);
        pair.vtn.request_reports(vec![status("s2", MINUTELY, None)]);
        pair.run(Span::MINUTE * 5);
        assert_eq!(pair.vtn.pending, ["s1".into(), "s2".into()]);
        assert!(reports(&pair, "s1") >= 4 && reports(&pair, "s2") >= 4);
        pair.assert_lawful();
    }
}

subject! {
    /// The VTN cancels.
    fn r1_3040_cancel, r0_8040_cancel(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.request_reports(vec![status("s1", MINUTELY, None)]);
        pair.run(Span::MINUTE * 3);
        pair.vtn.cancel_reports(&["s1"], false);
        poll(&mut pair);
        let before = reports(&pair, "s1");
        assert!(before > 0 && pair.vtn.pending.is_empty());
        pair.run(Span::HOUR);
        assert_eq!(reports(&pair, "s1"), before);
        pair.assert_lawful();
    }
}

subject! {
    /// For ever, and then cancelled with one report to follow, which is pending until it is sent.
    fn r1_3045_report_to_follow, r0_8045_report_to_follow(mode) {
        let mut pair = Pair::registered_in(mode);
        let forever = Some((start(), Span::ZERO));
        pair.vtn.request_reports(vec![status("s1", (Span::MINUTE, Span::MINUTE * 10), forever)]);
        pair.run_to("2030-01-01T00:13:30Z");
        let before = reports(&pair, "s1");
        pair.vtn.cancel_reports(&["s1"], true);
        poll(&mut pair);
        assert_eq!(pair.vtn.pending, ["s1".into()]);
        pair.run(Span::HOUR);
        assert_eq!(reports(&pair, "s1"), before + 1);
        pair.assert_lawful();
    }
}

subject! {
    /// The cancellation comes with the answer to a report, and is not confirmed.
    fn r1_3050_piggyback_cancel, r0_8050_piggyback_cancel(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.request_reports(vec![status("s1", MINUTELY, None)]);
        poll(&mut pair);
        pair.vtn.cancel_with_next_update = true;
        pair.run(Span::HOUR);
        assert_eq!(reports(&pair, "s1"), 1);
        assert_eq!(pair.vtn.count(PayloadKind::CanceledReport), 0);
        pair.assert_lawful();
    }
}

subject! {
    /// The request comes with the answer to the metadata.
    fn r1_3060_piggyback_request, r0_8060_piggyback_request(mode) {
        let mut pair = Pair::in_mode(mode);
        pair.vtn.piggyback = vec![status("s1", MINUTELY, None)];
        pair.run(Span::MINUTE * 5);
        assert_eq!(pair.vtn.pending, ["s1".into()]);
        assert!(reports(&pair, "s1") >= 3);
        pair.assert_lawful();
    }
}

subject! {
    /// The VEN asks for the metadata of the VTN, once.
    fn r1_3070_metadata_of_the_vtn, r0_8070_metadata_of_the_vtn(mode) {
        let mut pair = vtn_that_reports(mode);
        ask(&mut pair, metadata("m1", Span::ZERO));
        pair.run(Span::HOUR);
        assert_eq!(taken(&pair), (1, 0));
        assert_eq!(pair.vtn.count(PayloadKind::RegisteredReport), 1);
        pair.assert_lawful();
    }
}

subject! {
    /// The VEN asks for the metadata of the VTN again and again.
    fn r1_3080_periodic_metadata_of_the_vtn, r0_8080_periodic_metadata_of_the_vtn(mode) {
        let mut pair = vtn_that_reports(mode);
        ask(&mut pair, metadata("m1", Span::MINUTE * 10));
        pair.run_to("2030-01-01T00:35:00Z");
        assert_eq!(taken(&pair), (4, 0));
        pair.assert_lawful();
    }
}

subject! {
    /// The VEN asks for the metadata of the VTN under several ids.
    fn r1_3090_several_metadata_of_the_vtn, r0_8090_several_metadata_of_the_vtn(mode) {
        let mut pair = vtn_that_reports(mode);
        let requests = vec![metadata("m1", Span::ZERO), metadata("m2", Span::MINUTE * 10)];
        pair.input(Input::RequestReports { requests, along: false });
        pair.run_to("2030-01-01T00:15:00Z");
        assert_eq!(taken(&pair), (3, 0));
        pair.assert_lawful();
    }
}

subject! {
    /// The VEN cancels what it has asked of the VTN.
    fn r1_3100_cancel_at_the_vtn, r0_8100_cancel_at_the_vtn(mode) {
        let mut pair = vtn_that_reports(mode);
        ask(&mut pair, metadata("m1", Span::MINUTE * 10));
        let ids = vec!["m1".into()];
        pair.input(Input::CancelRequested { ids: ids.clone(), report_to_follow: false, along: false });
        pair.run(Span::HOUR);
        assert_eq!(taken(&pair), (1, 0));
        assert_eq!(pair.vtn.count(PayloadKind::CancelReport), 1);
        pair.assert_lawful();
        pair.input(Input::CancelRequested { ids, report_to_follow: false, along: false });
        poll(&mut pair);
        let refused =
            |n: &Notice| matches!(n, Notice::MessageRefused { message: PayloadKind::CancelReport, .. });
        assert!(pair.notices.iter().any(refused), "{:?}", pair.notices);
    }
}

subject! {
    /// The VEN cancels with its answer to data of the VTN.
    fn r1_3110_piggyback_cancel_at_the_vtn, r0_8110_piggyback_cancel_at_the_vtn(mode) {
        let mut pair = vtn_that_reports(mode);
        ask(&mut pair, of_vtn("v1", MINUTELY));
        pair.run(Span::MINUTE * 3);
        let before = taken(&pair).1;
        assert!(before >= 3, "{before}");
        pair.input(Input::CancelRequested { ids: vec!["v1".into()], report_to_follow: false, along: true });
        pair.run(Span::HOUR);
        assert_eq!(taken(&pair), (0, before + 1));
        assert_eq!(pair.vtn.count(PayloadKind::CancelReport), 0);
        pair.assert_lawful();
    }
}

subject! {
    /// The VEN asks for data with its answer to the metadata of the VTN.
    fn r1_3120_piggyback_request_at_the_vtn, r0_8120_piggyback_request_at_the_vtn(mode) {
        let mut pair = vtn_that_reports(mode);
        pair.input(Input::RequestReports { requests: vec![of_vtn("v1", ONCE)], along: true });
        ask(&mut pair, metadata("m1", Span::ZERO));
        pair.run(Span::MINUTE * 5);
        assert_eq!(taken(&pair), (1, 1));
        assert_eq!(pair.vtn.count(PayloadKind::CreateReport), 1);
        pair.assert_lawful();
    }
}

subject! {
    /// The whole history of usage.
    fn r1_3130_whole_history, r0_8130_whole_history(mode) {
        let mut pair = Pair::registered_in(mode);
        let interval = Some((start() - Span::DAY, Span::ZERO));
        pair.vtn.request_reports(vec![wish_of("history", "h1", "energy", ONCE, interval)]);
        pair.run(Span::HOUR);
        assert_eq!((reports(&pair, "h1"), pair.reported("h1").len()), (1, 96));
        pair.assert_lawful();
    }
}

subject! {
    /// A part of the history of usage.
    fn r1_3140_part_of_the_history, r0_8140_part_of_the_history(mode) {
        let mut pair = Pair::registered_in(mode);
        let interval = Some((start() - Span::HOUR * 5, Span::HOUR));
        pair.vtn.request_reports(vec![wish_of("history", "h1", "energy", ONCE, interval)]);
        pair.run(Span::HOUR);
        let starts: Vec<_> = pair.reported("h1").into_iter().map(|(at, ..)| at).collect();
        assert_eq!((starts[0], starts.len()), (t("2029-12-31T19:00:00Z"), 4));
        pair.assert_lawful();
    }
}

subject! {
    /// Power and energy, at once; the energy belongs to a span.
    fn r1_3150_one_shot_usage, r0_8150_one_shot_usage(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.request_reports(vec![wish("u1", &["power", "energy"], Span::ZERO, Span::ZERO, None)]);
        pair.run(Span::MINUTE);
        let intervals = &pair.vtn.reports[0].intervals;
        assert_eq!(intervals.len(), 2);
        assert!(intervals.iter().all(|interval| interval.duration.is_some()));
        pair.assert_lawful();
    }
}

subject! {
    /// Usage in steps of a minute, every two minutes.
    fn r1_3160_periodic_usage, r0_8160_periodic_usage(mode) {
        let mut pair = Pair::registered_in(mode);
        let two = Span::MINUTE * 2;
        pair.vtn.request_reports(vec![wish("u1", &["power", "energy"], Span::MINUTE, two, None)]);
        pair.run(Span::MINUTE * 10);
        assert!(reports(&pair, "u1") >= 4);
        assert!(pair.vtn.reports.iter().all(|report| report.intervals.len() == 4));
        pair.assert_lawful();
    }
}

subject! {
    /// The VTN asks for the metadata, which cancels what runs; to cancel that afterwards is refused.
    fn r1_3170_metadata_request, r0_8170_metadata_request(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.request_reports(vec![status("s1", MINUTELY, None)]);
        pair.run(Span::MINUTE * 3);
        pair.vtn.request_reports(vec![metadata("m1", Span::ZERO)]);
        poll(&mut pair);
        let before = reports(&pair, "s1");
        assert_eq!(pair.vtn.count(PayloadKind::RegisterReport), 2);
        pair.vtn.cancel_reports(&["s1"], false);
        pair.run(Span::MINUTE * 5);
        assert_eq!(reports(&pair, "s1"), before);
        assert_eq!(pair.vtn.refused_cancellations, 1);
        pair.assert_lawful();
    }
}

subject! {
    /// Two requests in one message.
    fn r1_3180_two_in_one_message, r0_8180_two_in_one_message(mode) {
        let mut pair = Pair::registered_in(mode);
        let usage = wish("u1", &["power"], Span::MINUTE, Span::MINUTE, None);
        pair.vtn.request_reports(vec![status("s1", MINUTELY, None), usage]);
        pair.run(Span::MINUTE * 5);
        assert_eq!(pair.vtn.count(PayloadKind::CreatedReport), 1);
        assert_eq!(pair.vtn.pending, ["s1".into(), "u1".into()]);
        assert!(reports(&pair, "s1") >= 3 && reports(&pair, "u1") >= 3);
        pair.assert_lawful();
    }
}

subject! {
    /// What is not on offer is refused with 452.
    fn r1_3190_unknown_points, r0_8190_unknown_points(mode) {
        let mut pair = Pair::registered_in(mode);
        pair.vtn.request_reports(vec![wish_of("nothing", "x1", "status", MINUTELY, None)]);
        pair.vtn.request_reports(vec![wish_of("status", "x2", "nothing", MINUTELY, None)]);
        pair.run(Span::MINUTE * 5);
        let refused = |n: &&Notice| {
            matches!(n, Notice::ReportRequestRefused { code, .. } if code.number() == 452)
        };
        assert_eq!(pair.notices.iter().filter(refused).count(), 2);
        assert!(pair.vtn.pending.is_empty() && pair.vtn.reports.is_empty());
        pair.assert_lawful();
    }
}
