"""Type hints of `run()` as parameter types: what a value must look like where no sample says it.

`Any` and hints that are not understood have no type here; their values stay as JSON gave them. Arrays and data
frames are in `hint_arrays.py`, classes with fields in `hint_classes.py`, pydantic's models in `hint_pydantic.py`.
"""

from __future__ import annotations

import collections.abc as abc
import enum
import sys
import types
import typing
from typing import Any

from .base import AbstractParameterType, HintNode, OwnParameterType, UnknownHint, ValidationError, json_type, short_repr
from .hint_arrays import array_node
from .hint_classes import class_node
from .hint_pydantic import pydantic_node
from .scalars import to_int
from .standard_type import SCALARS


class HintType(OwnParameterType):
    """A parameter type that a hint describes. It has no sample."""

    has_sample = False

    def __init__(self, node: HintNode) -> None:
        self._node = node

    def parse_bulk(self, value: Any, numbers: bool) -> Any:
        return self._node.parse_bulk(value, numbers) if self._node.parse_bulk is not None else None

    def accepts_result(self, value: Any) -> bool:
        return self._node.accepts_result is not None and self._node.accepts_result(value)

    def parse_items(self, value: Any, where: str) -> Any:
        return self._node.parse(value, where)

    def schema(self) -> dict[str, Any]:
        return self._node.schema

    def has_rows(self) -> bool:
        return self._node.has_rows

    def input_to_swagger(self) -> dict[str, Any]:
        return self.schema()


def type_from_hint(hint: Any) -> AbstractParameterType | None:
    """The parameter type of a hint; None for `Any`. Raises `UnknownHint` with the hint's text."""
    for item in getattr(hint, "__metadata__", ()):
        if isinstance(item, AbstractParameterType):  # Annotated[pd.DataFrame, PandasParameterType(sample)]
            return item
    node = make_node(hint, {})
    return None if node is _ANYTHING else HintType(node)


def make_node(hint: Any, seen: dict[Any, Any]) -> HintNode:
    """Raises `UnknownHint`. `seen` are the classes around this hint, which may name themselves."""
    if hint is Any or hint is object:
        return _ANYTHING
    if hint is None or hint is type(None):
        return HintNode(_null, {"type": "null"})
    if isinstance(hint, typing.NewType):
        return make_node(hint.__supertype__, seen)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)

    alias = hint if origin is None else origin
    if type(alias).__name__ == "TypeAliasType":  # `type Ages = list[int]`; numpy's NDArray[...] is one too
        return make_node(_unaliased(alias, arguments), seen)
    # pydantic first: it knows the constraints that Annotated may carry.
    for make in (pydantic_node, array_node):
        if (node := make(hint, origin, arguments)) is not None:
            return node
    if origin in (typing.Annotated, typing.Required, typing.NotRequired):
        return make_node(arguments[0], seen)
    if origin is typing.Literal:
        return _literal(list(arguments))
    if origin in (typing.Union, types.UnionType):
        return _union([make_node(item, seen) for item in _floats_last(arguments)])
    if hint in (int, float):
        return HintNode(_int if hint is int else SCALARS[float][0], dict(SCALARS[hint][2]), exact=hint)
    if hint in (str, bool):
        return HintNode(SCALARS[hint][0], dict(SCALARS[hint][2]), exact=hint)
    if isinstance(hint, type) and hint in SCALARS:
        return HintNode(SCALARS[hint][0], dict(SCALARS[hint][2]))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _enum(hint)
    if (node := class_node(hint, seen, make_node)) is not None:
        return node
    return _container(hint, origin or hint, arguments, seen)


def _unaliased(alias: Any, arguments: tuple[Any, ...]) -> Any:
    value = alias.__value__
    given = dict(zip(alias.__type_params__, arguments, strict=False))
    parameters = getattr(value, "__parameters__", ())
    return value[tuple(given[item] for item in parameters)] if given and parameters else value


def _container(hint: Any, origin: Any, arguments: tuple[Any, ...], seen: dict[Any, Any]) -> HintNode:
    if origin is tuple and arguments and arguments[-1:] != (...,):
        return _tuple([make_node(item, seen) for item in arguments])
    for kinds, make in _MANY:
        if origin in kinds:
            item = make_node(arguments[0], seen) if arguments else _ANYTHING
            return _many(item, make)
    if origin in (dict, abc.Mapping, abc.MutableMapping):
        key, value = arguments or (str, Any)
        if key not in (str, int, Any):
            raise UnknownHint(short_repr(hint))
        return _dict(make_node(value, seen), key is int)
    raise UnknownHint(short_repr(hint))


