"""The index of a growing file: every line once, also when it is read in pieces."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldeploy_jupyter.core.lines import index as line_index
from mldeploy_jupyter.core.lines.index import LineIndex


def number_of(line: bytes) -> int | None:
    return int(line) if line.isdigit() else None


@given(st.lists(st.one_of(st.integers(1, 9), st.just("x")), max_size=30), st.integers(1, 7))
def test_growing_in_pieces_gives_the_same_index(steps: list[object], size: int) -> None:
    number, lines = 0, []
    for step in steps:
        number += step if isinstance(step, int) else 0
        lines.append(str(number) if isinstance(step, int) else "no number")
    content = "".join(f"{line}\n" for line in lines).encode()
    index = LineIndex(number_of)
    for end in range(0, len(content) + size, size):
        index.update(io.BytesIO(content[:end]))
    wanted = [int(line) for line in lines if line.isdigit()]
    assert [n for n, _ in index.read(io.BytesIO(content))] == wanted
    assert [line for _, line in index.read(io.BytesIO(content))] == [str(n).encode() for n in wanted]
    for after in wanted:
        assert [n for n, _ in index.read(io.BytesIO(content), after) if n > after] == [n for n in wanted if n > after]
        assert index.count_before(after) == len([n for n in wanted if n < after])
    assert (len(index), index.first, index.last) == (
        len(wanted),
        wanted[0] if wanted else 0,
        wanted[-1] if wanted else 0,
    )


def test_a_torn_last_line_counts_only_where_it_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_index, "CHUNK_BYTES", 4)
    index = LineIndex(number_of)
    index.update(io.BytesIO(b"1\n22\n33"))
    assert (len(index), index.end) == (2, 5)
    index.update(io.BytesIO(b"1\n22\n333\n"))
    assert index.last == 333
    index.update(io.BytesIO(b"1\n22\n333\n444"), include_torn=True)
    assert index.last == 444


def test_only_what_was_appended_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"1\n2\n")
    read: list[bytes] = []
    index = LineIndex(lambda line: read.append(line) or int(line))  # type: ignore[func-returns-value]
    with path.open("rb") as file:
        index.update(file)
        with path.open("ab") as end:
            end.write(b"3\n")
        index.update(file)
    assert read == [b"1", b"2", b"3"]
