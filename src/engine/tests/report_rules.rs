//! Reports: the rules that no conversation of `reports.rs` pins.

use super::pair::{Pair, metered, start, t, usage_offer, wish};
use crate::engine::{Input, Settings};
use crate::notice::Notice;
use crate::openadr::message::{
    CancelReport, CreateReport, DataQuality, EiTarget, Float, PayloadBase, PayloadKind, ReadingType,
    RegisterReport, Report, ReportRequest, ReportSpecifier, RequestId, UpdateReport,
};
use crate::time::{Span, Timestamp};

/// A wish of another specifier.
pub(super) fn wish_of(
    specifier: &str,
    id: &str,
    r_id: &str,
    (granularity, back): (Span, Span),
    interval: Option<(Timestamp, Span)>,
) -> ReportRequest {
    let mut wish = wish(id, &[r_id], granularity, back, interval);
    wish.specifier.report_specifier_id = specifier.into();
    wish
}

pub(super) fn metadata(id: &str, back: Span) -> ReportRequest {
    wish_of(ReportSpecifier::METADATA, id, "0", (Span::ZERO, back), None)
}

/// What the VTN offers itself.
pub(super) fn of_the_vtn() -> Report {
    let mut pair = Pair::registered();
    let mut report = pair.vtn.offered.swap_remove(0);
    report.report_specifier_id = "vtn".into();
    report
}

pub(super) fn poll(pair: &mut Pair) {
    pair.run(Span::from_seconds(12));
}

fn refusals(pair: &Pair) -> Vec<u16> {
    let code = |notice: &Notice| {
        let Notice::ReportRequestRefused { code, .. } = notice else { return None };
        Some(code.number())
    };
    pair.notices.iter().filter_map(code).collect()
}

/// What is offered, how it is described, and that it is all of it.
#[test]
fn rules_305_308_311_312_313_331_333_the_metadata_say_what_is_on_offer() {
    let pair = Pair::registered();
    let names: Vec<_> = pair.vtn.offered.iter().map(|report| report.report_name.clone().unwrap()).collect();
    let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
    assert_eq!(names, ["METADATA_TELEMETRY_USAGE", "METADATA_TELEMETRY_STATUS", "METADATA_HISTORY_USAGE"]);
    for report in &pair.vtn.offered {
        assert_eq!(report.report_request_id.as_str(), "0");
        assert_eq!((report.start, report.intervals.len(), &report.report_id), (None, 0, &None));
        let kept = report.duration.unwrap().nominal();
        assert!(report.descriptions.iter().all(|d| d.sampling_rate.unwrap().max_period.nominal() <= kept));
    }
    pair.assert_lawful();
}

/// With nothing to offer there is no report in the message, and the metadata may still be asked for.
#[test]
fn rule_301_a_ven_may_offer_nothing() {
    let mut pair = Pair::with(Settings::default());
    poll(&mut pair);
    assert_eq!(pair.vtn.count(PayloadKind::RegisterReport), 1);
    pair.vtn.request_reports(vec![metadata("m1", Span::ZERO)]);
    poll(&mut pair);
    assert_eq!(pair.vtn.count(PayloadKind::RegisterReport), 2);
    assert!(pair.vtn.offered.is_empty());
    pair.assert_lawful();
}

#[test]
fn rule_309_metadata_come_before_all_other_services() {
    let pair = Pair::registered();
    let kinds: Vec<_> = pair.vtn.received.iter().map(|(_, kind)| *kind).collect();
    let registered = kinds.iter().position(|kind| *kind == PayloadKind::RegisterReport);
    assert!(registered < kinds.iter().position(|kind| *kind == PayloadKind::Poll), "{kinds:?}");
}

/// A requestID that is another's shows that the answer is another's; an empty one is none.
#[test]
fn rule_303_request_ids_are_repeated_and_looked_at() {
    let mut pair = Pair::registered();
    for request_id in ["", "abc"] {
        pair.vtn.queue(CreateReport {
            request_id: request_id.into(),
            report_requests: vec![wish("r1", &["power"], Span::MINUTE, Span::MINUTE, None)],
            ven_id: None,
        });
        poll(&mut pair);
    }
    assert_eq!(pair.vtn.pending, ["r1".into()]);
    pair.vtn.mistake_next_update = true;
    pair.run(Span::MINUTE * 3);
    let rejected =
        |notice: &&Notice| matches!(notice, Notice::MessageRejected { why, .. } if why.contains("rule 303"));
    assert_eq!(pair.notices.iter().filter(rejected).count(), 1, "{:?}", pair.notices);
    assert!(pair.store.owed.is_empty(), "it is sent again and taken");
}

