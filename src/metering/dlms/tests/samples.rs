//! Messages of real meters, and of the standards.

use serde_json::Value as Json;

use super::super::hdlc;
use super::*;
use crate::test_support::samples;

/// A sample: its bytes and what is expected.
fn sample(name: &str) -> Option<(Vec<u8>, Json)> {
    let folder = samples("meters/samples")?;
    let expected = std::fs::read_to_string(folder.join(format!("{name}.bin.expected.json"))).unwrap();
    Some((
        std::fs::read(folder.join(format!("{name}.bin"))).unwrap(),
        serde_json::from_str(&expected).unwrap(),
    ))
}

/// The decoder with the keys that the sample names.
fn decoder_of(expected: &Json) -> DlmsDecoder {
    let key = |name: &str| expected[name].as_str();
    let Some(encryption) = key("encryption_key") else { return decoder() };
    let authentication = key("authentication_key");
    decoder_with(Keys::parse(encryption, authentication).unwrap(), authentication.is_none())
}

/// The code of a quantity by the name that one tool has for it.
fn code(name: &str) -> Option<String> {
    let words: Vec<&str> = name.split('_').collect();
    let phase = |word: &str| word.strip_prefix('l').and_then(|digit| digit.parse::<u8>().ok());
    let number = |kind: &str, direction: &str| match (kind, direction) {
        ("active", "import") => 1,
        ("active", "export") => 2,
        ("reactive", "import") => 3,
        ("reactive", "export") => 4,
        _ => panic!("{name}"),
    };
    Some(match words[..] {
        ["meter", "manufacturer" | "datetime"] => return None,
        ["list", "ver", "id"] => "1-0:0.2.129".into(),
        ["meter", "id"] => "id".into(),
        ["meter", "type"] => "type".into(),
        ["current", l] => format!("1-0:{}.7.0", 11 + 20 * phase(l)?),
        ["voltage", l] => format!("1-0:{}.7.0", 12 + 20 * phase(l)?),
        [kind, "power", direction, "total"] => format!("1-0:{}.8.0", number(kind, direction)),
        [kind, "power", direction, l] => format!("1-0:{}.7.0", number(kind, direction) + 20 * phase(l)?),
        [kind, "power", direction] => format!("1-0:{}.7.0", number(kind, direction)),
        _ => panic!("{name}"),
    })
}

/// Compares by the names of quantities; their numbers are floats there.
fn is_named(telegram: &Telegram, expected: &Json) -> usize {
    let mut compared = 0;
    for (name, value) in expected.as_object().unwrap() {
        let Some(code) = code(name) else { continue };
        compared += 1;
        let found = match code.as_str() {
            "id" => telegram.meter.clone(),
            "type" => text(telegram, "0-0:96.1.7").or_else(|| text(telegram, "1-0:96.1.1")),
            code => telegram
                .number(obis(code))
                .map_or_else(|| text(telegram, code), |number| Some(number.normalize().to_string())),
        };
        let number = || dec(&value.to_string()).normalize().to_string();
        let value = value.as_str().map_or_else(number, str::to_owned);
        assert_eq!(found.as_ref(), Some(&value), "{name}");
    }
    if let Some(local) = expected["meter_datetime"].as_str() {
        compared += 1;
        let ahead = if local.ends_with("+02:00") { Span::HOUR * 2 } else { Span::HOUR };
        assert_eq!(telegram.clock, Some(t(&format!("{}Z", &local[..19])) - ahead), "{local}");
    }
    compared
}

/// Compares by codes, as another tool writes them.
fn is_coded(telegram: &Telegram, expected: &Json) -> usize {
    let mut compared = 0;
    for line in ["knownObjects", "unknownObjects"].iter().flat_map(|list| expected[*list].as_array().unwrap())
    {
        let (code, value) = line.as_str().unwrap().trim_end_matches(')').split_once('(').unwrap();
        let code = code.replacen("1-1:", "1-0:", 1);
        compared += 1;
        let found = text(telegram, &code);
        if value == "null" {
            assert_eq!(found, None, "{code}");
            continue;
        }
        let number = telegram.number(obis(&code));
        let as_hex = |text: &String| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        let same = match (number, value.split_once('*')) {
            (Some(number), Some((float, _))) => dec(float).round_dp(6) == number,
            (Some(number), None) => dec(value) == number,
            (None, _) => found.as_ref().is_some_and(|found| {
                let short = found.trim_start_matches('0');
                found.eq_ignore_ascii_case(value) || as_hex(found) == value || short == value
            }),
        };
        assert!(same, "{code}: {found:?}, expected {value}");
        if let (Some((_, unit)), ObjectValue::Number(_, found)) =
            (value.split_once('*'), &telegram.object(obis(&code)).unwrap().value)
        {
            assert_eq!(found.unwrap().to_string(), unit, "{code}");
        }
    }
    compared
}

