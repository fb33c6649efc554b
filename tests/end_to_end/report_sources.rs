//! Sources of reports that are no meter: what they bring reaches the VTN to the last digit, and what they do wrong hurts nobody.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use openadr_ven::message::{
    DataQuality, Decimal, EiTarget, ReadingType, ReportName, ReportRequest, SiScale, SpecifierPayload, Unit,
};
use openadr_ven::mock_meter::MockMeter;
use openadr_ven::mock_vtn::{KeyKind, MockVtn, VtnCore};
use openadr_ven::notice::Notice;
use openadr_ven::report_source::{ReportSource, SourceError, SourceValue};
use openadr_ven::time::{Span, Timestamp};
use openadr_ven::{Config, StartError, Ven, VenHandle};
use tokio::sync::broadcast::Receiver;

use crate::support::telemetry::{Cell, cells, wish};
use crate::support::{House, PATIENCE};

/// A wish for these points, without end.
fn wish_of(specifier: &str, points: &[&str], granularity: Span, back: Span) -> ReportRequest {
    let mut wish = wish(specifier, granularity, back, None);
    wish.specifier.report_specifier_id = specifier.into();
    let payload = |point: &&str| SpecifierPayload {
        r_id: (*point).into(),
        unit: None,
        reading_type: ReadingType::NotApplicable,
    };
    wish.specifier.payloads = points.iter().map(payload).collect();
    wish
}

/// What the battery gives at a time, in W: a number that depends on nothing else.
fn given(start: Timestamp) -> Decimal {
    Decimal::new(start.seconds() % 1_000_000, 3)
}

struct Battery;

impl ReportSource for Battery {
    async fn window(
        &self,
        from: Timestamp,
        to: Timestamp,
        step: Span,
    ) -> Result<Vec<SourceValue>, SourceError> {
        let starts = std::iter::successors(Some(from), |start| Some(*start + step));
        let starts = starts.take_while(|start| *start < to);
        Ok(starts.map(|start| SourceValue::good(start, given(start))).collect())
    }
}

