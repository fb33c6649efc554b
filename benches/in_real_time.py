"""Measures what `ven run` uses of a processor: a telegram each second, a poll each ten seconds, a report each minute.

    cargo build --release && python3 benches/in_real_time.py [SECONDS] [FOLDER OF THE PROGRAMS]

It counts after a run-up, and what the system counts: time in the program and time in the system for it, of all its threads.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

RUN_UP = 15
SCRIPT = """
[[step]]
at = "1s"
request_report = { id = "minutes", specifier = "TELEMETRY_USAGE", points = ["main.import_energy", "main.net_power"], granularity = "60s", back = "60s" }
"""
CONFIGURATION = """
[ven]
name = "real"
state = "state"

[vtn]
url = "{url}"

[tls]
ca = "certs/ca.pem"
cert = "certs/ven.pem"
key = "certs/ven.key"

[signature]
vtn_fingerprint = "{fingerprint}"

[[meter]]
name = "main"
source = "serial:{port}"
"""


def used(process):
    """Seconds of processor up to now, and kB resident."""
    numbers = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    processor = (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")
    return processor, int(numbers[21]) * os.sysconf("SC_PAGE_SIZE") // 1024


def start(folder, *command, **more):
    return subprocess.Popen([str(part) for part in command], cwd=folder, text=True, **more)


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 180
    programs = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else "target/release").resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([programs / "ven", "certs", "init", "certs"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        fingerprint = subprocess.run([programs / "ven", "fingerprint", "certs/vtn.pem"], cwd=folder, check=True, text=True,
                                     capture_output=True).stdout.strip()
        (folder / "script.toml").write_text(SCRIPT)
        with (
            start(folder, programs / "mock-vtn", "--certs", "certs", "--listen", "127.0.0.1:0", "--poll", "10s", "--script", "script.toml",
                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as vtn,
            start(folder, programs / "ven", "meter", "sim", stdout=subprocess.PIPE) as meter,
        ):
            url = vtn.stdout.readline().split()[-1]
            text = CONFIGURATION.format(url=url, fingerprint=fingerprint, port=meter.stdout.readline().strip())
            (folder / "ven.toml").write_text(text)
            with open(folder / "log", "w") as log, start(folder, programs / "ven", "run", "--config", "ven.toml", stderr=log) as ven:
                time.sleep(RUN_UP)
                before, _ = used(ven)
                begun = time.monotonic()
                time.sleep(seconds)
                passed = time.monotonic() - begun
                after, resident = used(ven)
                ven.terminate()
            vtn.terminate()
            meter.terminate()
        told = (folder / "log").read_text()
        print(told, end="")
        assert seconds < 180 or "report minutes delivered" in told, "no report was delivered"
    print(f"{after - before:.2f} s of processor in {passed:.0f} s: {(after - before) * 100 / passed:.3f} % of one core; {resident} kB resident")


main()
