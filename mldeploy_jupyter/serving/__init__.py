"""The scoring server. It travels inside a bundle as source and runs inside the service.

    supervisor.py    the process that holds the port; never runs user code
    worker.py        a process that runs the entry script and answers requests
    zygote.py        a process that has the imports, from which workers are forked; nursery.py: the supervisor's side
    fleet.py         the workers: replaced, drained, switched; deploys.py: one deployment
    scoring.py       one call of run(), free of transport; app.py: the same on the wire
    transport.py     connections, and passing them on
    schema/          what a request must look like; compat.py: v1's import names
    check.py         runs a script once, without any socket
    control.py       the client of a supervisor (`call`)
    settings.py      what a revision's server is told (`Settings`)
    requirements.py  what it needs of an environment

This room imports nothing else of the package and uses relative imports only.
"""

from .control import ControlError, call
from .requirements import PROVIDES, PYTHON_FLOOR, REQUIREMENTS
from .settings import Settings

__all__ = ["PROVIDES", "PYTHON_FLOOR", "REQUIREMENTS", "ControlError", "Settings", "call"]
