"""The end of a file is read, and no more of it than is asked for."""

from __future__ import annotations

import io
import itertools

from hypothesis import given
from hypothesis import strategies as st

from mldeploy_jupyter.core.lines.backwards import BLOCK_BYTES, lines_backwards


@given(st.lists(st.sampled_from([b"", b"a", b"bc" * BLOCK_BYTES, b"d" * (BLOCK_BYTES - 1)]), max_size=6))
def test_the_lines_are_those_of_the_file_in_reverse(lines: list[bytes]) -> None:
    content = b"\n".join(lines)
    assert list(lines_backwards(io.BytesIO(content))) == content.split(b"\n")[::-1]
    end = len(content) // 2
    assert list(lines_backwards(io.BytesIO(content), end)) == content[:end].split(b"\n")[::-1]


def test_a_long_file_is_not_read_for_its_last_lines() -> None:
    class Counted(io.BytesIO):
        count = 0

        def read(self, size: int | None = -1, /) -> bytes:
            found = super().read(size)
            self.count += len(found)
            return found

    file = Counted(b"a line\n" * 1_000_000)
    assert list(itertools.islice(lines_backwards(file), 21)) == [b"", *[b"a line"] * 20]
    assert file.count == BLOCK_BYTES
