"""JSON from elsewhere into dataclasses, strictly: every field present, none unknown, each of its annotated type.

Texts are printable and bounded, numbers finite, lists bounded: what is read may be shown, stored and multiplied.
"""

from __future__ import annotations

import json
import math
import types
import typing
from dataclasses import fields, is_dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin

ITEMS_MAX = 1000  # of one list or mapping
TEXT_MAX = 2000  # characters
INTEGER_MAX = 2**53  # what every JSON reader keeps exactly
T = TypeVar("T")


def loads(text: str) -> Any:
    """Raises ValueError: not JSON (NaN and Infinity are not), a key twice, or nested too deeply."""
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read(kind: type[T], value: Any) -> T:
    """A JSON object as a dataclass, whose fields are dataclasses, tuples, dicts, Literals, `X | None` or plain.

    Raises:
        ValueError: a wrong type, a field missing or unknown, or a value that a dataclass refuses in its
            `__post_init__`; says where.
    """
    return typing.cast(T, _read(kind, value, kind.__name__.lower()))


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _read(kind: Any, value: Any, where: str) -> Any:
    wrong = ValueError(f"{where} is {value!r:.80}")
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _read_fields(kind, value, where)
    if origin is Literal:
        if not isinstance(value, str) or value not in arguments:
            raise wrong
        return value
    if origin in (types.UnionType, typing.Union):  # only `X | None` occurs
        return None if value is None else _read(arguments[0], value, where)
    if origin is dict:
        if not isinstance(value, dict) or len(value) > ITEMS_MAX:
            raise wrong
        return {_read(str, key, where): _read(arguments[1], item, f"{where}.{key:.40}") for key, item in value.items()}
    if origin is tuple:
        expected = len(value) if isinstance(value, list) and Ellipsis in arguments else len(arguments)
        if not isinstance(value, list) or len(value) != expected or expected > ITEMS_MAX:
            raise wrong
        return tuple(_read(arguments[0], item, f"{where}[{at}]") for at, item in enumerate(value))
    if kind is bool or isinstance(value, bool):  # which Python counts among the integers
        if kind is bool and isinstance(value, bool):
            return value
        raise wrong
    if kind is float and isinstance(value, int) and abs(value) < INTEGER_MAX:
        return float(value)
    allowed = isinstance(value, kind) and (
        (kind is float and math.isfinite(value))
        or (kind is int and abs(value) < INTEGER_MAX)
        or (kind is str and len(value) <= TEXT_MAX and value.isprintable())
    )
    if not allowed:
        raise wrong
    return value


def _read_fields(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is {value!r:.80}")
    hints = typing.get_type_hints(kind)
    for field in fields(kind):
        if field.name not in value:
            raise ValueError(f"{where} lacks {field.name}")
    for key in value:
        if key not in hints:
            raise ValueError(f"{where} has an unknown field {key!r:.80}")
    read = {key: _read(hints[key], item, f"{where}.{key}") for key, item in value.items()}
    try:
        return kind(**read)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
