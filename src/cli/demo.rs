//! `ven demo`: the whole of it on one machine, told in plain lines.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;

use crate::config::Config;
use crate::daemon::{Brought, Ven};
use crate::mock_meter::MockMeter;
use crate::mock_vtn::{KeyKind, MockVtn, MockVtnSettings, Script, TestCertificates, VtnCore};
use crate::notice::Notice;
use crate::openadr::message::{PayloadBase, UpdateReport};
use crate::time::Span;

/// What the VTN does, after the VEN has registered.
const SCRIPT: &str = r#"
[[step]]
at = "1s"
request_report = { id = "usage-every-5s", specifier = "TELEMETRY_USAGE", granularity = "5s", back = "5s", points = ["main.import_energy", "main.export_energy", "main.net_power"] }

[[step]]
at = "3s"
event = { id = "peak-today", start = "3s", duration = "6s", level = 2 }

[[step]]
at = "12s"
event = { id = "emergency", start = "5s", duration = "5s", level = 3 }

[[step]]
at = "19s"
cancel_report = "usage-every-5s"
"#;

/// The smallest configuration, as a newcomer would write it.
fn configuration(folder: &Path, vtn: &MockVtn, certificates: &TestCertificates) -> String {
    format!(
        r#"[ven]
name = "demo"
state = "{folder}/state"

[vtn]
url = "{url}"

[tls]
ca = "{folder}/ca.pem"
cert = "{folder}/ven.pem"
key = "{folder}/ven.key"

[signature]
vtn_fingerprint = "{fingerprint}"

[handler]
default = "optOut"
rule = [ {{ when = "signal == 'SIMPLE' and level <= 2", opt = "optIn" }} ]

[[meter]]
name = "main"
source = "serial:{folder}/meter"

[[report]]
name = "TELEMETRY_USAGE"
min_period = "1s"
points = [
  {{ quantity = "import_energy", meter = "main" }},
  {{ quantity = "export_energy", meter = "main" }},
  {{ quantity = "net_power", meter = "main" }},
]
"#,
        folder = folder.display(),
        url = vtn.url(),
        fingerprint = certificates.vtn_fingerprint(),
    )
}

pub(super) fn demo(lasting: Option<Duration>, brought: Brought) -> anyhow::Result<()> {
    super::log("off");
    super::runtime()?.block_on(play(lasting, brought))
}

async fn play(lasting: Option<Duration>, brought: Brought) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut story = Story::default();
    let certificates = TestCertificates::create(folder.path(), KeyKind::P256)?;
    story.tell("setup", "made certificates of an authority, a VTN and a VEN")?;
    let settings = MockVtnSettings::from(&certificates);
    let vtn = MockVtn::start(VtnCore::new("demo-vtn", Span::SECOND), &settings).await?;
    story.tell("setup", &format!("VTN serves at {}, mutual TLS, signed messages", vtn.url()))?;
    let meter = MockMeter::start(folder.path(), "meter", Duration::from_secs(1))?;
    story.tell("setup", "P1 meter sends a telegram every second on a pseudo-terminal")?;
    let text = configuration(folder.path(), &vtn, &certificates);
    let config = Config::from_toml(&text, &folder.path().join("ven.toml"))?;
    let ven = Ven::builder(config).bring(brought).start().await?;
    let mut notices = ven.notices();
    let script = Script::from_toml(SCRIPT)?;
    let end = async {
        match lasting {
            Some(lasting) => {
                tokio::time::sleep(lasting).await;
                Ok(())
            }
            None => super::told_to_stop().await,
        }
    };
    let played = async {
        script.play(&vtn).await;
        std::future::pending::<()>().await;
    };
    tokio::pin!(end, played);
    loop {
        tokio::select! {
            ended = &mut end => break ended?,
            () = &mut played => {}
            notice = notices.recv() => match notice {
                Ok(notice) => story.hear(&notice)?,
                Err(RecvError::Lagged(missed)) => story.tell("demo", &format!("{missed} lines left out"))?,
                Err(RecvError::Closed) => anyhow::bail!("the VEN has stopped by itself"),
            },
        }
    }
    ven.stop().await;
    story.sum_up(&vtn)?;
    drop(meter);
    Ok(())
}

/// Tells what happens, and counts it.
#[derive(Debug, Default)]
struct Story {
    telegrams: usize,
    reports: usize,
    decisions: usize,
    troubles: usize,
}

impl Story {
    fn tell(&self, who: &str, what: &str) -> std::io::Result<()> {
        writeln!(std::io::stdout(), "{who:>7}  {what}")
    }

    fn hear(&mut self, notice: &Notice) -> std::io::Result<()> {
        self.troubles += usize::from(notice.is_trouble());
        self.decisions += usize::from(matches!(notice, Notice::OptDecided { .. }));
        if let Notice::MeterReading { .. } = notice {
            self.telegrams += 1;
            // One a second would drown everything else.
            if self.telegrams % 5 != 1 {
                return Ok(());
            }
        }
        self.tell(speaker(notice), &notice.to_string())?;
        if let Notice::ReportDelivered { report, .. } = notice {
            self.reports += 1;
            for line in values(report) {
                self.tell("", &line)?;
            }
        }
        Ok(())
    }

    fn sum_up(&self, vtn: &MockVtn) -> anyhow::Result<()> {
        let Self { telegrams, reports, decisions, troubles } = self;
        let (opts, polls, violations) = vtn.with(|core| {
            let polls = core.count(crate::openadr::message::PayloadKind::Poll);
            (core.opts.len(), polls, core.violations.clone())
        });
        self.tell(
            "summary",
            &format!(
                "{telegrams} telegrams read, {polls} polls, {decisions} decisions made and {opts} received by the VTN, \
                 {reports} reports delivered, {troubles} troubles"
            ),
        )?;
        anyhow::ensure!(violations.is_empty(), "the VTN complains: {}", violations.join("; "));
        Ok(())
    }
}

/// Who in the story has something to say.
const fn speaker(notice: &Notice) -> &'static str {
    if matches!(notice, Notice::OptDecided { .. }) {
        "handler"
    } else if matches!(notice, Notice::MeterReading { .. } | Notice::MeterOnline { .. }) {
        "meter"
    } else if notice.is_trouble() {
        "trouble"
    } else {
        "ven"
    }
}

/// The values of a report, one line for each interval.
fn values(report: &UpdateReport) -> Vec<String> {
    let intervals = report.reports.iter().flat_map(|report| &report.intervals);
    let mut lines = Vec::new();
    for interval in intervals {
        for payload in interval.report_payloads() {
            let start = interval.start.map_or_else(String::new, |start| start.to_string());
            let value = match &payload.value {
                PayloadBase::Float(value) => value.to_string(),
                PayloadBase::ResourceStatus(status) => format!("{status:?}"),
            };
            let quality = payload.data_quality.as_ref().map_or("", |quality| quality.as_str());
            lines.push(format!("{start}  {} = {value}  ({quality})", payload.r_id));
        }
    }
    lines
}
