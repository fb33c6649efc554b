//! Picks topics by patterns: `event.started`, `event.*`, `x.**`.

use std::fmt;

use super::topic::{CATALOGUE, OF_PLUGINS};

/// Which topics somebody wants.
///
/// In a pattern `*` stands for one word between points and `**` for all that follow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Topics(Vec<String>);

/// Why a text picks no topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadTopic {
    #[error("\"{0}\" is no pattern: it is words between points, as event.started, event.* or x.**")]
    NoPattern(String),
    #[error(
        "invalid-topic: no topic is called \"{given}\"; did you mean \"{nearest}\"? `ven topics` lists all"
    )]
    Unknown { given: String, nearest: &'static str },
}

impl Topics {
    /// Reads patterns; each must pick at least one topic of the catalogue, or one of a plugin's.
    ///
    /// # Errors
    ///
    /// The first that picks none, and the topic that is most like it.
    pub(crate) fn parse<'t>(patterns: impl IntoIterator<Item = &'t str>) -> Result<Self, BadTopic> {
        let mut topics = Vec::new();
        for pattern in patterns {
            check(pattern)?;
            topics.push(pattern.to_owned());
        }
        Ok(Self(topics))
    }

    /// Every topic.
    pub(crate) fn all() -> Self {
        Self(vec!["**".to_owned()])
    }

    /// Whether this topic is wanted.
    pub(crate) fn pick(&self, topic: &str) -> bool {
        self.0.iter().any(|pattern| fits(pattern, topic))
    }

    /// The patterns as they were given.
    pub(crate) fn patterns(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

fn check(pattern: &str) -> Result<(), BadTopic> {
    let word = |word: &str| {
        let letters =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(letter);
        word == "*" || (!word.is_empty() && word.chars().all(letters))
    };
    let words: Vec<&str> = pattern.split('.').collect();
    let last = words.len() - 1;
    if !words.iter().enumerate().all(|(at, text)| word(text) || (at == last && *text == "**")) {
        return Err(BadTopic::NoPattern(pattern.to_owned()));
    }
    let of_plugin = pattern.starts_with(OF_PLUGINS) && words.len() > 1;
    if of_plugin || CATALOGUE.iter().any(|topic| fits(pattern, topic.name)) {
        return Ok(());
    }
    let nearest = CATALOGUE.iter().min_by_key(|topic| distance(pattern, topic.name));
    Err(BadTopic::Unknown {
        given: pattern.to_owned(),
        nearest: nearest.map_or("event.received", |topic| topic.name),
    })
}

fn fits(pattern: &str, topic: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('.'), topic.split('.'));
    loop {
        match (wanted.next(), given.next()) {
            (Some("**"), Some(_)) | (None, None) => return true,
            (Some(pattern), Some(word)) if pattern == "*" || pattern == word => {}
            _ => return false,
        }
    }
}

/// How many letters must change (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut corner = at;
        let mut left = at + 1;
        for (cell, of_other) in row.iter_mut().skip(1).zip(&other) {
            let here = (corner + usize::from(letter != *of_other)).min(left + 1).min(*cell + 1);
            corner = std::mem::replace(cell, here);
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{BadTopic, Topics, distance};

    #[test]
    fn patterns_pick_words() {
        let topics = Topics::parse(["event.*", "x.peak.**", "vtn.connected"]).unwrap();
        for picked in ["event.started", "event.interval", "x.peak.state", "x.peak.a.b", "vtn.connected"] {
            assert!(topics.pick(picked), "{picked}");
        }
        for left in
            ["event", "events.started", "x.peak", "x.other.state", "vtn.disconnected", "vtn.connected.now"]
        {
            assert!(!topics.pick(left), "{left}");
        }
        assert!(Topics::all().pick("meter.telegram"));
        assert!(!Topics::default().pick("meter.telegram"));
        assert_eq!(topics.to_string(), "event.*,x.peak.**,vtn.connected");
    }

    #[test]
    fn what_picks_nothing_is_named_with_the_nearest() {
        let wrong = Topics::parse(["event.startet"]).unwrap_err();
        assert_eq!(wrong, BadTopic::Unknown { given: "event.startet".into(), nearest: "event.started" });
        for text in ["", "event.", "Event.started", "event.**.x", "event started", "*x"] {
            assert_eq!(Topics::parse([text]).unwrap_err(), BadTopic::NoPattern(text.into()));
        }
        assert!(matches!(Topics::parse(["nothing.*"]), Err(BadTopic::Unknown { .. })));
    }

    #[test]
    fn the_distance_counts_letters_that_change() {
        for (one, other, expected) in
            [("", "abc", 3), ("abc", "abc", 0), ("kitten", "sitting", 3), ("flaw", "lawn", 2)]
        {
            assert_eq!(distance(one, other), expected, "{one} {other}");
            assert_eq!(distance(other, one), expected, "{other} {one}");
        }
    }
}
