//! `ven reports`: what can be reported, what the VTN has asked for, what it has got, and what is still owed.

use std::io::Write as _;
use std::path::Path;

use crate::config::Config;
use crate::daemon::control::{AskError, OfferLine, ReportsLine, Request, RequestLine, Response, ask};
use crate::daemon::offers;
use crate::openadr::message::Duration;

use super::plain::plain;

pub(super) fn reports(path: &Path, json: bool) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    let reports = match ask(&config.ven.state, &Request::Reports) {
        Ok(Response::Reports(reports)) => *reports,
        Ok(answer) => anyhow::bail!(answer.amiss()),
        Err(AskError::NotRunning { .. }) => ReportsLine::of_configuration(offers(&config)),
        Err(error) => return Err(error.into()),
    };
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &reports)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", text(&reports))?;
    }
    Ok(())
}

/// For people.
fn text(reports: &ReportsLine) -> String {
    let mut text = String::from(match (reports.running, reports.registered) {
        (false, _) => "no VEN runs with this configuration; it would offer",
        (true, true) => "on offer, and the VTN knows it",
        (true, false) => "on offer, and the VTN is still to be told",
    });
    text += if reports.offers.is_empty() { ": nothing\n" } else { ":\n" };
    for offer in &reports.offers {
        text += &of_offer(offer);
    }
    if !reports.running {
        return text;
    }
    text += if reports.requests.is_empty() { "\nrequested: nothing\n" } else { "\nrequested:\n" };
    text += &of_requests(&reports.requests);
    text += &match reports.owed {
        0 => "\nowed: nothing that is ready\n".to_owned(),
        1 => "\nowed: 1 report is ready and has not reached the VTN\n".to_owned(),
        owed => format!("\nowed: {owed} reports are ready and have not reached the VTN\n"),
    };
    if let Some(retry) = &reports.retry {
        text += &format!("  failed {} times; the next try is not before {}\n", retry.failures, retry.at);
    }
    text
}

fn of_offer(offer: &OfferLine) -> String {
    let OfferLine { specifier, name, points, .. } = offer;
    let (min, max) = (length(&offer.min_period), length(&offer.max_period));
    let name = if specifier == name { String::new() } else { format!(" ({name})") };
    let mut text =
        format!("  {specifier}{name}: steps of {min} to {max}, kept for {}\n", length(&offer.kept));
    let mut rows = vec![["POINT", "RESOURCE", "UNIT", "TYPE", "READING"].map(str::to_owned).to_vec()];
    for point in points {
        let scale = point.scale.as_deref().filter(|scale| *scale != "none").unwrap_or_default();
        let unit = point.unit.as_ref().map(|unit| format!("{scale}{unit}"));
        rows.push(vec![
            point.id.clone(),
            or_none(point.resource.clone()),
            or_none(unit),
            point.report_type.clone(),
            point.reading_type.clone(),
        ]);
    }
    text += &table(4, &rows);
    text
}

