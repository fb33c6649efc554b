#!/usr/bin/env python3
"""Measures our VEN beside OpenLEADR's client, at the same mock VTN, in one run.

    cargo build --release && target/venv/bin/python benches/against_openleadr.py

Whole processes over mutual TLS: CPU time for each poll (with messages signed by P-256, by RSA-2048, and unsigned), time from the
start of the process to the registration, resident memory after the polls. The two take turns, so that both see the same machine.
tests/run makes the Python environment.
"""

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VEN = ROOT / "target/release/ven"
VTN = ROOT / "target/release/mock-vtn"

CLIENT = """
import asyncio, logging, sys
from openleadr import OpenADRClient
logging.disable(logging.CRITICAL)
url, certs, fingerprint, unsigned, polls = sys.argv[1:6]

async def main():
    client = OpenADRClient("bench", url + "/OpenADR2/Simple/2.0b", cert=certs + "/ven.pem", key=certs + "/ven.key",
                           ca_file=certs + "/ca.pem", vtn_fingerprint=fingerprint if unsigned == "0" else None,
                           disable_signature=unsigned == "1", show_fingerprint=False)
    async def on_event(event):
        return "optIn"
    client.add_handler("on_event", on_event)
    await client.run()
    if client.scheduler.running:
        client.scheduler.remove_all_jobs()
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(int(polls)):
        await client._poll()
        await asyncio.sleep(0.01)
    print("done", flush=True)
    sys.stdin.readline()

asyncio.run(main())
"""

CONFIGURATION = """
[ven]
name = "bench"
state = "{state}"
[vtn]
url = "{url}"
poll_min = "1ms"
poll_max = "10ms"
[tls]
ca = "{certs}/ca.pem"
cert = "{certs}/ven.pem"
key = "{certs}/ven.key"
[signature]
sign = {sign}
verify = "{verify}"
vtn_fingerprint = "{fingerprint}"
"""


def cpu(pid: int) -> float:
    """CPU seconds that a process has used so far, as exactly as the kernel counts them for each of its threads."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def resident(pid: int) -> float:
    """Resident memory in MiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024


class Vtn:
    """The mock VTN; tells what it received when."""

    def __init__(self, certs: Path, poll: str, signed: bool):
        arguments = [VTN, "--certs", certs, "--listen", "127.0.0.1:0", "--poll", poll]
        if not signed:
            arguments.append("--no-sign")
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.url = self.process.stdout.readline().removeprefix("serving at ").strip()

    def count(self, message: str) -> int:
        """How often a message came."""
        self.log.flush()
        text = Path(f"/proc/self/fd/{self.log.fileno()}").read_text()
        return text.count(message)

    def wait(self, message: str, count: int, process: subprocess.Popen) -> None:
        """Waits until a message has come so often."""
        while self.count(message) < count:
            if process.poll() is not None:
                sys.exit(f"the client ended with {process.returncode}")
            time.sleep(0.002)

    def stop(self) -> None:
        """Ends it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def fingerprint(certs: Path) -> str:
    """That of the VTN."""
    return subprocess.check_output([VEN, "fingerprint", certs / "vtn.pem"], text=True).strip()


def start_ours(vtn: Vtn, certs: Path, signed: bool, folder: Path) -> subprocess.Popen:
    """Our VEN, with an empty store."""
    state = tempfile.mkdtemp(dir=folder)
    path = Path(state) / "ven.toml"
    path.write_text(CONFIGURATION.format(
        state=state, url=vtn.url, certs=certs, fingerprint=fingerprint(certs),
        sign=str(signed).lower(), verify="require" if signed else "never"))
    return subprocess.Popen([VEN, "run", "--config", path], stderr=subprocess.DEVNULL)


def start_theirs(vtn: Vtn, certs: Path, signed: bool, polls: int) -> subprocess.Popen:
    """OpenLEADR's client, polling a hundred times a second as ours does; by itself it would not go below a second."""
    unsigned = "0" if signed else "1"
    arguments = [sys.executable, "-c", CLIENT, vtn.url, certs, fingerprint(certs), unsigned, str(polls)]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def expect(process: subprocess.Popen, word: str) -> None:
    """Reads one word from a client."""
    found = process.stdout.readline().strip()
    if found != word:
        sys.exit(f"expected {word} of OpenLEADR's client, found {found!r}")


