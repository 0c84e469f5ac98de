"""Compressed bodies (the header `Content-Encoding`)."""

from __future__ import annotations

import zlib

from .messages import Response, body_too_large, error_response

ACCEPTED = ("gzip", "deflate")

# Members of a gzip body. Clients send one; each further one costs a copy of all that follows it.
_MAX_MEMBERS = 100

_STEP = 1 << 20  # bytes of input and of output a call of zlib, which needs twice its output for a moment

_GZIP, _ZLIB, _RAW = 31, 15, -15  # wbits of zlib: which frame it expects


def decompress(body: bytes, encoding: str, limit: int) -> bytes | Response:
    """The body without the encodings in the header value `encoding`, in at most `limit` bytes.

    Returns an error response instead: 413 for a longer body, 415 for an unknown encoding, 400 for broken data.
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
        text, hint = f"the body is not {names[0]}: {error}", "Leave the header out if it is not compressed."
        return error_response(400, "bad-encoding", text, "content-encoding", hint)
    except _TooLarge:
        return body_too_large(limit, " once it is decompressed")


class _TooLarge(Exception):
    pass


def _inflate(body: bytes, limit: int) -> bytes:
    # RFC 9110 means zlib's frame by "deflate"; some clients send the bare stream.
    has_zlib_frame = len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
    data, rest = _read_member(body, _ZLIB if has_zlib_frame else _RAW, limit)
    if rest:
        raise zlib.error("there is data after its end")
    return data


def _gunzip(body: bytes, limit: int) -> bytes:
    members: list[bytes] = []
    rest = body
    while rest or not members:
        if len(members) == _MAX_MEMBERS:
            raise zlib.error(f"it has more than {_MAX_MEMBERS} pieces")
        data, rest = _read_member(rest, _GZIP, limit)
        limit -= len(data)
        members.append(data)
        rest = rest.lstrip(b"\0")
    return members[0] if len(members) == 1 else b"".join(members)


def _read_member(body: bytes, wbits: int, limit: int) -> tuple[bytes, bytes]:
    """The data of the first compressed stream in `body`, and the bytes behind it.

    Decompresses in steps, so that a bomb takes no more memory than `limit` bytes. Raises `zlib.error` and `_TooLarge`.
    """
    stream = zlib.decompressobj(wbits)
    parts: list[bytes] = []
    size, whole = 0, memoryview(body)
    for at in range(0, len(body), _STEP):
        rest: bytes | memoryview = whole[at : at + _STEP]
        room = _STEP
        while rest or room == 0:  # a step that filled its room may have more output without more input
            room = min(_STEP, limit + 1 - size)
            part = stream.decompress(rest, room)
            room -= len(part)
            size += len(part)
            if size > limit:
                raise _TooLarge
            parts.append(part)
            if stream.eof:
                data = parts[0] if len(parts) == 1 else b"".join(parts)
                return data, stream.unused_data + body[at + _STEP :]
            rest = stream.unconsumed_tail
    raise zlib.error("it is cut short")
