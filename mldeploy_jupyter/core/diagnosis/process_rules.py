"""Rules about the process and its machine: ports, memory, signals, time."""

from __future__ import annotations

import re
import signal as signals

from mldeploy_jupyter.core.diagnosis.cause import Cause
from mldeploy_jupyter.core.diagnosis.facts import Facts, describe_exception, describe_stage, shorten
from mldeploy_jupyter.core.diagnosis.source_map import UNKNOWN_LOCATION
from mldeploy_jupyter.core.text import format_size


def already_worded(facts: Facts) -> Cause | None:
    # One of our own errors, from the check, the bundle or the environment, has what, why and hint.
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
    return facts.cause(
        "cancelled", "the deployment was cancelled", why, f"{facts.deploy_hint()} when you want it", UNKNOWN_LOCATION
    )


def busy(facts: Facts) -> Cause | None:
    if facts.code != "busy":
        return None
    hint = f"wait for it, or cancel it with mldeploy service cancel {facts.service}".rstrip()
    what = "another deployment is changing the service"
    return facts.cause("busy", what, facts.message or "one runs at a time", hint, UNKNOWN_LOCATION)


def port_in_use(facts: Facts) -> Cause | None:
    if facts.code != "port-in-use":
        return None
    port, holder = facts.failure.get("port"), facts.failure.get("holder")
    why = "another process listens on it; which one could not be read"
    if isinstance(holder, dict) and holder.get("container"):
        why = f"the container {shorten(str(holder['container']), 120)} has it"
    elif isinstance(holder, dict) and holder.get("pid"):
        command = shorten(str(holder.get("command") or ""), 120)
        why = f"{command or 'a process'} (process {holder['pid']}) listens on it"
    hint = "stop that process, give another port, or leave the port out to get a free one"
    return facts.cause("port-in-use", f"port {port} is in use", why, hint, UNKNOWN_LOCATION, port=port, holder=holder)


def interpreter_variable(facts: Facts) -> Cause | None:
    # The interpreter ends before any code runs, so neither the script nor the environment is at fault.
    fatal = next((line for line in facts.log_tail if re.match(r"Fatal Python error: \w*init", line)), "")
    variables = facts.settings.get("env")
    names = [name for name in (variables if isinstance(variables, dict) else ()) if name.startswith("PYTHON")]
    if facts.code not in ("exited", "spawn-failed") or not fatal or not names:
        return None
    which = ", ".join(names)
    what = f"Python does not start with the environment {'variables' if len(names) > 1 else 'variable'} {which}"
    hint = f"correct {which} in environment_variables, or leave it out, then {facts.deploy_hint()}"
    return facts.cause("environment-variable", what, shorten(fatal), hint, UNKNOWN_LOCATION, variables=names)


def interpreter_failed(facts: Facts) -> Cause | None:
    if facts.code != "spawn-failed":
        return None
    python = str(facts.settings.get("python") or "")
    last = shorten(facts.last_log_line)
    why = "; ".join(part for part in (facts.message, last if last not in facts.message else "") if part)
    hint = f"run {python or 'the interpreter'} --version in a terminal; if it fails, build the environment again"
    what = "the service's Python interpreter could not start"
    return facts.cause(
        "interpreter-failed", what, why or "it ended before it reported anything", hint, UNKNOWN_LOCATION, python=python
    )


def init_timeout(facts: Facts) -> Cause | None:
    # The worker is killed at its limit, so this comes before the rules about signals.
    if facts.code != "init-timeout":
        return None
    limit = facts.settings.get("init_timeout") or facts.failure.get("seconds")
    seconds = f"{limit:g} s" if isinstance(limit, int | float) else "its limit"
    location = facts.location_of_death()
    at = f"; when it was stopped it was at {location.text.strip()}" if location.text.strip() else ""
    doing = {"import": "importing the script", "probe": "scoring the sample"}.get(facts.stage, "init()")
    hint = f"set init_timeout above {seconds} in deploy_configuration(), or load less, then {facts.deploy_hint()}"
    what, why = f"{doing} took longer than {seconds}", f"that is the service's init_timeout{at}"
    return facts.cause("init-timeout", what, why, hint, location, seconds=limit)


