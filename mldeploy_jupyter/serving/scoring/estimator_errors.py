"""Errors of scikit-learn that a request's data caused: answered 422 with the place, not 500.

Only what is certain: `run()` passed the client's value, as it was sent, to an estimator, no code of the script or of
another library was called from there, and the value itself shows the fault that the estimator names.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from ..schema.base import ValidationError, short_repr

# Packages whose frames may be between the estimator and the line that raised.
_LIBRARIES = ("sklearn", "numpy", "pandas", "scipy", "joblib", "threadpoolctl")


def client_fault(error: BaseException, arguments: dict[str, Any], sent: dict[str, Any]) -> ValidationError | None:
    """What is wrong with the client's value; None unless that is certain.

    `arguments` are those of the call that raised `error`, `sent` the same converted again: `run()` may have changed its
    own.
    """
    if type(error) is not ValueError or "sklearn" not in sys.modules:
        return None
    found = _estimator_call(error, arguments)
    if found is None:
        return None
    estimator, name, checked = found
    value = arguments[name]
    if not _is_same(value, sent.get(name)):
        return None
    return _diagnose(str(error), estimator, value, checked, name)


def _estimator_call(error: BaseException, arguments: dict[str, Any]) -> tuple[Any, str, Any] | None:
    """The first estimator that got one of the arguments itself, the argument's name, and the data that was refused.

    A pipeline refuses what one of its steps got, which may be some columns of the argument.
    """
    found: tuple[Any, str] | None = None
    checked: Any = None
    traceback = error.__traceback__
    while traceback is not None:
        package = _package(traceback.tb_frame)
        if found is not None and package not in _LIBRARIES:
            return None
        if found is None and package == "sklearn":
            names = traceback.tb_frame.f_locals
            given = next((name for name, value in arguments.items() if value is names.get("X")), None)
            if given is not None and "self" in names:
                found = names["self"], given
        if found is not None and package == "sklearn":
            checked = traceback.tb_frame.f_locals.get("X", checked)
        traceback = traceback.tb_next
    return (*found, checked) if found is not None else None


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _is_same(value: Any, sent: Any) -> bool:
    np, pd = sys.modules.get("numpy"), sys.modules.get("pandas")
    if pd is not None and isinstance(value, pd.DataFrame):
        return isinstance(sent, pd.DataFrame) and bool(value.equals(sent)) and list(value) == list(sent)
    if np is not None and isinstance(value, np.ndarray) and isinstance(sent, np.ndarray):
        is_float = value.dtype.kind == "f"
        return value.dtype == sent.dtype and bool(np.array_equal(value, sent, equal_nan=is_float))
    return type(value) is list and bool(value == sent)


def _diagnose(message: str, estimator: Any, value: Any, checked: Any, name: str) -> ValidationError | None:
    shape: Any = value.shape if hasattr(value, "shape") else (len(value),)
    if shape and shape[0] == 0:
        return ValidationError(name, "expected at least one row, got none", "Send at least one row.")
    if "Expected 2D array, got 1D array" in message or "Expected 2D array, got scalar array" in message:
        hint = "One row is sent as a list of one row, such as [[1.0, 2.0]]."
        return ValidationError(name, "expected a list of rows", hint) if len(shape) < 2 else None
    if "feature names should match" in message or "columns are missing" in message:
        return _wrong_columns(estimator, value, name)
    if "is expecting" in message and len(shape) == 2:
        count = getattr(estimator, "n_features_in_", None)
        if isinstance(count, int) and count != shape[1]:
            hint = f"The model was trained with {count} values in each row."
            return ValidationError(f"{name}[0]", f"expected {count} values, got {shape[1]}", hint)
    if "could not convert string to float" in message:
        text = "expected a number, got a string, {}"

        def is_named(cell: Any) -> bool:
            return _is_no_number(cell) and repr(cell) in message

        named = _wrong_cell(value, checked, name, is_named, text)
        return named or _wrong_cell(value, checked, name, _is_no_number, text)
    if "contains NaN" in message:
        hint = "The model takes no missing values (null, NaN): fill them in before sending, or in run()."
        return _wrong_cell(value, checked, name, _is_nan, "expected a number, got null", hint)
    if message.startswith("Found unknown categories"):
        return ValidationError(name, message[0].lower() + message.splitlines()[0][1:])
    return None


def _wrong_columns(estimator: Any, value: Any, name: str) -> ValidationError | None:
    names = [str(column) for column in getattr(estimator, "feature_names_in_", ())]
    columns = [str(column) for column in getattr(value, "columns", ())]
    if not names or not columns:
        return None
    hint = f"The columns are: {', '.join(names)}."
    missing = [column for column in names if column not in columns]
    unknown = [column for column in columns if column not in names]
    if missing or unknown:
        parts = [
            f"{word} {', '.join(map(repr, found))}" for word, found in (("no", missing), ("unknown", unknown)) if found
        ]
        return ValidationError(f"{name}[0]", f"wrong columns: {'; '.join(parts)}", hint)
    if columns != names:
        return ValidationError(f"{name}[0]", "the columns are in another order", hint)
    return None


def _wrong_cell(
    value: Any, checked: Any, name: str, is_wrong: Callable[[Any], bool], text: str, hint: str = ""
) -> ValidationError | None:
    """The error at the first cell that is wrong, or at the whole argument when another cell may be at fault.

    None when no cell is wrong. `checked` is what the estimator refused: `value` or some of its columns.
    """
    labels = set(getattr(checked, "columns", ())) & set(getattr(value, "columns", ()))
    wrong = (
        (where, cell, column)
        for where, cell, column in _cells(value, name)
        if (not labels or column in labels) and is_wrong(cell)
    )
    first = next(wrong, None)
    if first is None:
        return None
    where, cell, column = first
    if checked is not value and not labels and any(other != column for _, _, other in wrong):
        where = name
    return ValidationError(where, text.format(short_repr(cell)), hint)


def _cells(value: Any, name: str) -> Iterator[tuple[str, Any, Any]]:
    """The place, value and column of each cell: column by column in a frame, else row by row."""
    if hasattr(value, "columns"):
        for position, column in enumerate(value.columns):
            for row, cell in enumerate(value.iloc[:, position].tolist()):
                yield f"{name}[{row}].{column}", cell, column
        return
    for index, row in enumerate(value.tolist() if hasattr(value, "tolist") else value):
        if isinstance(row, list):
            yield from ((f"{name}[{index}][{at}]", cell, at) for at, cell in enumerate(row))
        else:
            yield f"{name}[{index}]", row, None


def _is_no_number(cell: Any) -> bool:
    if not isinstance(cell, str):
        return False
    try:
        float(cell)
    except ValueError:
        return True
    return False


def _is_nan(cell: Any) -> bool:
    return cell is None or bool(cell != cell)
