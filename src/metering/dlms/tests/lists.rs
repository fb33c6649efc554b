//! Lists of every form, with the scales that they say and those that they do not.

use super::super::apdu::Notification;
use super::super::hdlc;
use super::super::models::BadModels;
use super::*;

/// A message with this body, in a frame.
fn framed(body: &str) -> Vec<u8> {
    hdlc::write(&[hex("0F 40000000 00"), hex(body)].concat(), 2000)
}

fn telegram(body: &str) -> Telegram {
    only(decoder, &framed(body))
}

/// A text of A-XDR.
fn axdr_text(text: &str) -> String {
    let digits: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
    format!("0A{:02X}{digits}", text.len())
}

/// What an object says, its unit included.
fn said(telegram: &Telegram, code: &str) -> String {
    match &telegram.object(obis(code)).unwrap().value {
        ObjectValue::Number(value, Some(unit)) => format!("{value} {unit}"),
        ObjectValue::Number(value, None) => value.to_string(),
        ObjectValue::Text(text) => text.clone(),
    }
}

#[test]
fn scales_and_units_are_those_that_are_sent() {
    for (value, scaler_unit, expected) in [
        ("0600000462", "0F00161B", "1122 W"),
        ("060022AB8A", "0F01161E", "22721380 Wh"),
        ("0600002328", "0F03161E", "9000000 Wh"),
        ("10004B", "0FFF1621", "7.5 A"),
        ("100000", "0FFE1621", "0.00 A"),
        ("10FF9C", "0FFF1621", "-10.0 A"),
        ("120903", "0FFF1623", "230.7 V"),
        ("1203E8", "0FFD16FF", "1.000"),
        ("14FFFFFFFFFFFFFFFF", "0FF4161E", "-0.000000000001 Wh"),
        ("120001", "0F00162C", "1 Hz"),
    ] {
        let telegram = telegram(&format!("0101 0203 0906 0100010800FF {value} 0202 {scaler_unit}"));
        assert_eq!(said(&telegram, "1-0:1.8.0"), expected, "{value} {scaler_unit}");
    }
    let absurd = telegram("0101 0203 0906 0100010800FF 060022AB8A 0202 0F7F161E");
    assert_eq!(
        (said(&absurd, "1-0:1.8.0"), &absurd.objects[0].quality),
        ("2272138".into(), &DataQuality::Bad)
    );
}

#[test]
fn what_a_meter_leaves_out_is_not_said() {
    let telegram = telegram(
        "0103 0203 0906 0100200700FF 00 0202 0FFF1623  0202 0906 0100340700FF 00  0203 0906 0100480700FF 1208FC 0202 0FFF1623",
    );
    assert_eq!(telegram.objects.len(), 1);
    assert_eq!(said(&telegram, "1-0:72.7.0"), "230.0 V");
}

#[test]
fn octets_are_shown_as_text_where_they_are_one() {
    for (value, expected) in [
        ("0904 31323334", "1234"),
        ("0904 3132330A", "3132330A"),
        ("0902 C3A4", "C3A4"),
        ("0900", ""),
        ("0A02 C3A4", "ä"),
        ("0A02 A4C3", "A4C3"),
        ("0A03 1B5B4A", "1B5B4A"),
        ("0301", "1"),
        ("1602", "2"),
    ] {
        let telegram = telegram(&format!("0202 0906 0000600100FF {value}"));
        assert_eq!(said(&telegram, "0-0:96.1.0"), expected, "{value}");
    }
}

