//! Writes the messages of `EiReport`.

use crate::openadr::message::{
    ActivePeriod, CancelReport, CreateReport, EiResponse, RegisterReport, RegisteredReport, Report,
    ReportDescription, ReportRequest, ReportRequestId, UpdateReport, UpdatedReport, VenId,
};

use super::super::names::Ns;
use super::super::writer::Writer;
use super::{event, interval, response, target, unit};

pub(super) fn register_report(w: &mut Writer, m: &RegisterReport) {
    w.value(Ns::Pyld, "requestID", &m.request_id);
    m.reports.iter().for_each(|r| report(w, r));
    w.optional(Ns::Ei, "venID", m.ven_id.as_ref());
    w.optional(Ns::Ei, "reportRequestID", m.report_request_id.as_ref());
}

pub(super) fn registered_report(w: &mut Writer, m: &RegisteredReport) {
    response(w, &m.response);
    m.report_requests.iter().for_each(|r| report_request(w, r));
    w.optional(Ns::Ei, "venID", m.ven_id.as_ref());
}

pub(super) fn create_report(w: &mut Writer, m: &CreateReport) {
    w.value(Ns::Pyld, "requestID", &m.request_id);
    m.report_requests.iter().for_each(|r| report_request(w, r));
    w.optional(Ns::Ei, "venID", m.ven_id.as_ref());
}

/// `oadrCreatedReport` and `oadrCanceledReport` have the same content.
pub(super) fn pending(
    w: &mut Writer,
    verdict: &EiResponse,
    pending: &[ReportRequestId],
    ven_id: Option<&VenId>,
) {
    response(w, verdict);
    w.element(Ns::Oadr, "oadrPendingReports", |w| {
        pending.iter().for_each(|id| w.value(Ns::Ei, "reportRequestID", id));
    });
    w.optional(Ns::Ei, "venID", ven_id);
}

pub(super) fn update_report(w: &mut Writer, m: &UpdateReport) {
    w.value(Ns::Pyld, "requestID", &m.request_id);
    m.reports.iter().for_each(|r| report(w, r));
    w.optional(Ns::Ei, "venID", m.ven_id.as_ref());
}

pub(super) fn updated_report(w: &mut Writer, m: &UpdatedReport) {
    response(w, &m.response);
    if let Some(cancel) = &m.cancel_report {
        w.element_with(Ns::Oadr, "oadrCancelReport", &[(Some(Ns::Ei), "schemaVersion", "2.0b")], |w| {
            cancel_report(w, cancel);
        });
    }
    w.optional(Ns::Ei, "venID", m.ven_id.as_ref());
}

pub(super) fn cancel_report(w: &mut Writer, m: &CancelReport) {
    w.value(Ns::Pyld, "requestID", &m.request_id);
    m.report_request_ids.iter().for_each(|id| w.value(Ns::Ei, "reportRequestID", id));
    w.value(Ns::Pyld, "reportToFollow", m.report_to_follow);
    w.optional(Ns::Ei, "venID", m.ven_id.as_ref());
}

fn report(w: &mut Writer, report: &Report) {
    w.element(Ns::Oadr, "oadrReport", |w| {
        if let Some(start) = report.start {
            interval::start(w, start);
        }
        interval::optional_duration(w, Ns::Xcal, "duration", report.duration);
        if !report.intervals.is_empty() {
            interval::intervals(w, &report.intervals);
        }
        w.optional(Ns::Ei, "eiReportID", report.report_id.as_ref());
        report.descriptions.iter().for_each(|d| description(w, d));
        w.value(Ns::Ei, "reportRequestID", &report.report_request_id);
        w.value(Ns::Ei, "reportSpecifierID", &report.report_specifier_id);
        w.optional(Ns::Ei, "reportName", report.report_name.as_ref());
        w.value(Ns::Ei, "createdDateTime", report.created_date_time);
    });
}

fn description(w: &mut Writer, description: &ReportDescription) {
    w.element(Ns::Oadr, "oadrReportDescription", |w| {
        w.value(Ns::Ei, "rID", &description.r_id);
        if let Some(subject) = &description.subject {
            target::target(w, Ns::Ei, "reportSubject", subject);
        }
        if let Some(source) = &description.data_source {
            target::target(w, Ns::Ei, "reportDataSource", source);
        }
        w.value(Ns::Ei, "reportType", &description.report_type);
        unit::optional(w, description.unit.as_ref());
        w.value(Ns::Ei, "readingType", &description.reading_type);
        w.optional(Ns::Emix, "marketContext", description.market_context.as_ref());
        if let Some(rate) = &description.sampling_rate {
            w.element(Ns::Oadr, "oadrSamplingRate", |w| {
                w.value(Ns::Oadr, "oadrMinPeriod", rate.min_period);
                w.value(Ns::Oadr, "oadrMaxPeriod", rate.max_period);
                w.value(Ns::Oadr, "oadrOnChange", rate.on_change);
            });
        }
    });
}

fn report_request(w: &mut Writer, request: &ReportRequest) {
    let specifier = &request.specifier;
    w.element(Ns::Oadr, "oadrReportRequest", |w| {
        w.value(Ns::Ei, "reportRequestID", &request.report_request_id);
        w.element(Ns::Ei, "reportSpecifier", |w| {
            w.value(Ns::Ei, "reportSpecifierID", &specifier.report_specifier_id);
            interval::duration(w, Ns::Xcal, "granularity", specifier.granularity);
            interval::duration(w, Ns::Ei, "reportBackDuration", specifier.report_back_duration);
            if let Some(span) = specifier.report_interval {
                let period = ActivePeriod {
                    start: span.start,
                    duration: span.duration,
                    start_after: None,
                    notification: None,
                    ramp_up: None,
                    recovery: None,
                };
                w.element(Ns::Ei, "reportInterval", |w| event::active_period(w, &period));
            }
            for payload in &specifier.payloads {
                w.element(Ns::Ei, "specifierPayload", |w| {
                    w.value(Ns::Ei, "rID", &payload.r_id);
                    unit::optional(w, payload.unit.as_ref());
                    w.value(Ns::Ei, "readingType", &payload.reading_type);
                });
            }
        });
    });
}
