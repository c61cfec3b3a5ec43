"""Properties of what reads things from outside: tried far more often than others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings

EXAMPLES = 1000

Test = TypeVar("Test", bound=Callable[..., Any])


def fuzz(*arguments: Any, **named: Any) -> Callable[[Test], Test]:
    """
    Make a test a property, as ``@given`` does, with 1,000 examples at least.

    The profile ``nightly`` tries 100,000: ``HYPOTHESIS_PROFILE=nightly pytest -m fuzz``.
    """

    def decorate(test: Test) -> Test:
        often = settings(
            max_examples=max(EXAMPLES, settings().max_examples),
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        decorated: Test = pytest.mark.fuzz(often(given(*arguments, **named)(test)))
        return decorated

    return decorate
