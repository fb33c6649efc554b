#!/usr/bin/env python3
"""Decides about events by the highest level, in a program that goes on running.

In ven.toml:

    [handler]
    kind = "exec"
    command = ["/usr/bin/python3", "/etc/ven/decide.py"]
    timeout = "3s"                 # then the default is answered
    default = "optOut"
    env = { MAX_LEVEL = "2" }      # beside PATH, HOME, LANG and TZ the program sees nothing of the VEN's environment

We and the VEN say one JSON object a line: it asks on our stdin, we answer on our stdout, under the same "id". So nothing
else may be printed; what is for people goes to stderr, and from there to the VEN's log.

To try it by hand, start it and type:  {"id":1,"kind":"decide","event":{"level":1}}
"""

import json
import os
import sys

# Levels of SIMPLE: 0 normal, 1 moderate, 2 high, 3 special.
MAX_LEVEL = int(os.environ.get("MAX_LEVEL", "1"))


def say(message):
    # Without flush, it would stay in a buffer and the VEN would wait in vain.
    print(json.dumps(message), flush=True)


def decide(event):
    """optIn or optOut, and a reason for people; `ven topics event.received --json` shows all that is known of an event."""
    level = event["level"]
    if level is None:
        return "optOut", "it has no level"
    if level > MAX_LEVEL:
        return "optOut", f"level {level} is more than {MAX_LEVEL}"
    return "optIn", f"level {level}"


def happened(topic, data):
    """Here the heat pump is switched: event.near, .started, .interval, .completed and .stopped come at the moment itself."""
    if topic == "event.interval" and data["overridden_by"] is None:
        # I! W! E! D! say how important a line of the log is.
        print(f"I! level {data['level']} from now on", file=sys.stderr, flush=True)


# The hello, within 5 seconds: the versions of the protocol that we speak, our name, and what we can be asked.
say({"v": [1], "name": "decide.py", "kinds": ["decide", "event"]})

for line in sys.stdin:
    question = json.loads(line)
    kind, answer = question["kind"], {"id": question["id"]}
    if kind == "decide":
        answer["opt"], answer["reason"] = decide(question["event"])
    elif kind == "event":
        # Answer when it is done: what is not answered is told again.
        happened(question["topic"], question["data"])
        answer["ok"] = True
    elif kind in ("initialize", "close"):
        answer["ok"] = True
    else:
        # There may be more kinds one day.
        answer["error"] = "unsupported"
    say(answer)
    if kind == "close":
        break
