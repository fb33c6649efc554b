//! What `[[report]]` and `[[report_source]]` can say, and what they cannot.

use super::{SMALLEST, read};
use crate::config::{AskedSource, MAX_MEMORY, PointOrigin, PointSection};
use crate::openadr::message::{ReadingType, ReportName, ReportType, SiScale, Unit};
use crate::time::Span;

const METERS: &str = "[[meter]]\nname = \"a\"\nsource = \"serial:/dev/a\"\n[[meter]]\nname = \"b\"\nsource = \"serial:/dev/b\"\n";

/// A file with two meters, and one report with these lines and points.
fn report(lines: &str, points: &str) -> Result<super::super::ReportSection, String> {
    let report = format!("[[report]]\n{lines}\npoints = [\n{points}\n]\n");
    read(&format!("{SMALLEST}{METERS}{report}")).map(|mut config| config.reports.remove(0))
}

fn point(of: &str) -> Result<PointSection, String> {
    report("name = \"x-all\"", &format!("{{ {of} }}")).map(|mut report| report.points.remove(0))
}

#[test]
fn several_meters_make_one_offer_of_each_kind() {
    let config = read(&format!("{SMALLEST}{METERS}")).unwrap();
    let [usage, status] = config.reports.as_slice() else { panic!("{:?}", config.reports) };
    let ids = |points: &[PointSection]| points.iter().map(|point| point.r_id.to_string()).collect::<Vec<_>>();
    let all = ["import_energy", "export_energy", "net_power"];
    let expected: Vec<_> =
        ["a", "b"].into_iter().flat_map(|meter| all.map(|point| format!("{meter}.{point}"))).collect();
    assert_eq!((&usage.name, ids(&usage.points)), (&ReportName::TelemetryUsage, expected));
    assert_eq!(ids(&status.points), ["a.status", "b.status"]);
    let resources: Vec<_> = status.points.iter().map(|point| point.resource.as_str()).collect();
    assert_eq!(resources, ["a", "b"]);
}

#[test]
fn a_point_can_be_told_otherwise_than_the_meter_tells_it() {
    let of_meter = "quantity = \"net_power\", meter = \"a\"";
    let plain = point(of_meter).unwrap();
    assert_eq!(
        (plain.unit.as_ref().and_then(Unit::scale), plain.market_context),
        (Some(SiScale::None), None)
    );
    let more =
        "scale = \"k\", reading_type = \"Mean\", market_context = \"http://m/one\", resource = \"house\"";
    let told = point(&format!("{of_meter}, {more}")).unwrap();
    assert_eq!(told.unit, plain.unit.map(|unit| unit.scaled(SiScale::Kilo)));
    assert_eq!((told.reading_type, told.resource.as_str()), (ReadingType::Mean, "house"));
    assert_eq!(told.market_context.unwrap().as_str(), "http://m/one");
    assert_eq!(
        point(&format!("{of_meter}, reading_type = \"x-own\"")).unwrap().reading_type.as_str(),
        "x-own"
    );
}

#[test]
fn the_programme_of_a_report_is_that_of_its_points() {
    let points = "{ quantity = \"net_power\", meter = \"a\" }, { quantity = \"net_power\", meter = \"b\", market_context = \"http://m/b\" }";
    let report = report("market_context = \"http://m/all\"", points).unwrap();
    let contexts: Vec<_> = report.points.iter().map(|point| point.market_context.clone().unwrap()).collect();
    assert_eq!(contexts, ["http://m/all".into(), "http://m/b".into()]);
    let text = SMALLEST.replace("[vtn]", "[vtn]\nmarket_contexts = \"http://m/ours\"");
    let with = |context: &str| {
        read(&format!(
            "{text}{METERS}[[report]]\nmarket_context = \"{context}\"\npoints = [ {{ quantity = \"net_power\", meter = \"a\" }} ]\n"
        ))
    };
    assert!(with("HTTP://M:80/ours").is_ok());
    let error = with("http://m/other").unwrap_err();
    assert!(
        error.contains("report[0].market_context: \"http://m/other\" is not in [vtn] market_contexts"),
        "{error}"
    );
}