#[test]
fn rules_304_322_what_is_for_another_or_twice_is_refused() {
    let mut pair = Pair::registered();
    let once = || wish("r1", &["power"], Span::MINUTE, Span::MINUTE, None);
    let create = |ven_id: &str, report_requests| CreateReport {
        request_id: RequestId::from("q"),
        report_requests,
        ven_id: Some(ven_id.into()),
    };
    let ours = pair.vtn.registered().unwrap().to_string();
    pair.vtn.queue(create("another", vec![once()]));
    pair.vtn.queue(create(&ours, vec![once(), once()]));
    poll(&mut pair);
    let codes: Vec<_> = pair.vtn.verdicts.iter().map(|(_, code)| code.number()).collect();
    assert_eq!(codes, [452, 452]);
    pair.vtn.queue(create(&ours, vec![once()]));
    poll(&mut pair);
    assert_eq!(pair.vtn.pending, ["r1".into()]);
    let (request_id, ids) = (RequestId::from("c"), vec!["r1".into()]);
    let ven_id = Some("another".into());
    pair.vtn.queue(CancelReport { request_id, report_request_ids: ids, report_to_follow: false, ven_id });
    poll(&mut pair);
    assert_eq!(pair.store.requests.len(), 1);
}

/// A reportRequestID that runs replaces what ran under it.
#[test]
fn rule_322_the_same_id_again_is_the_newer_request() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![wish("r1", &["power"], Span::MINUTE, Span::MINUTE, None)]);
    poll(&mut pair);
    pair.vtn.request_reports(vec![wish("r1", &["energy"], Span::MINUTE, Span::MINUTE * 2, None)]);
    pair.run(Span::MINUTE * 10);
    assert!(pair.reported("r1").iter().all(|(_, point, ..)| point == "energy"));
    assert!((4..=5).contains(&pair.vtn.reports.len()), "{}", pair.vtn.reports.len());
    pair.assert_lawful();
}

/// Periodic requests for metadata go on when all others are cancelled, also after a restart, until they are cancelled themselves.
#[test]
fn rules_306_327_periodic_metadata_outlive_what_they_cancel() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![
        wish("r1", &["power"], Span::MINUTE, Span::HOUR, None),
        metadata("m1", Span::MINUTE * 10),
    ]);
    poll(&mut pair);
    assert_eq!(pair.vtn.count(PayloadKind::RegisterReport), 2);
    assert_eq!(pair.store.requests.len(), 1, "r1 is cancelled");
    pair.run(Span::MINUTE * 15);
    pair.restart();
    pair.run(Span::MINUTE * 10);
    assert_eq!(pair.vtn.count(PayloadKind::RegisterReport), 4);
    pair.vtn.cancel_reports(&["m1"], false);
    pair.run(Span::HOUR);
    assert_eq!(pair.vtn.count(PayloadKind::RegisterReport), 4);
    pair.assert_lawful();
}

/// With a granularity of zero only what changes is reported; what does not, as the previous value.
#[test]
fn rules_317_334_changes_are_reported_in_every_period() {
    let mut pair = Pair::registered();
    let (now, forever) = (t("2030-01-01T00:02:00Z"), Span::ZERO);
    let wish = wish_of("status", "s1", "status", (Span::ZERO, Span::MINUTE * 5), Some((now, forever)));
    pair.vtn.request_reports(vec![wish]);
    pair.run(Span::MINUTE * 30);
    let seen: Vec<_> = pair
        .vtn
        .reports
        .iter()
        .map(|report| {
            let values = report.intervals.iter().map(|interval| {
                let payload = interval.report_payloads().next().unwrap();
                let PayloadBase::ResourceStatus(status) = &payload.value else { panic!("no status") };
                assert!(status.load_control_state.as_ref().unwrap().level_offset.is_some());
                let again = payload.data_quality == Some(DataQuality::PreviousValue);
                ((interval.start.unwrap() - start()).seconds() / 60, status.online, again)
            });
            values.collect::<Vec<_>>()
        })
        .collect();
    // Away from 00:10 to 00:11 and from 00:20 to 00:21.
    assert_eq!(seen[0], [(6, true, true)]);
    assert_eq!(seen[1], [(10, false, false), (11, true, false)]);
    assert_eq!(seen[2], [(16, true, true)]);
    assert_eq!(seen[3], [(20, false, false), (21, true, false)]);
    pair.assert_lawful();
}

