//! Reads a wish for a report: is it on offer, and what exactly is to be delivered when?

use crate::openadr::message::{ReportRequest, RequestId, ResponseCode};
use crate::time::{Span, Timestamp};

use super::settings::Settings;
use super::snapshot::RequestRecord;

/// What is wrong with a wish.
pub(super) type Fault = (ResponseCode, String);

/// Checks a wish against the offer (rules 304, 317, 324, 340).
///
/// **Reading of the standard:** without a `reportInterval` (OpenLEADR) a periodic report starts at once and never ends. One that starts
/// in the past, or now, starts at the next whole multiple of its granularity, so that its first interval is a full one;
/// rule 341 allows the start to differ by one granularity. A granularity of zero (report on change) is served as one value
/// for each report.
pub(super) fn read(
    request: ReportRequest,
    confirm: &RequestId,
    settings: &Settings,
    now: Timestamp,
) -> Result<RequestRecord, Fault> {
    let specifier = request.specifier;
    let Some(offer) = settings.offer(&specifier.report_specifier_id) else {
        let why = format!("reportSpecifierID {} is not on offer", specifier.report_specifier_id);
        return Err((ResponseCode::INVALID_ID, why));
    };
    let points: Vec<_> = specifier.payloads.into_iter().map(|payload| payload.r_id).collect();
    if let Some(unknown) = points.iter().find(|r_id| offer.point(r_id).is_none()) {
        return Err((ResponseCode::INVALID_ID, format!("rID {unknown} is not on offer")));
    }
    let back = specifier.report_back_duration.nominal().max(Span::ZERO);
    let mut record = RequestRecord {
        id: request.report_request_id,
        specifier: specifier.report_specifier_id,
        points,
        granularity: offer.min_period,
        back,
        end: None,
        reported_to: now,
        closing: false,
        unconfirmed: Some(confirm.clone()),
    };
    if back.is_zero() {
        return Ok(record);
    }
    let asked = specifier.granularity.nominal();
    let granularity = if asked <= Span::ZERO { back } else { asked };
    if granularity < offer.min_period || granularity > back || granularity > offer.max_period {
        let why = format!(
            "granularity {granularity} is not between {} and {}",
            offer.min_period,
            offer.max_period.min(back)
        );
        return Err((ResponseCode::INVALID_DATA, why));
    }
    record.granularity = granularity;
    let start = specifier.report_interval.map_or(now, |interval| interval.start);
    record.end =
        specifier.report_interval.filter(|i| !i.duration.is_zero()).map(|i| i.duration.after(i.start));
    record.reported_to = if start > now { start } else { next_multiple(now, granularity) };
    if record.end.is_some_and(|end| end <= record.reported_to) {
        return Err((ResponseCode::INVALID_DATA, "the reportInterval is over".into()));
    }
    Ok(record)
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
