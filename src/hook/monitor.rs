//! What a monitor is to tell and how: the options of `[[monitor]]` and of `POST /v1/monitors`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fact::Topics;
use crate::time::Span;

/// Messages in one batch at most.
const LARGEST_BATCH: u32 = 1000;
/// The first message of a batch waits so long at most.
const LONGEST_WAIT: Span = Span::MINUTE;
/// Characters of a description.
const LONGEST_DESCRIPTION: usize = 256;

/// A monitor: what others read by cursor, or are pushed over TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MonitorSettings {
    pub(crate) topics: Topics,
    pub(crate) format: Format,
    pub(crate) compression: Compression,
    /// Messages in one batch at most, 1 to 1000.
    pub(crate) batch_size: u32,
    /// How long the first message of a batch waits for others, up to a minute.
    pub(crate) batch_duration: Span,
    pub(crate) acks: Acks,
    /// What happens while nobody is connected is told at the next connection.
    pub(crate) replay: bool,
    pub(crate) description: String,
}

/// `[[monitor]]`: one that is always there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StaticMonitor {
    /// 1 to 999; those above are given to monitors that are created while the VEN runs.
    pub(crate) id: u32,
    /// The name of the token that may read it.
    pub(crate) owner: String,
    pub(crate) settings: MonitorSettings,
}

/// The notation of the messages that are pushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Json,
    Xml,
}

/// How pushed messages are made smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Compression {
    #[default]
    None,
    /// RFC 1950. Peers call it "gzip" too, and have always meant this.
    Zlib,
}

/// When a pushed message counts as received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Acks {
    /// When the peer says so.
    Explicit,
    /// When it is written.
    #[default]
    Off,
}

/// A monitor as it is written down by those who want one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MonitorOptions {
    pub(crate) topics: Vec<String>,
    #[serde(default)]
    pub(crate) format: Option<String>,
    #[serde(default)]
    pub(crate) compression: Option<String>,
    #[serde(default)]
    pub(crate) batch_size: Option<i64>,
    /// As `10s`.
    #[serde(default)]
    pub(crate) batch_duration: Option<String>,
    #[serde(default)]
    pub(crate) ack: Option<String>,
    #[serde(default)]
    pub(crate) replay: bool,
    #[serde(default)]
    pub(crate) description: String,
}

impl MonitorSettings {
    /// Whether what happens while nobody is connected is told at the next connection: where that is wanted, and where each message
    /// has to be confirmed, since one that was not is told again.
    pub(crate) fn resumes(&self) -> bool {
        self.replay || self.acks == Acks::Explicit
    }

    /// Reads what somebody wants.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it: the option, what it was, what it may be.
    pub(crate) fn read(options: &MonitorOptions) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let topics = Topics::parse(options.topics.iter().map(String::as_str));
        let topics = topics.unwrap_or_else(|fault| {
            faults.push(format!("topics: {fault}"));
            Topics::default()
        });
        if options.topics.is_empty() {
            faults.push("topics: none is named; [\"**\"] is all of them".to_owned());
        }
        if options.description.chars().count() > LONGEST_DESCRIPTION {
            faults.push(format!("description: it has more than {LONGEST_DESCRIPTION} characters"));
        }
        let settings = Self {
            topics,
            format: word(&mut faults, "format", options.format.as_deref(), &Format::WORDS),
            compression: word(
                &mut faults,
                "compression",
                options.compression.as_deref(),
                &Compression::WORDS,
            ),
            batch_size: batch_size(&mut faults, options.batch_size),
            batch_duration: batch_duration(&mut faults, options.batch_duration.as_deref()),
            acks: word(&mut faults, "ack", options.ack.as_deref(), &Acks::WORDS),
            replay: options.replay,
            description: options.description.clone(),
        };
        if faults.is_empty() { Ok(settings) } else { Err(faults) }
    }

    /// As it is written down; reading that gives the same.
    pub(crate) fn options(&self) -> MonitorOptions {
        MonitorOptions {
            topics: self.topics.patterns().to_vec(),
            format: Some(self.format.as_str().to_owned()),
            compression: Some(self.compression.as_str().to_owned()),
            batch_size: Some(i64::from(self.batch_size)),
            batch_duration: Some(humantime::format_duration(self.batch_duration.to_std()).to_string()),
            ack: Some(self.acks.as_str().to_owned()),
            replay: self.replay,
            description: self.description.clone(),
        }
    }
}

impl Format {
    const WORDS: [(&str, Self); 2] = [("json", Self::Json), ("xml", Self::Xml)];

    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Xml => "xml",
        }
    }
}