fn script(house: &House, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = house.path("source.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

/// Answers with one value at the start of what is asked for, and keeps the question.
const ANSWER: &str = r#"read question
echo "$question" >> "$1.asked"
from=${question#*\"from\":\"}
from=${from%%\"*}
echo "{\"values\":[{\"start\":\"$from\",\"value\":\"0.123456789012345\",\"quality\":\"uncertain\"}]}"
"#;

async fn start(house: &House, vtn: &MockVtn, more: &str) -> Result<VenHandle, StartError> {
    let config = Config::load(&house.configure(&vtn.url(), more)).unwrap();
    Ven::builder(config).report_source("battery", Battery).start().await
}

async fn until(vtn: &MockVtn, what: &str, reached: impl FnMut(&mut VtnCore) -> bool) {
    assert!(
        vtn.until(PATIENCE, reached).await,
        "{what} did not come; {:?}",
        vtn.with(|core| core.violations.clone())
    );
}

fn of<'c>(cells: &'c [Cell], point: &str) -> Vec<&'c Cell> {
    cells.iter().filter(|cell| cell.point == point).collect()
}

/// A battery of this program and a charger of that script, in reports of three kinds.
fn sources_and_reports(program: &Path) -> String {
    format!(
        r#"
[[report_source]]
name = "charger"
exec = ["{0}", "{0}"]

[[report]]
specifier = "own"
min_period = "1s"
market_context = "http://example.org/dr"
points = [
  {{ source = "battery", unit = "W", scale = "k", id = "battery.power", resource = "house" }},
  {{ source = "charger", unit = "Wh", scale = "m" }},
]

[[report]]
name = "x-levels"
min_period = "1s"
points = [ {{ source = "battery", unit = "%", description = "state of charge", id = "charge", reading_type = "Derived" }} ]

[[report]]
specifier = "once"
min_period = "1s"
points = [ {{ source = "battery", unit = "W" }} ]
"#,
        program.display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sources_bring_reaches_the_vtn_to_the_last_digit() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    vtn.with(|core| {
        core.piggyback = vec![
            wish_of("own", &["battery.power", "charger"], Span::SECOND, Span::SECOND),
            wish_of("x-levels", &["charge"], Span::SECOND, Span::from_seconds(3)),
            wish_of("once", &["battery"], Span::ZERO, Span::ZERO),
        ];
    });
    let program = script(&house, ANSWER);
    let more = sources_and_reports(&program);
    let ven = start(&house, &vtn, &more).await.unwrap();
    until(&vtn, "the values", |core| {
        let cells = cells(&core.reports);
        let good = |point: &str, count: usize| {
            of(&cells, point).iter().filter(|cell| cell.quality != DataQuality::Bad).count() >= count
        };
        good("battery.power", 3) && good("charger", 3) && good("charge", 6) && good("battery", 1)
    })
    .await;
    ven.stop().await;
    let core = vtn.stop().await;
    let cells = cells(&core.reports);
    for cell in of(&cells, "battery.power") {
        assert_eq!(
            (cell.value, &cell.quality),
            (given(cell.start) / Decimal::from(1000), &DataQuality::Good)
        );
    }
    for cell in of(&cells, "charge").into_iter().chain(of(&cells, "battery")) {
        assert_eq!((cell.value, &cell.quality), (given(cell.start), &DataQuality::Good));
    }
    let exact: Decimal = "123.456789012345".parse().unwrap();
    let charged =
        of(&cells, "charger").into_iter().find(|cell| cell.quality == DataQuality::Uncertain).unwrap();
    assert_eq!(charged.value, exact);
    let asked = std::fs::read_to_string(program.with_extension("sh.asked")).unwrap();
    let asked: serde_json::Value = serde_json::from_str(asked.lines().next().unwrap()).unwrap();
    assert_eq!(asked["granularity_seconds"], 1);
    let time = |key: &str| asked[key].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert!(time("to") > time("from"));

    let own = core.offered.iter().find(|offer| offer.report_specifier_id.as_str() == "own").unwrap();
    let power = &own.descriptions[0];
    assert_eq!(power.data_source, Some(EiTarget::resource("house".into())));
    assert_eq!(power.unit.as_ref().and_then(Unit::scale), Some(SiScale::Kilo));
    let contexts: Vec<_> = own.descriptions.iter().map(|point| point.market_context.clone()).collect();
    assert_eq!(contexts, vec![Some("http://example.org/dr".into()); 2]);
    let levels = core.offered.iter().find(|offer| offer.report_specifier_id.as_str() == "x-levels").unwrap();
    assert_eq!(levels.report_name, Some(ReportName::from_token("x-levels")));
    assert_eq!(levels.descriptions[0].reading_type, ReadingType::Derived);
    assert_eq!(core.violations, [""; 0]);
}

/// Two meters and nothing else: one offer of usage, one of status, both as the standard wants them.
#[tokio::test(flavor = "multi_thread")]
async fn meters_alone_make_a_complete_offer() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let meter = |name: &str| MockMeter::start(house.folder.path(), name, Duration::from_secs(1)).unwrap();
    let meters = [meter("a"), meter("b")];
    let section = |meter: &MockMeter| {
        let path: &Path = meter.path();
        let name = path.file_name().unwrap().to_str().unwrap();
        format!("[[meter]]\nname = \"{name}\"\nsource = \"serial:{}\"\n", path.display())
    };
    let more: String = meters.iter().map(section).collect();
    let ven = start(&house, &vtn, &more).await.unwrap();
    until(&vtn, "the offer", |core| core.offered.len() == 2).await;
    ven.stop().await;
    let core = vtn.stop().await;
    let points: Vec<usize> = core.offered.iter().map(|offer| offer.descriptions.len()).collect();
    assert_eq!(points, [6, 2]);
    assert_eq!(core.violations, [""; 0]);
}

/// The next notice about a source.
async fn told(notices: &mut Receiver<Notice>) -> String {
    let about = async {
        loop {
            let notice = notices.recv().await.unwrap();
            if matches!(notice, Notice::SourceFails { .. } | Notice::SourceRecovered { .. }) {
                return notice.to_string();
            }
        }
    };
    tokio::time::timeout(PATIENCE, about).await.unwrap()
}

/// Nobody runs under that id any more.
fn is_gone(id: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{}/stat", id.trim()));
    state.map_or(true, |state| state.contains(") Z "))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_fails_leaves_placeholders_and_hurts_nobody() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let points = ["battery", "program"];
    vtn.with(|core| core.piggyback = vec![wish_of("own", &points, Span::SECOND, Span::SECOND)]);
    let cases = "case $(cat \"$1\") in\nends) exit 3;;\nnonsense) echo nonsense; exit;;\ntalks) yes | tr -d '\\n'; exit;;\n\
                 hangs) sleep 600 & echo $! > \"$1.child\"; wait;;\nesac\n";
    let program = script(&house, &format!("{cases}{ANSWER}"));
    let mood = house.path("mood");
    let set = |text: &str| {
        std::fs::write(house.path("mood.new"), text).unwrap();
        std::fs::rename(house.path("mood.new"), &mood).unwrap();
    };
    set("works");
    let more = format!(
        r#"
[[report_source]]
name = "program"
exec = ["{}", "{}"]
timeout = "1s"

[[report]]
specifier = "own"
min_period = "1s"
points = [ {{ source = "battery", unit = "W" }}, {{ source = "program", unit = "W" }} ]
"#,
        program.display(),
        mood.display()
    );
    let ven = start(&house, &vtn, &more).await.unwrap();
    let mut notices = ven.notices();
    let count = |core: &VtnCore, bad: bool| {
        let cells = cells(&core.reports);
        of(&cells, "program").iter().filter(|cell| cell.is_placeholder() == bad).count()
    };
    until(&vtn, "the first values", |core| count(core, false) >= 2).await;
    for (text, why) in [
        ("ends", "exit status: 3"),
        ("hangs", "it has not answered within 1 s"),
        ("talks", "longer than 1048576 octets"),
        ("nonsense", "not understood"),
    ] {
        let bad = vtn.with(|core| count(core, true));
        set(text);
        let failure = told(&mut notices).await;
        assert!(
            failure.contains("report source program brings no values") && failure.contains(why),
            "{failure}"
        );
        until(&vtn, "placeholders", |core| count(core, true) >= bad + 2).await;
        let good = vtn.with(|core| count(core, false));
        set("works");
        // What comes next is not the same failure again.
        let next = told(&mut notices).await;
        assert_eq!(next, "report source program brings values again", "after {text}");
        until(&vtn, "values again", |core| count(core, false) > good).await;
    }
    let child = std::fs::read_to_string(house.path("mood.child")).unwrap();
    assert!(is_gone(&child), "what it had started was ended with it");
    ven.stop().await;
    let core = vtn.stop().await;
    let cells = cells(&core.reports);
    assert!(of(&cells, "battery").iter().all(|cell| cell.quality == DataQuality::Good));
    assert_eq!(core.violations, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_nobody_brings_is_a_fault() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let error = start(&house, &vtn, "[[report]]\npoints = [ { source = \"solar\", unit = \"W\" } ]\n").await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("report[0].points[0].source: there is no [[report_source]] with name = \"solar\""),
        "{error}"
    );
    let error = start(&house, &vtn, "[[report_source]]\nname = \"battery\"\nexec = \"x\"\n").await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("the program brings a source \"battery\" of its own"), "{error}");
}

/// Says the number of its settings for each step that it is asked for.
const PLUGIN: &str = r#"import json, sys
def say(o): print(json.dumps(o), flush=True)
say({"v": [1], "name": "battery", "kinds": ["report.read"]})
for line in sys.stdin:
    m = json.loads(line)
    if m["kind"] == "initialize":
        config = m["config"]
        say({"id": m["id"], "ok": True})
    elif m["kind"] == "report.read" and m["source"] == "battery-power":
        say({"id": m["id"], "values": [{"start": m["from"], "value": config["key"] + ".10"}]})
    else:
        say({"id": m["id"], "error": "unsupported"})
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_goes_on_running_is_a_source_and_has_its_settings() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    vtn.with(|core| core.piggyback = vec![wish_of("own", &["battery-power"], Span::SECOND, Span::SECOND)]);
    std::fs::write(house.path("plugin.py"), PLUGIN).unwrap();
    std::fs::write(house.path("key"), "42\n").unwrap();
    let more = |plugin: &str| {
        format!(
            "[[plugin]]\nname = \"helper\"\ncommand = [\"python3\", \"{}\"]\n[plugin.config]\nkey = \"${{file:key}}\"\n\
             [[report_source]]\nname = \"battery-power\"\nplugin = \"{plugin}\"\n\
             [[report]]\nspecifier = \"own\"\nmin_period = \"1s\"\npoints = [ {{ source = \"battery-power\", unit = \"W\" }} ]\n",
            house.path("plugin.py").display()
        )
    };
    let error = start(&house, &vtn, &more("absent")).await.unwrap_err().to_string();
    assert!(
        error.contains("report_source[0].plugin: there is no [[plugin]] with name = \"absent\""),
        "{error}"
    );
    let ven = start(&house, &vtn, &more("helper")).await.unwrap();
    until(&vtn, "a value", |core| {
        of(&cells(&core.reports), "battery-power").iter().any(|cell| cell.quality == DataQuality::Good)
    })
    .await;
    ven.stop().await;
    let core = vtn.stop().await;
    let cells = cells(&core.reports);
    let good = of(&cells, "battery-power").into_iter().find(|cell| cell.quality == DataQuality::Good);
    assert_eq!(good.unwrap().value, "42.10".parse::<Decimal>().unwrap());
    assert_eq!(core.violations, [""; 0]);
}
