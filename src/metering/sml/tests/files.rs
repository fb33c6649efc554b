//! What is written is read back exactly, in every form that meters write.

use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest};

use super::super::message::{Checksums, Entry, Part, read};
use super::super::tree::Item;
use super::super::{SmlReading, sml_file};
use super::{Writer, decoded, entry, file, list, message, telegrams, transport, usual};
use crate::metering::Channel;
use crate::metering::checksum::kermit;
use crate::metering::decoder::Why;
use crate::metering::obis::ObisCode;
use crate::metering::reading::Reading;
use crate::openadr::message::{DataQuality, Decimal};
use crate::time::Timestamp;

/// An entry as it is drawn: its value owns its octets.
#[derive(Clone, Debug)]
struct Drawn {
    code: [u8; 6],
    status: Option<u64>,
    time: Option<u32>,
    unit: Option<u8>,
    scaler: Option<i8>,
    value: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Octets(Vec<u8>),
    Boolean(bool),
    Signed(i64, usize),
    Unsigned(u64, usize),
}

fn content() -> impl Strategy<Value = Content> {
    // Many escapes among the octets, at every place.
    let octet = || prop_oneof![any::<u8>(), proptest::strategy::Just(0x1B), proptest::strategy::Just(1)];
    prop_oneof![
        proptest::collection::vec(octet(), 1..300).prop_map(Content::Octets),
        any::<bool>().prop_map(Content::Boolean),
        (any::<i64>(), 1..=8_usize)
            .prop_map(|(value, bytes)| Content::Signed(value >> (64 - 8 * bytes), bytes)),
        (any::<u64>(), 1..=8_usize)
            .prop_map(|(value, bytes)| Content::Unsigned(value >> (64 - 8 * bytes), bytes)),
        (1..40_usize).prop_map(|length| Content::Octets(vec![0x1B; length])),
    ]
}

fn drawn() -> impl Strategy<Value = Drawn> {
    (
        any::<[u8; 6]>(),
        any::<Option<u64>>(),
        proptest::option::of(1..=u32::MAX),
        any::<Option<u8>>(),
        any::<Option<i8>>(),
        content(),
    )
        .prop_map(|(code, status, time, unit, scaler, value)| Drawn {
            code,
            status,
            time,
            unit,
            scaler,
            value,
        })
}

fn written(drawn: &Drawn) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.list(7).octets(&drawn.code);
    match drawn.status {
        None => writer.absent(),
        Some(status) => writer.unsigned(status, 8),
    };
    match drawn.time {
        None => writer.absent(),
        Some(utc) if utc % 2 == 0 => writer.list(2).unsigned(2, 1).unsigned(utc.into(), 4),
        Some(utc) => {
            writer.list(2).unsigned(3, 1).list(3).unsigned(utc.into(), 4).signed(60, 2).signed(-60, 2)
        }
    };
    match drawn.unit {
        None => writer.absent(),
        Some(unit) => writer.unsigned(unit.into(), 1),
    };
    match drawn.scaler {
        None => writer.absent(),
        Some(scaler) => writer.signed(scaler.into(), 1),
    };
    match &drawn.value {
        Content::Octets(octets) => writer.octets(octets),
        Content::Boolean(value) => writer.elements(&[0x42, u8::from(*value)]),
        Content::Signed(value, bytes) => writer.signed(*value, *bytes),
        Content::Unsigned(value, bytes) => writer.unsigned(*value, *bytes),
    };
    writer.absent().done()
}

