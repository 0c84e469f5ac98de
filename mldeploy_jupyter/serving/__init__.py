"""The scoring server. It travels inside a bundle as source and runs inside the service.

    supervisor.py    the process that holds the port; never runs user code
    worker.py        a process that runs the entry script and answers requests
    zygote.py        a process that has the imports, from which workers are forked; nursery.py: its keeper
    fleet.py         the workers: replaced, drained, switched; deploys.py: one deployment
    auth.py          who may call: keys and tokens (tokens.py); limits.py: memory and age of a worker
    transport.py     a worker's connections; connection.py: one of them; reading.py: what comes on it as requests
    exchange.py      one request, and where its answer goes; heads.py: heads that came before; answering.py: answers
    app.py           routes and answers; queueing.py: what waits for run(), and for how long
    runner.py        the thread that owns the script; batching.py: waiting requests share a call
    scoring.py       one call of run(), free of transport
    arguments.py     bodies as the arguments of run(), over jsonbody.py, compression.py; results.py, encode.py: back
    rows.py          rows of several requests joined, and their result split; company.py: whether they may be
    board.py         memory that supervisor and workers share; metrics.py: Prometheus' text of it
    output.py        what a worker writes; streams.py: its standard output; entries.py: one line of the log
    logs.py          the log, as the supervisor keeps it; tracing.py: OpenTelemetry spans
    schema/          what a request must look like; compat.py: v1's import names
    check.py         runs a script once, without any socket
    signals.py       a supervisor's signals, as calls in a thread
    control.py       the client of a supervisor (`call`)
    settings.py      what a revision's server is told (`Settings`)
    requirements.py  what it needs of an environment

This room imports nothing else of the package and uses relative imports only.
"""

from .ipc.control_client import ControlError, call
from .requirements import PROVIDES, PYTHON_FLOOR, REQUIREMENTS
from .settings import Settings

__all__ = ["PROVIDES", "PYTHON_FLOOR", "REQUIREMENTS", "ControlError", "Settings", "call"]
