//! Reads the messages of `EiReport`.

use crate::openadr::message::{
    CancelReport, CanceledReport, CreateReport, CreatedReport, ReadingType, RegisterReport, RegisteredReport,
    Report, ReportDescription, ReportInterval, ReportName, ReportRequest, ReportRequestId, ReportSpecifier,
    ReportType, SamplingRate, SpecifierPayload, UpdateReport, UpdatedReport,
};

use super::super::cursor::{Children, Element};
use super::super::error::XmlError;
use super::super::names::Ns;
use super::interval::{duration, intervals, optional_duration, start};
use super::target::optional_target;
use super::{event, id, optional_id, optional_text, request_id, response, unit, ven_id};

pub(super) fn register_report(c: &mut Children<'_>) -> Result<RegisterReport, XmlError> {
    Ok(RegisterReport {
        request_id: request_id(c)?,
        reports: c.repeated(Ns::Oadr, "oadrReport", report)?,
        ven_id: ven_id(c)?,
        report_request_id: optional_id(c.optional(Ns::Ei, "reportRequestID"))?,
    })
}

pub(super) fn registered_report(c: &mut Children<'_>) -> Result<RegisteredReport, XmlError> {
    Ok(RegisteredReport {
        response: response(c.expect(Ns::Ei, "eiResponse")?)?,
        report_requests: c.repeated(Ns::Oadr, "oadrReportRequest", report_request)?,
        ven_id: ven_id(c)?,
    })
}

pub(super) fn create_report(c: &mut Children<'_>) -> Result<CreateReport, XmlError> {
    Ok(CreateReport {
        request_id: request_id(c)?,
        report_requests: c.at_least_one(Ns::Oadr, "oadrReportRequest", report_request)?,
        ven_id: ven_id(c)?,
    })
}

pub(super) fn created_report(c: &mut Children<'_>) -> Result<CreatedReport, XmlError> {
    Ok(CreatedReport {
        response: response(c.expect(Ns::Ei, "eiResponse")?)?,
        pending_reports: pending_reports(c)?,
        ven_id: ven_id(c)?,
    })
}

pub(super) fn update_report(c: &mut Children<'_>) -> Result<UpdateReport, XmlError> {
    Ok(UpdateReport {
        request_id: request_id(c)?,
        reports: c.repeated(Ns::Oadr, "oadrReport", report)?,
        ven_id: ven_id(c)?,
    })
}

pub(super) fn updated_report(c: &mut Children<'_>) -> Result<UpdatedReport, XmlError> {
    let response = response(c.expect(Ns::Ei, "eiResponse")?)?;
    let cancel_report = match c.optional(Ns::Oadr, "oadrCancelReport") {
        Some(element) => {
            let mut inner = element.children()?;
            let cancel = cancel_report_of(&mut inner)?;
            inner.end()?;
            Some(cancel)
        }
        None => None,
    };
    Ok(UpdatedReport { response, cancel_report, ven_id: ven_id(c)? })
}

pub(super) fn cancel_report(c: &mut Children<'_>) -> Result<CancelReport, XmlError> {
    cancel_report_of(c)
}

fn cancel_report_of(c: &mut Children<'_>) -> Result<CancelReport, XmlError> {
    Ok(CancelReport {
        request_id: request_id(c)?,
        report_request_ids: c.at_least_one(Ns::Ei, "reportRequestID", id)?,
        report_to_follow: c.expect(Ns::Pyld, "reportToFollow")?.boolean()?,
        ven_id: ven_id(c)?,
    })
}

pub(super) fn canceled_report(c: &mut Children<'_>) -> Result<CanceledReport, XmlError> {
    Ok(CanceledReport {
        response: response(c.expect(Ns::Ei, "eiResponse")?)?,
        pending_reports: pending_reports(c)?,
        ven_id: ven_id(c)?,
    })
}

fn pending_reports(c: &mut Children<'_>) -> Result<Vec<ReportRequestId>, XmlError> {
    let mut inner = c.expect(Ns::Oadr, "oadrPendingReports")?.children()?;
    let pending = inner.repeated(Ns::Ei, "reportRequestID", id)?;
    inner.end()?;
    Ok(pending)
}