fn of_requests(requests: &[RequestLine]) -> String {
    if requests.is_empty() {
        return String::new();
    }
    let head = ["REQUEST", "REPORT", "STEP", "EVERY", "FROM", "UNTIL", "DELIVERED*", "LAST", "OWED", "NEXT"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for request in requests {
        let next = match (request.state.as_str(), &request.next_due, &request.why) {
            (_, Some(due), _) => format!("due {due}"),
            (state, None, Some(why)) => format!("{state}: {why}"),
            (state, None, None) => state.to_owned(),
        };
        rows.push(vec![
            request.id.clone(),
            request.specifier.clone(),
            or_none(request.granularity.as_deref().map(|step| or_word(step, "on change"))),
            or_none(request.report_back.as_deref().map(|back| or_word(back, "once"))),
            or_none(request.from.clone()),
            or_none(request.until.clone()),
            request.delivered_since_start.to_string(),
            or_none(request.last_delivered.clone()),
            request.owed.to_string(),
            next,
        ]);
    }
    let mut text = table(2, &rows);
    text += "  * reports that the VTN has taken since this VEN was started\n";
    for request in requests.iter().filter(|request| !request.points.is_empty()) {
        text += &format!("  {}: {}\n", request.id, request.points.join(", "));
    }
    text
}

fn or_none(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// A length of time for people, or a word where it is zero.
fn or_word(iso: &str, word: &str) -> String {
    let is_zero = iso.parse().is_ok_and(Duration::is_zero);
    if is_zero { word.to_owned() } else { length(iso) }
}

fn length(iso: &str) -> String {
    iso.parse::<Duration>().map_or_else(|_| iso.to_owned(), |length| length.nominal().to_string())
}

/// Columns as wide as what stands in them; the last one is as long as it is.
pub(super) fn table(indent: usize, rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text += &format!("{:indent$}{}\n", "", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::control::{PointLine, RetryLine};

    fn some_reports() -> ReportsLine {
        let point = PointLine {
            id: "main.import_energy".into(),
            resource: Some("main".into()),
            unit: Some("Wh".into()),
            scale: Some("k".into()),
            report_type: "usage".into(),
            reading_type: "Direct Read".into(),
            market_context: None,
        };
        let offer = OfferLine {
            specifier: "usage".into(),
            name: "TELEMETRY_USAGE".into(),
            min_period: "PT10S".into(),
            max_period: "PT1H".into(),
            kept: "P1D".into(),
            points: vec![point],
        };
        let request = RequestLine {
            id: "r1".into(),
            specifier: "usage".into(),
            points: vec!["main.import_energy".into()],
            granularity: Some("PT0S".into()),
            report_back: Some("PT15M".into()),
            from: Some("2030-01-01T00:00:00Z".into()),
            until: None,
            reported_to: None,
            delivered_since_start: 3,
            last_delivered: Some("2030-01-01T00:45:01Z".into()),
            owed: 1,
            state: "waiting".into(),
            next_due: Some("2030-01-01T01:00:00Z".into()),
            why: None,
        };
        let retry = RetryLine { failures: 2, at: "2030-01-01T00:46:00Z".into() };
        ReportsLine {
            running: true,
            registered: true,
            offers: vec![offer],
            requests: vec![request],
            owed: 1,
            retry: Some(retry),
        }
    }

    #[test]
    fn people_get_a_table() {
        let expected = "\
on offer, and the VTN knows it:
  usage (TELEMETRY_USAGE): steps of 10 s to 1 h, kept for 1 d
    POINT               RESOURCE  UNIT  TYPE   READING
    main.import_energy  main      kWh   usage  Direct Read

requested:
  REQUEST  REPORT  STEP       EVERY   FROM                  UNTIL  DELIVERED*  LAST                  OWED  NEXT
  r1       usage   on change  15 min  2030-01-01T00:00:00Z  -      3           2030-01-01T00:45:01Z  1     due 2030-01-01T01:00:00Z
  * reports that the VTN has taken since this VEN was started
  r1: main.import_energy

owed: 1 report is ready and has not reached the VTN
  failed 2 times; the next try is not before 2030-01-01T00:46:00Z
";
        assert_eq!(text(&some_reports()), expected);
    }

    #[test]
    fn programs_read_what_they_were_sent() {
        let reports = some_reports();
        let json = serde_json::to_string(&Response::Reports(Box::new(reports.clone()))).unwrap();
        assert!(
            json.contains("\"answer\":\"reports\"") && json.contains("\"delivered_since_start\":3"),
            "{json}"
        );
        let read: Response = serde_json::from_str(&json).unwrap();
        assert_eq!(read, Response::Reports(Box::new(reports)));
    }

    #[test]
    fn where_no_ven_runs_it_is_said() {
        let offline = ReportsLine { running: false, ..some_reports() };
        let text = text(&offline);
        assert!(text.starts_with("no VEN runs with this configuration; it would offer:\n"), "{text}");
        assert!(!text.contains("requested"), "{text}");
        assert!(super::text(&ReportsLine::of_configuration(Vec::new())).ends_with("would offer: nothing\n"));
    }
}
