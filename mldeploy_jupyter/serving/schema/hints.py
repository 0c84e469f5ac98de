"""Type hints of `run()` as parameter types, for parameters without a sample.

`Any` has no type here: its values stay as JSON gave them. Arrays are in `hint_arrays.py`, data frames in
`hint_frames.py`, classes with fields in `hint_classes.py`, pydantic's models in `hint_pydantic.py`.
"""

from __future__ import annotations

import collections.abc as abc
import enum
import sys
import types
import typing
from typing import Any

from .base import (
    AbstractParameterType,
    BuiltinParameterType,
    HintNode,
    UnknownHint,
    ValidationError,
    json_type,
    short_repr,
)
from .hint_arrays import array_node
from .hint_classes import class_node
from .hint_constraints import constrained_node, constraints_of
from .hint_frames import frame_node
from .hint_pydantic import pydantic_node
from .scalars import SCALARS, to_int


class HintType(BuiltinParameterType):
    """A parameter type that a hint describes. It has no sample."""

    has_sample = False

    def __init__(self, node: HintNode) -> None:
        self._node = node

    def parse_bulk(self, value: Any, only_numbers: bool) -> Any:
        return self._node.parse_bulk(value, only_numbers) if self._node.parse_bulk is not None else None

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
            return item.unless_lax()
    node = make_node(hint, {})
    return None if node is _ANYTHING else HintType(node)


def resolve_hints(function: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """The hints of a function by parameter and `return`, and, by the same names, why others cannot be evaluated.

    One at a time, so that one bad hint leaves the others.
    """
    hints: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for name, hint in getattr(function, "__annotations__", {}).items():
        holder = types.SimpleNamespace(__annotations__={name: hint}, __module__=function.__module__)
        names = getattr(function, "__globals__", None) or vars(sys.modules.get(function.__module__, types))
        try:
            hints[name] = typing.get_type_hints(holder, names, include_extras=True)[name]
        except Exception as error:  # a name that exists for type checkers only
            failed[name] = f"{type(error).__name__}: {error}"
    return hints, failed


_ANYTHING = HintNode(lambda value, where: value, {})


def make_node(hint: Any, seen: dict[Any, Any]) -> HintNode:
    """The node of a hint. `seen`: classes around this hint, which may refer to themselves. Raises `UnknownHint`."""
    if hint is Any or hint is object:
        return _ANYTHING
    if hint is None or hint is type(None):
        return HintNode(_parse_null, {"type": "null"})
    if isinstance(hint, typing.NewType):
        return make_node(hint.__supertype__, seen)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)

    alias = hint if origin is None else origin
    if type(alias).__name__ == "TypeAliasType":  # `type Ages = list[int]`; numpy's NDArray[...] is one too
        return make_node(_unaliased(alias, arguments), seen)
    if constraints := constraints_of(hint, origin):
        return constrained_node(make_node(arguments[0], seen), constraints)
    # pydantic before the others: it knows its own constraints, which Annotated may carry.
    for make in (pydantic_node, array_node, frame_node):
        if (node := make(hint, origin, arguments)) is not None:
            return node
    if origin in (typing.Annotated, typing.Required, typing.NotRequired):
        return make_node(arguments[0], seen)
    if origin is typing.Literal:
        return _literal_node(list(arguments))
    if origin in (typing.Union, types.UnionType):
        nodes = [make_node(item, seen) for item in _in_order_of_trial(arguments)]
        return _union_node(nodes, type(None) in arguments)
    return (
        _scalar_node(hint)
        or class_node(hint, seen, make_node)
        or _container_node(hint, origin or hint, arguments, seen)
    )


def _scalar_node(hint: Any) -> HintNode | None:
    """The node of a Python type that JSON has, or has a text for; None for another hint."""
    if not isinstance(hint, type):
        return None
    if hint in SCALARS:
        scalar = SCALARS[hint]
        exact = hint if hint in (int, float, str, bool) else None
        return HintNode(_parse_int if hint is int else scalar.parse, dict(scalar.schema), exact=exact)
    return _enum_node(hint) if issubclass(hint, enum.Enum) else None


def _unaliased(alias: Any, arguments: tuple[Any, ...]) -> Any:
    """The hint that an alias stands for, with `arguments` instead of its type parameters."""
    value = alias.__value__
    given = dict(zip(alias.__type_params__, arguments, strict=False))
    parameters = getattr(value, "__parameters__", ())
    return value[tuple(given[item] for item in parameters)] if given and parameters else value


# Origins of hints, and what makes the collection of their items.
_COLLECTIONS: list[tuple[tuple[Any, ...], Any]] = [
    ((list, abc.Sequence, abc.MutableSequence, abc.Iterable, abc.Collection), list),
    ((tuple,), tuple),
    ((set, abc.Set, abc.MutableSet), set),
    ((frozenset,), frozenset),
]


