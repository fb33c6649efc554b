//! Messages that others have written.

use std::path::{Path, PathBuf};

use crate::openadr::message::{Available, Duration, OptId, OptReason, Payload, RequestId, Vavailability};
use crate::openadr::xml::{Limits, XmlError, decode_document, encode};
use crate::test_support::samples;

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "xml"));
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    files
}

fn read(path: &Path) -> Result<Payload, XmlError> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    decode_document(&bytes, &Limits::VEN)
}

#[test]
fn every_example_is_read_and_comes_back_the_same() {
    let Some(folder) = samples("protocol/examples") else { return };
    for path in files(&folder).into_iter().chain(files(&folder.join("openleadr"))) {
        let message = read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let again = decode_document(encode(&message).unsigned().as_bytes(), &Limits::VEN);
        assert_eq!(again, Ok(message), "{}", path.display());
    }
}

/// What is structurally wrong is refused with element and place; odd durations, an unqualified schemaVersion and dates with
/// an offset are read although the schema forbids them, because their meaning is plain and real VTNs send them.
#[test]
fn invalid_examples_are_refused_by_name_and_place() {
    let Some(folder) = samples("protocol/examples/invalid") else { return };
    let lenient = ["i01-", "i03-", "i04-", "i06-"];
    for path in files(&folder) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match read(&path) {
            Ok(_) => assert!(lenient.iter().any(|prefix| name.starts_with(prefix)), "{name} was taken"),
            Err(error) => {
                assert!(!lenient.iter().any(|prefix| name.starts_with(prefix)), "{name}: {error}");
                let text = error.to_string();
                assert!(
                    text.contains("(line ") && text.contains("oadrPayload/oadrSignedObject"),
                    "{name}: {text}"
                );
            }
        }
    }
}

/// Oddities of real VTNs, each in a message of ours.
#[test]
fn what_real_vtns_write_is_read() {
    let bare = r#"<p:oadrResponse xmlns:p="http://openadr.org/oadr-2.0b/2012/07">
        <eiResponse xmlns="http://docs.oasis-open.org/ns/energyinterop/201110">
            <responseCode> 200 </responseCode><responseDescription/>
            <requestID xmlns="http://docs.oasis-open.org/ns/energyinterop/201110/payloads"></requestID>
        </eiResponse></p:oadrResponse>"#;
    let Ok(Payload::Response(response)) = decode_document(bare.as_bytes(), &Limits::VEN) else {
        panic!("{bare}")
    };
    assert_eq!((response.response.code.number(), response.response.description), (200, None));
    let ids = r#"<o:oadrPayload xmlns:o="http://openadr.org/oadr-2.0b/2012/07"
            xmlns:e="http://docs.oasis-open.org/ns/energyinterop/201110"
            xmlns:q="http://docs.oasis-open.org/ns/energyinterop/201110/payloads">
        <o:oadrSignedObject><o:oadrCreatePartyRegistration>
            <q:requestID>0012</q:requestID><e:registrationID/><e:venID>None</e:venID>
            <o:oadrProfileName>2.0b</o:oadrProfileName><o:oadrTransportName>simpleHttp</o:oadrTransportName>
            <o:oadrTransportAddress>None</o:oadrTransportAddress>
            <o:oadrReportOnly>0</o:oadrReportOnly><o:oadrXmlSignature> 1 </o:oadrXmlSignature>
        </o:oadrCreatePartyRegistration></o:oadrSignedObject></o:oadrPayload>"#;
    let Ok(Payload::CreatePartyRegistration(create)) = decode_document(ids.as_bytes(), &Limits::VEN) else {
        panic!("{ids}")
    };
    assert_eq!(create.request_id, RequestId::from("0012"), "ids are texts");
    assert_eq!((create.registration_id, create.ven_id, create.transport_address), (None, None, None));
    assert!(create.xml_signature && !create.report_only);
}

