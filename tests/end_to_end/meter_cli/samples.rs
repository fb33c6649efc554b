//! Everything that was ever recorded says through the program what other readers and the standards say of it.
//!
//! The samples lie beside the project and are read where they lie.

use std::path::Path;

use serde_json::Value as Json;

use super::expected::{self, Said};
use super::{objects, run, text};
use crate::support::peers::{HAS_ITS_OWN_CHECKSUM, Recording, recordings};

/// Of these nothing is good: the keys are others, or the checksum was never right, since the recording was made anonymous or is the
/// example of a standard.
const NOTHING_GOOD: [&str; 3] =
    ["han-described-list.bin", "p1-be-emucs-v211-example-1.txt", "p1-lu-encrypted-wrong-key-syn.bin"];
const BROKE_OFF: &str = "it broke off";

/// What the program says of a recording.
struct Replayed {
    success: bool,
    said: Vec<Said>,
    good: u64,
    /// Each as often as it occurred, in order of the alphabet.
    reasons: Vec<String>,
}

fn replay(file: &Path, arguments: &[String]) -> Replayed {
    let arguments = arguments.iter().map(String::as_str);
    let all: Vec<&str> = ["replay", "--json", file.to_str().unwrap()].into_iter().chain(arguments).collect();
    let output = run(&all);
    assert_eq!(text(&output.stderr), "", "{}", file.display());
    let (objects, counts) = objects(&output);
    let said: Vec<Said> = objects.into_iter().map(|object| serde_json::from_value(object).unwrap()).collect();
    let mut reasons = Vec::new();
    for reason in counts["reasons"].as_array().unwrap() {
        let count = usize::try_from(reason["count"].as_u64().unwrap()).unwrap();
        reasons.extend(std::iter::repeat_n(reason["why"].as_str().unwrap().to_owned(), count));
    }
    assert_eq!(counts["refused"].as_u64().unwrap(), reasons.len() as u64, "{counts}");
    for said in &said {
        assert!(said.obis.contains(&format!("-{}:", said.channel)), "{said:?}");
    }
    Replayed { success: output.status.success(), said, good: counts["good"].as_u64().unwrap(), reasons }
}

#[test]
fn every_recorded_meter_is_recognised_and_says_what_is_expected() {
    let recordings = recordings();
    for recording in &recordings {
        let name = recording.name();
        let replayed = replay(&recording.file, &recording.arguments());
        assert_eq!(replayed.reasons.len(), reasons(recording).len(), "{name}: {:?}", replayed.reasons);
        for (found, expected) in replayed.reasons.iter().zip(reasons(recording)) {
            assert!(found.starts_with(&expected), "{name}: {found}, expected {expected}");
        }
        assert_eq!(replayed.success, replayed.good > 0, "{name}");
        if NOTHING_GOOD.contains(&name.as_str()) {
            assert_eq!((replayed.good, replayed.said), (0, Vec::new()), "{name}");
            continue;
        }
        assert!(replayed.good > 0, "{name}");
        let wrong = expected::differences(recording, &replayed.said, replayed.good);
        assert_eq!(wrong, Vec::<String>::new(), "{name}");
    }
    for name in NOTHING_GOOD {
        assert!(
            recordings.is_empty() || recordings.iter().any(|recording| recording.name() == name),
            "{name}"
        );
    }
    assert!(recordings.is_empty() || recordings.len() >= 57, "{} recordings", recordings.len());
}

