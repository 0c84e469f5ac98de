"""What a revision's server is told: plain JSON, written by the engine, read by supervisor and workers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Settings:
    """One revision of a service, as its server sees it. Unknown keys are dropped, so versions mix.

    `service` is the name, `revision` its number, `revision_label` what `x-mldeploy-revision` says (empty: the
    number). `python` is the interpreter of the workers. `server_path` is the folder that holds the package
    `mldeploy_serving`; empty means the supervisor's own copy. `server_digest` tells its versions apart; where it is
    empty, its files are looked at. `app_root` is the working folder (`AML_APP_ROOT`),
    `source_directory` a name below it or "", `entry_script` a path relative to `app_root`, `model_dir` absolute.
    `env` are the user's environment variables.

    Times: `init_timeout` and `drain_timeout` in seconds, `scoring_timeout_ms` (one call of `run()`) and
    `max_queue_wait_ms` (waiting for `run()` to be free) in milliseconds; 0 turns a `*_ms` limit off.
    `max_concurrent` is how many calls of `run()` one worker makes at a time, `max_queue` how many may wait.
    `max_batch_size` is how many rows of waiting requests one call of `run()` may get together; 0: each alone.
    A client has `head_timeout` seconds for a request's line and headers, `body_timeout` for its body (and a second
    more for each 4 KiB), `stalled_timeout` to take something of its answer; it may idle for `keep_alive_timeout`.
    `memory_limit_mb` ends a worker that grows beyond it, `max_requests` replaces one that has answered so many;
    0: never. `token_auth_enabled` asks for a signed token in place of a key. `tracing` sends OpenTelemetry spans:
    `otlp` to where the usual OTEL_ variables say, or `console`; empty: none. `preload` are modules that workers
    will need, imported once for all of them.
    `debug` puts the traceback into the answer of a failed request. `probes` is how many times in a row a
    new worker must answer before it gets traffic. `cors_origins` names browser origins, or is `["*"]`.
    """

    service: str = ""
    revision: int = 0
    revision_label: str = ""
    python: str = ""
    server_path: str = ""
    server_digest: str = ""
    app_root: str = ""
    source_directory: str = ""
    entry_script: str = "score.py"
    model_dir: str = ""
    env: dict[str, str] = field(default_factory=dict)
    workers: int = 1
    init_timeout: float = 300.0
    scoring_timeout_ms: int = 60_000
    max_body_bytes: int = 100 * 1024 * 1024
    max_concurrent: int = 1
    max_queue: int = 500
    max_queue_wait_ms: int = 30_000
    max_batch_size: int = 0
    memory_limit_mb: int = 0
    max_requests: int = 0
    auth_enabled: bool = True
    token_auth_enabled: bool = False
    tracing: str = ""
    preload: list[str] = field(default_factory=list)
    cors_origins: list[str] = field(default_factory=list)
    debug: bool = False
    title: str = ""
    description: str = ""
    probes: int = 1
    drain_timeout: float = 30.0
    head_timeout: float = 10.0
    body_timeout: float = 20.0
    keep_alive_timeout: float = 75.0
    stalled_timeout: float = 30.0

    @property
    def label(self) -> str:
        return self.revision_label or str(self.revision)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Settings:
        """Raises `TypeError` when a value has the wrong type."""
        if not isinstance(data, dict):
            raise TypeError(f"settings must be an object, not {data!r}")
        known = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        settings = cls(**known)
        for f in fields(cls):
            value, default = getattr(settings, f.name), getattr(_DEFAULTS, f.name) if _DEFAULTS else None
            kind = type(default)
            right = isinstance(value, (int, float)) if kind is float else isinstance(value, kind)
            if default is not None and (not right or (isinstance(value, bool) and kind is not bool)):
                raise TypeError(f"settings.{f.name} must be {kind.__name__}, not {value!r}")
        return settings


_DEFAULTS: Settings | None = None
_DEFAULTS = Settings()
