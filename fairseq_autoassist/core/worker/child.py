"""The worker process: it plans as soon as the reports allow it, and ends with its parent.

`process.py` starts it; the first argument is the number of its end of a socket pair.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from multiprocessing.connection import Connection

from ..planner import Planner

# Batches between two copies of the state; at most so many are planned again after a loss.
SNAPSHOT_EVERY = 64
_POLL_SECONDS = 1.0


def serve(connection: Connection) -> None:
    """Answer until the connection closes or the parent is gone."""
    parent = os.getppid()
    _, spec, state = connection.recv()
    planner = Planner(spec)
    if state is not None:
        planner.load_state_dict(state)
    del spec, state  # their arrays take 8 bytes an item and more; the planner has its own
    planned = 0
    while True:
        # reports first: they cost little, and the next batch may need them
        while connection.poll(0 if planner.can_plan else _POLL_SECONDS):
            _handle(connection.recv(), planner, connection)
        if os.getppid() != parent:
            return  # a copy of the parent's end may live on in a forked data loader
        if planner.can_plan:
            connection.send(("batch", planner.plan()))
            planned += 1
            if planned % SNAPSHOT_EVERY == 0:
                connection.send(("snapshot", planner.state_dict()))


def _handle(message: tuple, planner: Planner, connection: Connection) -> None:
    if message[0] == "report":
        planner.receive(*message[1:])
    else:
        while planner.can_plan:  # see `Exchange.state_dict`
            connection.send(("batch", planner.plan()))
        connection.send(("state", (message[1], planner.state_dict())))


def main() -> None:
    """Serve on the inherited socket; exceptions are sent to the parent."""
    # the parent handles these and may go on; it ends this process by SIGKILL, or by ending
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    connection = Connection(int(sys.argv[1]))
    try:
        serve(connection)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the parent closed the connection
    except Exception:
        connection.send(("error", traceback.format_exc()))
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