fn report(element: Element<'_>) -> Result<Report, XmlError> {
    let mut c = element.children()?;
    let report = Report {
        start: c.optional(Ns::Xcal, "dtstart").map(start).transpose()?,
        duration: optional_duration(c.optional(Ns::Xcal, "duration"))?,
        intervals: match c.optional(Ns::Strm, "intervals") {
            Some(element) => intervals(element)?,
            None => Vec::new(),
        },
        report_id: optional_text(c.optional(Ns::Ei, "eiReportID"))?,
        descriptions: c.repeated(Ns::Oadr, "oadrReportDescription", description)?,
        report_request_id: id(c.expect(Ns::Ei, "reportRequestID")?)?,
        report_specifier_id: id(c.expect(Ns::Ei, "reportSpecifierID")?)?,
        report_name: match c.optional(Ns::Ei, "reportName") {
            Some(name) => Some(ReportName::from_token(&name.token()?)),
            None => None,
        },
        created_date_time: c.expect(Ns::Ei, "createdDateTime")?.value()?,
    };
    c.end()?;
    Ok(report)
}

fn description(element: Element<'_>) -> Result<ReportDescription, XmlError> {
    let mut c = element.children()?;
    let description = ReportDescription {
        r_id: id(c.expect(Ns::Ei, "rID")?)?,
        subject: optional_target(c.optional(Ns::Ei, "reportSubject"))?,
        data_source: optional_target(c.optional(Ns::Ei, "reportDataSource"))?,
        report_type: ReportType::from_token(&c.expect(Ns::Ei, "reportType")?.token()?),
        unit: unit::optional(&mut c)?,
        reading_type: ReadingType::from_token(&c.expect(Ns::Ei, "readingType")?.token()?),
        market_context: match c.optional(Ns::Emix, "marketContext") {
            Some(context) => Some(context.token()?.into_owned().into()),
            None => None,
        },
        sampling_rate: c.optional(Ns::Oadr, "oadrSamplingRate").map(sampling_rate).transpose()?,
    };
    c.end()?;
    Ok(description)
}

/// Here the text of a duration stands in the element itself.
fn sampling_rate(element: Element<'_>) -> Result<SamplingRate, XmlError> {
    let mut c = element.children()?;
    let rate = SamplingRate {
        min_period: c.expect(Ns::Oadr, "oadrMinPeriod")?.value()?,
        max_period: c.expect(Ns::Oadr, "oadrMaxPeriod")?.value()?,
        on_change: c.expect(Ns::Oadr, "oadrOnChange")?.boolean()?,
    };
    c.end()?;
    Ok(rate)
}

fn report_request(element: Element<'_>) -> Result<ReportRequest, XmlError> {
    let mut c = element.children()?;
    let report_request_id = id(c.expect(Ns::Ei, "reportRequestID")?)?;
    let mut inner = c.expect(Ns::Ei, "reportSpecifier")?.children()?;
    let specifier = ReportSpecifier {
        report_specifier_id: id(inner.expect(Ns::Ei, "reportSpecifierID")?)?,
        granularity: duration(inner.expect(Ns::Xcal, "granularity")?)?,
        report_back_duration: duration(inner.expect(Ns::Ei, "reportBackDuration")?)?,
        report_interval: match inner.optional(Ns::Ei, "reportInterval") {
            Some(element) => {
                let mut c = element.children()?;
                let period = event::active_period(c.expect(Ns::Xcal, "properties")?)?;
                c.end()?;
                Some(ReportInterval { start: period.start, duration: period.duration })
            }
            None => None,
        },
        payloads: inner.at_least_one(Ns::Ei, "specifierPayload", |element| {
            let mut c = element.children()?;
            let payload = SpecifierPayload {
                r_id: id(c.expect(Ns::Ei, "rID")?)?,
                unit: unit::optional(&mut c)?,
                reading_type: ReadingType::from_token(&c.expect(Ns::Ei, "readingType")?.token()?),
            };
            c.end()?;
            Ok(payload)
        })?,
    };
    inner.end()?;
    c.end()?;
    Ok(ReportRequest { report_request_id, specifier })
}
