//! A meter in the configuration, wishes for its reports, and what came of them.

use std::path::Path;

use openadr_ven::message::{
    DataQuality, Decimal, Duration, PayloadBase, ReadingType, Report, ReportInterval, ReportRequest,
    ReportSpecifier, SpecifierPayload,
};
use openadr_ven::time::{Span, Timestamp};

/// The data points of [`meter_section`].
pub(crate) const POINTS: [&str; 3] = ["main.import_energy", "main.export_energy", "main.net_power"];

/// A meter that can be reported each second.
pub(crate) fn meter_section(port: &Path) -> String {
    format!(
        r#"
[[meter]]
name = "main"
source = "serial:{}"

[[report]]
name = "TELEMETRY_USAGE"
min_period = "1s"
points = [
  {{ quantity = "import_energy", meter = "main" }},
  {{ quantity = "export_energy", meter = "main" }},
  {{ quantity = "net_power", meter = "main" }},
]
"#,
        port.display()
    )
}

/// A wish for all data points of [`meter_section`]; `start`: from then on, without end.
pub(crate) fn wish(id: &str, granularity: Span, back: Span, start: Option<Timestamp>) -> ReportRequest {
    let payload = |point: &&str| SpecifierPayload {
        r_id: (*point).into(),
        unit: None,
        reading_type: ReadingType::NotApplicable,
    };
    ReportRequest {
        report_request_id: id.into(),
        specifier: ReportSpecifier {
            report_specifier_id: "TELEMETRY_USAGE".into(),
            granularity: Duration::from_span(granularity),
            report_back_duration: Duration::from_span(back),
            report_interval: start.map(|start| ReportInterval { start, duration: Duration::ZERO }),
            payloads: POINTS.iter().map(payload).collect(),
        },
    }
}

/// One value that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) request: String,
    pub(crate) point: String,
    pub(crate) start: Timestamp,
    pub(crate) value: Decimal,
    pub(crate) quality: DataQuality,
}

impl Cell {
    /// A placeholder says that there is nothing to say (rule 318).
    pub(crate) fn is_placeholder(&self) -> bool {
        self.quality == DataQuality::Bad && self.value.is_zero()
    }
}

/// Every value of these reports, in their order.
pub(crate) fn cells<'r>(reports: impl IntoIterator<Item = &'r Report>) -> Vec<Cell> {
    let mut cells = Vec::new();
    for report in reports {
        for interval in &report.intervals {
            for payload in interval.report_payloads() {
                let PayloadBase::Float(value) = &payload.value else { panic!("{payload:?} is no number") };
                cells.push(Cell {
                    request: report.report_request_id.to_string(),
                    point: payload.r_id.to_string(),
                    start: interval.start.unwrap(),
                    value: value.exact().unwrap(),
                    quality: payload.data_quality.clone().unwrap(),
                });
            }
        }
    }
    cells
}
