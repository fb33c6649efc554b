//! Messages that others have written.

use std::path::{Path, PathBuf};

use crate::openadr::message::{Payload, RequestId};
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

fn is_of_a_later_service(path: &Path) -> bool {
    path.file_name().unwrap().to_str().unwrap().contains("Opt")
}

#[test]
fn every_example_is_read_and_comes_back_the_same() {
    let Some(folder) = samples("protocol/examples") else { return };
    for path in files(&folder).into_iter().chain(files(&folder.join("openleadr"))) {
        if is_of_a_later_service(&path) {
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("Opt"), "{}: {error}", path.display());
            continue;
        }
        let message = read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let again = decode_document(encode(&message).unsigned().as_bytes(), &Limits::VEN);
        assert_eq!(again, Ok(message), "{}", path.display());
    }
}

/// What is structurally wrong is refused with element and place; odd durations and an unqualified schemaVersion are read
/// although the schema forbids them, because their meaning is plain and real VTNs send them.
#[test]
fn invalid_examples_are_refused_by_name_and_place() {
    let Some(folder) = samples("protocol/examples/invalid") else { return };
    let lenient = ["i01-", "i03-", "i04-"];
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
