"""A pipe whose reading end does not block, for tests."""

from __future__ import annotations

import os


class Pipe:
    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)

    def write(self, data: bytes) -> None:
        """Writes it all: at most 64 KiB while nobody reads."""
        assert os.write(self._writer, data) == len(data)

    def close_writer(self) -> None:
        os.close(self._writer)
        self._writer = -1

    def __enter__(self) -> Pipe:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.reader)
        if self._writer >= 0:
            self.close_writer()
