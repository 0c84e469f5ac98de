"""What runs in the kernel and in the page: cells that note times, the script of the services, the page's observer."""

from __future__ import annotations

STAMPS = 20  # events of each deployment that `running` watches
STAMP_SECONDS = 1.5  # between two of them; the deployments take turns

# Notes when a message of a kernel leaves or arrives: a cell of the notebook, so it imports nothing of ours.
RECORDER = """\
import json, time
from pathlib import Path
_messages = []
def _record():
    session = get_ipython().kernel.session
    send, deserialize = session.send, session.deserialize
    def note(way, kind, content):
        body = content.get("data") if isinstance(content, dict) and kind == "comm_msg" else None
        body = body.get("content") if isinstance(body, dict) else None
        detail = body.get("topic") or body.get("name") or body.get("kind") or "" if isinstance(body, dict) else ""
        _messages.append((time.time(), way, kind, str(detail)))
    def sending(stream, message, content=None, *more, **options):
        note("out", message if isinstance(message, str) else message["msg_type"],
             message.get("content") if isinstance(message, dict) else content)
        return send(stream, message, content, *more, **options)
    def receiving(*given, **options):
        message = deserialize(*given, **options)
        note("in", message["header"]["msg_type"], message.get("content"))
        return message
    session.send, session.deserialize = sending, receiving
_record()
"""

LOAD = """\
import sys
_before, _begin, _cpu = set(sys.modules), time.perf_counter(), time.thread_time()
%load_ext mldeploy_jupyter
_taken = [time.perf_counter() - _begin, time.thread_time() - _cpu]
_new = sorted(set(sys.modules) - _before)
Path("loaded.json").write_text(json.dumps([*_taken, _new]));
"""

SAVE = 'Path("messages.json").write_text(json.dumps(_messages));'

# A service that waits for a gate in init(); until then it prints numbers, each of which becomes an event.
SCRIPT = f"""\
%%entry_script score.py --no-check
import os, sys, time

def init():
    name, gate, numbers = os.environ["NAME"], os.environ["GATE"], iter(range({STAMPS}))
    at = time.time() + float(os.environ["DELAY"])
    while gate and not os.path.exists(gate):
        time.sleep(0.02)
        if time.time() >= at and (number := next(numbers, None)) is not None:
            print(f"stamp-{{name}}-{{number}}", flush=True)
            at += {STAMP_SECONDS}

def run(data):
    return {{"answer": 1}}
"""

# Installed before the page's own scripts: the moments, in seconds since 1970, at which something was in the page.
OBSERVER = """\
window.bench = { stamps: {}, panels: new Map(), hidden: false };
window.bench.now = () => (performance.timeOrigin + performance.now()) / 1000;
const bench = window.bench;
const look = () => {
    for (const panel of document.querySelectorAll('.mld-Panel')) {
        const name = panel.querySelector('.mld-Head-name')?.textContent;
        const seen = bench.panels.get(name) ?? bench.panels.set(name, { there: bench.now() }).get(name);
        if (!seen.drawn && panel.querySelector('.mld-Stage')) {
            seen.drawn = bench.now();
            requestAnimationFrame(() => setTimeout(() => (seen.painted = bench.now())));
        }
    }
};
const read = (text) => {
    for (const [stamp] of text?.matchAll(/stamp-[a-z]+-\\w+-\\d+/g) ?? []) bench.stamps[stamp] ??= bench.now();
};
addEventListener('DOMContentLoaded', () => new MutationObserver((records) => {
    for (const { target, addedNodes, type } of records) {
        if (type === 'characterData') read(target.textContent);
        for (const node of addedNodes) read(node.textContent);
    }
    look();
}).observe(document.body, { childList: true, subtree: true, characterData: true }));
const visibility = { visibilityState: () => (bench.hidden ? 'hidden' : 'visible'), hidden: () => bench.hidden };
for (const name in visibility) Object.defineProperty(document, name, { get: visibility[name], configurable: true });
"""
