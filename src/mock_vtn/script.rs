//! Lets a VTN do things in their time, as a TOML file says.
//!
//! ```toml
//! [[step]]
//! at = "5s"                 # after the VEN has registered
//! event = { id = "e1", start = "10s", duration = "1min", level = 1 }
//!
//! [[step]]
//! at = "30s"
//! cancel_event = "e1"
//! ```

use std::time::Duration;

use serde::Deserialize;

use crate::openadr::message::{
    Duration as OadrDuration, RId, ReadingType, ReportRequest, ReportSpecifier, SpecifierPayload,
};
use crate::time::Span;

use super::{EventBuilder, MockVtn, VtnCore};

/// Things that a VTN does, each in its time.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    #[serde(default)]
    step: Vec<Step>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    at: Time,
    event: Option<Event>,
    modify_event: Option<Event>,
    cancel_event: Option<String>,
    drop_event: Option<String>,
    request_report: Option<Request>,
    cancel_report: Option<String>,
    #[serde(default)]
    request_reregistration: bool,
    #[serde(default)]
    cancel_registration: bool,
    #[serde(default)]
    forget_everything: bool,
}

/// An event; `start` counts from when the step happens, no duration is open-ended.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    id: String,
    #[serde(default)]
    start: Time,
    #[serde(default)]
    duration: Time,
    #[serde(default)]
    level: u8,
    market_context: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    id: String,
    specifier: String,
    points: Vec<String>,
    #[serde(default)]
    granularity: Time,
    #[serde(default)]
    back: Time,
}

/// A length of time as people write it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct Time(Duration);

impl TryFrom<String> for Time {
    type Error = humantime::DurationError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        humantime::parse_duration(&text).map(Self)
    }
}

impl From<Time> for Span {
    fn from(time: Time) -> Self {
        Self::from_std(time.0)
    }
}

/// The text is no script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadScript(#[from] toml::de::Error);

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    ///
    /// With line and column.
    pub fn from_toml(text: &str) -> Result<Self, BadScript> {
        let mut script: Self = toml::from_str(text)?;
        script.step.sort_by_key(|step| step.at);
        Ok(script)
    }

    /// Waits for a VEN to register, then does every step in its time.
    pub async fn play(self, vtn: &MockVtn) {
        while !vtn.until(Duration::from_secs(3600), |core| core.registered().is_some()).await {}
        let mut passed = Duration::ZERO;
        for step in self.step {
            tokio::time::sleep(step.at.0.saturating_sub(passed)).await;
            passed = step.at.0;
            let now = vtn.now();
            vtn.with(|core| step.perform(core, now));
        }
    }
}

impl Step {
    fn perform(self, core: &mut VtnCore, now: crate::time::Timestamp) {
        let build = |event: &Event| {
            let start = (now + Span::from(event.start)).floor_to(Span::SECOND);
            let builder = EventBuilder::new(&event.id, start, event.duration.into());
            let builder = builder.level(i64::from(event.level));
            match &event.market_context {
                Some(uri) => builder.market_context(uri),
                None => builder,
            }
        };
        if let Some(event) = &self.event {
            core.add_event(build(event));
        }
        if let Some(event) = &self.modify_event {
            core.modify_event(&event.id, |old| {
                let modification = old.event.descriptor.modification_number;
                *old = build(event).build();
                old.event.descriptor.modification_number = modification;
            });
        }
        if let Some(id) = &self.cancel_event {
            core.cancel_event(id);
        }
        if let Some(id) = &self.drop_event {
            core.drop_event(id);
        }
        if let Some(request) = self.request_report {
            core.request_reports(vec![request.into()]);
        }
        if let Some(id) = &self.cancel_report {
            core.cancel_reports(&[id.as_str()], false);
        }
        if self.request_reregistration {
            core.request_reregistration();
        }
        if self.cancel_registration {
            core.cancel_registration();
        }
        if self.forget_everything {
            core.forget_everything();
        }
    }
}

impl From<Request> for ReportRequest {
    fn from(request: Request) -> Self {
        let payload = |point: String| SpecifierPayload {
            r_id: RId::from(point),
            unit: None,
            reading_type: ReadingType::NotApplicable,
        };
        Self {
            report_request_id: request.id.into(),
            specifier: ReportSpecifier {
                report_specifier_id: request.specifier.into(),
                granularity: OadrDuration::from_span(request.granularity.into()),
                report_back_duration: OadrDuration::from_span(request.back.into()),
                report_interval: None,
                payloads: request.points.into_iter().map(payload).collect(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Script;

    #[test]
    fn faults_of_a_script_are_named_with_their_place() {
        assert!(Script::from_toml("[[step]]\nat = \"5s\"\nevent = { id = \"e1\" }").is_ok());
        for (text, why) in [
            ("[[step]]\nat = \"5 apples\"", "line 2"),
            ("[[step]]\nat = \"5s\"\nevnt = { id = \"e1\" }", "evnt"),
            ("[[step]]", "missing field `at`"),
        ] {
            let error = Script::from_toml(text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
