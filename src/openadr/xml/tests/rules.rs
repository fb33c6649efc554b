//! Rules about how a message is written and read.

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use crate::openadr::message::arbitrary::payload_of;
use crate::openadr::message::{Duration, Payload, PayloadKind, Poll, StreamPayload, VenId};
use crate::openadr::xml::{Limits, decode_document, encode};
use crate::time::{Span, Timestamp};

/// Forty messages of every kind, as they are written.
fn written() -> Vec<(PayloadKind, String)> {
    let mut runner = TestRunner::deterministic();
    let kinds = PayloadKind::ALL.iter().flat_map(|kind| std::iter::repeat_n(*kind, 40));
    kinds
        .map(|kind| {
            let message = payload_of(kind).new_tree(&mut runner).unwrap().current();
            (kind, encode(&message).unsigned())
        })
        .collect()
}

/// The texts of all elements of that name, whatever their prefix.
fn texts<'x>(xml: &'x str, element: &str) -> Vec<&'x str> {
    let parts = xml.split('<').skip(1).filter_map(|part| part.split_once('>'));
    let is = |tag: &str| {
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        name.rsplit(':').next() == Some(element)
    };
    parts.filter(|(tag, _)| is(tag)).map(|(_, text)| text).collect()
}

#[test]
fn rule_1_date_times_are_written_in_utc_and_durations_without_decimals() {
    let (mut times, mut durations) = (0, 0);
    for (kind, xml) in written() {
        let named = ["date-time", "createdDateTime", "modificationDateTime"].map(|name| texts(&xml, name));
        for text in named.iter().flatten() {
            assert!(text.ends_with('Z') && !text.contains('+'), "{kind}: {text}");
            times += 1;
        }
        for text in texts(&xml, "duration").iter().filter(|text| !text.trim().is_empty()) {
            let lawful = |c: char| c.is_ascii_digit() || "-PTDHMSY".contains(c);
            assert!(text.chars().all(lawful), "{kind}: {text}");
            durations += 1;
        }
    }
    assert!(times > 100 && durations > 100, "{times} {durations}");
}

#[test]
fn rule_1_fractions_of_seconds_are_read() {
    let read: Timestamp = "2030-01-01T12:00:00.25Z".parse().unwrap();
    assert_eq!(read, Timestamp::from_seconds(read.seconds()) + Span::from_millis(250));
    let duration: Duration = "PT15M".parse().unwrap();
    assert_eq!(duration.nominal(), Span::MINUTE * 15);
}

#[test]
fn rules_45_509_every_message_has_its_schema_version_and_no_schema_location() {
    for (kind, xml) in written() {
        let tag = format!("<oadr:{kind} ");
        let (_, rest) = xml.split_once(&tag).unwrap_or_else(|| panic!("{tag} is not in {xml}"));
        let attributes = rest.split('>').next().unwrap_or_default();
        assert!(attributes.contains("ei:schemaVersion=\"2.0b\""), "{kind}: {attributes}");
        assert!(!xml.contains("schemaLocation"), "{kind}");
    }
}

/// A message that was read and written again has said nothing more by an empty element than by none.
#[test]
fn rule_46_an_empty_element_says_what_a_missing_one_says() {
    let with = |optional: &str| {
        format!(
            r#"<o:oadrPayload xmlns:o="http://openadr.org/oadr-2.0b/2012/07"
                xmlns:e="http://docs.oasis-open.org/ns/energyinterop/201110"
                xmlns:q="http://docs.oasis-open.org/ns/energyinterop/201110/payloads">
            <o:oadrSignedObject><o:oadrCreatedPartyRegistration>
                <e:eiResponse><e:responseCode>200</e:responseCode><q:requestID/></e:eiResponse>{optional}
                <e:vtnID>vtn</e:vtnID><o:oadrProfiles><o:oadrProfile><o:oadrProfileName>2.0b</o:oadrProfileName>
                    <o:oadrTransports><o:oadrTransport><o:oadrTransportName>simpleHttp</o:oadrTransportName>
                    </o:oadrTransport></o:oadrTransports></o:oadrProfile></o:oadrProfiles>
            </o:oadrCreatedPartyRegistration></o:oadrSignedObject></o:oadrPayload>"#
        )
    };
    let read = |xml: String| decode_document(xml.as_bytes(), &Limits::VEN);
    let without = read(with(""));
    assert!(without.is_ok(), "{without:?}");
    assert_eq!(read(with("<e:registrationID/><e:venID></e:venID>")), without);
    assert_ne!(read(with("<e:registrationID/><e:venID>ven</e:venID>")), without);
}

#[test]
fn rule_512_ids_are_kept_letter_by_letter() {
    for id in ["VEN-1", "ven-1", "0012", " ven "] {
        let xml = encode(&Poll { ven_id: id.into() }.into()).unsigned();
        let Ok(Payload::Poll(poll)) = decode_document(xml.as_bytes(), &Limits::VEN) else { panic!("{xml}") };
        assert_eq!(poll.ven_id, VenId::from(id));
    }
}

/// The content of `oadrGBPayload` belongs to another standard: everything in it goes through as it came, and again as it went.
#[test]
fn green_button_content_is_carried_through_untouched() {
    let feed = "<atom:feed xmlns:atom=\"http://www.w3.org/2005/Atom\"><atom:entry>\
        <atom:title>\u{e9} &lt;&amp;  two spaces</atom:title><atom:content type=\"xml\">\
        <IntervalBlock xmlns=\"http://naesb.org/espi\"><interval><start>1330578000</start></interval>\
        <IntervalReading><value>007</value></IntervalReading></IntervalBlock>\
        </atom:content></atom:entry></atom:feed>";
    let mut runner = TestRunner::deterministic();
    let mut seen = 0;
    for _ in 0..60 {
        let mut message = payload_of(PayloadKind::UpdateReport).new_tree(&mut runner).unwrap().current();
        let Payload::UpdateReport(update) = &mut message else { panic!() };
        let intervals = update.reports.iter_mut().flat_map(|report| &mut report.intervals);
        for payload in intervals.flat_map(|interval| &mut interval.payloads) {
            *payload = StreamPayload::GreenButton(feed.to_owned());
            seen += 1;
        }
        let xml = encode(&message).unsigned();
        let again = decode_document(xml.as_bytes(), &Limits::VEN).unwrap();
        assert_eq!(again, message, "{xml}");
        assert_eq!(encode(&again).unsigned(), xml);
    }
    assert!(seen > 0);
}
