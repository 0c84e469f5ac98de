"""The programs of a service's container. `docker run` and `docker exec` start them, in an image like this:

    PYTHONPATH=/opt/mldeploy/server /opt/venv/bin/python -P -m mldeploy_serving.container [COMMAND]

    (none)     serves what /opt/mldeploy/service.json describes; the container's first process, its ENTRYPOINT
    listener   owns the port of a service whose containers come and go: hands its listening socket to those that connect
               to MLDEPLOY_LISTENER
    health     exit code 0 when the service is ready, else 1 and the reason; the HEALTHCHECK
    control    one request of the control protocol as JSON on standard input; events, then the answer, as JSON lines on
               standard output. Exit code 0 when the answer is ok:

        echo '{"op": "status"}' | docker exec -i NAME /opt/venv/bin/python -P -m mldeploy_serving.container control

        {"op": "await"}      the events of the start from its beginning, and its answer, like that of `deploy`: a
                             failure has exception, exit_code or signal, memory, log_tail
        {"op": "deploy", "deployment_id", "settings": {...}, "source": FOLDER}      FOLDER takes the place of the
                             image's code and is moved; without it the image's code is taken. What `settings` does not
                             name stays as it is
        {"op": "take-over", "from": FOLDER}      to a container that stands by: FOLDER is the state folder of the one
                             that serves; without it none does. The events of the switch, and an answer as of `deploy`.
                             One that fails leaves the other container serving
        {"op": "forget", "folder": FOLDER}      removes the state folder of a container that has retired
        {"op": "status", "ask_workers": true}, {"op": "cancel", "deployment_id"}, {"op": "keys"}, {"op": "restart"},
        {"op": "stop", "timeout": SECONDS}      as for every supervisor (`supervisor/arbiter.py`)

    After a request that has "more": true, and whose answer has it too, the program reads another one

Environment variables, all of them optional:

    MLDEPLOY_SETTINGS       JSON with the names of `settings.Settings`; overrides `defaults` in service.json
    MLDEPLOY_FOLDER         the state folder, a volume or tmpfs; /var/lib/mldeploy. A container that is started again
                            with the same folder, image and settings serves what it served last
    MLDEPLOY_LISTEN         address and port; 0.0.0.0:5001
    MLDEPLOY_LISTENER       a Unix socket in a volume, through which a `listener` hands over its listening socket
    MLDEPLOY_STANDBY        1: load, probe, and wait for `take-over`; `await` and `health` say when it is ready. Once it
                            has taken over it serves, also when it is started again
    MLDEPLOY_KEYS           file with the keys of the service; keys.json in the state folder
    MLDEPLOY_PRIMARY_KEY, MLDEPLOY_SECONDARY_KEY      the keys, where there is no such file; with `_FILE` appended, the
                            names of files that hold them. Without any key, requests need none unless MLDEPLOY_SETTINGS
                            says `auth_enabled`
    MLDEPLOY_DEPLOYMENT     the id of the deployment that the start is a part of, for `status`
    MLDEPLOY_STOP_SECONDS   for requests in flight, when SIGTERM stops the service; 8: `docker stop` kills after 10
    MLDEPLOY_STOP_DELAY     seconds after SIGTERM in which requests are still accepted, while `/ready` answers 503; 0.
                            For clusters, whose routes change after the signal has been sent
    MLDEPLOY_SERVICE_FILE   /opt/mldeploy/service.json

A container that another one has taken over from finishes its requests, and exits with code 0. Started again, it stays
idle: its state folder has `retired.json`, and `status` says Retired.

Exit codes: 0 after SIGTERM, SIGINT or `stop`, and after a take-over; 2 when files or variables are wrong; 3 when the
revision could not be started (its failure is the last line of the log and `failure.json` in the state folder); 97 when
another process has the state folder, 98 when the port cannot be listened on.
"""

from __future__ import annotations

import sys


def main(argv: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    match arguments:
        case []:
            from .service import serve

            return serve()
        case ["listener"]:
            from .listener import serve as listen

            return listen()
        case ["health"]:
            from .client import check_health

            return check_health()
        case ["control"]:
            from .client import control

            return control()
    print(f"error: no such command: {' '.join(arguments)}", file=sys.stderr)
    print(
        "cause: the programs of a container are listener, health and control; without a name it serves", file=sys.stderr
    )
    print("hint: start the image without a command, or open a shell with --entrypoint sh", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
