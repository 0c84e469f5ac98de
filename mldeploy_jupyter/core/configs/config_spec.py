"""A target's settings as data, and the rules that look at several settings at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mldeploy_jupyter.core.configs.fields import Field, Violation
from mldeploy_jupyter.core.keys import KEY_PATTERN, KEY_RULE

# Sees what was passed (never a default, never None) and yields what is wrong.
Rule = Callable[[Mapping[str, Any]], Iterator[Violation]]


@dataclass(frozen=True)
class ConfigSpec:
    """`compute_type` is v1's word, `target` the entry point's name, `service_class` the class users type."""

    compute_type: str
    target: str
    service_class: str
    fields: tuple[Field, ...]
    rules: tuple[Rule, ...] = ()

    @cached_property
    def by_name(self) -> dict[str, Field]:
        return {field.name: field for field in self.fields}

    @property
    def call(self) -> str:
        return f"{self.service_class}.deploy_configuration"


def auth_fields(*, token: bool = False) -> dict[str, Field]:
    """Settings every target shares, by name, so that each target can keep v1's order."""

    def auth_default(passed: Mapping[str, Any]) -> bool:
        return not passed.get("token_auth_enabled", False)

    fields = (
        Field("auth_enabled", "boolean", "Whether a key is asked for on every scoring request.", True, "authEnabled",
              ("--ae", "--auth-enabled"), derive=auth_default if token else None),
        Field("primary_key", "string", "The first key. Made by the service when left out.", None, "keys.primaryKey",
              ("--kp", "--primary-key"), pattern=KEY_PATTERN, rule=KEY_RULE, secret=True),
        Field("secondary_key", "string", "The second key; only together with primary_key.", None, "keys.secondaryKey",
              ("--ks", "--secondary-key"), pattern=KEY_PATTERN, rule=KEY_RULE, secret=True),
        Field("tags", "mapping", "Words for finding the service, changed freely.", {}, "", ("--tag",)),
        Field("properties", "mapping", "Facts about the service; added to, never changed.", {}, "", ("--property",)),
        Field("description", "string", "What the service is for.", None, "", ("--description", "-d")),
    )  # fmt: skip
    return {field.name: field for field in fields}


def keys_are_two(passed: Mapping[str, Any]) -> Iterator[Violation]:
    primary, secondary = passed.get("primary_key"), passed.get("secondary_key")
    if secondary is not None and primary is None:  # v1 dropped such a secondary key without a word
        limit = "must be given together with {secondary_key}"
        yield Violation("primary_key", "missing", limit, "pass both keys, or none")
    elif secondary is not None and secondary == primary:
        limit = "must differ from {primary_key}, so that one stays valid while the other is replaced"
        yield Violation("secondary_key", "the same", limit, "pass two different keys, or none")


def one_kind_of_auth(passed: Mapping[str, Any]) -> Iterator[Violation]:
    if passed.get("auth_enabled") is True and passed.get("token_auth_enabled") is True:
        fix = "pass only one of {auth_enabled=True} and {token_auth_enabled=True}"
        yield Violation("token_auth_enabled", "True", "must not be True when {auth_enabled=True}", fix)


def all_or_none(*names: str) -> Rule:
    """A rule: these settings are given together or not at all."""

    def rule(passed: Mapping[str, Any]) -> Iterator[Violation]:
        given = [name for name in names if name in passed]
        if not given:
            return
        fix = f"pass {_join([f'{{{name}}}' for name in names])} together, or none of them"
        for name in names:
            if name not in passed:
                yield Violation(
                    name, "missing", f"must be given together with {_join([f'{{{n}}}' for n in given])}", fix
                )

    return rule


def at_least(limit: str, request: str) -> Rule:
    """A rule: `limit` is not below `request` when both are given."""

    def rule(passed: Mapping[str, Any]) -> Iterator[Violation]:
        low, high = passed.get(request), passed.get(limit)
        if _number(low) and _number(high) and high < low:  # type: ignore[operator]
            fix = f"pass {{{limit}={low!r}}} or more, or a lower {{{request}}}"
            yield Violation(limit, repr(high), f"must be at least {{{request}}}, which is {low!r}", fix)

    return rule


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _join(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
