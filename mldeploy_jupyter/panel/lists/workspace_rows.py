"""The rows of one workspace, kept current: what has not changed is neither read nor described again."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter import deployment
from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.journal.journal import JournalReader
from mldeploy_jupyter.panel.deployments.timelines import Deployment, apply_events, first_timeline
from mldeploy_jupyter.panel.lists.rows import Row, describe_models, describe_service, find_users, glance_state

if TYPE_CHECKING:
    from mldeploy_jupyter.core.journal import Timeline
    from mldeploy_jupyter.core.records import DeploymentRecord, ModelRecord, ServiceRecord
    from mldeploy_jupyter.core.store.list_reader import ListReader, Lists
    from mldeploy_jupyter.core.store.store import Store
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
    from mldeploy_jupyter.deployment import Glance, Glances

LOOK_SECONDS = 5.0  # between two checks of every service's folder: what changes it also changes the store, mostly
RUNNER_SECONDS = 5.0  # between two questions whether a deployment that another machine runs has been abandoned
REMOTE_SECONDS = 1.0  # between two questions to a store that is not a file

_NEVER = float("-inf")


class WorkspaceRows:
    """The services and models of a workspace. For one thread at a time.

    `services` and `models` have the rows by name, and are replaced when one of them changes. `clock` is a monotonic
    clock in seconds. `health` returns the state that a service was last found in when it was asked, "" when unknown.
    """

    def __init__(
        self,
        folder: WorkspaceFolder,
        clock: Callable[[], float],
        health: Callable[[str], str] = lambda name: "",
    ) -> None:
        self.folder = folder
        self.services: dict[str, Row] = {}
        self.models: dict[str, Row] = {}
        self.running: list[str] = []  # services whose process runs on this machine
        self.ended: list[str] = []  # those whose process was stopped or has died
        self.records: dict[str, ServiceRecord] = {}
        self._clock, self._health = clock, health
        self._store: Store | None = None
        self._reader: ListReader | None = None
        self._lists: Lists | None = None
        self._mark: Hashable = None
        self._glances: Glances = deployment.Glances(folder)
        self._glanced: dict[str, Glance] = {}
        self._notes: dict[str, _Note] = {}  # by deployment
        self._described: dict[str, tuple[tuple[Any, ...], Row]] = {}
        self._models_of: tuple[list[ModelRecord], dict[str, list[str]]] = [], {}  # what `models` was made from
        self._read_at = self._looked_at = self._runners_at = _NEVER

    def is_due(self) -> bool:
        """Whether `refresh` may find anything new. A few system calls; it waits for nothing."""
        now = self._clock()
        if self._lists is None or self._store is None or now >= self._looked_at + LOOK_SECONDS:
            return True
        if self._notes or self._glances.has_ended():
            return True
        if self._store.is_remote:
            return now >= self._read_at + REMOTE_SECONDS
        return self._store.change_mark() != self._mark

    def refresh(self) -> None:
        """Brings the rows up to date. Raises `StoreError` or another error of a store that cannot be used."""
        now = self._clock()
        if self._store is None or self._reader is None:
            self._store = self.folder.open_store()
            deployment.recover_lost_deployments(self.folder)
            self._reader = self._store.list_reader()
        mark = self._store.change_mark()  # before reading: what is written meanwhile is found the next time
        is_new = mark != self._mark or self._lists is None
        self._read_at = now
        if is_new:
            self._lists = self._reader.read()
        assert self._lists is not None
        if self._end_abandoned(self._lists, now):
            self._lists = self._reader.read()
        self._mark = mark
        if is_new or self._glances.has_ended() or now >= self._looked_at + LOOK_SECONDS:
            self._look(self._lists)
            self._looked_at = now
        self._read_notes(self._lists)
        self._describe(self._lists, is_new)

    def hurry(self) -> None:
        """Makes it due: a service was found in another state."""
        self._looked_at = _NEVER

    def close(self) -> None:
        """Closes what it has open. The store stays open: others use it."""
        self._glances.close()

    def _end_abandoned(self, lists: Lists, now: float) -> bool:
        """Records the end of deployments whose runner died. True when there may have been one."""
        ask_all = now >= self._runners_at + RUNNER_SECONDS
        abandoned = [
            record.name
            for record in lists.services
            if record.state in ("Deploying", "Updating")
            and (ask_all or _has_dead_runner(lists.deployments.get(record.deployment_id)))
        ]
        for name in abandoned:
            deployment.refresh_service(self.folder, name)
        self._runners_at = now if ask_all else self._runners_at
        return bool(abandoned)

    def _look(self, lists: Lists) -> None:
        here = [record for record in lists.services if not deployment.remote_location(self.folder, record)]
        self._glanced = self._glances.look(here)
        self.running = [name for name, glance in self._glanced.items() if glance.state == "Live"]
        self.ended = [name for name, glance in self._glanced.items() if glance.state in ("Unhealthy", "Stopped")]

    def _read_notes(self, lists: Lists) -> None:
        """What deployments that run are doing: the title of the stage."""
        before, self._notes = self._notes, {}
        for record in lists.services:
            running = lists.deployments.get(record.deployment_id)
            if running is not None and running.state == "running":
                self._notes[running.id] = before.get(running.id) or _Note(self.folder, running, record.revision)
                self._notes[running.id].read()

    def _describe(self, lists: Lists, is_new: bool) -> None:
        bundles = _list_names(self.folder) if is_new else None
        before, services = self._described, {}
        for record in lists.services:
            live = lists.live.get(record.name)
            live = live if live is not None and live.number == record.revision else None
            note = self._notes.get(record.deployment_id)
            last = lists.deployments.get(record.deployment_id)
            old = before.get(record.name)
            if bundles is None and old is not None:
                kept = old[0][-1]
            else:
                present = bundles if bundles is not None else _list_names(self.folder)
                kept = any(not digest or digest in present for _, digest in lists.kept.get(record.name, []))
            inputs = (record, live, last, self._state(record), note.title if note is not None else "", kept)
            if old is not None and all(one is two or one == two for one, two in zip(old[0], inputs, strict=True)):
                services[record.name] = old
                continue
            row = describe_service(self.folder, record, live, lists.deployments, inputs[3], note=inputs[4], kept=kept)
            services[record.name] = inputs, row
        self._described = services
        self.records = {record.name: record for record in lists.services}
        rows = {name: row for name, (_, row) in services.items()}
        if rows.keys() != self.services.keys() or any(row is not self.services[name] for name, row in rows.items()):
            self.services = rows
        if is_new:
            self.models = self._describe_models(lists)

    def _state(self, record: ServiceRecord) -> str:
        glance = self._glanced.get(record.name)
        if glance is None:
            return record.state
        asked = self._health(record.name) if glance.state == "Live" else ""
        return glance_state(record, "Unhealthy" if asked == "Unhealthy" else glance.state)

    def _describe_models(self, lists: Lists) -> dict[str, Row]:
        """Rows that are as they were are the same objects as before."""
        users = find_users(lists.services, lists.live)
        before, users_before = self._models_of
        if len(before) == len(lists.models) and all(map(operator.is_, before, lists.models)) and users == users_before:
            return self.models
        self._models_of = lists.models, users
        found = describe_models(self.folder.id, lists.models, users)
        return {name: old if (old := self.models.get(name)) == row else row for name, row in found.items()}


class _Note:
    """The stage of a deployment that runs, from its journal."""

    def __init__(self, folder: WorkspaceFolder, record: DeploymentRecord, serving: int) -> None:
        self._reader = JournalReader(deployment.journal_path(folder, record.id))
        self._timeline: Timeline = first_timeline(Deployment(folder, record, serving))

    def read(self) -> None:
        apply_events(self._timeline, self._reader.read(MAX_BYTES))

    @property
    def title(self) -> str:
        return next((stage.title for stage in self._timeline.stages if stage.status == "Running"), "")


MAX_BYTES = 500_000  # of a journal at one look


def _has_dead_runner(record: DeploymentRecord | None) -> bool:
    return record is None or (record.state == "running" and process_identity.is_alive(record.runner) is False)


def _list_names(folder: WorkspaceFolder) -> frozenset[str]:
    """The bundles that are there."""
    try:
        return frozenset(path.name for path in folder.bundles.iterdir())
    except OSError:
        return frozenset()
