//! Writes and reads the lines that we and a program say to each other: version 1.
//!
//! ```text
//! program   {"v":[1],"name":"peak-guard","kinds":["decide","event"]}                 its hello, before anything else
//! we        {"id":1,"kind":"initialize","ven":{...}}
//! program   {"id":1,"ok":true}
//! we        {"id":2,"kind":"decide","timeout_ms":3000,"change":"new","event":{...}}
//! program   {"id":2,"opt":"optIn","reason":"level 1"}
//! we        {"id":3,"kind":"event","topic":"event.started","data":{...}}
//! program   {"id":3,"ok":true}
//! program   {"publish":"x.peak-guard.state","data":{"limit_w":"1500"}}               unasked
//! program   {"telegram":"/ISk5...","meter":"main"}                                   unasked; or "telegram_base64"
//! program   {"log":"warn","msg":"no heat pump found"}                                unasked
//! we        {"id":4,"kind":"close"}
//! ```
//!
//! One JSON object a line. What is not known in an object is ignored on both sides; what is asked for and not known is answered
//! `{"id":5,"error":"unsupported"}`. An answer that is an error has `error` in place of `ok`.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value, json};

use crate::fact::topic::OF_PLUGINS;
use crate::plugin::Route;

/// The version that we speak.
pub(super) const VERSION: u64 = 1;
/// No line is longer, in octets.
pub(super) const LONGEST_LINE: usize = 1 << 20;
/// Nothing that a program says is nested deeper.
const DEEPEST: usize = 32;
/// Said to what is not known.
const UNSUPPORTED: &str = "unsupported";
/// Of a reason that a program gives, so many characters are kept.
const REASON: usize = 500;

/// How a program introduces itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hello {
    /// What it calls itself, for people.
    pub(crate) name: String,
    /// What it can be asked.
    pub(crate) kinds: Vec<String>,
    /// Patterns of the topics that it wants, where it is not configured which.
    pub(crate) topics: Vec<String>,
    /// What it serves in the local API.
    pub(crate) routes: Vec<Route>,
}

/// What a program says after its hello.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    /// To what we have asked under this number.
    Answer { id: u64, answer: Result<Answer, String> },
    /// It asks us, which no version does yet.
    Asks { id: Value },
    /// A fact of its own.
    Publish { topic: String, subject: Option<String>, data: Map<String, Value> },
    /// A telegram that it has read, for a meter with `source = "api"`; without a name, for the only one.
    Telegram { meter: Option<String>, bytes: Vec<u8> },
    /// A line for the log.
    Log { level: Level, text: String },
}

/// The members of an answer.
pub(crate) type Answer = Map<String, Value>;

/// How important a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadLine {
    #[error("is no JSON object: {0}")]
    NoObject(String),
    #[error("is no hello: it has no {0}, expected one like {HELLO}")]
    NoHello(&'static str),
    #[error("speaks versions {0}; expected {VERSION} among them")]
    Version(String),
    #[error("has a {member} that is not {expected}")]
    Member { member: &'static str, expected: &'static str },
    #[error("is neither an answer nor \"publish\" nor \"telegram\" nor \"log\"")]
    Unknown,
}

/// What a hello looks like, for those who have said it wrongly.
const HELLO: &str = "{\"v\":[1],\"name\":\"peak-guard\",\"kinds\":[\"decide\"]}";

impl Hello {
    /// Reads the first line.
    ///
    /// # Errors
    ///
    /// Where it is none, or of a version that we do not speak.
    pub(super) fn read(line: &[u8]) -> Result<Self, BadLine> {
        let members = object(line)?;
        let member = |name: &str| members.get(name);
        let versions = match member("v") {
            Some(Value::Array(versions)) => versions.clone(),
            Some(version @ Value::Number(_)) => vec![version.clone()],
            _ => return Err(BadLine::NoHello("\"v\"")),
        };
        if !versions.iter().any(|version| version.as_u64() == Some(VERSION)) {
            let versions: Vec<_> = versions.iter().map(Value::to_string).collect();
            return Err(BadLine::Version(versions.join(", ").chars().take(REASON).collect()));
        }
        let name = member("name").and_then(Value::as_str).ok_or(BadLine::NoHello("\"name\""))?;
        let kinds = member("kinds").ok_or(BadLine::NoHello("\"kinds\""))?;
        let texts = |value: &Value, member| {
            Vec::deserialize(value).map_err(|_| BadLine::Member { member, expected: "a list of texts" })
        };
        let routes = member("routes").map_or_else(|| Ok(Vec::new()), Vec::deserialize);
        let expected = "a list of objects with method and path";
        Ok(Self {
            name: readable(name),
            kinds: texts(kinds, "kinds")?,
            topics: member("topics").map_or_else(|| Ok(Vec::new()), |topics| texts(topics, "topics"))?,
            routes: routes.map_err(|_| BadLine::Member { member: "routes", expected })?,
        })
    }

    /// Whether it can be asked this.
    pub(crate) fn knows(&self, kind: &str) -> bool {
        self.kinds.iter().any(|known| known == kind)
    }
}