impl Compression {
    const WORDS: [(&str, Self); 3] = [("none", Self::None), ("zlib", Self::Zlib), ("gzip", Self::Zlib)];

    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Zlib => "zlib",
        }
    }
}

impl Acks {
    const WORDS: [(&str, Self); 2] = [("explicit", Self::Explicit), ("off", Self::Off)];

    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Explicit => "explicit",
            Self::Off => "off",
        }
    }
}

fn word<T: Copy + Default>(
    faults: &mut Vec<String>,
    name: &str,
    given: Option<&str>,
    words: &[(&str, T)],
) -> T {
    let Some(given) = given else { return T::default() };
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == given) {
        return *value;
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    faults.push(format!("{name}: \"{given}\" is none of {}", known.join(", ")));
    T::default()
}

fn batch_size(faults: &mut Vec<String>, given: Option<i64>) -> u32 {
    let Some(given) = given else { return 1 };
    let size = u32::try_from(given).ok().filter(|size| (1..=LARGEST_BATCH).contains(size));
    size.unwrap_or_else(|| {
        faults.push(format!("batch_size: {given} is not from 1 to {LARGEST_BATCH}"));
        1
    })
}

fn batch_duration(faults: &mut Vec<String>, given: Option<&str>) -> Span {
    let Some(given) = given else { return Span::ZERO };
    let read = humantime::parse_duration(given).ok();
    let fits = |duration: &Duration| *duration <= LONGEST_WAIT.to_std();
    read.filter(fits).map_or_else(
        || {
            let longest = LONGEST_WAIT.seconds();
            faults.push(format!("batch_duration: \"{given}\" is not a time from \"0s\" to \"{longest}s\""));
            Span::ZERO
        },
        Span::from_std,
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Acks, Compression, Format, MonitorOptions, MonitorSettings};
    use crate::time::Span;

    fn read(options: Value) -> Result<MonitorSettings, Vec<String>> {
        let options: MonitorOptions =
            serde_json::from_value(options).map_err(|error| vec![error.to_string()])?;
        MonitorSettings::read(&options)
    }

    #[test]
    fn what_is_not_said_has_the_documented_default() {
        let settings = read(json!({"topics": ["event.*"]})).unwrap();
        assert_eq!((settings.format, settings.compression), (Format::Json, Compression::None));
        assert_eq!((settings.batch_size, settings.batch_duration), (1, Span::ZERO));
        assert_eq!((settings.acks, settings.replay), (Acks::Off, false));
        assert!(!settings.resumes());
    }

    #[test]
    fn every_option_is_read_and_written_back() {
        let all = json!({"topics": ["event.*", "x.**"], "format": "xml", "compression": "gzip", "batch_size": 1000,
            "batch_duration": "1m", "ack": "explicit", "replay": true, "description": "the pump"});
        let settings = read(all).unwrap();
        assert_eq!((settings.format, settings.compression), (Format::Xml, Compression::Zlib));
        assert_eq!((settings.batch_size, settings.batch_duration), (1000, Span::MINUTE));
        assert_eq!((settings.acks, settings.replay), (Acks::Explicit, true));
        assert_eq!(settings.description, "the pump");
        assert_eq!(MonitorSettings::read(&settings.options()), Ok(settings));
    }

    #[test]
    fn every_fault_is_told_at_once_and_none_is_ignored() {
        let all = json!({"topics": ["event.startet"], "format": "yaml", "compression": "zstd", "batch_size": 0,
            "batch_duration": "61s", "ack": "on", "description": "x".repeat(257)});
        let faults = read(all).unwrap_err();
        let expected = [
            "topics: invalid-topic: no topic is called \"event.startet\"; did you mean \"event.started\"? `ven topics` lists all",
            "description: it has more than 256 characters",
            "format: \"yaml\" is none of json, xml",
            "compression: \"zstd\" is none of none, zlib, gzip",
            "batch_size: 0 is not from 1 to 1000",
            "batch_duration: \"61s\" is not a time from \"0s\" to \"60s\"",
            "ack: \"on\" is none of explicit, off",
        ];
        assert_eq!(faults, expected);
        for wrong in [
            json!({"topics": []}),
            json!({"topics": ["**"], "batch_size": 1001}),
            json!({"topics": ["**"], "batch_size": -1}),
            json!({"topics": ["**"], "batch_duration": "soon"}),
            json!({"topics": ["**"], "batch_duraton": "1s"}),
        ] {
            assert_eq!(read(wrong.clone()).unwrap_err().len(), 1, "{wrong}");
        }
    }
}
