"""The limit for a server with our duties. own_loop_with_duties.py PORT LOG KEY [--batch].

`own_loop.py`, and for each request what ours does: the key is compared in constant time, an id is taken or made, the
answer has our headers, a line of JSON goes to the access log, histograms for `/metrics` are counted, and a call of
`predict` that takes too long is ended and answered with 504. Lines go to the file LOG directly, with no pipe and no
second process between, all that are due within 20 ms in one write.

With --batch the requests that have arrived when the loop comes round go to one `predict` together.
"""

import asyncio
import os
import signal
import sys
import time
import uuid
from bisect import bisect_left
from email.utils import formatdate
from hmac import compare_digest
from http import HTTPStatus
from pathlib import Path
from time import perf_counter

import httptools
import joblib
import numpy as np
import orjson
import uvloop

DEADLINE = float(os.environ.get("BENCH_DEADLINE", "60"))  # seconds of one call
TICK = 0.05  # seconds between two checks of the deadline
FLUSH_DELAY = 0.02  # seconds by which the access log may lag behind the answers
BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
PARTS = ("request", "queue", "parse", "run", "serialise")
BATCH = "--batch" in sys.argv

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%bx-mldeploy-revision: 1\r\n"
    b"x-request-id: %b\r\nx-ms-request-id: %b\r\nx-ms-run-function-failed: false\r\n"
    b"server-timing: queue;dur=%.3f, parse;dur=%.3f, run;dur=%.3f, serialise;dur=%.3f\r\n"
    b"x-ms-run-fn-exec-ms: %.3f\r\n\r\n"
)
REFUSAL = b"HTTP/1.1 %d %b\r\ncontent-length: 0\r\n%bx-request-id: %b\r\nx-ms-request-id: %b\r\n\r\n"
LINE = (
    '{"time":"%s","level":"%s","revision":"1","pid":%d,"logger":"access","request_id":%s,"method":"POST","path":"%s",'
    '"message":"POST %s","status":%d,"ms":%.3f,"queue_ms":%.3f,"run_ms":%.3f,"bytes_in":%d,"bytes_out":%d,"batch":%d}\n'
)


class DeadlineExceeded(BaseException):
    pass


