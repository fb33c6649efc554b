//! Tells `PVOutput` (pvoutput.org) what a meter has measured, by its API r2: one slot by `addstatus`, several by `addbatchstatus`.
//!
//! ```text
//! d, t   local date and time of the end of the slot; 23:59 where that is midnight: the energy is that of the day before
//! v3     Wh taken from the grid since local midnight
//! v4     W taken from the grid, less what is given to it; n = 1 says so
//! ```
//!
//! Sixty requests an hour are free; what is refused for that reason (403, "Exceeded …") waits for the next full hour, when the service
//! counts anew. A value that it does not want (400) is this slot's fault, so the others do not wait for it.

use rust_decimal::Decimal;
use serde_json::Value;

use crate::fact::{Fact, topic};
use crate::hook::outcome::{Outcome, Try};
use crate::hook::render::{Zone, form};
use crate::hook::settings::{HookSettings, HttpTarget, PvOutputTarget};
use crate::time::{Span, Timestamp};

use super::http::HttpSink;
use super::said::Said;
use super::{Delivering, Message, Sink};

const SERVICE: &str = "https://pvoutput.org";
/// Slots in one request, of those who have not donated.
const MOST: usize = 30;
/// Clocks differ; too early costs a request of the new hour.
const AFTER_THE_HOUR: Span = Span::from_seconds(30);
const ONE: &str = "addstatus";
const SEVERAL: &str = "addbatchstatus";
const FORM: &str = "application/x-www-form-urlencoded";
const NOTHING: &str = "there is no slot in it that PVOutput takes: it is too old, or nothing was measured";
/// Of an answer no more than these characters are told as the reason.
const SHOWN: usize = 200;

/// Tells one system of one account.
pub(super) struct PvOutputSink {
    one: HttpSink,
    several: HttpSink,
    zone: Zone,
    processing_delay: Option<Span>,
    max_age: Span,
}

/// A slot as the service takes it.
#[derive(Debug, PartialEq, Eq)]
struct Slot {
    date: String,
    time: String,
    /// In Wh.
    energy: Option<String>,
    /// In W.
    power: Option<String>,
}

impl PvOutputSink {
    /// Connects to nobody yet.
    ///
    /// # Errors
    ///
    /// What of the target cannot be used.
    pub(super) fn new(settings: &HookSettings, target: &PvOutputTarget) -> Result<Self, String> {
        if settings.batch.max_items > MOST {
            let most = settings.batch.max_items;
            return Err(format!("batch: max_items = {most}; PVOutput takes at most {MOST} at once"));
        }
        for (key, text) in [("system_id", &target.system_id), ("api_key", &target.api_key)] {
            if text.is_empty() {
                return Err(format!("{key}: it is empty; PVOutput shows it under Settings"));
            }
        }
        let http = |service: &str| {
            HttpSink::new(settings, &endpoint(target, service)).map_err(|error| error.to_string())
        };
        Ok(Self {
            one: http(ONE)?,
            several: http(SEVERAL)?,
            zone: Zone::new(&target.timezone).map_err(|error| format!("timezone: {error}"))?,
            processing_delay: target.processing_delay,
            max_age: target.max_age,
        })
    }

    async fn tell(&mut self, message: &Message) -> Try {
        let Some((service, body)) = words(message, &self.zone, self.max_age, self.processing_delay) else {
            return Try { outcome: Outcome::Payload, ..Try::unreachable(NOTHING) };
        };
        let content_type = FORM.to_owned();
        let request = Message { body: body.into_bytes(), content_type, ..message.clone() };
        let sink = if service == SEVERAL { &mut self.several } else { &mut self.one };
        judge(sink.deliver(&request).await, message.at)
    }
}

/// Where a service is, and who asks it.
fn endpoint(target: &PvOutputTarget, service: &str) -> HttpTarget {
    let headers = [("X-Pvoutput-Apikey", &target.api_key), ("X-Pvoutput-SystemId", &target.system_id)];
    HttpTarget {
        url: format!("{}/service/r2/{service}.jsp", target.url.trim_end_matches('/')),
        method: "POST".to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.clone())).to_vec(),
        expect: Vec::new(),
        gzip: false,
        secrets: Vec::new(),
        // One of one's own stands where the configuration says; the service has no address of ours, whatever a name server says.
        allow_private: target.url.trim_end_matches('/') != SERVICE,
        ca: target.ca.clone(),
    }
}

