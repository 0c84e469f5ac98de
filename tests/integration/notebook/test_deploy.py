"""`%deploy` and `%update` in a real kernel: the timeline, interrupts, dead runners."""

from __future__ import annotations

import os
import re
import signal
import threading
from pathlib import Path

from mldeploy_jupyter.core.journal.journal import read_events
from tests.polling import wait_until

from .conftest import SCRIPT, Kernel, Ran
from .support import gated, no_traceback


def test_deploy_returns_at_once_and_its_timeline_updates_in_place(kernel: Kernel, folder: Path) -> None:
    script, gate = gated(folder)
    kernel.ok("%register factor factor.json")
    kernel.ok(f"%%entry_script --no-check\n{script}")
    began = kernel.ok("%deploy factor")
    assert began.result == ""  # the timeline shows the state
    (display_id,) = began.displays
    assert "deploying to this machine" in began.displays[display_id][-1]
    assert not gate.exists()

    # A cell that only waits gets the updates of the first cell's display, by its id and not as new output.
    def reached(ran: Ran) -> None:
        if any("● Roll out" in text for text in ran.displays.get(display_id, [])):
            gate.touch()

    watched = kernel.ok("svc = %services factor\nsvc.wait_for_deployment()", on_output=reached, timeout=120)
    assert "Live at http://127.0.0.1:" in watched.displays[display_id][-1]
    keys = kernel.ok("print(*svc.get_keys())").stream.split()  # what a cell shows is saved with the notebook
    assert len(keys) == 2 and watched.html and all(key not in html for html in watched.html for key in keys)
    # The only styles are sides, widths and margins, which the page's own style would change; no colours.
    layout = r'style="(text-align: (left|right)|margin: 8px)(; min-width: 24em)?"'
    pages = [re.sub(layout, "", html) for html in watched.html]
    assert all(word not in html for html in pages for word in ("class=", "style=", "<script"))


def test_an_interrupt_ends_only_the_waiting(kernel: Kernel, folder: Path) -> None:
    script, gate = gated(folder)
    kernel.ok("%register factor factor.json")
    kernel.ok(f"%%entry_script --no-check\n{script}")
    sent = threading.Event()

    def interrupt(ran: Ran) -> None:
        if not sent.is_set() and any("● Roll out" in text for texts in ran.displays.values() for text in texts):
            sent.set()
            kernel.manager.interrupt_kernel()

    stopped = kernel.run("%deploy factor --wait", on_output=interrupt)
    assert no_traceback(stopped)
    assert stopped.error.splitlines() == [
        "error: stopped waiting; the deployment continues",
        "cause: the wait was interrupted, and an interrupt cancels nothing",
        "hint: attach again with %services factor; %cancel factor ends it",
    ]
    gate.touch()
    assert kernel.ok('%score factor {"value": 1}').result == "{'answer': 3}"


def test_a_killed_runner_is_seen_by_the_open_timeline(kernel: Kernel, folder: Path) -> None:
    script, gate = gated(folder)
    kernel.ok("%register factor factor.json")
    kernel.ok(f"%%entry_script --no-check\n{script}")
    (display_id,) = kernel.ok("service = %deploy factor").displays
    (journal,) = wait_until(lambda: list(folder.glob(".mldeploy/deployments/*/events.jsonl")))
    wait_until(lambda: any(event.stage == "rollout" for event in read_events(journal)))
    pid = kernel.ok("service.workspace.folder.open_store().get_deployment(service.deployment_id).runner['pid']").result
    os.kill(int(pid), signal.SIGKILL)
    # Nobody asks; the view itself looks once the journal has been silent for a while.
    seen = folder / "seen"
    kernel.ok(
        f"import os, time\nwhile not os.path.exists({str(seen)!r}): time.sleep(0.05)",
        on_output=lambda ran: (
            seen.touch() if "interrupted in Roll out" in ran.displays.get(display_id, [""])[-1] else None
        ),
    )
    assert "was interrupted" in no_traceback(kernel.run('%score factor {"value": 1}'))
    gate.touch()
    kernel.ok("%deploy factor --wait")
    assert kernel.ok('%score factor {"value": 1}').result == "{'answer': 3}"


def test_cancel_leaves_nothing_serving(kernel: Kernel, folder: Path) -> None:
    script, _ = gated(folder)
    kernel.ok("%register factor factor.json")
    kernel.ok(f"%%entry_script --no-check\n{script}")
    kernel.ok("%deploy factor")
    assert kernel.ok("%cancel factor").stream == "Cancelled the deployment of factor\n"
    assert "was cancelled" in no_traceback(kernel.run('%score factor {"value": 1}'))


