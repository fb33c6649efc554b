//! The table of conformance: each rule that binds a VEN and each subject of its certification, and the tests that show it.
//!
//! A test says by its name what it shows: `rule_57_...`, `rules_12_62_...`, `n1_0020_...`. This test reads the names out of the
//! sources, so that the table can neither forget a rule nor name a test that is not there; whether the tests pass, the
//! same run says.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

#[path = "conformance/rules.rs"]
mod rules;
#[path = "conformance/subjects.rs"]
mod subjects;

use rules::{RULES, RULES_OF_VTNS};
use subjects::SUBJECTS;

/// A rule or a subject.
struct Item {
    key: &'static str,
    about: &'static str,
    /// Why it does not concern this VEN.
    not_applicable: Option<&'static str>,
}

impl Item {
    const fn new(key: &'static str, about: &'static str) -> Self {
        Self { key, about, not_applicable: None }
    }

    const fn without(key: &'static str, about: &'static str, why: &'static str) -> Self {
        Self { key, about, not_applicable: Some(why) }
    }
}

/// The tests that show each rule and subject, as `file: name`.
type Shown = BTreeMap<String, Vec<String>>;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The names of all tests in a file: of functions marked as tests, and both names of what `subject!` makes tests of.
fn tests(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") || line.starts_with("subject! {")
        {
            marked = true;
        } else if let Some(rest) = line.strip_prefix("fn ").or_else(|| line.strip_prefix("async fn ")) {
            let declared = rest.split('(').next().unwrap_or(rest);
            if std::mem::take(&mut marked) {
                names.extend(declared.split(',').map(|name| name.trim().to_owned()));
            }
        }
    }
    names
}

/// The keys that a test's name claims to show.
fn keys(test: &str) -> Vec<String> {
    if let Some(rest) = test.strip_prefix("rules_").or_else(|| test.strip_prefix("rule_")) {
        let numbers = rest.split('_').take_while(|word| word.chars().all(|c| c.is_ascii_digit()));
        return numbers.map(str::to_owned).collect();
    }
    let subject = test.strip_prefix("a_").unwrap_or(test);
    let mut words = subject.splitn(3, '_');
    let (letter, number) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is_letter = matches!(letter.as_bytes(), [b'n' | b'e' | b'p' | b'r' | b'g', b'0' | b'1']);
    if !is_letter || number.len() != 4 || !number.chars().all(|c| c.is_ascii_digit()) {
        return Vec::new();
    }
    let prefix = if subject == test { "" } else { "a_" };
    let key = format!("{prefix}{letter}_{number}");
    let range =
        words.next().and_then(|rest| rest.strip_prefix("to_")).and_then(|rest| rest.split('_').next());
    vec![range.map_or_else(|| key.clone(), |last| format!("{key}_to_{last}"))]
}

fn shown() -> Shown {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        sources(&root.join(folder), &mut files);
    }
    files.sort();
    let mut shown = Shown::new();
    for path in files {
        let file = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        for name in tests(&std::fs::read_to_string(&path).unwrap()) {
            for key in keys(&name) {
                shown.entry(key).or_default().push(format!("`{name}` ({file})"));
            }
        }
    }
    shown
}

/// Lines of the table, and what is wrong with them.
fn rows<'a>(
    items: impl Iterator<Item = (&'a Item, &'a str)>,
    shown: &Shown,
    holes: &mut Vec<String>,
) -> String {
    let mut table = String::new();
    for (item, key) in items {
        let tests = shown.get(key);
        let verdict = match (tests, item.not_applicable) {
            (Some(tests), None) => format!("passed | {}", tests.join("<br>")),
            (None, Some(why)) => format!("not applicable | {why}"),
            (Some(_), Some(_)) => {
                holes.push(format!("{key} is said not to be applicable, and has a test"));
                continue;
            }
            (None, None) => {
                holes.push(format!("{key} ({}) has neither a test nor a reason", item.about));
                continue;
            }
        };
        writeln!(table, "| {} | {} | {verdict} |", key.to_uppercase().replace('_', " "), item.about).unwrap();
    }
    table
}

#[test]
fn every_rule_and_every_subject_is_shown_or_has_a_reason() {
    let shown = shown();
    let mut holes = Vec::new();
    let rules = rows(RULES.iter().map(|item| (item, item.key)), &shown, &mut holes);
    let subjects = SUBJECTS.iter().flat_map(|(item, push)| {
        std::iter::once((item, item.key)).chain(push.iter().map(move |push| (item, *push)))
    });
    let subjects = rows(subjects, &shown, &mut holes);
    let known = |key: &String| {
        RULES.iter().any(|item| item.key == key)
            || RULES_OF_VTNS.iter().any(|number| number.to_string() == *key)
            || SUBJECTS.iter().any(|(item, push)| item.key == key || push.is_some_and(|push| push == key))
    };
    let strangers = shown.iter().filter(|(key, _)| !known(key));
    holes.extend(strangers.map(|(key, tests)| format!("nothing has the number {key}: {}", tests.join(", "))));
    assert!(holes.is_empty(), "{} holes:\n{}", holes.len(), holes.join("\n"));
    let head = "|---|---|---|---|";
    let table = format!(
        "# Conformance\n\nWritten by `cargo test --test conformance` from the names of the tests; each of them runs in `tests/run`, and \
         \"passed\" is what that run says.\n\n## Rules of the profile specification 1.1 that bind a VEN\n\n| rule | in our words | | shown by \
         |\n{head}\n{rules}\n## Subjects of the certification with a VEN under test\n\nThe first letter: N registration, E event, P opt, R \
         report, G general; A before those of profile 2.0a. The digit: 1 pull, 0 push.\n\n| subject | about | | shown by |\n{head}\n{subjects}"
    );
    let written = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance.md");
    std::fs::write(&written, &table).unwrap();
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance.md");
    let held = std::fs::read_to_string(&committed).unwrap_or_default();
    let advice = format!("look at the difference, then: cp {} {}", written.display(), committed.display());
    assert!(held == table, "the committed table is not what the tests say; {advice}");
}

/// The reader itself: it finds what it is there to find.
#[test]
fn names_are_read() {
    let text = "#[test]\nfn rules_12_62_all() {}\nfn rule_3_is_no_test() {}\n subject! {\n /// Doc.\n fn n1_0010_a, n0_5010_a(mode) {\n";
    assert_eq!(tests(text), ["rules_12_62_all", "n1_0010_a", "n0_5010_a"]);
    assert_eq!(keys("rules_12_62_all"), ["12", "62"]);
    assert_eq!(keys("a_e1_0082_to_0104_pending"), ["a_e1_0082_to_0104"]);
    assert_eq!(keys("n0_5010_a"), ["n0_5010"]);
    assert!(keys("e1_is_new").is_empty());
}