/// The request that would be made.
///
/// # Errors
///
/// Why none would be.
pub(super) fn said(target: &PvOutputTarget, message: &Message) -> Result<Said, String> {
    let zone = Zone::new(&target.timezone).map_err(|error| format!("timezone: {error}"))?;
    let (service, body) =
        words(message, &zone, target.max_age, target.processing_delay).ok_or_else(|| NOTHING.to_owned())?;
    let HttpTarget { url, headers, .. } = endpoint(target, service);
    let mut head = vec![format!("POST {url}")];
    head.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    head.push(format!("content-type: {FORM}"));
    Ok(Said { head, body: body.into_bytes() })
}

/// Which service is told, and in which words; `None` where there is nothing to tell.
fn words(
    message: &Message,
    zone: &Zone,
    max_age: Span,
    processing_delay: Option<Span>,
) -> Option<(&'static str, String)> {
    let fresh = message.facts.iter().filter(|fact| message.at - fact.time <= max_age);
    let slots: Vec<_> = fresh.filter_map(|fact| slot(fact, zone)).collect();
    match slots.as_slice() {
        [] => None,
        [slot] => Some((ONE, status(slot, processing_delay))),
        several => Some((SEVERAL, batch(several))),
    }
}

impl Sink for PvOutputSink {
    fn deliver<'s>(&'s mut self, message: &'s Message) -> Delivering<'s> {
        Box::pin(self.tell(message))
    }
}

/// What is told of a slot; `None` where it is none, or nothing of it was measured.
fn slot(fact: &Fact, zone: &Zone) -> Option<Slot> {
    if fact.topic != topic::meter::INTERVAL.name {
        return None;
    }
    let text = |name: &str| fact.data.get(name).and_then(Value::as_str);
    let whole = |value: Decimal| value.trunc().normalize().to_string();
    let decimal = |name: &str| text(name)?.parse::<Decimal>().ok();
    let energy = decimal("day_import_kwh").and_then(|kwh| kwh.checked_mul(Decimal::ONE_THOUSAND)).map(whole);
    let power = decimal("net_w").map(whole);
    if energy.is_none() && power.is_none() {
        return None;
    }
    let end = text("end")?;
    let ends_on = zone.format(end, "%Y%m%d")?;
    let (date, time) = match text("date").map(|date| date.replace('-', "")) {
        Some(date) if date != ends_on => (date, "23:59".to_owned()),
        _ => (ends_on, zone.format(end, "%H:%M")?),
    };
    Some(Slot { date, time, energy, power })
}

/// The fields of `addstatus`.
fn status(slot: &Slot, processing_delay: Option<Span>) -> String {
    let delay = processing_delay.map(|delay| (delay.seconds() / 60).to_string());
    let fields = [
        ("d", Some(&slot.date)),
        ("t", Some(&slot.time)),
        ("v3", slot.energy.as_ref()),
        ("v4", slot.power.as_ref()),
        ("delay", delay.as_ref()),
    ];
    let said = fields.into_iter().filter_map(|(name, value)| Some((name, value?.as_str())));
    form(said.chain([("n", "1")]))
}

/// The fields of `addbatchstatus`: of a slot date, time, v1 to v4, of which the first two are those of what is generated.
fn batch(slots: &[Slot]) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_default();
    let slots = slots
        .iter()
        .map(|slot| format!("{},{},,,{},{}", slot.date, slot.time, value(&slot.energy), value(&slot.power)));
    form([("data", slots.collect::<Vec<_>>().join(";").as_str()), ("n", "1")])
}