#[test]
fn lists_of_codes_and_values_are_scaled_by_the_maker() {
    let list = |version: &str, kind: &str| {
        telegram(&format!(
            "020D {} 0906 0101600101FF {} 0906 01011F0700FF 06000000ED 0906 0101200700FF 1200E8 \
             0906 0101010800FF 0600000064 0906 0101010700FF 060000033A 0906 0001010000FF 090C 07E6011801123A32FF800000",
            axdr_text(version),
            axdr_text(kind),
        ))
    };
    for (version, kind, current, voltage, energy) in [
        ("Kamstrup_V0001", "6841138BN245101090", "2.37 A", "232 V", "1000 Wh"),
        ("Kamstrup_V0001", "6851138BN245101090", "0.237 A", "232 V", "1000 Wh"),
        ("KFM_001", "MA304H4", "0.237 A", "23.2 V", "100 Wh"),
        // No model: as they stand.
        ("XYZ", "68", "237 A", "232 V", "100 Wh"),
    ] {
        let telegram = list(version, kind);
        assert_eq!(said(&telegram, "1-0:0.2.129"), version);
        assert_eq!(said(&telegram, "1-0:96.1.1"), kind);
        assert_eq!(said(&telegram, "1-0:31.7.0"), current, "{version} {kind}");
        assert_eq!(said(&telegram, "1-0:32.7.0"), voltage, "{version} {kind}");
        assert_eq!(said(&telegram, "1-0:1.8.0"), energy, "{version} {kind}");
        assert_eq!(said(&telegram, "1-0:1.7.0"), "826 W");
        assert_eq!(telegram.clock, Some(t("2022-01-24T17:58:50Z")));
    }
}

#[test]
fn values_alone_are_known_by_their_number_and_places() {
    let head = format!("{} 0904 31323334 {}", axdr_text("KFM_001"), axdr_text("MA304H3E"));
    let powers = "0600000001 0600000002 0600000003 0600000004";
    let (one, three) =
        ("06000003E8 0600000901", "06000003E8 06000007D0 0600000BB8 0600000901 0600000902 0600000903");
    let hourly = "090C 07E40119060A0000FF800000 0600000011 0600000012 0600000013 0600000014";
    assert_eq!(said(&telegram("0201 06000016DC"), "1-0:1.7.0"), "5852 W");
    for (count, body, voltage, has_registers) in [
        ("09", format!("{head} {powers} {one}"), ("1-0:32.7.0", "230.5 V"), false),
        ("0E", format!("{head} {powers} {one} {hourly}"), ("1-0:32.7.0", "230.5 V"), true),
        ("0D", format!("{head} {powers} {three}"), ("1-0:72.7.0", "230.7 V"), false),
        ("12", format!("{head} {powers} {three} {hourly}"), ("1-0:72.7.0", "230.7 V"), true),
    ] {
        let telegram = telegram(&format!("02{count} {body}"));
        assert_eq!(telegram.meter.as_deref(), Some("1234"));
        assert_eq!(said(&telegram, "1-0:31.7.0"), "1.000 A");
        assert_eq!(said(&telegram, voltage.0), voltage.1);
        assert_eq!(said(&telegram, "1-0:4.7.0"), "4 var");
        assert_eq!(telegram.object(ObisCode::electricity(2, 8, 0)).is_some(), has_registers);
        if has_registers {
            assert_eq!(said(&telegram, "1-0:2.8.0"), "18 Wh");
            assert_eq!(telegram.clock, Some(t("2020-01-25T09:00:00Z")));
        }
    }
    let refused = |body: &str| decoded(decoder(), &framed(body), 64);
    // As many as one of the lists has, but otherwise.
    let other = format!("0209 {} 0901 41 {}", axdr_text("XYZ"), "0600000001".repeat(7));
    let also = format!("0209 0906 0006190900FF {} {}", axdr_text("XYZ"), "0600000001".repeat(7));
    for body in
        [other.as_str(), also.as_str(), "0202 06000016DC 06000016DC", "0201 0904 31323334", "0200", "00"]
    {
        let found = refused(body);
        assert!(
            matches!(&found[..], [Err(Why::Content { what, .. })] if what.contains("says nothing of what they are")),
            "{body}: {found:?}"
        );
    }
}