def out_of_memory(facts: Facts) -> Cause | None:
    raised = facts.find_exception("MemoryError")
    certain = facts.memory.get("oom_kill")
    number = facts.failure.get("signal")
    location, when = facts.location_of_death(), describe_stage(facts.stage)
    limit, peak = facts.memory.get("limit"), facts.memory.get("peak")
    used = f"it used {format_size(peak)}" if isinstance(peak, int) else ""
    allowed = f"{format_size(limit)} allowed" if isinstance(limit, int) else ""
    figures = " of the ".join(part for part in (used, allowed) if part)
    # It was killed when it asked for more, so it needs more than the peak.
    used_up = peak if isinstance(peak, int) else limit if isinstance(limit, int) else 0
    more = f" (such as {format_size(1.5 * used_up)})" if certain and used_up else ""
    ways = f"free memory, allow the service more{more}, use fewer workers or load a smaller model"
    hint = f"{ways}, then {facts.deploy_hint()}"
    data = {"limit": limit, "peak": peak}
    if certain is True:
        why = "the system killed the worker because its memory ran out" + (f": {figures}" if figures else "")
        what = f"the service ran out of memory {when}".rstrip()
        return facts.cause("out-of-memory", what, why, hint, location, certain=True, **data)
    if raised is not None:
        why = f"Python could not get the memory it asked for: {describe_exception(raised)}"
        what = f"the service ran out of memory {when}".rstrip()
        return facts.cause("out-of-memory", what, why, hint, location, certain=True, **data)
    # SIGKILL comes from the kernel when memory runs out, or from a person. Without the kernel's counter that is open.
    if number == signals.SIGKILL and certain is None:
        why = "the worker was killed (SIGKILL); the system does not say why, and memory is the usual reason"
        what = f"the service probably ran out of memory {when}".rstrip()
        return facts.cause("out-of-memory-probably", what, why, hint, location, certain=False, **data)
    return None


def memory_limit(facts: Facts) -> Cause | None:
    if facts.code != "memory-limit":
        return None
    used, limit, proposed = (facts.failure.get(name) for name in ("used", "limit", "proposed"))
    why = "a worker used more than memory_gb_limit allows, and was ended"
    if isinstance(used, int) and isinstance(limit, int):
        why = f"a worker used {format_size(used)} of private memory, and memory_gb_limit allows {format_size(limit)}"
    enough = "raise memory_gb_limit"
    if isinstance(proposed, int):
        enough = f"set memory_gb_limit={proposed / 10**9:g} or more"
    hint = f"{enough}, or load less, then {facts.deploy_hint()}"
    what = f"the service went over its memory limit {describe_stage(facts.stage)}".rstrip()
    location = facts.location_of_death()
    return facts.cause("memory-limit", what, why, hint, location, used=used, limit=limit, proposed=proposed)


def killed(facts: Facts) -> Cause | None:
    number = facts.failure.get("signal")
    if not isinstance(number, int) or number <= 0:
        return None
    name = _signal_name(number)
    what = f"the worker was killed by {name} {describe_stage(facts.stage)}".rstrip()
    why, hint = "another process or a person sent the signal", facts.deploy_hint()
    if number in (signals.SIGSEGV, signals.SIGBUS, signals.SIGILL, signals.SIGFPE, signals.SIGABRT):
        why = "native code of a library crashed; versions that do not fit together are the usual reason"
        hint = "load the model in a fresh interpreter of this environment to see which library, "
        hint += f"then {facts.deploy_hint()}"
    elif number == signals.SIGKILL:
        why = "someone or something sent SIGKILL; the system counted no kill for lack of memory"
    return facts.cause("killed", what, why, hint, facts.location_of_death(), signal=name)


def exited(facts: Facts) -> Cause | None:
    raised = facts.find_exception("SystemExit")
    if facts.code != "exited" and raised is None:
        return None
    status = facts.failure.get("exit_code")
    if raised is not None:
        why = f"the script raised {describe_exception(raised)}"
    else:
        why = f"it exited with code {status} by itself, as after os._exit()"
        last = shorten(facts.last_log_line, 200)
        why += f"; its last line was: {last}" if last else ""
    hint = f"remove the exit from the script and raise an exception instead, {facts.retry_hint()}"
    what = f"the worker ended {describe_stage(facts.stage)}".rstrip()
    return facts.cause("exited", what, why, hint, facts.location_of_death(), exit_code=status)


def worker_lost(facts: Facts) -> Cause | None:
    if facts.code != "worker-lost":
        return None
    hint = f"read the log with mldeploy service get-logs -n {facts.service}, then {facts.deploy_hint()}"
    return facts.cause("worker-lost", "the service lost its worker", facts.message, hint)


def unknown(facts: Facts) -> Cause:
    """The cause of a failure that no rule knows: its own message."""
    raised = next(facts.exceptions(), None)
    message = facts.message or (describe_exception(raised) if raised else "")
    hint = "read the whole log with mldeploy service get-logs" + (f" -n {facts.service}" if facts.service else "")
    code = facts.code or "failed"
    return facts.cause(code, "the deployment failed", message or f"the code of the failure is {code}", hint)


def _signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"
