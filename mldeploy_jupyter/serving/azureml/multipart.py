"""Forms of the type `multipart/form-data`: their fields, and the files that were uploaded."""

from __future__ import annotations

import io
import os
import shutil
from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import Any


class UploadedFile(io.BytesIO):
    """A file of a form. `name` is that of the field, `filename` that of the file at the client."""

    def __init__(self, data: bytes, name: str, filename: str, content_type: str) -> None:
        super().__init__(data)
        self.name = name
        self.filename = filename
        self.content_type = content_type
        self.mimetype = content_type.partition(";")[0].strip().lower()
        self.content_length = len(data)

    @property
    def stream(self) -> UploadedFile:
        """The file itself."""
        return self

    def save(self, target: Any) -> None:
        """Writes the file to a path or an open file."""
        if isinstance(target, (str, os.PathLike)):
            with open(target, "wb") as file:
                shutil.copyfileobj(self, file)
        else:
            shutil.copyfileobj(self, target)


class Files(dict[str, UploadedFile]):
    """The files of a form: the first of each field; `getlist` gives all."""

    def __init__(self, files: list[UploadedFile]) -> None:
        super().__init__()
        self.all = files
        for file in files:
            self.setdefault(file.name, file)

    def getlist(self, name: str) -> list[UploadedFile]:
        """All files of a field."""
        return [file for file in self.all if file.name == name]


def parse_multipart(content_type: str, body: bytes) -> tuple[list[tuple[str, str]], list[UploadedFile]]:
    """The fields and the files of a form, in order. Raises `ValueError` for a body that is none."""
    boundary = _header(content_type).get_param("boundary")
    if not isinstance(boundary, str) or not boundary:
        raise ValueError("the form's content type has no boundary")
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1", "replace"))
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise ValueError("the form does not end with its boundary")
    fields: list[tuple[str, str]] = []
    files: list[UploadedFile] = []
    for part in parts[1:-1]:
        head, separator, data = part.partition(b"\r\n\r\n")
        lines = [line.partition(":") for line in head.decode("utf-8", "replace").split("\r\n")]
        headers = {name.strip().lower(): value.strip() for name, _, value in lines}
        disposition = _header(headers.get("content-disposition", ""))
        name, filename = disposition.get_param("name"), disposition.get_param("filename")
        if not separator or not isinstance(name, str):
            raise ValueError("a part of the form has no name")
        if filename is None:
            fields.append((name, data.decode("utf-8", "replace")))
        else:
            kind = headers.get("content-type", "application/octet-stream")
            files.append(UploadedFile(data, name, collapse_rfc2231_value(filename), kind))
    return fields, files


def _header(value: str) -> Message:
    message = Message()
    message["content-type"] = value
    return message