def test_a_service_can_be_changed_right_after_its_deployment_began_or_was_cancelled(
    prepared: Kernel, folder: Path
) -> None:
    script, gate = gated(folder)
    prepared.ok(f"%%entry_script --no-check\n{script}")
    prepared.ok("%deploy factor")
    prepared.ok("%cancel factor")
    prepared.ok("%deploy factor")  # is not refused
    gate.touch()
    updated = prepared.ok("%update factor --scoring-timeout-ms 5000 --no-wait")
    assert "waiting for the deployment of factor ..." in updated.stream
    assert "factor goes back to what revision" in prepared.ok("%rollback factor --no-wait").stream
    assert prepared.ok('%score factor {"value": 1}').result == "{'answer': 3}"


def test_update_takes_a_new_script_only_for_the_service_it_was_written_for(prepared: Kernel, folder: Path) -> None:
    prepared.ok("%deploy factor --wait")
    prepared.ok("%%entry_script other.py\n" + SCRIPT)
    prepared.ok("%deploy other --wait")
    # other.py is the last script, but it has been deployed since, and as another service.
    said = prepared.ok("%update factor --wait").stream
    assert "Updating with the script score.py, read again" in said
    # A new script keeps the environment of the old one.
    (folder / "requirements.txt").write_text("")
    prepared.ok("%deploy other --script other.py --requirements requirements.txt --no-wait --show-python")
    prepared.ok("other = %mldeploy service wait other")
    prepared.ok("%%entry_script --no-check fourth.py\n" + SCRIPT)
    again = prepared.ok("%update other --wait --show-python").stream
    assert "requirements_file=" in again and "entry_script='fourth.py'" in again
    prepared.ok("%deploy factor --script score.py --wait")
    prepared.ok("%%entry_script third.py\n" + SCRIPT)
    assert "third.py (the last %%entry_script, cell [" in prepared.ok("%update factor --wait").stream


def test_a_live_service_keeps_what_it_was_made_from(prepared: Kernel, folder: Path) -> None:
    prepared.ok("%deploy factor --wait")
    (folder / "double.json").write_text('{"factor": 2}')
    prepared.ok("%register double double.json")
    double = SCRIPT.replace("factor.json", "double.json")
    prepared.ok("%%entry_script double.py\n" + double)
    prepared.ok("%deploy double --wait")
    # double.py and the model double are the last, and belong to the other service.
    said = prepared.ok("%deploy factor --wait").stream
    assert "Deploying script score.py (as the service has it), model factor:1 (as the service has it)" in said
    assert "factor already serves exactly this; nothing to do." in said
    (folder / "factor.json").write_text('{"factor": 5}')
    prepared.ok("%register factor factor.json")
    said = prepared.ok("%deploy factor --wait").stream
    assert "script score.py (as the service has it), model factor:2 (registered last in this session)" in said
    assert prepared.ok('%score factor {"value": 1}').result == "{'answer': 5}"
    # Written again, it is still the other's, until it is named.
    prepared.ok("%%entry_script double.py -m double\n" + double + "# changed\n")
    assert "error: double.py is the script of double" in no_traceback(prepared.run("%deploy factor --wait"))
    prepared.ok("%deploy double --wait")
    prepared.ok("%deploy factor --script double.py -m double --wait")
    assert prepared.ok('%score factor {"value": 1}').result == "{'answer': 2}"


def test_two_cells_that_write_one_file_do_not_mix_up_two_services(prepared: Kernel, folder: Path) -> None:
    prepared.ok("%deploy first --wait")
    prepared.ok("%%entry_script\n" + SCRIPT.replace('"answer"', '"other"'))
    prepared.ok("%deploy second --wait")
    for line in ("%deploy first", "%update first"):
        refused = no_traceback(prepared.run(line + " --wait"))
        assert "error: score.py is the script of second" in refused and f"{line} --script score.py" in refused
    assert prepared.ok('%score first {"value": 1}').result == "{'answer': 3}"
    prepared.ok(f"%%entry_script\n{SCRIPT}")
    assert "first already serves exactly this" in prepared.ok("%deploy first --wait").stream


def test_the_error_about_an_unknown_model_lists_the_known_ones(prepared: Kernel) -> None:
    prepared.ok("%register factor factor.json")
    for named, words in (("facto", "did you mean factor?"), ("factor:9", "factor has versions 1, 2")):
        assert words in no_traceback(prepared.run(f"%deploy factor -m {named}"))


def test_the_journals_of_deployments_are_complete(prepared: Kernel, folder: Path) -> None:
    prepared.ok("%deploy factor --wait")
    (journal,) = folder.glob(".mldeploy/deployments/*/events.jsonl")
    events = list(read_events(journal))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[-1].data["state"] == "live"
