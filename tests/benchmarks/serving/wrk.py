"""Load by `wrk`: one thread, on a processor of its own, every answer's status counted."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = r"""
wrk.method = "POST"
local file = io.open("BODY", "rb")
wrk.body = file:read("*all")
file:close()
HEADERS
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\nJSON{"requests": %d, "microseconds": %d, "bytes": %d, "p50": %d, "p99": %d, "failed": [%d, %d, %d, %d, %d]}\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    e.status, e.connect, e.read, e.write, e.timeout))
end
"""

FIRST_FAILURE = """
local told = false
response = function(status, headers, body)
  if status >= 400 and not told then
    told = true
    io.write("FIRST", status, " ", body:sub(1, 300), "\\n")
  end
end
"""


class LoadFailed(Exception):
    """A run with failed requests, which does not count."""


@dataclass(frozen=True)
class Load:
    """What one run of `wrk` measured: `requests` in `seconds`, the latencies in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def missing() -> str:
    """How to get wrk when it is not there, else ""."""
    return "" if shutil.which("wrk") else "wrk is not installed: apt-get install wrk"


def script(folder: Path, body: bytes, headers: dict[str, str], more: str = "") -> Path:
    """The file that tells wrk what to send; `more` is further Lua."""
    (folder / "body").write_bytes(body)
    lines = [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items()]
    path = folder / "load.lua"
    path.write_text(SCRIPT.replace("BODY", str(folder / "body")).replace("HEADERS", "\n".join(lines)) + more)
    return path


def first_failure(url: str, folder: Path, body: bytes, headers: dict[str, str], connections: int, cpu: int) -> str:
    """Status and text of the first failed answer under this load, "" when there is none. Slows wrk."""
    lua = script(folder, body, headers, FIRST_FAILURE)
    output = start(url, lua, connections, 1, cpu).communicate(timeout=60)[0]
    return output.partition("FIRST")[2].partition("\n")[0]


def read(output: str, least_bytes: int = 0) -> Load:
    """What wrk printed. `least_bytes` is the smallest size of a right answer.

    Raises `LoadFailed` when a request failed, none was answered, or the answers are smaller than right ones.
    """
    said = json.loads(output.rpartition("JSON")[2].strip())
    if any(said["failed"]) or not said["requests"]:
        status, *others = said["failed"]
        raise LoadFailed(
            f"of {said['requests']} requests {status} had a status of 400 or more; errors of connect, read, write, "
            f"time: {others}"
        )
    if said["bytes"] < least_bytes * said["requests"]:
        raise LoadFailed(f"{said['bytes']} bytes in {said['requests']} answers of at least {least_bytes}")
    return Load(said["requests"], said["microseconds"] / 1e6, said["p50"] / 1000, said["p99"] / 1000)


def start(url: str, lua: Path, connections: int, seconds: float, cpu: int) -> subprocess.Popen[str]:
    words = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "20s", "-s", str(lua), url]
    return subprocess.Popen(
        ["taskset", "-c", str(cpu), *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
