//! What the local API says of monitors: who asks is known already, and comes as the name of a token, or as nobody where all may.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::daemon::store::{MonitorRecord, StoreError};
use crate::fact::Fact;
use crate::hook::monitor::MonitorSettings;
use crate::hook::render::{VenNames, cloud_event};

use super::cursor::{Found, Gap, GapReason, Reader};
use super::document::of_gap;
use super::registry::{MonitorFault, Monitors};

/// Facts in one answer.
pub(in crate::daemon) const MOST_EVENTS: usize = 1000;
/// A stream says that it is there so often.
pub(in crate::daemon) const HEARTBEAT: Duration = Duration::from_secs(15);

/// What is read behind a cursor.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::daemon) enum Events {
    /// `{"events": […], "cursor": n}`; the cursor is where to go on.
    Read { events: Vec<Value>, cursor: u64 },
    /// 410: the cursor is of facts that are not kept; reading goes on at `oldest`.
    Gone { gap: Map<String, Value>, oldest: u64 },
}

/// One monitor as an object.
pub(in crate::daemon) fn view(monitors: &Monitors, record: &MonitorRecord) -> Value {
    let mut view = json!({
        "id": record.id,
        "owner": record.owner,
        "status": monitors.status(record).as_str(),
        "configured": record.configured,
        "cursor": record.acked,
        "created": record.created.to_string(),
        "last_connect": record.connected.map(|time| time.to_string()),
        "last_sent": record.sent.map(|time| time.to_string()),
    });
    let options = serde_json::to_value(record.settings.options()).unwrap_or_default();
    if let (Value::Object(view), Value::Object(options)) = (&mut view, options) {
        view.extend(options);
    }
    view
}

/// Those of an owner whose topics are these, where some are named.
pub(in crate::daemon) fn list(monitors: &Monitors, owner: Option<&str>, topics: Option<&str>) -> Vec<Value> {
    let same = |settings: &MonitorSettings| topics.is_none_or(|topics| settings.topics.to_string() == topics);
    let all = monitors.list(owner);
    all.iter().filter(|one| same(&one.settings)).map(|one| view(monitors, one)).collect()
}

/// A reader of a monitor at a cursor: one that is named, or where the monitor itself is.
///
/// # Errors
///
/// Where there is no such monitor of this owner.
pub(in crate::daemon) fn reader(
    monitors: &Monitors,
    owner: Option<&str>,
    id: u32,
    cursor: Option<u64>,
) -> Result<Reader, MonitorFault> {
    let record = monitors.get(owner, id)?;
    Ok(monitors.reader(record.settings.topics, Some(cursor.unwrap_or(record.acked))))
}

/// The next facts: at once where there are some, or when one happens within `wait`, or none.
///
/// A gap of facts of meters stands among the events; one of control facts is an answer of its own, since the cursor has expired.
///
/// # Errors
///
/// Where the store fails.
pub(in crate::daemon) async fn events(
    reader: &mut Reader,
    most: usize,
    wait: Duration,
    ven: &VenNames,
) -> Result<Events, StoreError> {
    let found = reader.page(most.clamp(1, MOST_EVENTS), wait).await?;
    if let [Found::Gap(gap @ Gap { why: GapReason::Expired | GapReason::Unknown, .. })] = found[..] {
        return Ok(Events::Gone { gap: of_gap(gap), oldest: reader.place() });
    }
    let events = found.iter().map(|found| event(found, ven)).collect();
    Ok(Events::Read { events, cursor: reader.place() })
}

/// As an event of `CloudEvents` 1.0; a gap is one of type `monitor.gap` without an id that lasts.
fn event(found: &Found, ven: &VenNames) -> Value {
    let of_fact =
        |fact: &Fact| Value::Object(cloud_event(fact, fact.data.clone(), &fact.time.to_string(), ven));
    match found {
        Found::Fact(fact) => of_fact(fact),
        Found::Gap(gap) => json!({
            "specversion": "1.0",
            "id": format!("gap-{}-{}", gap.from, gap.to),
            "source": format!("urn:ven:{}", ven.name),
            "type": "monitor.gap",
            "datacontenttype": "application/json",
            "data": of_gap(*gap),
        }),
    }
}

/// One piece of a stream of server-sent events (WHATWG HTML, 9.2): its `id` is the cursor, which comes back as `Last-Event-ID`.
pub(in crate::daemon) fn sse(found: &Found, ven: &VenNames) -> String {
    let (name, id) = match found {
        Found::Fact(fact) => (fact.topic.as_str(), format!("id: {}\n", fact.seq)),
        Found::Gap(_) => ("monitor.gap", String::new()),
    };
    // JSON of one line has no line break, whatever is in it.
    format!("{id}event: {name}\ndata: {}\n\n", event(found, ven))
}

/// A comment, which keeps the connection alive.
pub(in crate::daemon) const SSE_HEARTBEAT: &str = ": alive\n\n";

/// One line of a stream of JSON lines.
pub(in crate::daemon) fn ndjson(found: &Found, ven: &VenNames) -> String {
    format!("{}\n", event(found, ven))
}