/// A history is one message with what is on record, in the steps of the record.
#[test]
fn rules_317_324_325_341_a_history_comes_once_and_whole() {
    let quarter = Span::MINUTE * 15;
    let (from, whole) = (start() - Span::HOUR * 2, Span::ZERO);
    for (from, lasts, first, steps) in [
        (from, whole, from, 8),
        (from, Span::HOUR, from, 4),
        (from + Span::SECOND, Span::HOUR, from + quarter, 3),
        (start() - Span::DAY * 9, whole, start() - Span::DAY, 96),
    ] {
        let mut pair = Pair::registered();
        let wish = wish_of("history", "h1", "energy", (Span::ZERO, Span::ZERO), Some((from, lasts)));
        pair.vtn.request_reports(vec![wish]);
        pair.run(Span::HOUR * 3);
        assert_eq!(pair.vtn.reports.len(), 1);
        let reported = pair.reported("h1");
        assert_eq!((reported[0].0, reported.len()), (first, steps));
        assert!(reported.iter().all(|(at, _, value, _)| *value == Float::from(metered(*at))));
        assert!(pair.store.requests.is_empty());
        pair.assert_lawful();
    }
}

#[test]
fn rules_324_340_a_history_needs_an_interval_of_what_is_kept() {
    let zero = Span::ZERO;
    for (back, interval) in [
        (zero, None),
        (Span::HOUR, Some((start() - Span::HOUR, Span::HOUR))),
        (zero, Some((start() - Span::DAY, Span::DAY * 2))),
        (zero, Some((start() + Span::HOUR, Span::HOUR))),
        (zero, Some((start() - Span::DAY * 9, Span::DAY))),
    ] {
        let mut pair = Pair::registered();
        pair.vtn.request_reports(vec![wish_of("history", "h1", "energy", (zero, back), interval)]);
        poll(&mut pair);
        assert_eq!(refusals(&pair), [454], "{interval:?}");
    }
}

/// What came late goes out as a whole, in place of the placeholders.
#[test]
fn rule_346_late_data_correct_the_placeholders() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![wish("r1", &["energy"], Span::MINUTE, Span::MINUTE * 2, None)]);
    pair.run(Span::MINUTE * 4);
    pair.meter_up = false;
    pair.run(Span::MINUTE * 4);
    pair.meter_up = true;
    pair.run(Span::MINUTE * 5);
    let bad = |report: &Report| {
        let mut payloads = report.intervals.iter().flat_map(|interval| interval.report_payloads());
        payloads.any(|payload| payload.data_quality == Some(DataQuality::Bad))
    };
    let placeholders: Vec<_> = pair.vtn.reports.iter().filter(|report| bad(report)).collect();
    assert_eq!(placeholders.len(), 2);
    for placeholder in placeholders {
        let twins = pair.vtn.reports.iter().filter(|report| report.start == placeholder.start);
        let twins: Vec<_> = twins.collect();
        assert_eq!(twins.len(), 2);
        assert!(!bad(twins[1]));
        let starts = |report: &Report| report.intervals.iter().map(|i| i.start).collect::<Vec<_>>();
        assert_eq!(starts(twins[0]), starts(twins[1]));
    }
    let reports = pair.vtn.reports.len();
    pair.run(Span::MINUTE * 10);
    assert_eq!(pair.vtn.reports.len(), reports + 5, "nothing is corrected twice");
    pair.assert_lawful();
}

