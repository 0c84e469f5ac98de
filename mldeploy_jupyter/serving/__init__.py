"""The scoring server. It travels inside a bundle as source and runs inside the service.

    container/    the same in a container: told by files and variables, replaced while another process owns the port
    supervisor/   the process that holds the port and keeps workers running; never runs user code
    zygote/       the process that has the imports, and from which workers are forked
    worker/       the process that runs the entry script: routes, queue, script thread, metrics
    http/         a worker's connections: accepting, parsing, sending
    scoring/      one call of run(): a body in, a response out; knows no connection
    azureml/      what v1 scripts import
    schema/       what a request must look like
    ipc/          what these processes exchange: messages, failures, the scoreboard
    log/          from print() in a script to the service's log
    system/       what the operating system offers
    settings.py, requirements.py, tokens.py   shared with the side that deploys
    check.py      the old name of worker/script_check.py

Packages import only those after them in: zygote, worker, http, scoring, azureml, schema. All may import ipc, log and
system. The supervisor imports only these three and the standard library, container only the supervisor besides. Nothing
here imports the rest of the package, and all imports are relative. This module imports nothing: every
process of a service begins with it.
"""
