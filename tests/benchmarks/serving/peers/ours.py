"""Our server as a user gets it: `Model.deploy` into a temporary workspace. python -m ...ours FOLDER SCRIPT

Writes `where.json` into the folder when the service is live; ends the service when its standard input closes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from tests.benchmarks.serving.environments import make_model


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("script")
    parser.add_argument("--max-batch-size", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    folder = options.folder
    os.environ["MLDEPLOY_HOME"] = os.environ["MLDEPLOY_CACHE"] = str(folder)
    from mldeploy_jupyter import InferenceConfig, LocalWebservice, Model, Workspace

    make_model(sys.executable, folder / "model")
    ws = Workspace.create(path=str(folder))
    model = Model.register(ws, str(folder / "model" / "ridge.pkl"), "ridge")
    settings = {"max_batch_size": options.max_batch_size} if options.max_batch_size else {}
    configuration = LocalWebservice.deploy_configuration(worker_count=options.workers, **settings)
    said: list[str] = []
    configuration.print_deploy_configuration(said.append)
    service = Model.deploy(
        ws,
        "bench",
        [model],
        InferenceConfig(entry_script=str(Path(__file__).with_name(options.script))),
        configuration,
    )
    service.wait_for_deployment()
    supervisor = next(folder.rglob("supervisor.json"))
    where = {
        "url": service.scoring_uri,
        "headers": {"Authorization": f"Bearer {service.get_keys()[0]}"},
        "configuration": said,
        "pids": [json.loads(supervisor.read_text())["pid"]],
    }
    (folder / "where.tmp").write_text(json.dumps(where))
    (folder / "where.tmp").rename(folder / "where.json")
    sys.stdin.read()
    service.delete()


if __name__ == "__main__":
    main()