def _many(item: HintNode, make: Any) -> HintNode:
    def parse(value: Any, where: str) -> Any:
        if type(value) is not list:
            raise ValidationError(where, f"expected a list, got {json_type(value)}")
        if item is _ANYTHING:
            return value if make is list else _made(make, value, where)
        if item.exact is not None and set(map(type, value)) <= {item.exact}:
            return value if make is list else make(value)
        items = [item.parse(one, f"{where}[{index}]") for index, one in enumerate(value)]
        return _made(make, items, where)

    schema: dict[str, Any] = {"type": "array", "items": item.schema}
    return HintNode(parse, schema, has_rows=make is list)


def _made(make: Any, items: list[Any], where: str) -> Any:
    try:
        return items if make is list else make(items)
    except TypeError:
        raise ValidationError(where, "the items of a set must be plain values") from None


_MANY: list[tuple[tuple[Any, ...], Any]] = [
    ((list, abc.Sequence, abc.MutableSequence, abc.Iterable, abc.Collection), list),
    ((tuple,), tuple),
    ((set, abc.Set, abc.MutableSet), set),
    ((frozenset,), frozenset),
]


def _tuple(items: list[HintNode]) -> HintNode:
    def parse(value: Any, where: str) -> Any:
        if type(value) is not list:
            raise ValidationError(where, f"expected a list, got {json_type(value)}")
        if len(value) != len(items):
            raise ValidationError(where, f"expected {len(items)} values, got {len(value)}")
        pairs = zip(items, value, strict=True)
        return tuple(item.parse(one, f"{where}[{index}]") for index, (item, one) in enumerate(pairs))

    size = {"minItems": len(items), "maxItems": len(items)}
    return HintNode(parse, {"type": "array", "prefixItems": [item.schema for item in items], "items": {}, **size})


def _dict(item: HintNode, numbered: bool) -> HintNode:
    def parse(value: Any, where: str) -> Any:
        if type(value) is not dict:
            raise ValidationError(where, f"expected an object, got {json_type(value)}")
        found = {key: item.parse(one, f"{where}.{key}") for key, one in value.items()}
        if not numbered:
            return found
        for key in found:
            if not (key.isascii() and key.removeprefix("-").isdigit() and len(key) < 20 and str(int(key)) == key):
                raise ValidationError(where, f"the key {short_repr(key)} is not a whole number")
        return {int(key): one for key, one in found.items()}

    return HintNode(parse, {"type": "object", "additionalProperties": item.schema})


def _union(items: list[HintNode]) -> HintNode:
    def parse(value: Any, where: str) -> Any:
        deepest: ValidationError | None = None
        for item in items:
            try:
                return item.parse(value, where)
            except ValidationError as misfit:
                if deepest is None or len(misfit.where) > len(deepest.where):
                    deepest = misfit
        assert deepest is not None
        raise deepest

    if any(item is _ANYTHING for item in items):
        return _ANYTHING
    return HintNode(parse, {"anyOf": [item.schema for item in items]})


def _floats_last(hints: tuple[Any, ...]) -> list[Any]:
    """Whole numbers stay whole in `float | int`, and null comes last: its messages help nobody."""
    return sorted(hints, key=lambda hint: (hint is type(None), hint is float))


def _literal(allowed: list[Any]) -> HintNode:
    shown = ", ".join(map(repr, allowed))

    def parse(value: Any, where: str) -> Any:
        for item in allowed:
            if type(value) is type(item) and value == item:
                return item
        raise ValidationError(where, f"expected one of {shown}, got {short_repr(value)}")

    if any(type(item) not in (str, int, bool, type(None)) for item in allowed):
        raise UnknownHint(f"Literal[{shown}]")
    return HintNode(parse, {"enum": allowed})


def _enum(cls: type[enum.Enum]) -> HintNode:
    values = _literal([member.value for member in cls])
    return HintNode(lambda value, where: cls(values.parse(value, where)), values.schema)


def _int(value: Any, where: str) -> int:
    if type(value) is float and not value.is_integer():
        raise ValidationError(where, f"{short_repr(value)} is not a whole number, and the type is int")
    return to_int(value, where, "int", -(2**63), 2**64 - 1)


def _null(value: Any, where: str) -> None:
    if value is not None:
        raise ValidationError(where, f"expected null, got {json_type(value)}")


_ANYTHING = HintNode(lambda value, where: value, {})


def resolve_hints(function: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """The hints of a function, those in quotes looked up, and why others could not be: by parameter and `return`."""
    hints: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for name, hint in getattr(function, "__annotations__", {}).items():
        holder = types.SimpleNamespace(__annotations__={name: hint}, __module__=function.__module__)
        names = getattr(function, "__globals__", None) or vars(sys.modules.get(function.__module__, types))
        try:
            hints[name] = typing.get_type_hints(holder, names, include_extras=True)[name]
        except Exception as error:  # names that are there for type checkers only
            failed[name] = f"{type(error).__name__}: {error}"
    return hints, failed
