"""The detached process of one latency run: `python -m mldeploy_jupyter.panel.latency.runner ID`.

It runs in its own session, so that neither the end of the kernel nor Ctrl+C in the terminal reaches it. The workspace
is the one that MLDEPLOY_WORKSPACE names. The order comes through standard input; if the caller dies before it has
recorded this process and written all of it, nothing begins.
"""

from __future__ import annotations

import os
import sys

from mldeploy_jupyter.latency.generator.messages import read_order


def main(arguments: list[str]) -> int:
    """Returns 0 when the run ended as its record says, 3 when it never began."""
    (run_id,) = arguments
    try:
        order, _ = read_order(lambda count: os.read(0, count))
    except EOFError:
        return 3
    from mldeploy_jupyter.api.webservices.latency.measure import carry_out
    from mldeploy_jupyter.api.webservices.latency.preparation import PreparedRun
    from mldeploy_jupyter.api.webservices.webservice import Webservice
    from mldeploy_jupyter.api.workspace import Workspace
    from mldeploy_jupyter.latency.saved import read_run

    workspace = Workspace.get()
    services = [Webservice(workspace, service.name) for service in order.plan.services]
    prepared = PreparedRun(order.plan, order.payloads, [service.find_endpoint for service in services], workspace)
    carry_out(prepared, read_run(workspace.folder, run_id)).wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
