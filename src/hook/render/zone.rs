//! Writes times in the zone that the receiver lives in.

use jiff::tz;
use serde_json::{Map, Value};

use super::samples::is_id;
use crate::hook::settings::TimeZone;
use crate::time::Timestamp;

/// A zone in which times are written.
#[derive(Clone, Debug)]
pub(crate) enum Zone {
    /// Times stay as they are, `2030-01-02T03:04:05Z`.
    Utc,
    /// `2030-01-02T04:04:05+01:00`; the offset is the one of that instant.
    In(tz::TimeZone),
}

/// Why there is no such zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadZone {
    #[error("no time zone is called \"{0}\"; it is utc, local, or a name of the IANA, as Europe/Amsterdam")]
    Unknown(String),
    #[error("the time zone of this machine is not known ({0}); write its name, as Europe/Amsterdam")]
    NoLocal(String),
}

impl Zone {
    /// # Errors
    ///
    /// Where there is none of this name.
    pub(crate) fn new(zone: &TimeZone) -> Result<Self, BadZone> {
        match zone {
            TimeZone::Utc => Ok(Self::Utc),
            TimeZone::Local => {
                tz::TimeZone::try_system().map(Self::In).map_err(|error| BadZone::NoLocal(error.to_string()))
            }
            TimeZone::Named(name) => Self::named(name),
        }
    }

    /// The zone of this name of the IANA.
    pub(super) fn named(name: &str) -> Result<Self, BadZone> {
        tz::TimeZone::get(name).map(Self::In).map_err(|_| BadZone::Unknown(name.to_owned()))
    }

    /// An instant in this zone.
    pub(super) fn write(&self, time: Timestamp) -> String {
        let text = time.to_string();
        self.rewrite(&text).unwrap_or(text)
    }

    /// The same instant in this zone; `None` where the text is no time.
    pub(super) fn rewrite(&self, text: &str) -> Option<String> {
        let instant = instant(text)?;
        Some(match self {
            Self::Utc => text.to_owned(),
            Self::In(zone) => instant.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string(),
        })
    }

    /// A time by a pattern of `strftime`; `None` where the text is no time or the pattern none.
    pub(crate) fn format(&self, text: &str, pattern: &str) -> Option<String> {
        let zone = match self {
            Self::Utc => tz::TimeZone::UTC,
            Self::In(zone) => zone.clone(),
        };
        jiff::fmt::strtime::format(pattern, &instant(text)?.to_zoned(zone)).ok()
    }

    /// Writes all times within these members in this zone; what is called an id is none, whatever it looks like.
    pub(super) fn rewrite_all(&self, members: &mut Map<String, Value>) {
        if matches!(self, Self::Utc) {
            return;
        }
        for (name, value) in members {
            if !is_id(name) {
                self.rewrite_within(value);
            }
        }
    }

