"""What the body and the query of a request may hold, and whether they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_streamtasks.sandbox.answers import invalid

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "object": (dict,),
    "strings": (list,),
    "objects": (list,),
    "members": (list,),
    # API v2 declares numbers (nanoseconds), but Stream's SDKs send RFC 3339.
    "time": (str, int, float),
}
# Stream's own samples give members as plain ids, too.
_ELEMENTS: dict[str, tuple[type, ...]] = {"strings": (str,), "objects": (dict,), "members": (str, dict)}


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a request.

    :param name: the key.
    :param type: ``string``, ``boolean``, ``integer``, ``object``, ``strings``, ``objects``, ``members`` or
        ``time``.
    :param required: whether the request is refused without it.
    :param choices: the only values that it may have.
    :param may_be_empty: whether it may be an empty string beside these.
    :param least: the least number of elements of a list, or the least integer.
    :param most: the greatest number of elements of a list.
    :param shape: how a string (or each string of a list) is made up: ``type:id``.
    :param fields: what the object (or each object of a list) may hold; ``None`` for anything.
    :param open: whether it may hold anything else, too.
    """

    name: str
    type: str = "string"
    required: bool = False
    choices: tuple[str, ...] = ()
    may_be_empty: bool = False
    least: int | None = None
    most: int | None = None
    shape: str | None = None
    fields: tuple[Field, ...] | None = None
    open: bool = False

    def check(self, value: Any) -> None:
        """:raises Refusal: the value is not what this field takes."""
        if not isinstance(value, _TYPES[self.type]) or (self.type == "integer" and isinstance(value, bool)):
            raise invalid(f"{self.name} must be of type {self.type}")
        if self.choices and value not in self.choices and not (self.may_be_empty and value == ""):
            raise invalid(f"{self.name} must be one of: {', '.join(self.choices)}")
        if isinstance(value, list):
            self._check_list(value)
        elif isinstance(value, dict) and self.fields is not None:
            check(value, self.fields, open_=self.open)
        elif isinstance(value, str):
            self._check_string(value)
        elif isinstance(value, int) and self.least is not None and value < self.least:
            raise invalid(f"{self.name} must be at least {self.least}")

    def _check_list(self, elements: Sequence[Any]) -> None:
        if self.least is not None and len(elements) < self.least:
            raise invalid(f"{self.name} must contain at least {self.least} item(s)")
        if self.most is not None and len(elements) > self.most:
            raise invalid(f"{self.name} must contain at most {self.most} item(s), not {len(elements)}")
        for element in elements:
            if not isinstance(element, _ELEMENTS[self.type]):
                raise invalid(f"{self.name} must hold {self.type} only")
            if isinstance(element, str):
                self._check_string(element)
            elif isinstance(element, dict) and self.fields is not None:
                check(element, self.fields, open_=self.open)

    def _check_string(self, value: str) -> None:
        if self.shape is not None and not all(value.partition(":")[::2]):
            raise invalid(f"{self.name}: {value!r} does not have the form {self.shape}")
        if not value and self.required:
            raise invalid(f"{self.name} must not be empty")


def check(values: Mapping[str, Any], fields: Sequence[Field], *, open_: bool = False) -> None:
    """Check an object against its fields; ``null`` counts as absent.

    :param open_: whether it may hold anything else, too.
    :raises Refusal: something is missing, unknown or not what it should be.
    """
    known = {field.name: field for field in fields}
    for name in values:
        if name not in known and not open_:
            raise invalid(f"unknown field {name!r}")
    for name, field in known.items():
        value = values.get(name)
        if value is not None:
            field.check(value)
        elif field.required:
            raise invalid(f"{name} is a required field")
