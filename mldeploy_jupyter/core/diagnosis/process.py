"""Rules about the process and its machine: ports, memory, signals, time."""

from __future__ import annotations

import signal as signals

from mldeploy_jupyter.core.diagnosis.cause import NOWHERE, Cause, Facts, brief, described, during
from mldeploy_jupyter.core.text import format_size


def worded_already(facts: Facts) -> Cause | None:
    # An error of ours (check, bundle, environment) already says what, why and hint.
    failure = facts.failure
    if not failure.get("what"):
        return None
    texts = {name: str(failure.get(name) or "") for name in ("what", "why", "hint", "where")}
    excerpt = failure["excerpt"] if isinstance(failure.get("excerpt"), list) else []
    data = {"stage": facts.stage} if facts.stage else {}
    return Cause(facts.code or "failed", excerpt=excerpt, data=data, **texts)


def cancelled(facts: Facts) -> Cause | None:
    if facts.code != "cancelled":
        return None
    why = "someone asked for it before traffic was switched"
    return facts.cause("cancelled", "the deployment was cancelled", why, f"{facts.deploy()} when you want it", NOWHERE)


def busy(facts: Facts) -> Cause | None:
    if facts.code != "busy":
        return None
    hint = f"wait for it, or cancel it with mldeploy service cancel {facts.service}".rstrip()
    what = "another deployment is changing the service"
    return facts.cause("busy", what, facts.message or "one runs at a time", hint, NOWHERE)


def port_in_use(facts: Facts) -> Cause | None:
    if facts.code != "port-in-use":
        return None
    port, holder = facts.failure.get("port"), facts.failure.get("holder")
    why = "another process listens on it; which one could not be read"
    if isinstance(holder, dict) and holder.get("pid"):
        command = brief(str(holder.get("command") or ""), 120)
        why = f"{command or 'a process'} (process {holder['pid']}) listens on it"
    hint = "stop that process, give another port, or leave the port out to get a free one"
    return facts.cause("port-in-use", f"port {port} is in use", why, hint, NOWHERE, port=port, holder=holder)


def interpreter_failed(facts: Facts) -> Cause | None:
    if facts.code != "spawn-failed":
        return None
    python = str(facts.settings.get("python") or "")
    last = next((brief(line) for line in reversed(facts.log_tail) if line.strip()), "")
    why = "; ".join(part for part in (facts.message, last if last not in facts.message else "") if part)
    hint = f"run {python or 'the interpreter'} --version in a terminal; if it fails, make the environment anew"
    what = "the service's Python interpreter could not start"
    return facts.cause(
        "interpreter-failed", what, why or "it ended before it said anything", hint, NOWHERE, python=python
    )


def init_timeout(facts: Facts) -> Cause | None:
    # The worker is killed at the limit, so this comes before what a signal would mean.
    if facts.code != "init-timeout":
        return None
    limit = facts.settings.get("init_timeout") or facts.failure.get("seconds")
    seconds = f"{limit:g} s" if isinstance(limit, int | float) else "its limit"
    place = facts.place_of_death()
    at = f"; when it was stopped it was at {place.text.strip()}" if place.text.strip() else ""
    doing = {"import": "importing the script", "probe": "scoring the sample"}.get(facts.stage, "init()")
    hint = f"set init_timeout above {seconds} in deploy_configuration(), or load less, then {facts.deploy()}"
    what, why = f"{doing} took longer than {seconds}", f"that is the service's init_timeout{at}"
    return facts.cause("init-timeout", what, why, hint, place, seconds=limit)


