"""The settings of a revision's server: plain JSON, written by the deployment, read by supervisor and workers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Settings:
    """The settings of one revision's server. `from_dict` drops unknown keys, so versions can mix.

    `service` is the name, `revision` its number, `revision_label` the value of `x-mldeploy-revision` (empty: the
    number). `python` is the interpreter of the workers. `server_path` is the folder that holds the package
    `mldeploy_serving` (empty: the supervisor's own copy) and `server_digest` identifies its content (empty: computed
    from the files). `app_root` is the working folder (`AML_APP_ROOT`), `source_directory` a name below it or empty,
    `entry_script` a path relative to `app_root`, `model_dir` an absolute path. `env` are the user's environment
    variables. `inherited` is the environment of the caller (empty: the supervisor's own); it may hold secrets, so it is
    sent to the supervisor and written nowhere. `preload` are modules that the zygote imports for all workers.

    Times in seconds: `init_timeout`, `drain_timeout`, and for a client `head_timeout` to send the request line and
    headers, `body_timeout` to send a body (plus a second for each 4 KiB), `stalled_timeout` to read some of a response,
    `keep_alive_timeout` between two requests. In milliseconds, where 0 means no limit: `scoring_timeout_ms` for one
    call of `run()`, `max_queue_wait_ms` until `run()` is free.

    `max_concurrent` is how many calls of `run()` one worker makes at a time, `max_queue` how many requests may wait,
    `max_batch_size` how many rows of waiting requests one call may get (0: one request a call). `memory_limit_mb`
    ends a worker that uses more, `max_requests` replaces one that has answered so many; 0 means no limit. `probes` is
    how many times in a row a new worker must answer before it gets traffic.

    `token_auth_enabled` requires a signed token instead of a key. `tracing` sends OpenTelemetry spans: `otlp` to where
    the usual OTEL_ variables say, or `console`; empty for none. `debug` puts the traceback into the response to a
    failed request. `cors_origins` names browser origins, or is `["*"]`. `allowed_hosts` are host names beside those of
    loopback that a request may name, or `["*"]`. `keep_last_request` lets a worker remember the last request that it
    answered with 200, in memory only, so that the next revision can be tried with it. `score_sample` lets a new worker
    score the script's sample before it gets traffic, with `sample_headers` among the headers of that request.
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
    inherited: dict[str, str] = field(default_factory=dict, repr=False)
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
    allowed_hosts: list[str] = field(default_factory=list)
    keep_last_request: bool = True
    score_sample: bool = True
    sample_headers: dict[str, str] = field(default_factory=dict, repr=False)
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
        """Everything but `inherited`."""
        return {name: value for name, value in asdict(self).items() if name != "inherited"}

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
            items = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
            if not all(isinstance(item, str) for item in items):
                raise TypeError(f"settings.{f.name} must have texts only")
        return settings


_DEFAULTS: Settings | None = None
_DEFAULTS = Settings()
