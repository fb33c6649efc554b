//! What real VTNs and VENs write otherwise than the standard says: each is read, each in a message of ours.

use crate::mock_vtn::EventBuilder;
use crate::openadr::message::{
    CreatedPartyRegistration, DistributeEvent, Duration, EiResponse, Payload, Poll, Profile, ProfileName,
    RegisterReport, ResponseCode, TransportName,
};
use crate::openadr::xml::{Limits, decode_document, encode};
use crate::time::{Span, Timestamp};

fn read(text: &str) -> Payload {
    decode_document(text.as_bytes(), &Limits::VEN).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn events() -> Payload {
    let start = "2030-01-01T12:00:00Z".parse().unwrap();
    DistributeEvent {
        response: Some(EiResponse {
            code: ResponseCode::OK,
            description: Some("OK".into()),
            request_id: "q".into(),
        }),
        request_id: "r1".into(),
        vtn_id: "vtn-1".into(),
        events: vec![EventBuilder::new("e1", start, Span::HOUR).level(1).build()],
    }
    .into()
}

/// Our message with something replaced, which must be there.
fn with(message: &Payload, from: &str, to: &str) -> String {
    let text = encode(message).unsigned();
    assert!(text.contains(from), "{from} is not in {text}");
    text.replace(from, to)
}

fn event_with(from: &str, to: &str) -> DistributeEvent {
    let Payload::DistributeEvent(event) = read(&with(&events(), from, to)) else { panic!("{to}") };
    event
}

/// Text between two others in the encoded events.
fn piece(from: &str, to: &str) -> String {
    let text = encode(&events()).unsigned();
    let start = text.find(from).unwrap_or_else(|| panic!("{from} is not in {text}"));
    let end = start + text[start..].find(to).unwrap() + to.len();
    text[start..end].to_owned()
}

fn registered() -> Payload {
    CreatedPartyRegistration {
        response: EiResponse { code: ResponseCode::OK, description: None, request_id: "q".into() },
        registration_id: Some("reg-1".into()),
        ven_id: Some("ven-1".into()),
        vtn_id: "vtn-1".into(),
        profiles: vec![Profile { name: ProfileName::B, transports: vec![TransportName::SimpleHttp] }],
        requested_poll_freq: Some(Duration::from_seconds(10)),
        service_specific_info: Vec::new(),
        extensions: Vec::new(),
    }
    .into()
}

fn registration_with(from: &str, to: &str) -> CreatedPartyRegistration {
    let Payload::CreatedPartyRegistration(created) = read(&with(&registered(), from, to)) else {
        panic!("{to}")
    };
    created
}

/// avob, and VENs with signatures switched off: no oadrPayload round the message.
#[test]
fn a_bare_message_is_the_same_message() {
    let text = encode(&events()).unsigned();
    let root = text.find("<oadr:oadrPayload").unwrap() + "<oadr:oadrPayload".len();
    let declarations = &text[root..root + text[root..].find('>').unwrap()];
    let message = &text
        [text.find("<oadr:oadrDistributeEvent").unwrap()..text.find("</oadr:oadrSignedObject>").unwrap()];
    let bare =
        message.replacen("<oadr:oadrDistributeEvent", &format!("<oadr:oadrDistributeEvent{declarations}"), 1);
    assert_eq!(read(&bare), events());
}

/// EPRI's JAXB: ns2 to ns14 as prefixes, and XML Signature as default namespace, though nothing is signed.
#[test]
fn prefixes_mean_nothing() {
    let mut text = encode(&events()).unsigned();
    for (at, prefix) in ["oadr", "ei", "pyld", "emix", "xcal", "strm"].iter().enumerate() {
        let new = format!("ns{}", at + 2);
        for (from, to) in [("<", "<"), ("</", "</"), ("xmlns:", "xmlns:"), (" ", " ")] {
            let end = if from == "xmlns:" { "=" } else { ":" };
            text = text.replace(&format!("{from}{prefix}{end}"), &format!("{to}{new}{end}"));
        }
    }
    let text =
        text.replacen("<ns2:oadrPayload", "<ns2:oadrPayload xmlns=\"http://www.w3.org/2000/09/xmldsig#\"", 1);
    assert!(!text.contains("oadr:"), "{text}");
    assert_eq!(read(&text), events());
}

/// OpenLEADR's templates: one prefix, bound to other namespaces from element to element; default namespaces inside.
#[test]
fn a_prefix_may_change_its_meaning_inside_a_document() {
    let uri = "http://docs.oasis-open.org/ns/energyinterop/201110";
    let text = with(
        &events(),
        "<ei:vtnID>vtn-1</ei:vtnID>",
        &format!("<oadr:vtnID xmlns:oadr=\"{uri}\">vtn-1</oadr:vtnID>"),
    );
    assert_eq!(read(&text), events());
    let text =
        with(&events(), "<ei:vtnID>vtn-1</ei:vtnID>", &format!("<vtnID xmlns=\"{uri}\">vtn-1</vtnID>"));
    assert_eq!(read(&text), events());
}

#[test]
fn an_absent_or_unqualified_schema_version_is_passed_over() {
    for version in ["", " schemaVersion=\"2.0b\"", " ei:schemaVersion=\"2.0a\"", " ei:schemaVersion=\"\""] {
        assert_eq!(read(&with(&events(), " ei:schemaVersion=\"2.0b\"", version)), events());
    }
}

#[test]
fn white_space_and_comments_between_elements_mean_nothing() {
    assert_eq!(read(&with(&events(), "><", ">\r\n\t <!-- x --><?y?><")), events());
}

/// OpenLEADR writes `None` for what it does not know; elements that are empty count as absent (rule 46).
#[test]
fn empty_and_none_request_ids_are_read() {
    let request = "<pyld:requestID>r1</pyld:requestID>";
    for (written, id) in [("", ""), ("None", "None")] {
        let event = event_with(request, &format!("<pyld:requestID>{written}</pyld:requestID>"));
        assert_eq!((event.request_id.as_str(), event.events.len()), (id, 1));
    }
    assert_eq!(event_with(request, "<pyld:requestID/>").request_id.as_str(), "");
    let response = "<pyld:requestID>q</pyld:requestID>";
    for written in ["", "<pyld:requestID/>", "<pyld:requestID>None</pyld:requestID>"] {
        assert_eq!(event_with(response, written).response.unwrap().code, ResponseCode::OK);
    }
}

#[test]
fn empty_ids_of_a_query_answer_are_absent() {
    for nothing in ["", "None"] {
        let created = registration_with("reg-1", nothing);
        assert_eq!(created.registration_id, None);
        assert_eq!(registration_with("ven-1", nothing).ven_id, None);
    }
    assert_eq!(registration_with("<ei:venID>ven-1</ei:venID>", "").ven_id, None);
}

/// EPRI: `oadrDistributeEvent` without any event says that there are none; with 452 or 463 it is an error.
#[test]
fn a_distribution_without_events_is_read() {
    let event = piece("<oadr:oadrEvent>", "</oadr:oadrEvent>");
    assert_eq!(event_with(&event, "").events, []);
    let refused = with(&events(), "<ei:responseCode>200<", "<ei:responseCode>463<").replace(&event, "");
    let Payload::DistributeEvent(refused) = read(&refused) else { panic!("{refused}") };
    assert_eq!(refused.response.unwrap().code.number(), 463);
}

#[test]
fn an_absent_response_or_description_is_read() {
    let response = piece("<ei:eiResponse>", "</ei:eiResponse>");
    assert_eq!(event_with(&response, "").response, None);
    let description = "<ei:responseDescription>OK</ei:responseDescription>";
    for nothing in ["", "<ei:responseDescription/>"] {
        assert_eq!(event_with(description, nothing).response.unwrap().description, None);
    }
}

/// OpenLEADR leaves vtnID and profiles out where it refuses a registration.
#[test]
fn an_absent_vtn_id_is_read() {
    assert_eq!(event_with("<ei:vtnID>vtn-1</ei:vtnID>", "").vtn_id.as_str(), "");
    assert_eq!(registration_with("<ei:vtnID>vtn-1</ei:vtnID>", "").vtn_id.as_str(), "");
    let text = encode(&registered()).unsigned();
    let profiles =
        &text[text.find("<oadr:oadrProfiles>").unwrap()..text.find("</oadr:oadrProfiles>").unwrap() + 20];
    assert_eq!(registration_with(profiles, "").profiles, []);
}

/// EPRI sends it after each registration.
#[test]
fn an_empty_list_of_reports_is_read() {
    let message: Payload =
        RegisterReport { request_id: "r".into(), reports: Vec::new(), ven_id: None, report_request_id: None }
            .into();
    assert_eq!(read(&encode(&message).unsigned()), message);
}

#[test]
fn poll_frequencies_of_every_kind_are_read() {
    let frequency = |text: &str| registration_with(">PT10S<", &format!(">{text}<")).requested_poll_freq;
    for (text, seconds) in [
        ("PT0S", 0),
        ("P", 0),
        ("PT", 0),
        ("P0D", 0),
        ("P1D", 86_400),
        ("PT600000S", 600_000),
        ("1W", 604_800),
        ("P1W", 604_800),
        ("PT1.5S", 1),
    ] {
        assert_eq!(frequency(text).map(Duration::nominal), Some(Span::from_seconds(seconds)), "{text}");
    }
    let text = encode(&registered()).unsigned();
    let whole = &text[text.find("<oadr:oadrRequestedOadrPollFreq>").unwrap()
        ..text.find("</oadr:oadrRequestedOadrPollFreq>").unwrap() + 33];
    assert_eq!(registration_with(whole, "").requested_poll_freq, None);
}

#[test]
fn texts_that_look_like_numbers_stay_texts() {
    for id in ["42", "0042", "4.20", "1e3", "true", "None", " 42 ", "VTN-1", "vtn-1"] {
        assert_eq!(event_with(">e1<", &format!(">{id}<")).events[0].event.id().as_str(), id);
        assert_eq!(event_with(">vtn-1<", &format!(">{id}<")).vtn_id.as_str(), id);
    }
    let context = "http://markets.example.org/dr";
    for text in ["oadr://unknown.context", "42", "any text", "%zz"] {
        assert_eq!(event_with(context, text).events[0].event.descriptor.market_context.as_str(), text);
    }
}

#[test]
fn signals_that_nobody_knows_are_read() {
    for name in ["simple", "SIMPLE", "Simple", "x-loadControl", "LOAD_SHED", "42"] {
        let name_of = |event: DistributeEvent| event.events[0].event.signals[0].name.to_string();
        assert_eq!(name_of(event_with("<ei:signalName>SIMPLE<", &format!("<ei:signalName>{name}<"))), name);
    }
}

/// Rule 6: anything but `false` is a test.
#[test]
fn every_text_of_test_event_is_read() {
    let created = piece("<ei:eventStatus>", "</ei:eventStatus>");
    for (text, expected) in [
        ("false", Some("false")),
        ("False", Some("False")),
        ("no", Some("no")),
        ("", None),
        ("a long text", Some("a long text")),
    ] {
        let event = event_with(&created, &format!("{created}<ei:testEvent>{text}</ei:testEvent>"));
        assert_eq!(event.events[0].event.descriptor.test_event.as_deref(), expected);
    }
}

#[test]
fn dates_of_every_form_are_read() {
    let start = |text: &str| {
        event_with(">2030-01-01T12:00:00Z</xcal:date-time>", &format!(">{text}</xcal:date-time>")).events[0]
            .event
            .active_period
            .start
    };
    let noon: Timestamp = "2030-01-01T12:00:00Z".parse().unwrap();
    for text in [
        "2030-01-01T12:00:00Z",
        " 2030-01-01T12:00:00Z\n",
        "2030-01-01T14:00:00+02:00",
        "2030-01-01T12:00:00+00:00",
        "2030-01-01T12:00:00-00:00",
        "2030-01-01T06:30:00-05:30",
        "2030-01-01T12:00:00",
        "2030-01-01T12:00:00.0Z",
        "2030-01-01T12:00:00.000000Z",
        "2030-01-01T12:00:00.000000000Z",
    ] {
        assert_eq!(start(text), noon, "{text}");
    }
    assert_eq!(start("2030-01-01T12:00:00.123456789Z"), noon + Span::from_micros(123_456));
    assert_eq!(start("2029-12-31T24:00:00Z") + Span::HOUR * 12, noon);
}

/// Negative ones are lawful for ramp-up and recovery only; OpenLEADR writes them with the sign behind the P.
#[test]
fn durations_of_every_form_are_read() {
    let lasts = |text: &str| {
        event_with("<xcal:duration>PT1H</xcal:duration>", &format!("<xcal:duration>{text}</xcal:duration>"))
            .events[0]
            .event
            .active_period
            .duration
    };
    for (text, seconds) in [
        ("PT0S", 0),
        ("P0D", 0),
        ("P", 0),
        ("PT60M", 3600),
        ("PT3600S", 3600),
        ("P1DT1H", 90_000),
        ("P1W", 604_800),
        ("1W", 604_800),
        ("-PT1H", -3600),
        ("P-1DT23H", -3600),
    ] {
        assert_eq!(lasts(text).nominal(), Span::from_seconds(seconds), "{text}");
    }
    assert_ne!(lasts("P1M"), lasts("PT1M"), "a month is no minute");
}

/// OpenLEADR and avob give each interval its start, against rule 103, and no notification, against rule 105.
#[test]
fn intervals_with_start_and_periods_without_notification_are_read() {
    let start = "<xcal:dtstart><xcal:date-time>2030-01-01T12:00:00Z</xcal:date-time></xcal:dtstart>";
    let event = event_with("<ei:interval>", &format!("<ei:interval>{start}"));
    assert!(event.events[0].event.signals[0].intervals[0].start.is_some());
    let notification = piece("<ei:x-eiNotification>", "</ei:x-eiNotification>");
    assert_eq!(event_with(&notification, "").events[0].event.active_period.notification, None);
    let text = encode(&events()).unsigned();
    for components in ["<xcal:components/>", "<xcal:components></xcal:components>"] {
        if text.contains(components) {
            assert_eq!(event_with(components, "").events.len(), 1);
        }
    }
}

/// oadrRequestReregistration without venID, and oadrResponse without one.
#[test]
fn an_absent_ven_id_is_read() {
    use crate::openadr::message::{RequestReregistration, Response};
    let message: Payload = RequestReregistration { ven_id: "ven-1".into() }.into();
    for nothing in ["", "<ei:venID/>"] {
        let Payload::RequestReregistration(read) =
            read(&with(&message, "<ei:venID>ven-1</ei:venID>", nothing))
        else {
            panic!()
        };
        assert_eq!(read.ven_id.as_str(), "");
    }
    let response = EiResponse { code: ResponseCode::OK, description: None, request_id: "".into() };
    let message: Payload = Response { response, ven_id: Some("ven-1".into()) }.into();
    let Payload::Response(read) = read(&with(&message, "<ei:venID>ven-1</ei:venID>", "")) else { panic!() };
    assert_eq!(read.ven_id, None);
}

/// What a poll looks like is ours to say: whoever reads it gets the id as it is.
#[test]
fn ids_are_written_as_they_are() {
    for id in ["0012", "a<b", "\u{1F50C}", " a ", "a\r\nb\tc"] {
        let message: Payload = Poll { ven_id: id.into() }.into();
        assert_eq!(read(&encode(&message).unsigned()), message);
    }
}