#[test]
fn other_sources_say_what_they_bring() {
    let battery = point("source = \"battery\", unit = \"Wh\"").unwrap();
    assert_eq!(battery.origin, PointOrigin::Source("battery".into()));
    assert_eq!((battery.r_id.as_str(), battery.resource.as_str()), ("battery", "battery"));
    assert_eq!((battery.report_type, battery.interval_data), (ReportType::Usage, true));
    let stored =
        point("source = \"battery\", unit = \"Wh\", report_type = \"storedEnergy\", id = \"b1\"").unwrap();
    assert_eq!((stored.r_id.as_str(), stored.interval_data), ("b1", false), "it is there, it does not flow");
    let power = point("source = \"battery\", unit = \"W\"").unwrap();
    assert_eq!((power.report_type, power.interval_data), (ReportType::Usage, false));
    let charge = point("source = \"battery\", unit = \"%\", description = \"state of charge\"").unwrap();
    assert_eq!(charge.report_type, ReportType::Reading);
    assert!(matches!(charge.unit, Some(Unit::Custom { units, .. }) if units == "%"));
    for unit in ["W", "VA", "VAR", "Wh", "VAh", "VARh", "V", "A", "Hz", "thm", "celsius", "fahrenheit"] {
        let point = point(&format!("source = \"s\", unit = \"{unit}\"")).unwrap();
        assert_eq!(point.unit.unwrap().symbol(), unit);
    }
}

#[test]
fn faults_of_points_are_named() {
    let of_meter = "quantity = \"net_power\", meter = \"a\"";
    for (of, what) in [
        (format!("{of_meter}, scale = \"kilo\""), "report[0].points[0].scale: expected one of \"p\", \"n\""),
        (
            format!("{of_meter}, reading_type = \"direct\""),
            "points[0].reading_type: expected \"Direct Read\"",
        ),
        (format!("{of_meter}, reading_type = \"x- \""), "points[0].reading_type: expected"),
        (format!("{of_meter}, resource = \" \""), "points[0].resource: is empty"),
        (format!("{of_meter}, unit = \"W\""), "points[0].unit: is for source = \"...\" only"),
        (format!("{of_meter}, report_type = \"usage\""), "points[0].report_type: is for source"),
        (format!("{of_meter}, description = \"x\""), "points[0].description: is for source"),
        (format!("{of_meter}, source = \"b\", unit = \"W\""), "points[0].meter: stands beside source"),
        (
            "quantity = \"net_power\"".into(),
            "points[0].meter: is missing; name the meter that it comes from, or",
        ),
        ("source = \"b\"".into(), "points[0].unit: is missing; say what its values are in"),
        ("source = \"b\", unit = \"%\"".into(), "points[0].unit: expected one of \"W\", \"VA\""),
        (
            "source = \"b\", unit = \"W\", description = \"x\"".into(),
            "points[0].description: is for units of",
        ),
        (
            "source = \"b\", unit = \"W\", report_type = \"x-resourceStatus\"".into(),
            "report_type: expected usage",
        ),
        ("source = \"b\", unit = \"W\", colour = 1".into(), "points[0].colour: is not known"),
    ] {
        let error = point(&of).unwrap_err();
        assert!(error.contains(what), "{what}\nis not in\n{error}");
    }
    let status = "{ quantity = \"status\", meter = \"a\", scale = \"k\", reading_type = \"Net\" }";
    let error = report("name = \"TELEMETRY_STATUS\"", status).unwrap_err();
    assert!(error.contains("points[0].scale: needs a unit, which a status has not"), "{error}");
    assert!(error.contains("points[0].reading_type: is \"x-notApplicable\" for a status"), "{error}");
}

