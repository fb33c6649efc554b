//! Reads a wish for a report: is it on offer, and what exactly is to be delivered when?

use crate::openadr::message::{ReportInterval, ReportRequest, RequestId, ResponseCode};
use crate::time::{Span, Timestamp};

use super::settings::{ReportOffer, Settings};
use super::snapshot::RequestRecord;

/// What is wrong with a wish.
pub(super) type Fault = (ResponseCode, String);

/// Checks a wish against the offer (rules 304, 317, 324, 340).
///
/// **Reading of the standard:** without a `reportInterval` (OpenLEADR) a periodic report starts at once and never ends. One that starts
/// in the past, or now, starts at the next whole multiple of its granularity, so that its first interval is a full one;
/// rule 341 allows the start to differ by one granularity.
pub(super) fn read(
    request: ReportRequest,
    confirm: &RequestId,
    settings: &Settings,
    now: Timestamp,
) -> Result<RequestRecord, Fault> {
    let specifier = request.specifier;
    let back = specifier.report_back_duration.nominal().max(Span::ZERO);
    let interval = specifier.report_interval;
    let record = RequestRecord {
        id: request.report_request_id,
        specifier: specifier.report_specifier_id,
        points: specifier.payloads.into_iter().map(|payload| payload.r_id).collect(),
        granularity: specifier.granularity.nominal().max(Span::ZERO),
        back,
        end: interval.filter(|i| !i.duration.is_zero()).map(|i| i.duration.after(i.start)),
        reported_to: interval.map_or(now, |interval| interval.start),
        closing: false,
        unconfirmed: Some(confirm.clone()),
    };
    if record.is_metadata() {
        return Ok(metadata(record, now));
    }
    let Some(offer) = settings.offer(&record.specifier) else {
        return Err((
            ResponseCode::INVALID_ID,
            format!("reportSpecifierID {} is not on offer", record.specifier),
        ));
    };
    if let Some(unknown) = record.points.iter().find(|r_id| offer.point(r_id).is_none()) {
        return Err((ResponseCode::INVALID_ID, format!("rID {unknown} is not on offer")));
    }
    if offer.is_history() {
        let Some(interval) = interval else {
            let why = "a history needs a reportInterval (rule 324)".to_owned();
            return Err((ResponseCode::INVALID_DATA, why));
        };
        return history(record, interval, offer, now);
    }
    if back.is_zero() {
        return Ok(RequestRecord { granularity: offer.min_period, end: None, reported_to: now, ..record });
    }
    periodic(record, offer, now)
}

/// The metadata, once or again and again; the first come at once, unless a later start is given (rule 327).
fn metadata(record: RequestRecord, now: Timestamp) -> RequestRecord {
    let first = record.reported_to.max(now);
    let end = record.end.filter(|_| !record.back.is_zero());
    RequestRecord { end, reported_to: first - record.back, ..record }
}

/// Everything on record in the span, in the steps of the record.
///
/// **Reading of the standard:** a span longer than what is kept asks for more than is offered (rule 340); one that merely begins
/// before that, or ends after now, is cut to what there is.
fn history(
    record: RequestRecord,
    interval: ReportInterval,
    offer: &ReportOffer,
    now: Timestamp,
) -> Result<RequestRecord, Fault> {
    if !record.back.is_zero() {
        return Err((ResponseCode::INVALID_DATA, "a history is reported once (rule 324)".into()));
    }
    if interval.duration.length_from(interval.start) > offer.kept {
        let why = format!("only {} are kept (rule 340)", offer.kept);
        return Err((ResponseCode::INVALID_DATA, why));
    }
    let step = offer.min_period;
    // The step in which the oldest data lie is there as a whole: who asks for a day a moment after its end gets all of it.
    let from = next_multiple(interval.start.max((now - offer.kept).floor_to(step)), step);
    let to = record.end.map_or(now, |end| end.min(now)).floor_to(step);
    if to <= from {
        return Err((ResponseCode::INVALID_DATA, "nothing is on record in the reportInterval".into()));
    }
    Ok(RequestRecord { granularity: step, end: Some(to), reported_to: from, ..record })
}

/// A granularity of zero stays zero: what changes is reported (rule 317).
fn periodic(record: RequestRecord, offer: &ReportOffer, now: Timestamp) -> Result<RequestRecord, Fault> {
    let step = if record.granularity.is_zero() { offer.min_period } else { record.granularity };
    if step < offer.min_period || step > record.back || step > offer.max_period {
        let most = offer.max_period.min(record.back);
        let why = format!("granularity {step} is not between {} and {most}", offer.min_period);
        return Err((ResponseCode::INVALID_DATA, why));
    }
    let reported_to = if record.reported_to > now { record.reported_to } else { next_multiple(now, step) };
    if record.end.is_some_and(|end| end <= reported_to) {
        return Err((ResponseCode::INVALID_DATA, "the reportInterval is over".into()));
    }
    Ok(RequestRecord { reported_to, ..record })
}

fn next_multiple(now: Timestamp, step: Span) -> Timestamp {
    let floor = now.floor_to(step);
    if floor == now { now } else { floor + step }
}

#[cfg(test)]
mod tests {
    use super::next_multiple;
    use crate::time::{Span, Timestamp};

    #[test]
    fn a_periodic_report_starts_with_a_full_interval() {
        let t = Timestamp::from_seconds;
        assert_eq!(next_multiple(t(1200), Span::MINUTE), t(1200));
        assert_eq!(next_multiple(t(1201), Span::MINUTE), t(1260));
    }
}