fn expected(drawn: &Drawn) -> Part<'_> {
    Part::Entry(Entry {
        code: ObisCode(drawn.code),
        status: drawn.status,
        time: drawn.time.map(|utc| Timestamp::from_seconds(utc.into())),
        unit: drawn.unit,
        scaler: drawn.scaler.unwrap_or(0),
        value: match &drawn.value {
            Content::Octets(octets) => Item::Octets(octets),
            Content::Boolean(value) => Item::Boolean(*value),
            Content::Signed(value, bytes) => Item::Signed(*value, *bytes),
            Content::Unsigned(value, bytes) => Item::Unsigned(*value, *bytes),
        },
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_entries_are_read_back_exactly(entries in proptest::collection::vec(drawn(), 0..20)) {
        let elements: Vec<Vec<u8>> = entries.iter().map(written).collect();
        let content = list(b"meter", &Writer::default().absent().done(), &elements);
        let payload = message(b"t", 0x0701, &content, usual);
        let mut parts = Vec::new();
        read(&payload, &mut Checksums::default(), |part| parts.push(part)).unwrap();
        let mut right = vec![Part::Meter(b"meter")];
        right.extend(entries.iter().map(expected));
        prop_assert_eq!(parts, right);

        let telegrams = telegrams(&transport(&payload).repeat(2));
        prop_assert_eq!(telegrams.len(), 2, "the transport gives the payload back");
    }
}

#[test]
fn a_simulated_meter_is_read() {
    for (power, import, export) in
        [(0, 0, 0), (1371, 12_345_678, 7), (-15_000, u64::from(u32::MAX), 987_654_321)]
    {
        let told = SmlReading { second: 77, import, export, power };
        let telegrams = telegrams(&sml_file(told));
        let [telegram] = &telegrams[..] else { panic!("{telegrams:?}") };
        assert_eq!(telegram.meter.as_deref(), Some("1 OVN 00 12345678"));
        assert_eq!((telegram.clock, &telegram.quality), (None, &DataQuality::Good));
        let reading = Reading::of(telegram, Timestamp::EPOCH);
        let tenths = |value: u64| Some(Decimal::from(value) / Decimal::TEN);
        assert_eq!(
            (reading.get(Channel::Import), reading.get(Channel::Export)),
            (tenths(import), tenths(export))
        );
        assert_eq!(reading.net_power(), Some(Decimal::from(power)));
    }
}

#[test]
fn the_time_of_a_list_is_utc_or_none() {
    let clock = |time: &[u8]| {
        let telegrams = telegrams(&transport(&message(b"t", 0x0701, &list(b"m", time, &[]), usual)));
        telegrams[0].clock.map(|clock| clock.to_string())
    };
    let writer = || Writer::default();
    let utc = 1_893_456_000;
    assert_eq!(clock(&writer().list(2).unsigned(1, 1).unsigned(utc, 4).done()), None, "second index");
    assert_eq!(clock(&writer().unsigned(utc, 4).done()), None, "a bare number");
    assert_eq!(clock(&writer().list(2).unsigned(2, 1).unsigned(0, 4).done()), None, "never set");
    let right = Some("2030-01-01T00:00:00Z".to_owned());
    assert_eq!(clock(&writer().list(2).unsigned(2, 1).unsigned(utc, 4).done()), right);
    let local = writer().list(2).unsigned(3, 1).list(3).unsigned(utc, 4).signed(60, 2).signed(0, 2).done();
    assert_eq!(clock(&local), right);
}

#[test]
fn other_makers_write_otherwise() {
    let power = || entry(ObisCode::electricity(16, 7, 0), 0, 27, 0, |writer| writer.signed(-5, 3));
    let content = list(b"m", &Writer::default().unsigned(7, 4).done(), &[power()]);
    let holley: fn(&[u8]) -> [u8; 2] = |message| kermit(message).to_be_bytes();
    // Whatever came before, both checksums are right.
    for sums in [[usual, holley], [holley, usual], [holley, holley]] {
        let payload = sums.map(|sum| message(b"t", 0x0701, &content, sum)).concat();
        let telegrams = telegrams(&transport(&payload));
        assert_eq!(telegrams[0].objects.len(), 2, "the lists of a file are one telegram");
    }
    let wrong: fn(&[u8]) -> [u8; 2] = |message| kermit(message).to_le_bytes();
    let outcomes = decoded(&transport(&message(b"t", 0x0701, &content, wrong)), 64);
    assert!(
        matches!(&outcomes[..], [Err(refused)] if matches!(refused.why, Why::Crc { .. })),
        "{outcomes:?}"
    );
}

#[test]
fn an_entry_that_says_nothing_is_left_out() {
    let absent = |code: ObisCode| entry(code, 0, 30, 0, |writer| writer.absent());
    let five = |code, scaler| entry(code, 0, 27, scaler, |writer| writer.unsigned(5, 1));
    let nested = entry(ObisCode::electricity(1, 8, 0), 0, 30, 0, |writer| {
        writer.list(2).unsigned(1, 1).list(2).unsigned(1, 4).absent()
    });
    let power = ObisCode::electricity(16, 7, 0);
    let strange = {
        let mut writer = Writer::default();
        writer.list(7).octets(b"five!").absent().absent().absent().absent().unsigned(1, 1).absent();
        writer.done()
    };
    let entries = [absent(ObisCode::electricity(1, 8, 0)), nested, strange, five(power, 100), five(power, 2)];
    let telegrams = telegrams(&file(b"m", &entries));
    assert_eq!(telegrams[0].objects.len(), 1, "{telegrams:?}");
    assert_eq!(telegrams[0].number(power), Some(Decimal::from(500)));
}