    fn rewrite_within(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(there) = self.rewrite(text) {
                    *text = there;
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.rewrite_within(value)),
            Value::Object(members) => self.rewrite_all(members),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Whole seconds since 1970 of a time, rounded down.
pub(super) fn unix(text: &str) -> Option<i64> {
    let instant = instant(text)?;
    Some(instant.as_second() - i64::from(instant.subsec_nanosecond() < 0))
}

/// Reads an RFC 3339 time in its usual form; jiff alone takes much more for a time.
fn instant(text: &str) -> Option<jiff::Timestamp> {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let (head, tail) = text.as_bytes().split_at_checked(SHAPE.len())?;
    let fits =
        |(octet, shape): (&u8, &u8)| if *shape == b'0' { octet.is_ascii_digit() } else { octet == shape };
    let zone = tail.strip_prefix(b".").map_or(tail, |rest| {
        let digits = rest.iter().take_while(|octet| octet.is_ascii_digit()).count();
        rest.get(digits..).unwrap_or_default()
    });
    let offset = |zone: &[u8]| zone.len() == 6 && zone[3] == b':' && (zone[0] == b'+' || zone[0] == b'-');
    (head.iter().zip(SHAPE).all(fits) && (zone == b"Z" || offset(zone))).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{BadZone, Zone, unix};
    use crate::hook::settings::TimeZone;

    fn amsterdam() -> Zone {
        Zone::new(&TimeZone::Named("Europe/Amsterdam".into())).unwrap()
    }

    #[test]
    fn the_offset_changes_with_the_clocks_in_spring_and_in_autumn() {
        for (utc, there) in [
            ("2030-03-31T00:59:59Z", "2030-03-31T01:59:59+01:00"),
            ("2030-03-31T01:00:00Z", "2030-03-31T03:00:00+02:00"),
            // The hour from two to three comes twice; the offset tells which one it is.
            ("2030-10-27T00:30:00Z", "2030-10-27T02:30:00+02:00"),
            ("2030-10-27T01:30:00Z", "2030-10-27T02:30:00+01:00"),
            ("2030-07-01T12:00:00.125Z", "2030-07-01T14:00:00.125+02:00"),
            ("2030-01-01T00:30:00+02:00", "2029-12-31T23:30:00+01:00"),
        ] {
            assert_eq!(amsterdam().rewrite(utc).unwrap(), there);
        }
        let half = Zone::named("Asia/Kolkata").unwrap();
        assert_eq!(half.rewrite("2030-01-01T00:00:00Z").unwrap(), "2030-01-01T05:30:00+05:30");
    }

    #[test]
    fn every_time_is_found_and_nothing_else_is_touched() {
        let mut data = json!({
            "start": "2030-07-01T12:00:00Z",
            "signals": [{ "intervals": [{ "start": "2030-01-01T12:00:00Z", "value": "1.50" }] }],
            "event_id": "2030-07-01T12:00:00Z",
            "id": "2030-07-01T12:00:00Z",
            "group_ids": ["2030-07-01T12:00:00Z"],
            "day": "2030-07-01",
            "text": "at 2030-07-01T12:00:00Z",
            "odd": "2030-07-01 12:00:00Z",
            "wide": "2030-07-01T12:00:00🔌Z",
        });
        let mut expected = data.clone();
        expected["start"] = json!("2030-07-01T14:00:00+02:00");
        expected["signals"][0]["intervals"][0]["start"] = json!("2030-01-01T13:00:00+01:00");
        let before = data.clone();
        Zone::Utc.rewrite_all(data.as_object_mut().unwrap());
        assert_eq!(data, before);
        amsterdam().rewrite_all(data.as_object_mut().unwrap());
        assert_eq!(data, expected);
    }

    #[test]
    fn an_unknown_zone_is_named() {
        let error = Zone::new(&TimeZone::Named("Europe/Amsterdum".into())).unwrap_err();
        assert_eq!(error, BadZone::Unknown("Europe/Amsterdum".into()));
        assert!(error.to_string().contains("Europe/Amsterdum"), "{error}");
    }

    /// Whether this machine knows its own zone is its affair; if so, instants stay what they are.
    #[test]
    fn the_local_zone_keeps_the_instant() {
        if let Ok(zone) = Zone::new(&TimeZone::Local) {
            let there = zone.rewrite("2030-07-01T12:00:00Z").unwrap();
            assert_eq!(unix(&there), unix("2030-07-01T12:00:00Z"));
            assert!(!there.ends_with('Z'), "{there}");
        }
    }

    #[test]
    fn times_are_counted_and_written_by_a_pattern() {
        assert_eq!(unix("1970-01-01T00:01:00.9Z"), Some(60));
        assert_eq!(unix("1969-12-31T23:59:59.5Z"), Some(-1));
        assert_eq!(unix("yesterday"), None);
        assert_eq!(amsterdam().format("2030-07-01T22:30:00Z", "%Y%m%d %H:%M").unwrap(), "20300702 00:30");
        assert_eq!(Zone::Utc.format("2030-07-01T22:30:00Z", "%Y%m%d").unwrap(), "20300701");
        assert_eq!(Zone::Utc.format("2030-07-01T22:30:00Z", "%"), None);
    }
}
