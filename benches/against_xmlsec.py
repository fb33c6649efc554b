#!/usr/bin/env python3
"""Measures our signatures beside xmlsec1 and signxml, and what hostile documents cost, in one run.

    cargo build --release && target/venv/bin/python benches/against_xmlsec.py

Verifying: an oadrDistributeEvent of 20 events. Ours is verified by the rules of OpenADR and decoded, xmlsec1 verifies only; both
repeat inside one process, and the time of a process that does it once is taken off. xmlsec1 reads the file anew each time, which
is a hundredth of what it takes. Signing: an oadrUpdateReport of 1,440 intervals; signxml is
timed inside Python, from the tree to the text. The two take turns, so that both see the same machine; the median counts.
tests/run makes the Python environment.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lxml import etree
from signxml import XMLSigner, methods

ROOT = Path(__file__).resolve().parent.parent
VEN = ROOT / "target/release/ven"
OADR = "http://openadr.org/oadr-2.0b/2012/07"
XMLNS = (
    f'xmlns:oadr="{OADR}" xmlns:ei="http://docs.oasis-open.org/ns/energyinterop/201110" '
    'xmlns:pyld="http://docs.oasis-open.org/ns/energyinterop/201110/payloads" '
    'xmlns:emix="http://docs.oasis-open.org/ns/emix/2011/06" xmlns:xcal="urn:ietf:params:xml:ns:icalendar-2.0" '
    'xmlns:strm="urn:ietf:params:xml:ns:icalendar-2.0:stream"'
)


def payload(message: str) -> str:
    """A message in its envelope."""
    return f'<oadr:oadrPayload {XMLNS}><oadr:oadrSignedObject oadr:Id="oadrSignedObject">{message}</oadr:oadrSignedObject></oadr:oadrPayload>'


def event(number: int) -> str:
    """An event of four intervals."""
    intervals = "".join(
        f"<ei:interval><xcal:duration><xcal:duration>PT15M</xcal:duration></xcal:duration><xcal:uid><xcal:text>{at}</xcal:text></xcal:uid>"
        f"<ei:signalPayload><ei:payloadFloat><ei:value>{at}</ei:value></ei:payloadFloat></ei:signalPayload></ei:interval>"
        for at in range(4)
    )
    return (
        f"<oadr:oadrEvent><ei:eiEvent><ei:eventDescriptor><ei:eventID>event-{number}</ei:eventID>"
        "<ei:modificationNumber>0</ei:modificationNumber><ei:priority>1</ei:priority><ei:eiMarketContext>"
        "<emix:marketContext>http://markets.example.org/demand-response</emix:marketContext></ei:eiMarketContext>"
        "<ei:createdDateTime>2030-01-01T00:00:00Z</ei:createdDateTime><ei:eventStatus>far</ei:eventStatus>"
        "<ei:testEvent>false</ei:testEvent><ei:vtnComment>a comment</ei:vtnComment></ei:eventDescriptor>"
        "<ei:eiActivePeriod><xcal:properties><xcal:dtstart><xcal:date-time>2030-01-02T00:00:00Z</xcal:date-time></xcal:dtstart>"
        "<xcal:duration><xcal:duration>PT1H</xcal:duration></xcal:duration><xcal:tolerance><xcal:tolerate>"
        "<xcal:startafter>PT5M</xcal:startafter></xcal:tolerate></xcal:tolerance><ei:x-eiNotification>"
        "<xcal:duration>PT1H</xcal:duration></ei:x-eiNotification></xcal:properties><xcal:components/></ei:eiActivePeriod>"
        f"<ei:eiEventSignals><ei:eiEventSignal><strm:intervals>{intervals}</strm:intervals><ei:signalName>SIMPLE</ei:signalName>"
        "<ei:signalType>level</ei:signalType><ei:signalID>signal-1</ei:signalID><ei:currentValue><ei:payloadFloat>"
        "<ei:value>0</ei:value></ei:payloadFloat></ei:currentValue></ei:eiEventSignal></ei:eiEventSignals>"
        "<ei:eiTarget><ei:venID>ven-1</ei:venID></ei:eiTarget></ei:eiEvent>"
        "<oadr:oadrResponseRequired>always</oadr:oadrResponseRequired></oadr:oadrEvent>"
    )


def distribute_event() -> str:
    """Twenty events."""
    events = "".join(event(number) for number in range(20))
    return payload(
        '<oadr:oadrDistributeEvent ei:schemaVersion="2.0b"><ei:eiResponse><ei:responseCode>200</ei:responseCode><pyld:requestID/>'
        f"</ei:eiResponse><pyld:requestID>request-1</pyld:requestID><ei:vtnID>vtn-1</ei:vtnID>{events}</oadr:oadrDistributeEvent>"
    )


def update_report() -> str:
    """A day of minutes."""
    intervals = "".join(
        f"<ei:interval><xcal:dtstart><xcal:date-time>2030-01-01T{at // 60:02}:{at % 60:02}:00Z</xcal:date-time></xcal:dtstart>"
        "<xcal:duration><xcal:duration>PT1M</xcal:duration></xcal:duration><oadr:oadrReportPayload><ei:rID>energy</ei:rID>"
        f"<ei:payloadFloat><ei:value>{at / 8}</ei:value></ei:payloadFloat></oadr:oadrReportPayload></ei:interval>"
        for at in range(1440)
    )
    return payload(
        '<oadr:oadrUpdateReport ei:schemaVersion="2.0b"><pyld:requestID>request-1</pyld:requestID><oadr:oadrReport>'
        f"<xcal:dtstart><xcal:date-time>2030-01-01T00:00:00Z</xcal:date-time></xcal:dtstart><strm:intervals>{intervals}</strm:intervals>"
        "<ei:eiReportID>report-1</ei:eiReportID><ei:reportRequestID>r-1</ei:reportRequestID>"
        "<ei:reportSpecifierID>usage</ei:reportSpecifierID><ei:reportName>TELEMETRY_USAGE</ei:reportName>"
        "<ei:createdDateTime>2030-01-02T00:00:00Z</ei:createdDateTime></oadr:oadrReport><ei:venID>ven-1</ei:venID></oadr:oadrUpdateReport>"
    )


def timed(arguments: list) -> float:
    """Seconds that a command takes."""
    start = time.perf_counter()
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def each(command: list, file: Path, times: int) -> float:
    """Milliseconds for each repetition inside one process."""
    once = min(timed([*command, "--repeat", "1", file]) for _ in range(3))
    return (timed([*command, "--repeat", str(times), file]) - once) / (times - 1) * 1000


def each_of_signxml(text: str, key: bytes, cert: bytes, times: int) -> float:
    """Milliseconds that signxml takes to sign a message, from its tree to the text."""
    tree = etree.fromstring(text.encode())[0]
    algorithm = "ecdsa-sha256" if b"EC PRIVATE" in key or len(key) < 400 else "rsa-sha256"
    signer = XMLSigner(method=methods.detached, signature_algorithm=algorithm, c14n_algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315")
    signer.namespaces["oadr"] = OADR
    start = time.perf_counter()
    for _ in range(times):
        signature = signer.sign(tree, key=key, cert=cert, reference_uri="#oadrSignedObject")
        etree.tostring(signature)
        etree.tostring(tree)
    return (time.perf_counter() - start) / times * 1000


def row(what: str, ours: list, theirs: list, whose: str, goal: int) -> None:
    """One line of the table."""
    ours, theirs = statistics.median(ours), statistics.median(theirs)
    verdict = "met" if theirs / ours >= goal else "NOT met"
    print(f"| {what} | {ours:.3f} ms | {theirs:.3f} ms ({whose}) | {theirs / ours:.1f} | {goal}, {verdict} |", flush=True)


# A process counts the memory of the one that started it, so one that has nothing imported does that.
STARTER = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)
"""