/// How the reasons begin for which a recording is refused in part or as a whole, in order of the alphabet.
fn reasons(recording: &Recording) -> Vec<String> {
    let (name, expected) = (recording.name(), &recording.expected);
    let frame = &expected["frame"];
    let mut reasons: Vec<String> = match name.as_str() {
        "han-described-list.bin" => {
            let found = expected["decoded"]["hdlc"]["footers"][0]["crc"]["value"].as_u64().unwrap();
            vec![format!("checksum is {found:04X}, ")]
        }
        "p1-be-emucs-v211-example-1.txt" => {
            let crc = |name: &str| frame[name].as_str().unwrap();
            vec![format!("checksum is {}, expected {}", crc("crc_sent"), crc("crc_calculated"))]
        }
        "p1-lu-encrypted-wrong-key-syn.bin" => vec!["the key or the authentication key is wrong".to_owned()],
        // A frame that was changed, and one that broke off, whose rest the next one is.
        "p1-lu-encrypted-stream-syn.bin" => vec![
            "frame counter 101 is not above 103".to_owned(),
            "it was damaged or tampered with".to_owned(),
            "it was damaged or tampered with".to_owned(),
        ],
        // One that broke off, a bit that flipped, and a checksum that broke off.
        "p1-stream-noise.txt" => vec!["checksum is ".to_owned(); 3],
        "han-mbus-lost-middle-syn.bin"
        | "sml-dzg-dvs-7420.2v.g2-mtr2-neg.bin"
        | "sml-easymeter-q3a-a1064v1009.bin"
        | "sml-emh-ed300l-consumption.bin"
        | "sml-syn-resync.bin" => vec![BROKE_OFF.to_owned()],
        _ => Vec::new(),
    };
    let errors = expected["sml_rs_errors"].as_array().into_iter().flatten();
    let damaged = errors.filter(|error| error.as_str().unwrap().starts_with("InvalidMessage"));
    reasons.extend(damaged.map(|_| "checksum is ".to_owned()));
    if !recording.arguments().contains(&"--ignore-bcc".to_owned()) {
        reasons.extend(wrong_blocks(expected));
    }
    reasons.extend(expected["steps"].as_array().into_iter().flatten().filter_map(unanswered));
    reasons.sort();
    reasons
}

/// The blocks of IEC 62056-21 whose checksum does not fit.
fn wrong_blocks(expected: &Json) -> Vec<String> {
    let blocks = expected["blocks_bcc"].as_array().into_iter().flatten().filter(|block| block["ok"] == false);
    let crc = |block: &Json, name: &str| block[name].as_str().unwrap().to_uppercase();
    let told = |block| format!("checksum is 00{}, expected 00{}", crc(block, "sent"), crc(block, "computed"));
    blocks.map(told).collect()
}

/// Why a request of Modbus brought nothing.
fn unanswered(step: &Json) -> Option<String> {
    match (step["result"].as_str()?, step["why"].as_str()) {
        ("ok", _) => None,
        ("exception", _) => {
            Some(format!("the meter answers with exception {}", step["pymodbus"]["exception_code"]))
        }
        (_, Some("CRC")) => Some("checksum is ".to_owned()),
        (_, Some("time-out")) => Some("no answer".to_owned()),
        (_, why) => {
            assert_eq!(why, Some("unit 2 answered a request to unit 1"));
            Some("at byte 0: unit 2 answers, 1 was asked".to_owned())
        }
    }
}

#[test]
fn what_has_a_checksum_of_its_own_is_refused_unless_it_is_ignored() {
    for recording in recordings() {
        let name = recording.name();
        if HAS_ITS_OWN_CHECKSUM.iter().any(|begin| name.starts_with(begin)) {
            let replayed = replay(&recording.file, &[]);
            assert!(!replayed.success && replayed.good == 0 && replayed.said.is_empty(), "{name}");
            assert_eq!(replayed.reasons, wrong_blocks(&recording.expected), "{name}");
        }
    }
}

#[test]
fn what_is_encrypted_says_so_without_a_key() {
    let encrypted = recordings().into_iter().filter(|recording| recording.name().contains("encrypted"));
    let mut seen = 0;
    for recording in encrypted {
        let replayed = replay(&recording.file, &[]);
        let told = replayed.reasons.iter().all(|why| why == "it is encrypted, and no key is configured");
        assert!(!replayed.success && !replayed.reasons.is_empty() && told, "{:?}", replayed.reasons);
        seen += 1;
    }
    assert!(seen == 0 || seen >= 7, "{seen} encrypted recordings");
}

/// The example of a standard has a placeholder for its checksum; with the right one it says what is expected.
#[test]
fn the_example_with_a_placeholder_says_what_is_expected_with_its_right_checksum() {
    let name = "p1-be-emucs-v211-example-1.txt";
    let Some(recording) = recordings().into_iter().find(|recording| recording.name() == name) else { return };
    let crc = |name: &str| recording.expected["frame"][name].as_str().unwrap();
    let written = std::fs::read_to_string(&recording.file).unwrap();
    let right = written.replace(&format!("!{}", crc("crc_sent")), &format!("!{}", crc("crc_calculated")));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, right).unwrap();
    let replayed = replay(&file, &[]);
    assert_eq!((replayed.good, replayed.reasons), (1, Vec::new()));
    assert_eq!(expected::differences(&recording, &replayed.said, 1), Vec::<String>::new());
}