def _container_node(hint: Any, origin: Any, arguments: tuple[Any, ...], seen: dict[Any, Any]) -> HintNode:
    if origin is tuple and arguments and arguments[-1:] != (...,):
        return _tuple_node([make_node(item, seen) for item in arguments])
    for origins, make in _COLLECTIONS:
        if origin in origins:
            item = make_node(arguments[0], seen) if arguments else _ANYTHING
            return _items_node(item, make)
    if origin in (dict, abc.Mapping, abc.MutableMapping):
        key, value = arguments or (str, Any)
        if key not in (str, int, Any):
            raise UnknownHint(short_repr(hint))
        return _dict_node(make_node(value, seen), key is int)
    raise UnknownHint(short_repr(hint))


def _items_node(item: HintNode, make: Any) -> HintNode:
    def parse(value: Any, where: str) -> Any:
        if type(value) is not list:
            raise ValidationError(where, f"expected a list, got {json_type(value)}")
        if item is _ANYTHING:
            return value if make is list else _collect(make, value, where)
        if item.exact is not None and set(map(type, value)) <= {item.exact}:
            return value if make is list else make(value)
        items = [item.parse(one, f"{where}[{index}]") for index, one in enumerate(value)]
        return _collect(make, items, where)

    schema: dict[str, Any] = {"type": "array", "items": item.schema}
    return HintNode(parse, schema, has_rows=make is list)


def _collect(make: Any, items: list[Any], where: str) -> Any:
    try:
        return items if make is list else make(items)
    except TypeError:
        raise ValidationError(where, "the items of a set must be plain values") from None


def _tuple_node(items: list[HintNode]) -> HintNode:
    def parse(value: Any, where: str) -> Any:
        if type(value) is not list:
            raise ValidationError(where, f"expected a list, got {json_type(value)}")
        if len(value) != len(items):
            raise ValidationError(where, f"expected {len(items)} values, got {len(value)}")
        pairs = zip(items, value, strict=True)
        return tuple(item.parse(one, f"{where}[{index}]") for index, (item, one) in enumerate(pairs))

    size = {"minItems": len(items), "maxItems": len(items)}
    return HintNode(parse, {"type": "array", "prefixItems": [item.schema for item in items], "items": {}, **size})


def _dict_node(item: HintNode, integer_keys: bool) -> HintNode:
    def parse(value: Any, where: str) -> Any:
        if type(value) is not dict:
            raise ValidationError(where, f"expected an object, got {json_type(value)}")
        found = {key: item.parse(one, f"{where}.{key}") for key, one in value.items()}
        if not integer_keys:
            return found
        for key in found:
            if not (key.isascii() and key.removeprefix("-").isdigit() and len(key) < 20 and str(int(key)) == key):
                raise ValidationError(where, f"the key {short_repr(key)} is not a whole number")
        return {int(key): one for key, one in found.items()}

    return HintNode(parse, {"type": "object", "additionalProperties": item.schema})


def _union_node(items: list[HintNode], has_null: bool) -> HintNode:
    def parse(value: Any, where: str) -> Any:
        if value is None and has_null:
            return None  # an array would take it for NaN
        deepest: ValidationError | None = None  # the error of the type that fitted furthest
        for item in items:
            try:
                return item.parse(value, where)
            except ValidationError as error:
                if deepest is None or len(error.where) > len(deepest.where):
                    deepest = error
        assert deepest is not None
        raise deepest

    if any(item is _ANYTHING for item in items):
        return _ANYTHING
    # What the first type takes in bulk, as an array in `np.ndarray | None`, no other is asked for.
    return HintNode(parse, {"anyOf": [item.schema for item in items]}, parse_bulk=items[0].parse_bulk)


def _in_order_of_trial(hints: tuple[Any, ...]) -> list[Any]:
    """Floats after integers, which they would swallow in `float | int`; null last, whose message helps least."""
    return sorted(hints, key=lambda hint: (hint is type(None), hint is float))


def _literal_node(allowed: list[Any]) -> HintNode:
    shown = ", ".join(map(repr, allowed))

    def parse(value: Any, where: str) -> Any:
        for item in allowed:
            if type(value) is type(item) and value == item:
                return item
        raise ValidationError(where, f"expected one of {shown}, got {short_repr(value)}")

    if any(type(item) not in (str, int, bool, type(None)) for item in allowed):
        raise UnknownHint(f"Literal[{shown}]")
    return HintNode(parse, {"enum": allowed})


def _enum_node(cls: type[enum.Enum]) -> HintNode:
    values = _literal_node([member.value for member in cls])
    return HintNode(lambda value, where: cls(values.parse(value, where)), values.schema)


def _parse_int(value: Any, where: str) -> int:
    if type(value) is float and not value.is_integer():
        raise ValidationError(where, f"{short_repr(value)} is not a whole number, and the type is int")
    return to_int(value, where, "int", -(2**63), 2**64 - 1)


def _parse_null(value: Any, where: str) -> None:
    if value is not None:
        raise ValidationError(where, f"expected null, got {json_type(value)}")