def polls_of_ours(certs: Path, signed: bool, polls: int, folder: Path) -> tuple[float, float]:
    """CPU milliseconds for each poll, MiB after them."""
    vtn = Vtn(certs, "1s", signed)
    ven = start_ours(vtn, certs, signed, folder)
    vtn.wait("oadrPoll", 10, ven)
    before, first = cpu(ven.pid), vtn.count("oadrPoll")
    vtn.wait("oadrPoll", first + polls, ven)
    after, last = cpu(ven.pid), vtn.count("oadrPoll")
    memory = resident(ven.pid)
    ven.send_signal(signal.SIGTERM)
    ven.wait()
    vtn.stop()
    return (after - before) / (last - first) * 1000, memory


def polls_of_theirs(certs: Path, signed: bool, polls: int) -> tuple[float, float]:
    """The same of theirs."""
    vtn = Vtn(certs, "1h", signed)
    client = start_theirs(vtn, certs, signed, polls)
    expect(client, "ready")
    before = cpu(client.pid)
    client.stdin.write("\n")
    client.stdin.flush()
    expect(client, "done")
    after, memory = cpu(client.pid), resident(client.pid)
    client.kill()
    client.wait()
    vtn.stop()
    return (after - before) / polls * 1000, memory


def registration(certs: Path, ours: bool, folder: Path) -> float:
    """Seconds from the start of the process to the registration at the VTN."""
    vtn = Vtn(certs, "10s", True)
    start = time.monotonic()
    client = start_ours(vtn, certs, True, folder) if ours else start_theirs(vtn, certs, True, 0)
    vtn.wait("oadrCreatePartyRegistration", 1, client)
    passed = time.monotonic() - start
    client.kill()
    client.wait()
    vtn.stop()
    return passed


def row(what: str, ours: float, theirs: float, goal: int, unit: str) -> None:
    """One line of the table."""
    ratio = theirs / ours
    verdict = "met" if ratio >= goal else "NOT met"
    print(f"| {what} | {ours:.3f} {unit} | {theirs:.3f} {unit} | 1/{ratio:.0f} | 1/{goal}, {verdict} |", flush=True)


def main() -> None:
    """Measures everything, and prints a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--polls", type=int, default=500, help="for each measurement of CPU time")
    parser.add_argument("--rounds", type=int, default=5, help="measurements, of which the median counts")
    parser.add_argument("--starts", type=int, default=9, help="starts, of which the median counts")
    parser.add_argument("--hour", type=int, default=3600, help="polls before memory is looked at: an hour's worth at one a second")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, more in (("p256", []), ("rsa", ["--rsa"])):
            subprocess.check_output([VEN, "certs", "init", folder / kind, *more])
        print("| whole process | ours | OpenLEADR 0.5.36 | ratio | goal |")
        print("|---|---|---|---|---|")
        for what, kind, signed, goal in (
            ("CPU per poll, signed with P-256", "p256", True, 10),
            ("CPU per poll, signed with RSA-2048", "rsa", True, 100),
            ("CPU per poll, unsigned over TLS", "p256", False, 5),
        ):
            ours, theirs = [], []
            for _ in range(arguments.rounds):
                ours.append(polls_of_ours(folder / kind, signed, arguments.polls, folder)[0])
                theirs.append(polls_of_theirs(folder / kind, signed, arguments.polls)[0])
            row(what, statistics.median(ours), statistics.median(theirs), goal, "ms")
        ours, theirs = [], []
        for _ in range(arguments.starts):
            ours.append(registration(folder / "p256", True, folder))
            theirs.append(registration(folder / "p256", False, folder))
        row("start to registered", statistics.median(ours), statistics.median(theirs), 10, "s")
        _, ours = polls_of_ours(folder / "p256", True, arguments.hour, folder)
        _, theirs = polls_of_theirs(folder / "p256", True, arguments.hour)
        row(f"resident after {arguments.hour} polls", ours, theirs, 5, "MiB")


if __name__ == "__main__":
    main()