#[test]
fn every_list_says_what_is_expected() {
    for (name, values) in [
        ("han-no-aidon-list1", 1),
        ("han-no-aidon-list3", 16),
        ("han-no-kaifa-list1", 2),
        ("han-no-kaifa-list2", 14),
        ("han-no-kamstrup-list1-1phase-real", 10),
        ("han-no-kamstrup-spec-1h-3phase", 17),
        ("han-se-aidon-spec-27-segmented", 27),
        ("han-se-aidon-spec-27", 27),
        ("han-se-kamstrup-list-real", 14),
        ("han-si-iskra-am550-2", 12),
        ("han-encrypted-aidon-auth", 27),
        ("han-encrypted-kamstrup-auth-syn", 14),
    ] {
        let Some((bytes, expected)) = sample(name) else { return };
        let telegram = only(|| decoder_of(&expected), &bytes);
        let decoded = &expected["decoded"];
        let coded = decoded["cosem"].is_object();
        let compared =
            if coded { is_coded(&telegram, &decoded["cosem"]) } else { is_named(&telegram, decoded) };
        assert!(compared >= values, "{name}: {compared} values were compared");
        if expected["second_decoded"].is_object() {
            assert!(is_named(&telegram, &expected["second_decoded"]) > 0);
        }
        assert_eq!(telegram.quality, DataQuality::Good);
    }
}

#[test]
fn a_described_list_says_what_is_expected() {
    let Some((bytes, expected)) = sample("han-described-list") else { return };
    // The sample was made anonymous: its checksum no longer fits, and the last three values, which another tool takes as null, are cut.
    assert!(matches!(decoded(decoder(), &bytes, 64)[..], [Err(Why::Crc { found: 0xD7B7, .. })]));
    let message = &bytes[11..bytes.len() - 3];
    let cut = decoded(decoder(), &hdlc::write(message, 2000), 64);
    assert_eq!(cut, [Err(Why::Content { at: 675, what: "1 bytes must follow, there are 0".into() })]);
    let bytes = hdlc::write(&[message, &[0; 3]].concat(), 2000);
    let telegram = only(decoder, &bytes);
    assert_eq!(is_coded(&telegram, &expected["decoded"]["cosem"]), 27);
    assert_eq!(telegram.clock, Some(t("2025-05-20T07:43:45Z")));
}

#[test]
fn an_austrian_list_comes_encrypted_by_m_bus() {
    for name in ["han-at-tirol-kaifa-mbus-encrypted", "han-mbus-lost-middle-syn"] {
        let Some((bytes, expected)) = sample(name) else { return };
        let mut good = Vec::new();
        for piece in PIECES {
            let all = decoded(decoder_of(&expected), &bytes, piece);
            good = all.iter().flatten().cloned().collect();
            let broken = all.iter().filter(|outcome| outcome.is_err()).count();
            assert_eq!((good.len(), broken), (1, usize::from(name.contains("lost"))), "{name} {all:?}");
        }
        let telegram = &good[0];
        assert_eq!(telegram.clock, Some(t("2021-07-19T13:46:35Z")));
        assert_eq!(telegram.meter.as_deref(), Some("1KFM0100000035"));
        assert_eq!(text(telegram, "0-0:42.0.0").unwrap(), "KFM1100100000035");
        for (code, value) in [
            ("1-0:32.7.0", "230.8"),
            ("1-0:31.7.0", "0.00"),
            ("1-0:1.7.0", "0"),
            ("1-0:2.7.0", "0"),
            ("1-0:1.8.0", "9108"),
            ("1-0:2.8.0", "0"),
            ("1-0:3.8.0", "96"),
            ("1-0:4.8.0", "9"),
        ] {
            assert_eq!(text(telegram, code).as_deref(), Some(value), "{code}");
        }
    }
}
