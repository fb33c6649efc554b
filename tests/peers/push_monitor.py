"""A reader of one push monitor: the client that Digi published, `devicecloud` of PyPI, with nothing of it replaced but the port.

usage: push_monitor.py PORT USER PASSWORD MONITOR

Prints what it is told, one JSON document a line, and confirms it, until its input ends.
"""

import json
import sys
import types

from devicecloud import monitor_tcp


def main():
    port, user, password, monitor = sys.argv[1:]
    monitor_tcp.PUSH_OPEN_PORT = int(port)
    connection = types.SimpleNamespace(hostname="127.0.0.1", username=user, password=password)
    manager = monitor_tcp.TCPClientManager(connection, secure=False)

    def received(document):
        print(json.dumps(document), flush=True)
        return True

    try:
        manager.create_session(received, int(monitor))
    except monitor_tcp.PushException as refused:
        print(json.dumps({"refused": str(refused)}), flush=True)
        return
    print(json.dumps({"connected": True}), flush=True)
    sys.stdin.read()
    manager.stop()


main()
