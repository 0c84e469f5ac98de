"""What the C library does with memory that is freed."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

from mldeploy_jupyter.serving.system import allocator

LIMIT, TRIM, MMAP = 160_000_000, -1, -3


@pytest.fixture
def told() -> list[tuple[int, int]]:
    return []


def settings(told: list[tuple[int, int]], limit: int = 0, **environ: str) -> dict[int, int]:
    library = types.SimpleNamespace(mallopt=lambda *given: told.append(given))
    allocator.keep_freed_memory(limit, environ, lambda: library)
    return dict(told)


def test_freed_memory_is_kept_up_to_a_limit(told: list[tuple[int, int]]) -> None:
    assert settings(told) == {MMAP: allocator.MMAP_THRESHOLD, TRIM: allocator.MAX_KEPT}


def test_a_worker_with_a_limit_keeps_less(told: list[tuple[int, int]]) -> None:
    assert settings(told, LIMIT)[TRIM] == LIMIT // 16


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_what_the_user_set_stays(told: list[tuple[int, int]], name: str) -> None:
    assert settings(told, **{name: "1"}) == {}


@pytest.mark.parametrize("library", [None, types.SimpleNamespace()])
def test_another_c_library_is_left_alone(library: object) -> None:
    allocator.keep_freed_memory(0, {}, lambda: library)


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(allocator._c_library(), "malloc_trim"), reason="needs glibc")
def test_what_is_kept_is_returned() -> None:
    """Blocks of a body's size, freed: a process keeps them, within its limit, until it returns them."""
    program = """
import os
from mldeploy_jupyter.serving.system import allocator
from mldeploy_jupyter.serving.worker.idle_memory import measure_memory
allocator.keep_freed_memory(environ={})
before = measure_memory()
for count in (16, 100):
    blocks = [bytearray(os.urandom(1 << 20)) for _ in range(count)]
    del blocks
    kept = measure_memory() - before
    assert kept >= min(count << 20, allocator.MAX_KEPT) * 0.9 if count == 16 else kept < allocator.MAX_KEPT * 1.1, kept
allocator.return_freed_memory()
assert measure_memory() - before < 1 << 20, measure_memory() - before
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