#[test]
fn austrian_lists_of_values_alone_are_told_from_others_of_their_length() {
    let registers = "0600000011 0600000012 0600000013 0600000014";
    let powers = "0600000021 0600000022";
    let clock = "090C 07E40119060A0000FFFFC400";
    let vienna = telegram(&format!("0209 {clock} {registers} {powers} 0600000023 0600000024"));
    let serial = axdr_text("1234567890123").replacen("0A", "09", 1);
    let carinthia = telegram(&format!(
        "020C 0906 0006190900FF {serial} 0904 0A000000 0905 07E4011906 {registers} {powers} 0900 0900"
    ));
    for telegram in [&vienna, &carinthia] {
        for (code, expected) in [
            ("1-0:1.8.0", "17 Wh"),
            ("1-0:2.8.0", "18 Wh"),
            ("1-0:3.8.0", "19 varh"),
            ("1-0:4.8.0", "20 varh"),
            ("1-0:1.7.0", "33 W"),
            ("1-0:2.7.0", "34 W"),
        ] {
            assert_eq!(said(telegram, code), expected);
        }
    }
    assert_eq!(
        (said(&vienna, "1-0:4.7.0"), vienna.clock),
        ("36 var".into(), Some(t("2020-01-25T09:00:00Z")))
    );
    assert_eq!(carinthia.meter.as_deref(), Some("1234567890123"));
}

/// A list that describes itself: voltage, current, and a register with its scaler and unit.
const DESCRIBED: &str = "0206 0106 \
    0204 120028 0906 0000190900FF 0F02 120000  0204 120001 0906 00002A0000FF 0F02 120000 \
    0204 120003 0906 0100200700FF 0F02 120000  0204 120003 0906 01001F0700FF 0F02 120000 \
    0204 120003 0906 0101010800FF 0F02 120000  0204 120003 0906 0101010800FF 0F03 120000";

#[test]
fn described_lists_are_scaled_by_the_model() {
    let body = |id: &str| format!("{DESCRIBED} {} 1208FC 12007B 0600000064 0202 0F01161E", axdr_text(id));
    let named = |name: &'static str| {
        move || DlmsDecoder::new(Span::HOUR, Opener::default(), models().named(name).unwrap())
    };
    for (telegram, voltage) in [
        (telegram(&body("ISK123")), "230.0 V"),
        (telegram(&body("LGZ123")), "2300 V"),
        (only(named("landisgyr-e360"), &framed(&body("LGZ123"))), "230.0 V"),
        (only(named("landisgyr-e450"), &framed(&body("ISK123"))), "2300 V"),
    ] {
        assert_eq!(said(&telegram, "1-0:32.7.0"), voltage);
        assert_eq!(said(&telegram, "1-0:31.7.0"), "1.23 A");
        assert_eq!(said(&telegram, "1-0:1.8.0"), "1000 Wh", "the list says this scale itself");
        assert_eq!(telegram.objects.len(), 4);
    }
    // The description is not always among what it describes.
    let others = DESCRIBED.replacen("0206", "0207", 1);
    let telegram =
        telegram(&format!("{others} 00 {} 1208FC 12007B 0600000064 0202 0F01161E", axdr_text("LGZ123")));
    assert_eq!(said(&telegram, "1-0:31.7.0"), "1.23 A");
}

#[test]
fn models_are_what_the_user_makes_them() {
    let text = r#"
        [[model]]
        name = "mine"
        text = "XYZ"
        current = "0.1"
        orders = [["1-0:1.7.0", "1-0:31.7.0"]]
    "#;
    let mine = || DlmsDecoder::new(Span::HOUR, Opener::default(), ListModels::parse(text).unwrap());
    assert_eq!(said(&only(mine, &framed("0202 0600000001 0600000017")), "1-0:31.7.0"), "2.3 A");
    let parse = |text: &str| ListModels::parse(text).unwrap_err();
    assert!(
        matches!(parse("[[model]]\nname = \"a\"\ncurent = \"1\""), BadModels::Syntax(text) if text.contains("curent"))
    );
    for scale in ["0", "-1", "x", ""] {
        let text = format!("[[model]]\nname = \"a\"\ncurrent = \"{scale}\"");
        assert_eq!(parse(&text), BadModels::Scale { model: "a".into(), scale: scale.into() });
    }
    let code = BadModels::Code { model: "a".into(), code: "1.8".into() };
    assert_eq!(parse("[[model]]\nname = \"a\"\norders = [[\"1.8\"]]"), code);
    let unknown = models().named("kamstrupp").unwrap_err().to_string();
    assert!(
        unknown.starts_with("there is no model kamstrupp; there are kaifa, kamstrup-ct, kamstrup, "),
        "{unknown}"
    );
}

