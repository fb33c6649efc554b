//! Hostile documents before a whole process: what they cost it in memory beyond a good one.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;
use std::process::Command;

use crate::support::House;
use crate::support::peers::peer;
use openadr_ven::mock_vtn::KeyKind;

/// Kilobytes that a hostile document may cost beyond a good one.
const MOST_KB: u64 = 32 * 1024;

const GOOD: &str = "<o:oadrPayload xmlns:o='http://openadr.org/oadr-2.0b/2012/07'><o:oadrSignedObject><o:oadrPoll \
     xmlns:ei='http://docs.oasis-open.org/ns/energyinterop/201110' ei:schemaVersion='2.0b'><ei:venID>ven-1</ei:venID>\
     </o:oadrPoll></o:oadrSignedObject></o:oadrPayload>";

/// Starts a program, and prints its exit code and the most memory that it had, in kilobytes.
const MEASURE: &str = "import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)";

/// The exit code of `ven xml verify --openadr`, and the most memory that it had.
fn measured(python: &Path, house: &House, document: &[u8]) -> (i32, u64) {
    let file = house.path("document.xml");
    std::fs::write(&file, document).unwrap();
    let mut command = Command::new(python);
    command.args(["-c", MEASURE, env!("CARGO_BIN_EXE_ven"), "xml", "verify", "--openadr", "--trusted"]);
    let output = command.arg(house.path("certs/vtn.pem")).arg(file).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (code, memory) = text.trim().split_once(' ').unwrap();
    (code.parse().unwrap(), memory.parse().unwrap())
}

#[test]
fn hostile_documents_are_refused_in_at_most_32_mb_more() {
    let Some(python) = peer("python3") else { return };
    let house = House::new(KeyKind::P256);
    let (code, base) = measured(&python, &house, GOOD.as_bytes());
    assert_eq!(code, 1, "it is not signed");
    let many = |piece: &str, times: usize| format!("<a>{}</a>", piece.repeat(times)).into_bytes();
    let attributes: String = (0..1_000_000).map(|at| format!(" a{at}=''")).collect();
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let entity =
        format!("<!DOCTYPE x [<!ENTITY a '{}'>]><x>{}</x>", "a".repeat(100_000), "&a;".repeat(100_000));
    for (what, document) in [
        ("a million levels", "<a>".repeat(1_000_000).into_bytes()),
        ("a million attributes", format!("<a{attributes}/>").into_bytes()),
        ("a million comments", many("<!---->", 1_000_000)),
        ("a million instructions", many("<?p?>", 1_000_000)),
        ("a million elements", many("<b/>", 1_000_000)),
        ("a million texts", many("<b/>x", 1_000_000)),
        ("a million references", many("&#65;", 1_000_000)),
        ("long names", many(&format!("<{}/>", "b".repeat(17)), 410_000)),
        ("namespaces", (0..300_000).map(|at| format!("<b xmlns='u:{at}'>")).collect::<String>().into_bytes()),
        ("one long text", many("x", 8_000_000)),
        ("a quadratic blow-up", entity.into_bytes()),
        ("UTF-16", utf16(&"<a>".repeat(1_000_000))),
        ("100 MB", vec![b' '; 100 * 1024 * 1024]),
    ] {
        let (code, memory) = measured(&python, &house, &document);
        assert_eq!(code, 1, "{what}");
        assert!(memory <= base + MOST_KB, "{what}: {memory} kB, {base} kB for a good message");
    }
}