def hostile(folder: Path, what: str, content: bytes, cert: Path) -> None:
    """What a document costs the process that refuses it."""
    file = folder / "hostile.xml"
    file.write_bytes(content)
    command = [sys.executable, "-S", "-E", "-c", STARTER, VEN, "xml", "verify", "--openadr", "--trusted", cert, file]
    start = time.perf_counter()
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    passed = (time.perf_counter() - start) * 1000
    code, kibibytes = output.split()[-2:]
    print(f"| {what} | exit code {code} | {passed:.0f} ms | {int(kibibytes) / 1024:.0f} MiB |", flush=True)


def main() -> None:
    """Measures everything, and prints tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=500, help="repetitions inside a process")
    parser.add_argument("--rounds", type=int, default=5, help="measurements, of which the median counts")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("| in one process | ours | theirs | times | goal |")
        print("|---|---|---|---|---|")
        for kind, more in (("P-256", []), ("RSA-2048", ["--rsa"])):
            certs = folder / kind
            subprocess.check_output([VEN, "certs", "init", certs, *more])
            cert, key = certs / "vtn.pem", certs / "vtn.key"
            sign = [VEN, "xml", "sign", "--cert", cert, "--key", key]
            events, report, signed = folder / "events.xml", folder / "report.xml", folder / "signed.xml"
            events.write_text(distribute_event())
            report.write_text(update_report())
            signed.write_bytes(subprocess.check_output([*sign, events]))
            verify = [VEN, "xml", "verify", "--openadr", "--trusted", cert]
            xmlsec1 = ["xmlsec1", "--verify", "--id-attr:Id", f"{OADR}:oadrSignedObject", "--id-attr:Id",
                       "http://www.w3.org/2000/09/xmldsig#:Object", "--trusted-pem", certs / "ca.pem"]
            ours, theirs = [], []
            for _ in range(arguments.rounds):
                ours.append(each(verify, signed, arguments.times))
                theirs.append(each(xmlsec1, signed, arguments.times))
            row(f"verify 20 events, {signed.stat().st_size / 1000:.0f} kB, {kind}", ours, theirs, "xmlsec1", 7)
            ours, theirs = [], []
            for _ in range(arguments.rounds):
                ours.append(each(sign, report, max(arguments.times // 10, 10)))
                theirs.append(each_of_signxml(update_report(), key.read_bytes(), cert.read_bytes(), 10))
            row(f"sign 1,440 intervals, {report.stat().st_size / 1000:.0f} kB, {kind}", ours, theirs, "signxml", 10)
        print("\n| hostile document | answer | time | memory |")
        print("|---|---|---|---|")
        hostile(folder, "a good message, for comparison", signed.read_bytes(), cert)
        attributes = "".join(f" a{at}=''" for at in range(50_000))
        hostile(folder, "one tag of 50,000 attributes", f"<a{attributes}/>".encode(), cert)
        hostile(folder, "a million levels", b"<a>" * 1_000_000, cert)
        hostile(folder, "a million comments", b"<a>" + b"<!---->" * 1_000_000 + b"</a>", cert)
        hostile(folder, "100 MB", b" " * 100_000_000, cert)


if __name__ == "__main__":
    main()