/// A report that is ready and has not reached the VTN is still to come.
#[test]
fn rule_329_what_is_owed_is_pending() {
    let mut pair = Pair::registered();
    pair.vtn.stumbles_over = Some(PayloadKind::UpdateReport);
    pair.vtn.request_reports(vec![wish("once", &["power"], Span::ZERO, Span::ZERO, None)]);
    poll(&mut pair);
    assert!(pair.store.requests.is_empty());
    pair.vtn.request_reports(vec![wish("r1", &["power"], Span::MINUTE, Span::HOUR, None)]);
    poll(&mut pair);
    assert_eq!(pair.vtn.pending, ["once".into(), "r1".into()]);
    pair.vtn.cancel_reports(&["once"], false);
    poll(&mut pair);
    assert_eq!(pair.vtn.pending, ["r1".into()]);
    assert!(pair.store.owed.is_empty());
    pair.assert_lawful();
}

/// The interval of a one-shot of energy has a length.
#[test]
fn rule_337_a_one_shot_of_usage_has_a_duration() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![wish("once", &["energy"], Span::ZERO, Span::ZERO, None)]);
    poll(&mut pair);
    assert!(pair.vtn.reports[0].intervals[0].duration.is_some());
}

/// A reading type, a unit, or a `reportInterval` of a one-shot that a VTN sends all the same does no harm.
#[test]
fn rules_321_338_what_has_no_place_in_a_request_is_ignored() {
    let mut pair = Pair::registered();
    let mut wish = wish("r1", &["power"], Span::ZERO, Span::ZERO, Some((start(), Span::HOUR)));
    wish.specifier.payloads[0].reading_type = ReadingType::DirectRead;
    wish.specifier.payloads[0].unit = usage_offer().points[0].unit.clone();
    pair.vtn.request_reports(vec![wish]);
    poll(&mut pair);
    assert_eq!(pair.reported("r1").len(), 1);
}

/// Data of the VTN that nobody has asked for are refused, and so are metadata under an unknown id.
#[test]
fn rules_304_311_unasked_reports_of_the_vtn_are_refused() {
    let mut pair = Pair::registered();
    let mut data = of_the_vtn();
    data.report_request_id = "x".into();
    pair.vtn.queue(UpdateReport { request_id: "u".into(), reports: vec![data], ven_id: None });
    let reports = vec![of_the_vtn()];
    let unasked = Some("y".into());
    pair.vtn.queue(RegisterReport {
        request_id: "r".into(),
        reports,
        ven_id: None,
        report_request_id: unasked,
    });
    poll(&mut pair);
    let count = |kind| pair.vtn.count(kind);
    assert_eq!((count(PayloadKind::UpdatedReport), count(PayloadKind::RegisteredReport)), (1, 1));
    let told = |n: &Notice| matches!(n, Notice::VtnReported { .. } | Notice::VtnReportsRegistered { .. });
    assert!(!pair.notices.iter().any(told));
}

#[test]
fn rule_301_the_vtn_may_offer_nothing() {
    let mut pair = Pair::registered();
    pair.vtn.queue(RegisterReport {
        request_id: "r".into(),
        reports: Vec::new(),
        ven_id: None,
        report_request_id: None,
    });
    poll(&mut pair);
    let nothing = |n: &Notice| matches!(n, Notice::VtnReportsRegistered { reports } if reports.is_empty());
    assert!(pair.notices.iter().any(nothing));
    pair.input(Input::RequestReports {
        requests: vec![wish("v1", &["energy"], Span::ZERO, Span::ZERO, None)],
        along: false,
    });
    poll(&mut pair);
    let refused = |n: &Notice| matches!(n, Notice::MessageRefused { message: PayloadKind::CreateReport, .. });
    assert!(pair.notices.iter().any(refused), "{:?}", pair.notices);
}

/// The data of a description are those of its resource alone; without a subject, a source or a context, of all that the VEN has.
#[test]
fn rules_302_307_343_a_source_is_named_where_data_are_of_one_resource() {
    let mut offer = usage_offer();
    offer.points[0].resource = Some("battery".into());
    let mut pair = Pair::with(Settings { offers: vec![offer], ..Settings::default() });
    poll(&mut pair);
    let descriptions = &pair.vtn.offered[0].descriptions;
    let sources: Vec<_> = descriptions.iter().map(|d| d.data_source.clone()).collect();
    let battery = EiTarget { resource_ids: vec!["battery".into()], ..EiTarget::default() };
    assert_eq!(sources, [Some(battery), None]);
    assert!(descriptions.iter().all(|d| (&d.subject, &d.market_context) == (&None, &None)));
}

