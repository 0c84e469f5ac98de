"""Reads `labextension/src/protocol.ts` and compares plain data with its types, so that both sides say the same.

It knows the part of TypeScript that the contract is written in: interfaces with `extends`, unions, intersections,
literals, arrays, tuples, `Record`, optional fields.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mldeploy_jupyter.panel import PanelContext, handle

PROTOCOL = Path(__file__).parents[3] / "labextension" / "src" / "protocol.ts"

_TOKEN = re.compile(r"'[^']*'|[A-Za-z_$][\w$]*|\d+|=>|[{}\[\]()<>|&;:,?.=]")


@dataclass(frozen=True)
class Type:
    """A type. `kind` is a name (`string`, `Stage`), or literal, array, tuple, union, both, object, record."""

    kind: str
    parts: tuple[Any, ...] = ()  # types; of an object (name, optional, type)


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)
        self.position = 0

    def peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        token = self.peek()
        assert not expected or token == expected, (expected, self.tokens[self.position - 8 : self.position + 4])
        self.position += 1
        return token

    def union(self) -> Type:
        if self.peek() == "|":
            self.take()
        parts = [self.both()]
        while self.peek() == "|":
            self.take()
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else Type("union", tuple(parts))

    def both(self) -> Type:
        parts = [self.array()]
        while self.peek() == "&":
            self.take()
            parts.append(self.array())
        return parts[0] if len(parts) == 1 else Type("both", tuple(parts))

    def array(self) -> Type:
        found = self.single()
        while self.peek() == "[":
            self.take("[")
            if self.peek() == "]":
                self.take("]")
                found = Type("array", (found,))
            else:  # Form['form']
                key = self.take().strip("'")
                self.take("]")
                found = Type("member", (found, key))
        return found

    def single(self) -> Type:
        token = self.take()
        if token.startswith("'"):
            return Type("literal", (token.strip("'"),))
        if token == "(":
            found = self.union()
            self.take(")")
            return found
        if token == "[":
            parts = []
            while self.peek() != "]":
                parts.append(self.union())
                if self.peek() == ",":
                    self.take()
            self.take("]")
            return Type("tuple", tuple(parts))
        if token == "{":
            return self.members()
        if token == "Record":
            self.take("<")
            key = self.union()
            self.take(",")
            value = self.union()
            self.take(">")
            return Type("record", (key, value))
        return Type(token)

    def members(self) -> Type:
        fields = []
        while self.peek() != "}":
            parts = [self.take()]
            while self.peek() == ".":
                parts.append(self.take() + self.take())
            name = "".join(parts).strip("'")
            optional = self.peek() == "?"
            if optional:
                self.take()
            self.take(":")
            fields.append((name, optional, self.union()))
            if self.peek() in (";", ","):
                self.take()
        self.take("}")
        return Type("object", tuple(fields))


@cache
def read_types() -> dict[str, Type]:
    """Every interface and type of the contract, but `Port`, which has functions."""
    text = re.sub(r"/\*.*?\*/", "", PROTOCOL.read_text("utf-8"), flags=re.DOTALL)
    text = re.sub(r"//[^\n]*", "", text)
    types: dict[str, Type] = {}
    for match in re.finditer(r"export (interface|type) (\w+)(?: extends (\w+))?\s*=?", text):
        _, name, base = match.groups()
        if name == "Port":
            continue
        parser = _Parser(text[match.end() :].partition("\nexport ")[0])
        found = parser.union()
        types[name] = Type("both", (Type(base), found)) if base else found
    return types


def fields_of(kind: Type) -> dict[str, tuple[bool, Type]]:
    """The fields of an object, by name: whether it is optional, and its type."""
    kind = resolve(kind)
    if kind.kind == "both":
        return {name: field for part in kind.parts for name, field in fields_of(part).items()}
    if kind == Type("record", (Type("string"), Type("never"))):
        return {}
    assert kind.kind == "object", kind
    return {name: (optional, field) for name, optional, field in kind.parts}


def resolve(kind: Type) -> Type:
    """The type that a name stands for."""
    while True:
        if kind.kind == "member":
            kind = fields_of(kind.parts[0])[kind.parts[1]][1]
        elif kind.kind in read_types():
            kind = read_types()[kind.kind]
        else:
            return kind


def requests() -> dict[str, tuple[Type, Type]]:
    """Parameters and answer of every request, by name."""
    return {name: (kind.parts[0], kind.parts[1]) for name, (_, kind) in fields_of(Type("Requests")).items()}


def topics() -> dict[str, tuple[Type, Type]]:
    """Parameters and event of every topic, by name."""
    found = {}
    for name, (_, kind) in fields_of(Type("Topics")).items():
        fields = fields_of(kind)
        found[name] = fields["params"][1], fields["event"][1]
    return found


def mismatches(value: Any, kind: Type, where: str = "") -> list[str]:
    """Where a value is not of the type, in words; [] when it is."""
    kind = resolve(kind)
    simple = {"string": str, "boolean": bool, "number": (int, float)}
    if kind.kind == "unknown":
        return []
    if kind.kind in simple:
        right = isinstance(value, simple[kind.kind]) and (kind.kind != "number" or not isinstance(value, bool))
        return [] if right else [f"{where}: {value!r} is not a {kind.kind}"]
    if kind.kind == "null":
        return [] if value is None else [f"{where}: {value!r} is not null"]
    if kind.kind == "literal":
        return [] if value == kind.parts[0] else [f"{where}: {value!r} is not {kind.parts[0]!r}"]
    if kind.kind == "union":
        found = [mismatches(value, part, where) for part in kind.parts]
        return [] if [] in found else [f"{where}: {value!r} is none of {len(found)}: {min(found, key=len)[0]}"]
    if kind.kind == "array":
        if not isinstance(value, list):
            return [f"{where}: {value!r} is not a list"]
        return [
            text for index, item in enumerate(value) for text in mismatches(item, kind.parts[0], f"{where}[{index}]")
        ]
    if kind.kind == "tuple":
        if not isinstance(value, (list, tuple)) or len(value) != len(kind.parts):
            return [f"{where}: {value!r} is not a list of {len(kind.parts)}"]
        return [t for item, part in zip(value, kind.parts, strict=True) for t in mismatches(item, part, where)]
    if kind.kind == "record":
        if not isinstance(value, dict):
            return [f"{where}: {value!r} is not an object"]
        return [text for key, item in value.items() for text in mismatches(item, kind.parts[1], f"{where}.{key}")]
    if not isinstance(value, dict):
        return [f"{where}: {value!r} is not an object"]
    fields = fields_of(kind)
    found = [f"{where}.{name} is not in the contract" for name in value if name not in fields]
    found += [
        f"{where}.{name} is missing" for name, (optional, _) in fields.items() if not optional and name not in value
    ]
    for name, (_, field) in fields.items():
        if name in value:
            found += mismatches(value[name], field, f"{where}.{name}")
    return found


def check_answer(name: str, answer: Any) -> None:
    """Fails unless the answer to a request is as the contract says."""
    assert mismatches(answer, requests()[name][1], name) == []


def check_event(topic: str, event: Any) -> None:
    """Fails unless the event of a topic is as the contract says."""
    assert mismatches(event, topics()[topic][1], topic) == []


def check_failure(failure: Any) -> None:
    """Fails unless the failure is as the contract says."""
    assert mismatches(failure, Type("Failure"), "failure") == []


class CheckedRequests:
    """Requests to a panel whose answers must be as the contract says. A subclass has `context`."""

    context: PanelContext

    def ask(self, name: str, **params: Any) -> Any:
        """The answer to a request. Fails when it is a failure."""
        answer = handle(name, params, self.context)
        assert answer["ok"], answer["failure"]
        check_answer(name, answer["result"])
        return answer["result"]

    def refuse(self, name: str, **params: Any) -> dict[str, Any]:
        """The failure of a request. Fails when it is answered."""
        answer = handle(name, params, self.context)
        assert not answer["ok"], answer
        check_failure(answer["failure"])
        return dict(answer["failure"])
