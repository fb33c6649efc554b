//! Gives the user's own data a way into reports: who implements [`ReportSource`] is asked for values.

use std::future::Future;

use crate::openadr::message::{DataQuality, Decimal};
use crate::time::{Span, Timestamp};

/// Why there are no values; any error of the user's converts to it.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// Brings values for reports: of a battery, a charger, a database.
///
/// A source brings one thing that is measured; who has several registers several.
///
/// Register it with [`Cli::report_source`](crate::Cli::report_source) or
/// [`VenBuilder::report_source`](crate::VenBuilder::report_source), and name it in the configuration:
/// `points = [ { source = "battery", unit = "W" } ]`. Each call runs on a thread of its own, so it may block. One that takes
/// longer than 15 seconds, fails or panics leaves placeholders of bad quality in that report and hurts nothing else; the
/// values are asked for again once the source works.
///
/// ```
/// use openadr_ven::message::Decimal;
/// use openadr_ven::report_source::{ReportSource, SourceError, SourceValue};
/// use openadr_ven::time::{Span, Timestamp};
///
/// struct Battery;
///
/// impl ReportSource for Battery {
///     async fn window(&self, from: Timestamp, to: Timestamp, step: Span) -> Result<Vec<SourceValue>, SourceError> {
///         let starts = std::iter::successors(Some(from), |start| Some(*start + step)).take_while(|start| *start < to);
///         Ok(starts.map(|start| SourceValue::good(start, Decimal::from(1500))).collect())
///     }
/// }
/// ```
pub trait ReportSource: Send + Sync + 'static {
    /// One value for each step of `granularity` from `from` to `to`: what belongs to the step, or the state at its start, exact
    /// and in the unit of the configuration without its scale. A step without a value is reported as a gap. Where the VTN asks
    /// once for the newest value of a state, there is one step, which begins now.
    fn window(
        &self,
        from: Timestamp,
        to: Timestamp,
        granularity: Span,
    ) -> impl Future<Output = Result<Vec<SourceValue>, SourceError>> + Send;
}

/// One value of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceValue {
    /// It belongs to the step that this lies in; of several, the earliest is taken.
    pub start: Timestamp,
    /// `None`: a gap. A number is never invented.
    pub value: Option<Decimal>,
    /// How good it is; of a gap it is [`DataQuality::Bad`] whatever stands here.
    pub quality: DataQuality,
}

impl SourceValue {
    /// A value of good quality.
    #[must_use]
    pub const fn good(start: Timestamp, value: Decimal) -> Self {
        Self { start, value: Some(value), quality: DataQuality::Good }
    }
}