#[test]
fn messages_have_a_date_in_every_form_and_nothing_left_over() {
    let date = "07E40119060D091EFF8000FF";
    let body = "0201 06000016DC";
    for (head, has_time) in [("00", false), (&format!("0C{date}"), true), (&format!("090C{date}"), true)] {
        let apdu = hex(&format!("0F 40000000 {head} {body}"));
        let parsed = Notification::parse(&apdu).unwrap();
        assert_eq!(parsed.time.is_some(), has_time);
        let longer = [apdu.clone(), vec![0]].concat();
        let left = Notification::parse(&longer).unwrap_err();
        assert_eq!(left, Why::Content { at: apdu.len(), what: "1 bytes are left over".into() });
        for cut in 0..apdu.len() {
            assert!(Notification::parse(&apdu[..cut]).is_err(), "cut at {cut}");
        }
    }
    let other = decoded(decoder(), &hdlc::write(&hex("C401"), 2000), 64);
    assert_eq!(other, [Err(Why::Content { at: 0, what: "a message of kind C4 is not read".into() })]);
}

#[test]
fn encrypted_messages_need_their_keys() {
    let sealed = |from: u32| {
        let mut meter = HanSimulator::encrypted(keys(), TITLE, from);
        move |second| meter.frames(&reading(second))
    };
    let bytes: Vec<u8> = (0..3).flat_map(sealed(41)).collect();
    let all = decoded(decoder_with(keys(), false), &bytes, 64);
    let readings: Vec<Reading> = all.iter().flatten().map(counted).collect();
    assert_eq!(readings, (0..3).map(reading).collect::<Vec<_>>());

    let mut guarded = decoder_with(keys(), false);
    assert_eq!(outcomes(&mut guarded, &bytes, 64).len(), 3);
    assert_eq!(guarded.counters().last(TITLE), Some(44));
    let again = outcomes(&mut guarded, &bytes, 64);
    assert_eq!(again[0], Err(Why::Replayed { counter: 42, last: 44 }));

    let mut wrong = decoder_with(Keys::new([9; 16], Some([0x22; 16])), true);
    assert_eq!(outcomes(&mut wrong, &bytes, 64), vec![Err(Why::WrongKey); 3]);
    assert_eq!(outcomes(&mut decoder(), &bytes, 64), vec![Err(Why::KeyMissing); 3]);

    // One key of two: read, if the user allows it.
    let one_key = || Keys::new([0x11; 16], None);
    assert!(outcomes(&mut decoder_with(one_key(), true), &bytes, 64).iter().all(Result::is_ok));
    assert!(outcomes(&mut decoder_with(one_key(), false), &bytes, 64).iter().all(Result::is_err));

    // What is not encrypted at all is no meter's that encrypts.
    let plain = HanSimulator::default().frames(&reading(1));
    for (keys, unauthenticated, taken) in
        [(keys(), false, false), (keys(), true, false), (one_key(), false, false), (one_key(), true, true)]
    {
        let found = outcomes(&mut decoder_with(keys, unauthenticated), &plain, 64);
        assert_eq!(found.iter().all(Result::is_ok), taken, "{found:?}");
    }
}

#[test]
fn the_simulator_says_what_the_reading_says() {
    let bare = Reading { meter: None, export: None, power_export: None, ..reading(9) };
    for expected in [reading(7), bare] {
        let telegram = only(decoder, &HanSimulator::default().frames(&expected));
        assert_eq!(counted(&telegram), expected);
    }
}