/// The well-known reports hold what rule 331 says; anything else has a name of its own.
#[test]
fn what_is_not_well_known_has_a_name_of_its_own() {
    for point in [
        "{ quantity = \"net_power\", meter = \"a\", reading_type = \"Net\" }",
        "{ source = \"battery\", unit = \"V\" }",
        "{ source = \"battery\", unit = \"VARh\" }",
        "{ source = \"battery\", unit = \"Wh\", report_type = \"storedEnergy\" }",
    ] {
        for name in ["TELEMETRY_USAGE", "HISTORY_USAGE"] {
            let error = report(&format!("name = \"{name}\""), point).unwrap_err();
            assert!(error.contains("put it into a report with a name of your own"), "{error}");
        }
        let own = report("name = \"x-own\"", point).unwrap();
        assert_eq!((own.name.metadata().as_str(), own.specifier.as_str()), ("x-own", "x-own"));
    }
    for wrong in ["USAGE", "x-", "x-a b"] {
        let error = report(&format!("name = \"{wrong}\""), "{ source = \"b\", unit = \"W\" }").unwrap_err();
        assert!(error.contains("report[0].name: expected \"TELEMETRY_USAGE\""), "{error}");
    }
    let error = report("name = \"x-own\"", "{ quantity = \"status\", meter = \"a\" }").unwrap_err();
    assert!(error.contains("\"status\" belongs into TELEMETRY_STATUS"), "{error}");
}

#[test]
fn programs_that_are_sources_are_read() {
    let with = |lines: &str| read(&format!("{SMALLEST}[[report_source]]\nname = \"battery\"\n{lines}\n"));
    let source =
        with("exec = [\"bin/battery\", \"--watt\"]\ntimeout = \"3s\"").unwrap().report_sources.remove(0);
    assert_eq!((source.name.as_str(), source.within), ("battery", Span::from_seconds(3)));
    let asked = |lines: &str| with(lines).unwrap().report_sources.remove(0).asked;
    let exec = |command: &[&str], max_memory| AskedSource::Exec {
        command: command.iter().map(|&word| word.to_owned()).collect(),
        environment: Vec::new(),
        max_memory,
    };
    assert_eq!(source.asked, exec(&["/etc/ven/bin/battery", "--watt"], MAX_MEMORY), "relative to the file");
    assert_eq!(asked("exec = \"b\"\nmax_memory = \"64MiB\""), exec(&["b"], 64 << 20), "from the PATH");
    assert_eq!(asked("plugin = \"p\""), AskedSource::Plugin("p".to_owned()));
    for (lines, what) in [
        ("", "report_source[0].exec: is missing; name the program that is asked"),
        ("exec = []", "report_source[0].exec: is missing"),
        ("exec = [1]", "report_source[0].exec: expected a text in quotes"),
        ("exec = \"b\"\ntimeout = \"16s\"", "report_source[0].timeout: expected 1 s to 15 s, found 16 s"),
        ("exec = \"b\"\ntimeout = \"100ms\"", "report_source[0].timeout: expected 1 s to 15 s"),
        ("exec = \"b\"\nshell = true", "report_source[0].shell: is not known"),
        ("exec = \"b\"\nplugin = \"p\"", "report_source[0].exec: stands beside plugin; take one of them out"),
        ("exec = \"b\"\nmax_memory = \"1MiB\"", "report_source[0].max_memory: expected at least 8MiB"),
        ("exec = \"b\"\n[[report_source]]\nexec = \"c\"", "report_source[1].name: is missing"),
        (
            "exec = \"b\"\n[[report_source]]\nname = \"battery\"\nexec = \"c\"",
            "report_source[1].name: \"battery\" stands twice",
        ),
    ] {
        let error = with(lines).unwrap_err();
        assert!(error.contains(what), "{what}\nis not in\n{error}");
    }
}