/// What the service means by its answer.
fn judge(tried: Try, at: Timestamp) -> Try {
    let shown = || tried.answer.chars().take(SHOWN).collect::<String>();
    match tried.code {
        Some(403) if tried.answer.contains("Exceeded") => {
            let asked =
                if let Outcome::Endpoint { retry_after } = tried.outcome { retry_after } else { None };
            let next_hour = at.floor_to(Span::HOUR) + Span::HOUR + AFTER_THE_HOUR;
            let retry_after = asked.unwrap_or(next_hour - at);
            let outcome = Outcome::Endpoint { retry_after: Some(retry_after) };
            Try { outcome, why: shown(), ..tried }
        }
        Some(400) => Try { why: shown(), ..tried },
        Some(200) => {
            // Of a batch it says of each slot: 0 not added, 1 added, 2 changed.
            let refused = tried.answer.split(';').filter(|slot| slot.trim().ends_with(",0"));
            match refused.map(str::trim).collect::<Vec<_>>().as_slice() {
                [] => tried,
                refused => {
                    let why = format!("not added: {}", refused.join("; "));
                    Try { outcome: Outcome::Payload, why, ..tried }
                }
            }
        }
        _ => tried,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::settings::TimeZone;
    use serde_json::json;

    fn amsterdam() -> Zone {
        Zone::new(&TimeZone::Named("Europe/Amsterdam".to_owned())).unwrap()
    }

    fn fact(data: Value) -> Fact {
        let Value::Object(data) = data else { panic!("{data} is no object") };
        let topic = topic::meter::INTERVAL.name.to_owned();
        Fact { id: String::new(), seq: 1, topic, subject: None, time: Timestamp::EPOCH, data }
    }

    fn told(data: Value) -> String {
        slot(&fact(data), &amsterdam()).map_or_else(|| "nothing".to_owned(), |slot| status(&slot, None))
    }

    #[test]
    fn a_slot_is_told_in_local_time_in_wh_of_the_day_and_net_w() {
        let sample: Value = serde_json::from_str(topic::meter::INTERVAL.sample).unwrap();
        assert_eq!(told(sample), "d=20300102&t=13%3A00&v3=4200&v4=408&n=1");
        let slot = |end: &str, date: &str| {
            told(json!({"end": end, "date": date, "day_import_kwh": "0.0019", "net_w": "-12.9"}))
        };
        assert_eq!(slot("2030-07-02T10:05:00Z", "2030-07-02"), "d=20300702&t=12%3A05&v3=1&v4=-12&n=1");
        let midnight = slot("2030-01-02T23:00:00Z", "2030-01-02");
        assert_eq!(
            midnight, "d=20300102&t=23%3A59&v3=1&v4=-12&n=1",
            "the day's energy is not that of the next"
        );
        assert_eq!(
            told(json!({"end": "2030-01-02T12:00:00Z", "net_w": "5"})),
            "d=20300102&t=13%3A00&v4=5&n=1"
        );
        assert_eq!(told(json!({"end": "2030-01-02T12:00:00Z", "net_w": null})), "nothing");
        assert_eq!(told(json!({"net_w": "5"})), "nothing");
    }

    #[test]
    fn the_answer_says_what_is_done_next() {
        let at = Timestamp::from_calendar((2030, 1, 2), (12, 45, 0)).unwrap();
        let judged = |code: u16, outcome: Outcome, answer: &str| {
            let tried = judge(Try { outcome, code: Some(code), why: "w".into(), answer: answer.into() }, at);
            (tried.outcome, tried.why)
        };
        let endpoint =
            |seconds: Option<i64>| Outcome::Endpoint { retry_after: seconds.map(Span::from_seconds) };
        let exceeded = "Forbidden 403: Exceeded 60 requests per hour";
        assert_eq!(judged(403, endpoint(None), exceeded), (endpoint(Some(930)), exceeded.to_owned()));
        assert_eq!(judged(403, endpoint(Some(5)), exceeded).0, endpoint(Some(5)), "it knows best");
        assert_eq!(judged(403, endpoint(None), "Forbidden 403: Read only key").0, endpoint(None));
        let moon = "Bad request 400: Moon Powered";
        assert_eq!(judged(400, Outcome::Payload, moon), (Outcome::Payload, moon.to_owned()));
        assert_eq!(judged(200, Outcome::Sent, "OK 200: Added Status").0, Outcome::Sent);
        assert_eq!(judged(200, Outcome::Sent, "20300102,12:00,1;20300102,12:05,2").0, Outcome::Sent);
        let one = judged(200, Outcome::Sent, "20300102,12:00,1;20300102,12:05,0\n");
        assert_eq!(one, (Outcome::Payload, "not added: 20300102,12:05,0".to_owned()));
    }
}
