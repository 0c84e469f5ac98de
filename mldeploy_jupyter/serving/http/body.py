"""The body of a request while it arrives. Complete, it is a `bytes` object, as a script expects it.

A long body of known length is received straight into the memory of that object, so it is copied once, by the kernel.
"""

from __future__ import annotations

import ctypes
import os

LONG = 65_536  # bytes of a body; making its memory by hand costs 3 us, as much as copying so many bytes

# Bytes. A body has memory for so many at first, and for `_GROWTH` times those that came when it is full: the length
# that a client announces takes no memory by itself.
FIRST_BLOCK = 1 << 20

_GROWTH = 4

MAX_READ = 1 << 20  # bytes read at once; to copy them takes about 0.2 ms, in which no other connection is served

# Bytes. Smaller pieces of a body are joined: each as an object of its own would take many times its size.
_SMALL_PIECE = 4096

_PyBUF_WRITE = 0x200  # of CPython's object.h

_new_bytes = ctypes.pythonapi.PyBytes_FromStringAndSize
_new_bytes.restype, _new_bytes.argtypes = ctypes.py_object, [ctypes.c_char_p, ctypes.c_ssize_t]

_address = ctypes.pythonapi.PyBytes_AsString
_address.restype, _address.argtypes = ctypes.c_void_p, [ctypes.py_object]

_view = ctypes.pythonapi.PyMemoryView_FromMemory
_view.restype, _view.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int]


def new_body(length: int) -> LongBody | Pieces:
    """What receives a body of `length` bytes; -1: it comes in chunks."""
    return LongBody(length) if length >= LONG else Pieces()


class Pieces:
    """A body that is short, or whose length is unknown."""

    def __init__(self) -> None:
        self._pieces: list[bytes | bytearray | memoryview] = []

    def add(self, piece: bytes | memoryview) -> None:
        pieces = self._pieces
        if not pieces or len(piece) >= _SMALL_PIECE:
            pieces.append(piece)
        elif isinstance(pieces[-1], bytearray):
            pieces[-1] += piece
        else:
            pieces.append(bytearray(piece))

    def read(self, fd: int, size: int) -> int:
        """Reads at most `size` bytes of a descriptor. Returns how many; 0 at its end. Raises `OSError`."""
        data = os.read(fd, size)
        self.add(data)
        return len(data)

    def take(self) -> bytes:
        """The whole body. Nothing can be added any more."""
        pieces, self._pieces = self._pieces, []
        return bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)


class LongBody:
    """A body of known length. `space` is where its next bytes are to be written, `advance` says how many were."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._size = 0  # bytes that have arrived
        self._body = b""
        self._memory = memoryview(b"")  # of `_body`, writable
        self._make_room(min(length, FIRST_BLOCK))

    def add(self, piece: bytes | memoryview) -> None:
        rest = memoryview(piece)
        while rest:
            space = self.space()[: len(rest)]
            assert space, "longer than it was announced"
            space[:] = rest[: len(space)]
            self._size += len(space)
            rest = rest[len(space) :]

    def read(self, fd: int, size: int) -> int:
        """As `Pieces.read`."""
        read = os.readv(fd, [self.space()[:size]])
        self._size += read
        return read

    def space(self) -> memoryview:
        """At most `MAX_READ` bytes; empty when the body is complete."""
        if self._size == len(self._memory) and self._size < self._length:
            self._make_room(min(self._length, self._size * _GROWTH))
        return self._memory[self._size : self._size + MAX_READ]

    def advance(self, size: int) -> None:
        self._size += size

    def take(self) -> bytes:
        """The whole body. Nothing can be added any more."""
        assert self._size == len(self._body) == self._length  # the rest would be what the memory held before
        body, self._body, self._memory = self._body, b"", memoryview(b"")
        return body

    def _make_room(self, size: int) -> None:
        # CPython's interface for it: an object that was just made, and that nobody else knows, may be written. Other
        # memory would have to be zeroed first, which takes 50 us for a MiB, or to be copied at the end.
        body = _new_bytes(None, size)
        memory = _view(_address(body), size, _PyBUF_WRITE)
        memory[: self._size] = self._memory
        self._body, self._memory = body, memory