impl Said {
    /// Reads any other line.
    ///
    /// # Errors
    ///
    /// Where it is nothing that a program may say.
    pub(super) fn read(line: &[u8]) -> Result<Self, BadLine> {
        let mut members = object(line)?;
        let text =
            |members: &Map<String, Value>, name| members.get(name).and_then(Value::as_str).map(str::to_owned);
        if let Some(id) = members.shift_remove("id") {
            if members.contains_key("kind") {
                return Ok(Self::Asks { id });
            }
            let expected = "a number that we have given";
            let id = id.as_u64().ok_or(BadLine::Member { member: "id", expected })?;
            let answer = match members.get("error") {
                None | Some(Value::Null) => Ok(members),
                Some(Value::String(why)) => Err(readable(why)),
                Some(why) => Err(readable(&why.to_string())),
            };
            return Ok(Self::Answer { id, answer });
        }
        if let Some(topic) = text(&members, "publish") {
            let subject = text(&members, "subject");
            let data = match members.shift_remove("data") {
                None | Some(Value::Null) => Map::new(),
                Some(Value::Object(data)) => data,
                Some(_) => return Err(BadLine::Member { member: "data", expected: "an object" }),
            };
            return Ok(Self::Publish { topic, subject, data });
        }
        if let Some(telegram) = text(&members, "telegram") {
            return Ok(Self::Telegram { meter: text(&members, "meter"), bytes: telegram.into_bytes() });
        }
        if let Some(telegram) = text(&members, "telegram_base64") {
            let bytes = BASE64.decode(telegram);
            let member = BadLine::Member { member: "telegram_base64", expected: "base64 (RFC 4648, 4)" };
            return Ok(Self::Telegram { meter: text(&members, "meter"), bytes: bytes.map_err(|_| member)? });
        }
        if let Some(level) = text(&members, "log") {
            let text = text(&members, "msg").unwrap_or_default();
            return Ok(Self::Log { level: Level::named(&level), text });
        }
        Err(BadLine::Unknown)
    }
}

impl Level {
    fn named(word: &str) -> Self {
        match word {
            "error" => Self::Error,
            "warn" | "warning" => Self::Warn,
            "debug" | "trace" => Self::Debug,
            _ => Self::Info,
        }
    }

    /// The level and the text of a line of stderr, which may begin with `E! `, `W! `, `I! ` or `D! `.
    pub(super) fn of_stderr(line: &str) -> (Self, &str) {
        let prefixes = [("E! ", Self::Error), ("W! ", Self::Warn), ("I! ", Self::Info), ("D! ", Self::Debug)];
        let found =
            prefixes.into_iter().find_map(|(prefix, level)| Some((level, line.strip_prefix(prefix)?)));
        found.unwrap_or((Self::Info, line))
    }
}

/// A question under a number, as a line.
pub(super) fn question(id: u64, kind: &str, members: &Map<String, Value>) -> Vec<u8> {
    let mut question = Map::from_iter([("id".to_owned(), json!(id)), ("kind".to_owned(), json!(kind))]);
    question.extend(members.clone());
    line(question)
}

/// What is said to a question that we do not know.
pub(super) fn unsupported(id: &Value) -> Vec<u8> {
    line(Map::from_iter([("id".to_owned(), id.clone()), ("error".to_owned(), json!(UNSUPPORTED))]))
}

/// Whether an error says that the kind of the question is not known.
pub(super) fn is_unsupported(error: &str) -> bool {
    error == UNSUPPORTED
}

fn line(members: Map<String, Value>) -> Vec<u8> {
    let mut line = Value::Object(members).to_string().into_bytes();
    line.push(b'\n');
    line
}

/// Whether a plugin of this name may publish under this topic: words between points behind `x.<plugin>.`.
pub(super) fn may_publish(plugin: &str, topic: &str) -> bool {
    let own = topic.strip_prefix(OF_PLUGINS).and_then(|rest| rest.strip_prefix(plugin)?.strip_prefix('.'));
    let letter =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(letter);
    own.is_some_and(|own| own.split('.').all(|word| !word.is_empty() && word.chars().all(letter)))
}

/// Text of a program as it may be shown: short, and without control characters, which could move a terminal's cursor.
pub(super) fn readable(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    text.chars().take(REASON).map(escaped).collect()
}

/// The members of an object; a number with a fraction becomes a text, so that none of its digits is lost.
fn object(line: &[u8]) -> Result<Map<String, Value>, BadLine> {
    let no_object = |error: serde_json::Error| BadLine::NoObject(error.to_string());
    let text = str::from_utf8(line).map_err(|error| BadLine::NoObject(error.to_string()))?;
    let Members(members) = serde_json::from_str(text).map_err(no_object)?;
    let exact = |(name, raw): (String, &RawValue)| Ok((name, exact(raw, DEEPEST)?));
    members.into_iter().map(exact).collect::<Result<_, _>>().map_err(no_object)
}

/// A value; `levels`: so deep it may be nested.
fn exact(raw: &RawValue, levels: usize) -> Result<Value, serde_json::Error> {
    let text = raw.get();
    let below = || {
        let too_deep = || serde::de::Error::custom(format!("it is nested more than {DEEPEST} deep"));
        levels.checked_sub(1).ok_or_else(too_deep)
    };
    match text.as_bytes().first() {
        Some(b'{') => {
            let (Members(members), below) = (serde_json::from_str(text)?, below()?);
            members.into_iter().map(|(name, raw)| Ok((name, exact(raw, below)?))).collect()
        }
        Some(b'[') => {
            let (items, below): (Vec<&RawValue>, _) = (serde_json::from_str(text)?, below()?);
            items.into_iter().map(|raw| exact(raw, below)).collect()
        }
        Some(b'-' | b'0'..=b'9') => match serde_json::from_str::<Number>(text) {
            Ok(whole) if whole.is_i64() || whole.is_u64() => Ok(Value::Number(whole)),
            // Beyond what a float can hold, too.
            _ => Ok(Value::from(text)),
        },
        _ => serde_json::from_str(text),
    }
}

/// The members of an object, each as it was written.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(InOrder).map(Self)
    }
}
