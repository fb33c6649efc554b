"""Runs a VTN of OpenLEADR over mutual TLS, with messages signed or not: orders in and events out, as JSON lines.

An order on stdin is an object whose "do" names a method `do_...` of `Vtn`; its other members are the arguments. What is told on
stdout is an object whose "told" says what happened:

    serving          the port
    registered       a VEN: venID, registrationID, name, and the registrationID it came with
    offered          a data point of a report that the VEN has registered
    requested        a periodic report that OpenLEADR asks for as soon as reports are registered
    created_report   the requests that the VEN says are pending
    canceled_report  the same, after a cancellation
    values           values of one data point of a report, each with its start
    opt              the VEN's answer to one version of an event
    trouble          what OpenLEADR logs as a warning or an error

Only what OpenLEADR itself has accepted is told, except canceled_report, for which it has no handler (it answers 459). With
`--polling internal` OpenLEADR keeps the events and answers the polls; with `--polling external` the polls are answered from a
queue of ours, the only way to send a VEN requests and cancellations of reports. The process ends with its stdin.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

from openleadr import OpenADRServer, hooks, utils

Message = tuple[str, dict[str, Any]]

OUT = sys.stdout
# OpenLEADR prints banners.
sys.stdout = sys.stderr


def tell(told: str, **facts: Any) -> None:
    """Writes one line; times are written as OpenADR does."""
    print(json.dumps({"told": told, **facts}, default=utils.datetimeformat), file=OUT, flush=True)


class Troubles(logging.Handler):
    """Tells what OpenLEADR complains of."""

    def emit(self, record: logging.LogRecord) -> None:
        """Tells one complaint."""
        tell("trouble", level=record.levelname, text=record.getMessage())


class Vtn:
    """The VTN, and the one VEN that it may know."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        """Makes the server; `run` starts it."""
        self.arguments = arguments
        self.ven: dict[str, str] | None = None
        self.queue: deque[Message] = deque()
        certs: Path = arguments.certs
        cert, key = str(certs / "vtn.pem"), str(certs / "vtn.key")
        self.server = OpenADRServer(
            vtn_id="openleadr-vtn",
            cert=None if arguments.unsigned else cert,
            key=None if arguments.unsigned else key,
            verify_message_signatures=not arguments.unsigned,
            http_cert=cert,
            http_key=key,
            http_ca_file=str(certs / "ca.pem"),
            http_host="127.0.0.1",
            http_port=arguments.port,
            ven_lookup=self.ven_lookup,
            requested_poll_freq=timedelta(seconds=1),
        )
        self.events, self.reports = (self.server.services[name] for name in ("event_service", "report_service"))
        self.server.add_handler("on_create_party_registration", self.on_create_party_registration)
        self.server.add_handler("on_register_report", self.on_register_report)
        if arguments.polling == "external":
            self.server.add_handler("on_poll", self.on_poll)
            self.server.add_handler("on_request_event", lambda ven_id: None)
        self.watch(self.events, "oadrCreatedEvent", self.opts)
        self.watch(self.reports, "oadrRegisterReport", self.requested)
        self.watch(self.reports, "oadrCreatedReport", partial(self.pending, "created_report"))
        hooks.register("before_handle", self.before_handle)

    async def run(self) -> None:
        """Serves, and carries out orders until there are no more."""
        await self.server.run()
        tell("serving", port=self.server.app_runner.addresses[0][1])
        orders = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        async for line in orders:
            order = json.loads(line)
            getattr(self, f"do_{order.pop('do')}")(**order)
        await self.server.stop()

    # What OpenLEADR asks us.

    def ven_lookup(self, ven_id: str) -> dict[str, str] | None:
        """Returns what is known of a VEN."""
        return self.ven if self.ven and self.ven["ven_id"] == ven_id else None

    def on_create_party_registration(self, payload: dict[str, Any]) -> tuple[str, str] | bool:
        """Registers the VEN that has the right certificate, under new ids each time."""
        if payload["fingerprint"] != self.arguments.ven_fingerprint:
            return False
        self.ven = {
            "ven_id": utils.generate_id(),
            "registration_id": utils.generate_id(),
            "ven_name": payload["ven_name"],
            "fingerprint": payload["fingerprint"],
        }
        ids = {name: self.ven[name] for name in ("ven_id", "registration_id", "ven_name")}
        tell("registered", **ids, came_with=payload.get("registration_id"))
        return self.ven["ven_id"], self.ven["registration_id"]

    def on_register_report(self, report: dict[str, Any]) -> list[tuple[str, Callable, timedelta, timedelta]]:
        """Wants every data point of every report, in steps of 2 seconds, twice a message."""
        wishes = []
        for point in report["report_descriptions"]:
            tell(
                "offered",
                specifier=report["report_specifier_id"],
                name=report["report_name"],
                r_id=point["r_id"],
                resource=point["report_data_source"]["resource_id"],
                measurement=point["measurement"]["description"],
                unit=point["measurement"]["unit"],
                scale=point["measurement"]["scale"],
                min_period=point["sampling_rate"]["min_period"].total_seconds(),
            )
            # The callback is put in by `requested`, which knows the id of the request.
            wishes.append((point["r_id"], print, timedelta(seconds=2), timedelta(seconds=4)))
        return wishes

    def on_poll(self, ven_id: str) -> Message | None:
        """Returns the next message that waits."""
        return self.queue.popleft() if self.queue else None

    # What OpenLEADR tells us.

    def watch(self, service: Any, message_type: str, then: Callable[[dict[str, Any]], None]) -> None:
        """Calls `then` with each message of that type, once OpenLEADR has accepted it."""
        handle = service.handlers[message_type]

        async def handle_and_tell(payload: dict[str, Any]) -> Message | None:
            answer = await handle(payload)
            then(payload)
            return answer

        service.handlers[message_type] = handle_and_tell

    def requested(self, payload: dict[str, Any]) -> None:
        """Tells what OpenLEADR is about to ask for, having made up the ids."""
        for request in self.reports.requested_reports[payload["ven_id"]]:
            specifier, request_id = request.report_specifier, request.report_request_id
            points = [wish.r_id for wish in specifier.specifier_payloads]
            for point in points:
                self.reports.report_callbacks[(request_id, point)] = partial(self.values, request_id, point)
            tell("requested", request_id=request_id, specifier=specifier.report_specifier_id, points=points)

    def opts(self, payload: dict[str, Any]) -> None:
        """Tells the VEN's answers."""
        for response in payload["event_responses"]:
            names = ("event_id", "modification_number", "opt_type", "response_code")
            tell("opt", **{name: response[name] for name in names})

    def pending(self, told: str, payload: dict[str, Any]) -> None:
        """Tells what the VEN still has to report."""
        tell(told, pending=[report["report_request_id"] for report in payload["pending_reports"]])

    def values(self, request_id: str, r_id: str, values: list[tuple[datetime, float]]) -> None:
        """Tells values of a report."""
        tell("values", request_id=request_id, r_id=r_id, values=values)

    async def before_handle(self, message_type: str, payload: dict[str, Any]) -> None:
        """Tells what OpenLEADR has no handler for."""
        if message_type == "oadrCanceledReport":
            self.pending("canceled_report", payload)

    # What we are ordered to do.

    def do_add_event(self, event_id: str, starts_in: float, steps: list[tuple[float, float]]) -> None:
        """Adds a SIMPLE event; each step is a duration in seconds (0: without end) and a level."""
        start = datetime.now(timezone.utc) + timedelta(seconds=starts_in)
        intervals = []
        for seconds, level in steps:
            duration = timedelta(seconds=seconds)
            intervals.append({"dtstart": start, "duration": duration, "signal_payload": level})
            start += duration
        self.server.add_event(
            ven_id=self.ven["ven_id"],
            event_id=event_id,
            signal_name="SIMPLE",
            signal_type="level",
            intervals=intervals,
            market_context="http://markets.example.org/dr",
            callback=lambda ven_id, event_id, opt_type: None,
        )

    def do_modify_event(self, event_id: str, level: float) -> None:
        """Gives an event another level; OpenLEADR has no function for it."""
        ven_id = self.ven["ven_id"]
        event = utils.find_by(self.server.events[ven_id], "event_descriptor.event_id", event_id)
        for interval in event.event_signals[0].intervals:
            interval["signal_payload"] = level
        utils.increment_event_modification_number(event)
        self.server.events_updated[ven_id] = True

    def do_cancel_event(self, event_id: str) -> None:
        """Calls an event off."""
        self.server.cancel_event(self.ven["ven_id"], event_id)

    def do_request_report(
        self, request_id: str, specifier: str, points: list[str], granularity: float, back: float
    ) -> None:
        """Asks for a report; a `back` of 0 seconds asks for it once."""
        payloads = []
        for point in points:
            self.reports.report_callbacks[(request_id, point)] = partial(self.values, request_id, point)
            payloads.append({"r_id": point, "reading_type": "Direct Read"})
        request = {
            "report_request_id": request_id,
            "report_specifier": {
                "report_specifier_id": specifier,
                "granularity": timedelta(seconds=granularity),
                "report_back_duration": timedelta(seconds=back),
                "specifier_payloads": payloads,
            },
        }
        self.queue.append(("oadrCreateReport", {"report_requests": [request]}))

    def do_cancel_report(self, request_id: str, report_to_follow: bool) -> None:
        """Wants no more of a report."""
        payload = {"report_request_id": request_id, "report_to_follow": report_to_follow}
        self.queue.append(("oadrCancelReport", payload))

    def do_request_reregistration(self) -> None:
        """Asks the VEN to register again."""
        self.queue.append(("oadrRequestReregistration", {}))

    def do_forget(self) -> None:
        """Knows no VEN any more."""
        self.ven = None
        self.server.events.clear()
        self.reports.report_callbacks.clear()


def main() -> None:
    """Reads the arguments, and runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--certs", type=Path, required=True, help="a folder with ca.pem, vtn.pem, vtn.key")
    parser.add_argument("--ven-fingerprint", required=True)
    parser.add_argument("--polling", choices=["internal", "external"], default="internal")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free, which is told")
    parser.add_argument("--unsigned", action="store_true", help="neither sign nor verify")
    logger = logging.getLogger("openleadr")
    logger.addHandler(Troubles(logging.WARNING))
    logger.propagate = False
    asyncio.run(Vtn(parser.parse_args()).run())


if __name__ == "__main__":
    main()
