//! Lays the values of a report out as intervals, and fills in what is not there.

use crate::openadr::message::{
    DataQuality, Duration, Float, Interval, PayloadBase, RId, Report, ReportPayload, ReportType,
    ResourceStatus, StreamPayload,
};
use crate::time::Timestamp;

use super::settings::{PointOffer, ReportOffer};
use super::snapshot::RequestRecord;
use super::{Column, Sample, WishedSpan};

/// Writes columns of values as intervals, oldest first, one payload each.
///
/// **Reading of the standard:** several payloads may share an interval, and may also stand in intervals of their own; real VTNs stumble
/// over the first form. All intervals of a report have the same form (rules 314, 315, 342): point data a start only; where
/// there is interval data too, a start and a duration.
pub(super) fn lay_out(
    record: &RequestRecord,
    offer: &ReportOffer,
    columns: Vec<Column>,
    now: Timestamp,
) -> Report {
    let interval_data =
        record.points.iter().filter_map(|r_id| offer.point(r_id)).any(|point| point.interval_data);
    let mut cells: Vec<(Sample, RId, PayloadBase)> = Vec::new();
    for column in columns {
        let placeholder = placeholder(offer.point(&column.point), &column.samples);
        let point = column.point;
        cells.extend(column.samples.into_iter().map(|sample| (sample, point.clone(), placeholder.clone())));
    }
    cells.sort_by_key(|(sample, ..)| sample.start);
    let end = cells.iter().map(|(sample, ..)| sample.start + sample.duration).max();
    let start = cells.first().map(|(sample, ..)| sample.start);
    let intervals = cells.into_iter().enumerate();
    let intervals = intervals.map(|(uid, (sample, r_id, placeholder))| Interval {
        start: Some(sample.start),
        duration: interval_data.then(|| Duration::from_span(sample.duration)),
        uid: Some(uid.to_string()),
        payloads: vec![StreamPayload::Report(ReportPayload {
            r_id,
            confidence: None,
            accuracy: None,
            value: sample.value.unwrap_or(placeholder),
            data_quality: Some(sample.quality),
        })],
    });
    Report {
        start: start.or(Some(now)),
        duration: end.zip(start).map(|(end, start)| Duration::from_span(end - start)),
        intervals: intervals.collect(),
        report_id: None,
        descriptions: Vec::new(),
        report_request_id: record.id.clone(),
        report_specifier_id: record.specifier.clone(),
        report_name: Some(offer.name.data()),
        created_date_time: now,
    }
}

/// What stands where no value is (rule 318); a status holds the same states as the others of its point (rule 334).
fn placeholder(point: Option<&PointOffer>, samples: &[Sample]) -> PayloadBase {
    let state = samples.iter().find_map(|sample| match &sample.value {
        Some(PayloadBase::ResourceStatus(status)) => status.load_control_state.clone(),
        Some(PayloadBase::Float(_)) | None => None,
    });
    if point.is_none_or(|point| point.report_type != ReportType::ResourceStatus) {
        return PayloadBase::Float(Float::from(0));
    }
    let status = ResourceStatus { online: false, manual_override: false, load_control_state: state };
    PayloadBase::ResourceStatus(Box::new(status))
}

/// How many values are not there.
pub(super) fn missing(columns: &[Column]) -> usize {
    columns.iter().flat_map(|column| &column.samples).filter(|sample| sample.value.is_none()).count()
}

/// A column without values for each of the points.
pub(super) fn placeholders(points: &[RId], span: WishedSpan, now: Timestamp) -> Vec<Column> {
    let (from, to, step) = match span {
        WishedSpan::Latest { length } => (now - length, now, length),
        WishedSpan::Window { from, to, granularity } => (from, to, granularity),
    };
    let starts =
        std::iter::successors(Some(from), |start| Some(*start + step)).take_while(|start| *start < to);
    let sample = |start| Sample { start, duration: step, value: None, quality: DataQuality::Bad };
    let samples: Vec<_> = starts.map(sample).collect();
    points.iter().map(|point| Column { point: point.clone(), samples: samples.clone() }).collect()
}

/// All points, and in their order: a report without one of them would be none (rule 300).
pub(super) fn complete(
    columns: Vec<Column>,
    points: &[RId],
    span: WishedSpan,
    now: Timestamp,
) -> Vec<Column> {
    let mut found: Vec<Column> = columns.into_iter().filter(|column| !column.samples.is_empty()).collect();
    let take = |empty: Column| {
        let place = found.iter().position(|column| column.point == empty.point);
        place.map_or(empty, |place| found.swap_remove(place))
    };
    placeholders(points, span, now).into_iter().map(take).collect()
}

/// What has changed from a step to the next; of a point that has not, the last value, marked as the previous one (rule 317).
pub(super) fn changes(columns: Vec<Column>, from: Timestamp) -> Vec<Column> {
    let changes = |column: Column| {
        let befores = std::iter::once(None).chain(column.samples.iter().map(Some));
        let changed = column.samples.iter().zip(befores).filter(|(sample, before)| {
            sample.start >= from && before.is_none_or(|before| before.value != sample.value)
        });
        let mut samples: Vec<Sample> = changed.map(|(sample, _)| sample.clone()).collect();
        if samples.is_empty()
            && let Some(mut last) = column.samples.last().cloned()
        {
            if last.value.is_some() {
                last.quality = DataQuality::PreviousValue;
            }
            samples.push(last);
        }
        Column { point: column.point, samples }
    };
    columns.into_iter().map(changes).collect()
}

/// What is on record; of a point of which nothing is, one placeholder.
pub(super) fn recorded(columns: Vec<Column>) -> Vec<Column> {
    let recorded = |mut column: Column| {
        let last = column.samples.last().cloned();
        column.samples.retain(|sample| sample.value.is_some());
        if column.samples.is_empty() {
            column.samples.extend(last);
        }
        column
    };
    columns.into_iter().map(recorded).collect()
}
