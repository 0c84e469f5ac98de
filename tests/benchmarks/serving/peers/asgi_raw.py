"""A bare ASGI application that does the same work, for uvicorn: no framework, no checks."""

import os
from pathlib import Path

import joblib
import numpy as np
import orjson

model = joblib.load(Path(os.environ["BENCH_MODEL"]) / "ridge.pkl")


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    parts = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"".join(parts)
    if scope["path"] == "/raw":
        answer = b"%d" % len(body)
    else:
        answer = orjson.dumps(model.predict(np.asarray(orjson.loads(body)["data"])).tolist())
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