def out_of_memory(facts: Facts) -> Cause | None:
    raised = facts.find("MemoryError")
    certain = facts.memory.get("oom_kill")
    number = facts.failure.get("signal")
    place, when = facts.place_of_death(), during(facts.stage)
    limit, peak = facts.memory.get("limit"), facts.memory.get("peak")
    used = f"it used {format_size(peak)}" if isinstance(peak, int) else ""
    allowed = f"{format_size(limit)} allowed" if isinstance(limit, int) else ""
    figures = " of the ".join(part for part in (used, allowed) if part)
    # It was killed while it asked for more, so the peak is less than what it needs.
    used_up = peak if isinstance(peak, int) else limit if isinstance(limit, int) else 0
    more = f" (such as {format_size(1.5 * used_up)})" if certain and used_up else ""
    ways = f"free memory, allow the service more{more}, use fewer workers or load a smaller model"
    hint = f"{ways}, then {facts.deploy()}"
    data = {"limit": limit, "peak": peak}
    if certain is True:
        why = "the system killed the worker because its memory ran out" + (f": {figures}" if figures else "")
        what = f"the service ran out of memory {when}".rstrip()
        return facts.cause("out-of-memory", what, why, hint, place, certain=True, **data)
    if raised is not None:
        why = f"Python could not get the memory it asked for: {described(raised)}"
        what = f"the service ran out of memory {when}".rstrip()
        return facts.cause("out-of-memory", what, why, hint, place, certain=True, **data)
    # SIGKILL comes from the kernel's memory killer or from a person; without the counter nobody can tell.
    if number == signals.SIGKILL and certain is None:
        why = "the worker was killed (SIGKILL); the system does not say why, and memory is the usual reason"
        what = f"the service probably ran out of memory {when}".rstrip()
        return facts.cause("out-of-memory-probably", what, why, hint, place, certain=False, **data)
    return None


def memory_limit(facts: Facts) -> Cause | None:
    if facts.code != "memory-limit":
        return None
    used, limit, proposed = (facts.failure.get(name) for name in ("used", "limit", "proposed"))
    why = "a worker used more than memory_gb_limit allows, and was ended"
    if isinstance(used, int) and isinstance(limit, int):
        why = f"a worker used {format_size(used)} by itself, and memory_gb_limit allows {format_size(limit)}"
    enough = "raise memory_gb_limit"
    if isinstance(proposed, int):
        enough = f"set memory_gb_limit={proposed / 10**9:g} or more"
    hint = f"{enough}, or load less, then {facts.deploy()}"
    what = f"the service went over its memory limit {during(facts.stage)}".rstrip()
    place = facts.place_of_death()
    return facts.cause("memory-limit", what, why, hint, place, used=used, limit=limit, proposed=proposed)


def killed(facts: Facts) -> Cause | None:
    number = facts.failure.get("signal")
    if not isinstance(number, int) or number <= 0:
        return None
    name = _signal_name(number)
    what = f"the worker was killed by {name} {during(facts.stage)}".rstrip()
    why, hint = "another process or a person sent the signal", facts.deploy()
    if number in (signals.SIGSEGV, signals.SIGBUS, signals.SIGILL, signals.SIGFPE, signals.SIGABRT):
        why = "native code of a library crashed; versions that do not fit together are the usual reason"
        hint = f"load the model in a fresh interpreter of this environment to see which library, then {facts.deploy()}"
    elif number == signals.SIGKILL:
        why = "someone or something sent SIGKILL; the system counted no kill for lack of memory"
    return facts.cause("killed", what, why, hint, facts.place_of_death(), signal=name)


def exited(facts: Facts) -> Cause | None:
    raised = facts.find("SystemExit")
    if facts.code != "exited" and raised is None:
        return None
    status = facts.failure.get("exit_code")
    if raised is not None:
        why = f"the script raised {described(raised)}"
    else:
        why = f"it exited with code {status} by itself, as after os._exit()"
        last = next((brief(line, 200) for line in reversed(facts.log_tail) if line.strip()), "")
        why += f"; its last line was: {last}" if last else ""
    hint = f"take the exit out of the script and raise an exception instead, {facts.again()}"
    what = f"the worker ended {during(facts.stage)}".rstrip()
    return facts.cause("exited", what, why, hint, facts.place_of_death(), exit_code=status)


def worker_lost(facts: Facts) -> Cause | None:
    if facts.code != "worker-lost":
        return None
    hint = f"read the log with mldeploy service get-logs -n {facts.service}, then {facts.deploy()}"
    return facts.cause("worker-lost", "the service lost its worker", facts.message, hint)


def unknown(facts: Facts) -> Cause:
    """Whatever no rule knows: its own message, never hidden."""
    raised = next(facts.exceptions(), None)
    message = facts.message or (described(raised) if raised else "")
    hint = "read the whole log with mldeploy service get-logs" + (f" -n {facts.service}" if facts.service else "")
    code = facts.code or "failed"
    return facts.cause(code, "the deployment failed", message or f"the code of the failure is {code}", hint)


def _signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"
