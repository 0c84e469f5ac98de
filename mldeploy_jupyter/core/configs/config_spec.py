"""All settings of one target as data, and rules that concern several settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mldeploy_jupyter.core.configs.fields import Field, Violation
from mldeploy_jupyter.core.keys import KEY_PATTERN, KEY_RULE

# Gets the values that were passed (no defaults, no None) and yields what is wrong with their combination.
Rule = Callable[[Mapping[str, Any]], Iterator[Violation]]


@dataclass(frozen=True)
class ConfigSpec:
    """The settings of one target, in the order of v1's parameters.

    `compute_type` is v1's word for the target (`Local`, `ACI`, ...), `target` the name of the entry point (`local`,
    `aci`, `aks`), `service_class` the class whose `deploy_configuration` users call.
    """

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
        """The function that users call, for messages."""
        return f"{self.service_class}.deploy_configuration"


def shared_fields(*, token: bool = False) -> dict[str, Field]:
    """The settings that every target has, by name, for a target to put in v1's order.

    With `token`, the target has `token_auth_enabled`, which turns keys off.
    """

    def auth_default(passed: Mapping[str, Any]) -> bool:
        return not passed.get("token_auth_enabled", False)

    fields = (
        Field("auth_enabled", "boolean", "Whether every scoring request needs a key.", True, "authEnabled",
              ("--ae", "--auth-enabled"), derive=auth_default if token else None),
        Field("primary_key", "string", "The first key. Generated when left out.", None, "keys.primaryKey",
              ("--kp", "--primary-key"), pattern=KEY_PATTERN, rule=KEY_RULE, secret=True),
        Field("secondary_key", "string", "The second key; only together with primary_key.", None, "keys.secondaryKey",
              ("--ks", "--secondary-key"), pattern=KEY_PATTERN, rule=KEY_RULE, secret=True),
        Field("tags", "mapping", "Labels to find the service by; can be changed at any time.", {}, "", ("--tag",)),
        Field("properties", "mapping", "Facts about the service; can be added, but not changed.", {}, "",
              ("--property",)),
        Field("description", "string", "What the service is for.", None, "", ("--description", "-d")),
    )  # fmt: skip
    return {field.name: field for field in fields}


def keys_differ(passed: Mapping[str, Any]) -> Iterator[Violation]:
    """The rule that a secondary key comes with a primary key and differs from it."""
    primary, secondary = passed.get("primary_key"), passed.get("secondary_key")
    if secondary is not None and primary is None:  # v1 ignored such a secondary key silently
        limit = "must be given together with {secondary_key}"
        yield Violation("primary_key", "missing", limit, "pass both keys, or none")
    elif secondary is not None and secondary == primary:
        limit = "must differ from {primary_key}, so that one stays valid while the other is replaced"
        yield Violation("secondary_key", "the same", limit, "pass two different keys, or none")


def one_kind_of_auth(passed: Mapping[str, Any]) -> Iterator[Violation]:
    """The rule that a service asks for keys or for tokens, but not for both."""
    if passed.get("auth_enabled") is True and passed.get("token_auth_enabled") is True:
        fix = "pass only one of {auth_enabled=True} and {token_auth_enabled=True}"
        yield Violation("token_auth_enabled", "True", "must not be True when {auth_enabled=True}", fix)


def all_or_none(*names: str) -> Rule:
    """The rule that these settings are given together or not at all."""

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
    """The rule that `limit` is not below `request` when both are given."""

    def rule(passed: Mapping[str, Any]) -> Iterator[Violation]:
        low, high = passed.get(request), passed.get(limit)
        if _is_number(low) and _is_number(high) and high < low:  # type: ignore[operator]
            fix = f"pass {{{limit}={low!r}}} or more, or a lower {{{request}}}"
            yield Violation(limit, repr(high), f"must be at least {{{request}}}, which is {low!r}", fix)

    return rule


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _join(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
