"""The limit: asyncio.Protocol, httptools, uvloop, orjson and `predict`, nothing else. own_loop.py PORT [--batch].

With --batch the requests that have arrived when the loop comes round go to one `predict` together.
"""

import asyncio
import os
import sys
from pathlib import Path

import httptools
import joblib
import numpy as np
import orjson
import uvloop

model = joblib.load(Path(os.environ["BENCH_MODEL"]) / "ridge.pkl")
BATCH = "--batch" in sys.argv
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
waiting = []


def answered(body):
    return HEAD % len(body) + body


def score_waiting():
    asked = waiting[:]
    waiting.clear()
    arrays = [np.asarray(orjson.loads(body)["data"]) for _, body in asked]
    results = model.predict(np.concatenate(arrays) if len(arrays) > 1 else arrays[0]).tolist()
    begin = 0
    for (transport, _), array in zip(asked, arrays, strict=True):
        transport.write(answered(orjson.dumps(results[begin : begin + len(array)])))
        begin += len(array)


class Connection(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data):
        self.parser.feed_data(data)

    def on_message_begin(self):
        self.parts = []

    def on_url(self, url):
        self.url = url

    def on_body(self, body):
        self.parts.append(body)

    def on_message_complete(self):
        body = b"".join(self.parts)
        if self.url == b"/raw":
            self.transport.write(answered(b"%d" % len(body)))
        elif BATCH:
            waiting.append((self.transport, body))
            if len(waiting) == 1:
                asyncio.get_running_loop().call_soon(score_waiting)
        else:
            result = model.predict(np.asarray(orjson.loads(body)["data"])).tolist()
            self.transport.write(answered(orjson.dumps(result)))


async def main(port):
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