/// What the VTN says of the subject, the source and the context of its own reports is taken as it comes.
#[test]
fn rules_302_307_330_foreign_descriptions_are_taken() {
    let mut pair = Pair::registered();
    let mut report = of_the_vtn();
    for (r_id, description) in ["007", &"x".repeat(100_000)].iter().zip(&mut report.descriptions) {
        description.r_id = (*r_id).into();
        description.subject = Some(EiTarget { group_ids: vec!["g".into()], ..EiTarget::default() });
        description.data_source = Some(EiTarget::resource("of the vtn".into()));
        description.market_context = Some("http://context".into());
    }
    let (request_id, reports) = ("r".into(), vec![report]);
    pair.vtn.queue(RegisterReport { request_id, reports, ven_id: None, report_request_id: None });
    poll(&mut pair);
    assert_eq!(pair.vtn.verdicts.last().map(|(_, code)| code.number()), Some(200));
    let taken = |n: &Notice| matches!(n, Notice::VtnReportsRegistered { reports } if reports.len() == 1);
    assert!(pair.notices.iter().any(taken), "{:?}", pair.notices);
}

/// `007` and `7` are different points, and a point may have a long name.
#[test]
fn rule_330_r_ids_are_texts() {
    let long = "\u{e9}".repeat(10_000);
    let mut offer = usage_offer();
    (offer.points[0].r_id, offer.points[1].r_id) = ("007".into(), long.as_str().into());
    let mut pair = Pair::with(Settings { offers: vec![offer], ..Settings::default() });
    poll(&mut pair);
    pair.vtn.request_reports(vec![wish("r1", &["007", &long], Span::ZERO, Span::ZERO, None)]);
    poll(&mut pair);
    let points: Vec<_> = pair.reported("r1").into_iter().map(|(_, point, ..)| point).collect();
    assert_eq!(points, ["007", &long]);
    for unknown in ["7", "0007", "007 "] {
        pair.vtn.request_reports(vec![wish("r2", &[unknown], Span::ZERO, Span::ZERO, None)]);
        poll(&mut pair);
        assert!(pair.reported("r2").is_empty(), "{unknown:?}");
    }
    assert_eq!(refusals(&pair), [452, 452, 452]);
}

/// Our values are as accurate as the meter, of which we know nothing.
#[test]
fn rule_319_no_accuracy_is_claimed() {
    let mut pair = Pair::registered();
    pair.vtn.request_reports(vec![wish("r1", &["power"], Span::ZERO, Span::ZERO, None)]);
    poll(&mut pair);
    let payloads = pair.vtn.reports.iter().flat_map(|report| &report.intervals);
    let payloads: Vec<_> = payloads.flat_map(|interval| interval.report_payloads()).collect();
    assert_eq!(payloads.len(), 1);
    assert_eq!(payloads[0].accuracy, None);
}

/// Two reports with the same `eiReportID`, and two without one, are what their other ids say.
#[test]
fn rule_339_the_ei_report_id_is_ignored() {
    let mut pair = Pair::registered();
    for id in [Some("same"), Some("same"), None] {
        let mut report = of_the_vtn();
        report.report_id = id.map(Into::into);
        let (request_id, reports) = ("r".into(), vec![report]);
        pair.vtn.queue(RegisterReport { request_id, reports, ven_id: None, report_request_id: None });
        poll(&mut pair);
    }
    let codes: Vec<_> = pair.vtn.verdicts.iter().map(|(_, code)| code.number()).collect();
    assert_eq!(codes, [200, 200, 200]);
    pair.vtn.request_reports(vec![wish("r1", &["power"], Span::ZERO, Span::ZERO, None)]);
    poll(&mut pair);
    assert_eq!(pair.vtn.reports[0].report_id, None, "and none is sent");
}
