"""Whether a body is what the SDK's models declare. Parsing alone proves little: models forgive a lot."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any


def assert_as_declared(body: Any, model: Any, where: str = "body") -> None:
    """Every key of the body is one that the model knows, and every field of the model is of its type.

    :param body: the JSON
    :param model: what the SDK parsed it into
    """
    if is_dataclass(model):
        hints = typing.get_type_hints(type(model))
        names = {wire_name(each): each.name for each in fields(model)}
        assert set(body) <= set(names), f"{where} holds {set(body) - set(names)}, which the SDK does not know"
        for wire, name in names.items():
            value = getattr(model, name)
            assert _is_a(value, hints[name]), f"{where}.{wire} is {value!r}, not {hints[name]}"
            if value is not None:
                assert_as_declared(body[wire], value, f"{where}.{wire}")
    elif isinstance(model, list):
        for index, (each, parsed) in enumerate(zip(body, model, strict=True)):
            assert_as_declared(each, parsed, f"{where}[{index}]")
    elif isinstance(model, Mapping):
        for key, parsed in model.items():
            assert_as_declared(body[key], parsed, f"{where}[{key!r}]")
    elif isinstance(model, datetime):
        assert type(body) is int, f"{where} is {body!r}, not nanoseconds"
    else:
        # The SDK turns any text into True, for instance.
        assert (type(body), body) == (type(model), model), f"{where} is {body!r}, and {model!r} to the SDK"


def wire_name(field: Any) -> str:
    """What a field of the SDK's models is called in JSON."""
    name: str = field.metadata["dataclasses_json"]["letter_case"](field.name)
    return name


def _is_a(value: Any, hint: Any) -> bool:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint in (Any, object):
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_is_a(value, each) for each in inner)
    if origin is list:
        return isinstance(value, list) and all(_is_a(each, inner[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(_is_a(each, inner[1]) for each in value.values())
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return isinstance(value, hint)