/// A schedule has nothing but start and duration (rule 200), and no empty list of device classes (rule 209); whoever sends
/// more is still understood.
#[test]
fn what_a_schedule_should_not_hold_is_passed_over() {
    let text = r#"<o:oadrCreateOpt xmlns:o="http://openadr.org/oadr-2.0b/2012/07"
            xmlns="http://docs.oasis-open.org/ns/energyinterop/201110" xmlns:x="urn:ietf:params:xml:ns:icalendar-2.0">
        <optID>None</optID><optType> optOut </optType><optReason>holiday</optReason>
        <marketContext xmlns="http://docs.oasis-open.org/ns/emix/2011/06"/><venID>ven-1</venID>
        <x:vavailability><x:components><x:available><x:properties>
            <x:dtstart><x:date-time>2030-01-01T12:00:00Z</x:date-time></x:dtstart>
            <x:duration><x:duration>PT0S</x:duration></x:duration>
            <x:tolerance><x:tolerate><x:startafter>PT5M</x:startafter></x:tolerate></x:tolerance>
            <x-eiNotification><x:duration>PT1H</x:duration></x-eiNotification>
        </x:properties></x:available></x:components></x:vavailability>
        <createdDateTime>2030-01-01T10:00:00Z</createdDateTime>
        <requestID xmlns="http://docs.oasis-open.org/ns/energyinterop/201110/payloads"/>
        <eiTarget/><o:oadrDeviceClass/></o:oadrCreateOpt>"#;
    let Ok(Payload::CreateOpt(create)) = decode_document(text.as_bytes(), &Limits::VEN) else {
        panic!("{text}")
    };
    let start = "2030-01-01T12:00:00Z".parse().unwrap();
    let available = vec![Available { start, duration: Duration::ZERO }];
    assert_eq!(create.availability, Some(Vavailability { available }));
    assert_eq!((create.market_context, create.device_class), (None, None));
    assert_eq!(create.opt_id, OptId::from("None"), "an id that must be there is a text like any other");
    assert_eq!(create.opt_reason, OptReason::Other("holiday".into()));
}

#[test]
fn errors_say_what_was_expected_where() {
    let poll = |inner: &str| {
        format!(
            "<o:oadrPayload xmlns:o=\"http://openadr.org/oadr-2.0b/2012/07\" \
             xmlns:e=\"http://docs.oasis-open.org/ns/energyinterop/201110\">\
             <o:oadrSignedObject>{inner}</o:oadrSignedObject></o:oadrPayload>"
        )
    };
    for (text, expected) in [
        (poll(""), "oadrPayload/oadrSignedObject (line 1, column 124): expected a message, found nothing"),
        (
            poll("<o:oadrPoll/>"),
            "oadrPoll (line 1, column 144): expected ei:venID, found the end of oadrPoll",
        ),
        (poll("<o:oadrPoll><e:vtnID/></o:oadrPoll>"), "expected ei:venID, found ei:vtnID"),
        (poll("<o:oadrPoll>x<e:venID/></o:oadrPoll>"), "expected an element, found text \"x\""),
        (
            poll("<o:oadrPoll><e:venID/><e:venID/></o:oadrPoll>"),
            "oadrPoll/venID[2] (line 1, column 166): expected the end of oadrPoll",
        ),
        (poll("<o:oadrPoll><e:venID><e:x/></e:venID></o:oadrPoll>"), "expected text, found <x>"),
        (poll("<o:oadrPoll><venID/></o:oadrPoll>"), "found venID of a foreign namespace"),
        (poll("<o:oadrNonsense/>"), "expected a message of openadr 2.0b, found oadrNonsense"),
        (
            poll("<o:oadrPoll><e:venID/></o:oadrPoll><o:oadrPoll/>"),
            "expected the end of oadrSignedObject, found oadr:oadrPoll",
        ),
        ("<a/>".to_owned(), "expected oadr:oadrPayload, found a"),
    ] {
        let error = decode_document(text.as_bytes(), &Limits::VEN).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}\nis not\n{expected}");
    }
}
