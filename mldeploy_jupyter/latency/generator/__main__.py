"""The process: reads the order, runs the load, tells the parent how it ended."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import traceback
from time import monotonic
from typing import Any

from mldeploy_jupyter.latency.generator.load import Load
from mldeploy_jupyter.latency.generator.messages import LineReader, Order, Outbox, read_order
from mldeploy_jupyter.latency.generator.recorder import Recorder

STDIN, STDOUT, STDERR = 0, 1, 2


async def run(order: Order, arrived: bytes, outbox: Outbox) -> None:
    """Runs the load until its end, an order to end, or the end of standard input."""
    loop = asyncio.get_running_loop()
    samples = os.open(order.samples, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    origin = monotonic()
    recorder = Recorder(samples, len(order.plan.services), origin)
    load = Load(order.plan, order.payloads, recorder, outbox.put, outbox.flush, origin=origin)
    reader = LineReader(arrived)

    def handle(messages: list[dict[str, Any]]) -> None:
        for message in messages:
            if message["type"] == "key":
                load.answer_key(message)
            elif message["type"] == "cancel":
                load.end("cancelled")

    def read() -> None:
        try:
            data = os.read(STDIN, 65536)
        except BlockingIOError:
            return
        if not data:
            loop.remove_reader(STDIN)
            load.end("cancelled")
        handle(reader.feed(data))

    def handle_error(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None and not isinstance(error, OSError):  # a connection's errors are outcomes of requests
            load.fail(error)

    loop.set_exception_handler(handle_error)
    os.set_blocking(STDIN, False)
    loop.add_reader(STDIN, read)
    loop.add_signal_handler(signal.SIGTERM, load.end, "cancelled")
    outbox.put({"type": "begun"})
    handle(reader.feed())
    outbox.put(load.report(await load.run()))
    outbox.finish()


def take_priority() -> None:
    """Wakes before other programs where that is allowed, mostly to root: a load sent late is not the one planned."""
    try:
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except (OSError, AttributeError):  # not on macOS and Windows
        pass


def main() -> None:
    order, arrived = read_order(lambda count: os.read(STDIN, count))
    outbox = Outbox(os.dup(STDOUT))
    os.dup2(STDERR, STDOUT)  # what a library prints is not a message
    take_priority()
    gc.disable()  # a collection would be measured as latency; between turns there is one
    if sys.platform == "win32":
        loop = asyncio.new_event_loop()
    else:
        import uvloop

        loop = uvloop.new_event_loop()
    code = 0
    try:
        loop.run_until_complete(run(order, arrived, outbox))
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    os._exit(code)  # to close the loop would be to wait for connections whose other ends may hang


if __name__ == "__main__":
    main()