class Server:
    """What all connections share."""

    def __init__(self, model, log, key):
        self.model, self.log, self.authorization, self.pid = model, log, b"Bearer " + key.encode(), os.getpid()
        self.ids, self.count = uuid.uuid4().hex[:24], 0
        self.lines, self.waiting = [], []
        self.second, self.date, self.stamp = 0, b"", ""
        self.statuses = {}
        self.buckets, self.sums = [[0] * (len(BOUNDS) + 1) for _ in PARTS], [0.0] * len(PARTS)
        self.called = 0.0  # when the call began that is being made
        signal.signal(signal.SIGALRM, self.check_deadline)
        signal.setitimer(signal.ITIMER_REAL, TICK, TICK)

    def check_deadline(self, *_):
        if self.called and perf_counter() - self.called > DEADLINE:
            self.called = 0.0
            raise DeadlineExceeded

    def make_id(self):
        self.count += 1
        return f"{self.ids}{self.count:08x}".encode()

    def answer(self, asked, body, times, batch=1):
        """Sends, counts and logs an answer of 200. `times` are seconds: queue, parse, run and serialise."""
        transport, request_id, path, began, size = asked
        queue, parse, run, serialise = (1000 * one for one in times)
        self.renew_date()
        head = HEAD % (len(body), self.date, request_id, request_id, queue, parse, run, serialise, run)
        transport.write(head + body)
        self.record(200, request_id, path, perf_counter() - began, times, size, len(body), batch)

    def refuse(self, asked, status):
        transport, request_id, path, began, size = asked
        self.renew_date()
        reason = HTTPStatus(status).phrase.encode()
        transport.write(REFUSAL % (status, reason, self.date, request_id, request_id))
        self.record(status, request_id, path, perf_counter() - began, (0.0, 0.0, 0.0, 0.0), size, 0, 1)

    def record(self, status, request_id, path, seconds, times, received, sent, batch):
        self.statuses[status] = self.statuses.get(status, 0) + 1
        buckets, sums = self.buckets, self.sums
        for number, value in enumerate((seconds, *times)):
            buckets[number][bisect_left(BOUNDS, value)] += 1
            sums[number] += value
        if not self.lines:
            asyncio.get_running_loop().call_later(FLUSH_DELAY, self.flush)
        quoted = orjson.dumps(request_id.decode("latin-1")).decode()
        self.lines.append(
            LINE % (self.stamp % (time.time() % 1 * 1000), "info" if status < 500 else "error", self.pid, quoted,
                    path, path, status, seconds * 1000, times[0] * 1000, times[2] * 1000, received, sent, batch)
        )  # fmt: skip

    def renew_date(self):
        now = int(time.time())
        if now != self.second:
            self.second, self.date = now, f"date: {formatdate(now, usegmt=True)}\r\n".encode()
            self.stamp = time.strftime("%Y-%m-%dT%H:%M:%S.%%03dZ", time.gmtime(now))

    def flush(self):
        lines, self.lines = self.lines, []
        os.write(self.log, "".join(lines).encode())

    def metrics(self):
        lines = [f'requests_total{{status="{status}"}} {count}' for status, count in self.statuses.items()]
        for name, buckets, total in zip(PARTS, self.buckets, self.sums, strict=True):
            below = 0
            for bound, count in zip((*BOUNDS, "+Inf"), buckets, strict=True):
                below += count
                lines.append(f'{name}_seconds_bucket{{le="{bound}"}} {below}')
            lines += [f"{name}_seconds_sum {total}", f"{name}_seconds_count {below}"]
        return "\n".join(lines).encode() + b"\n"

    def score(self, asked, body):
        queued = asked[3]
        start = perf_counter()
        try:
            array = np.asarray(orjson.loads(body)["data"])
            self.called = parsed = perf_counter()
            values = self.model.predict(array).tolist()
            self.called, run = 0.0, perf_counter()
            result = orjson.dumps(values)
        except DeadlineExceeded:
            self.refuse(asked, 504)
        except Exception:
            self.called = 0.0
            self.refuse(asked, 500)
        else:
            self.answer(asked, result, (start - queued, parsed - start, run - parsed, perf_counter() - run))

    def score_waiting(self):
        asked, self.waiting = self.waiting, []
        start = perf_counter()
        try:
            arrays = [np.asarray(orjson.loads(body)["data"]) for _, body in asked]
            self.called = parsed = perf_counter()
            values = self.model.predict(np.concatenate(arrays) if len(arrays) > 1 else arrays[0]).tolist()
            self.called, run, begin, results = 0.0, perf_counter(), 0, []
            for array in arrays:
                results.append(orjson.dumps(values[begin : begin + len(array)]))
                begin += len(array)
        except DeadlineExceeded:
            for one, _ in asked:
                self.refuse(one, 504)
        except Exception:
            self.called = 0.0
            for one, _ in asked:
                self.refuse(one, 500)
        else:
            rest = (parsed - start, run - parsed, perf_counter() - run)
            for (one, _), result in zip(asked, results, strict=True):
                self.answer(one, result, (start - one[3], *rest), len(asked))


class Connection(asyncio.Protocol):
    def __init__(self, server):
        self.server = server

    def connection_made(self, transport):
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data):
        self.parser.feed_data(data)

    def on_message_begin(self):
        self.began = perf_counter()
        self.parts, self.authorization, self.request_id = [], b"", b""

    def on_url(self, url):
        self.url = url

    def on_header(self, name, value):
        name = name.lower()
        if name == b"authorization":
            self.authorization = value
        elif name == b"x-request-id":
            self.request_id = value

    def on_body(self, body):
        self.parts.append(body)

    def on_message_complete(self):
        server, body, url = self.server, b"".join(self.parts), self.url
        asked = self.transport, self.request_id or server.make_id(), url.decode("latin-1"), self.began, len(body)
        if url == b"/metrics":
            text = server.metrics()
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(text) + text)
        elif not compare_digest(self.authorization, server.authorization):
            server.refuse(asked, 401)
        elif url == b"/raw":
            waited = perf_counter() - self.began
            server.answer(asked, b"%d" % len(body), (waited, 0.0, 0.0, 0.0))
        elif url != b"/score":
            server.refuse(asked, 404)
        elif BATCH:
            server.waiting.append((asked, body))
            if len(server.waiting) == 1:
                asyncio.get_running_loop().call_soon(server.score_waiting)
        else:
            server.score(asked, body)


async def main(port, log, key):
    model = joblib.load(Path(os.environ["BENCH_MODEL"]) / "ridge.pkl")
    shared = Server(model, os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), key)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(shared), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
