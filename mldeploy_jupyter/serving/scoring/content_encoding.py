"""A request's body that comes compressed (`Content-Encoding`)."""

from __future__ import annotations

import zlib

from .messages import Response, error_response

ACCEPTED = ("gzip", "deflate")

# Compressed data may be several pieces in a row. Nobody sends more, and each costs a copy of what follows.
_MAX_PIECES = 100

_STEP = 1 << 20  # bytes

_GZIP, _ZLIB, _RAW = 31, 15, -15  # zlib's wbits


def decompress(body: bytes, encoding: str, limit: int) -> bytes | Response:
    """The body as it was before `encoding`, the header's value; never more than `limit` bytes of memory for it.

    An answer instead: 413 for more than `limit` bytes, 415 for an encoding that is not known, 400 for broken data.
    """
    names = [name for part in encoding.split(",") if (name := part.strip().lower()) not in ("", "identity")]
    for name in names:
        if name.removeprefix("x-") not in ACCEPTED:
            hint = f"Send it as it is, or with: {', '.join(ACCEPTED)}."
            text = f"the content encoding {name!r} is not known"
            return error_response(415, "wrong-content-encoding", text, "content-encoding", hint)
    if len(names) > 1:
        text = f"the body is encoded {len(names)} times"
        return error_response(415, "wrong-content-encoding", text, "content-encoding", "Encode it once.")
    if not names:
        return body
    try:
        return _gunzip(body, limit) if names[0].removeprefix("x-") == "gzip" else _inflate(body, limit)
    except zlib.error as error:
        text = f"the body is not {names[0]}: {error}"
        return error_response(
            400, "bad-encoding", text, "content-encoding", "Leave the header out if it is not compressed."
        )
    except _TooLarge:
        text = f"the body is larger than {limit} bytes once it is decompressed"
        return error_response(413, "too-large", text, "body", "Send fewer rows at a time.")


class _TooLarge(Exception):
    pass


def _inflate(body: bytes, limit: int) -> bytes:
    # The standard means zlib's frame; some clients send the bare stream.
    zlib_frame = len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
    data, rest = _piece(body, _ZLIB if zlib_frame else _RAW, limit)
    if rest:
        raise zlib.error("there is data behind its end")
    return data


def _gunzip(body: bytes, limit: int) -> bytes:
    pieces: list[bytes] = []
    rest = body
    while rest or not pieces:
        if len(pieces) == _MAX_PIECES:
            raise zlib.error(f"it has more than {_MAX_PIECES} pieces")
        data, rest = _piece(rest, _GZIP, limit)
        limit -= len(data)
        pieces.append(data)
        rest = rest.lstrip(b"\0")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _piece(body: bytes, frame: int, limit: int) -> tuple[bytes, bytes]:
    """What the first stream in `body` says, and what stands behind it.

    In steps, so that a bomb takes no more memory than the limit: zlib needs what a call gives twice for a moment.
    """
    stream = zlib.decompressobj(frame)
    parts: list[bytes] = []
    size, whole = 0, memoryview(body)
    for at in range(0, len(body), _STEP):
        rest: bytes | memoryview = whole[at : at + _STEP]
        most = _STEP
        while rest or most == 0:  # there may be more to say of what is read
            most = min(_STEP, limit + 1 - size)
            part = stream.decompress(rest, most)
            most -= len(part)
            size += len(part)
            if size > limit:
                raise _TooLarge
            parts.append(part)
            if stream.eof:
                data = parts[0] if len(parts) == 1 else b"".join(parts)
                return data, stream.unused_data + body[at + _STEP :]
            rest = stream.unconsumed_tail
    raise zlib.error("it is cut short")
