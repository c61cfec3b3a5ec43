"""``macros.streamtasks``: users do nothing for it but install the provider."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import pytest
from airflow.sdk import BaseNotifier
from airflow.sdk.execution_time.context import MacrosAccessor

from airflow_provider_streamtasks.notifications.alerts import alert_text
from airflow_provider_streamtasks.plugin import StreamTasksPlugin
from tests.airflow_names import integrate_macros_plugins


class Notifier(BaseNotifier):
    """Keeps what its template became."""

    template_fields = ("text",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def notify(self, context: Any) -> None:
        pass


def rendered(text: str, context: Any) -> str:
    notifier = Notifier(text)
    notifier(context)
    return notifier.text


def test_airflow_finds_the_plugin_by_the_entry_point() -> None:
    (entry,) = (each for each in entry_points(group="airflow.plugins") if each.name == "streamtasks")
    assert entry.load() is StreamTasksPlugin


def test_airflow_puts_the_plugins_macro_where_templates_look() -> None:
    integrate_macros_plugins()
    assert MacrosAccessor().streamtasks.alert_text is alert_text


def test_a_template_calls_it_without_an_argument(failed: Any) -> None:
    text = rendered("Look: {{ macros.streamtasks.alert_text() }}", failed)
    assert text == f"Look: {alert_text(failed)}"


def test_it_also_works_as_a_macro_of_ones_own(failed: Any) -> None:
    assert rendered("{{ alert_text() }}", {**failed, "alert_text": alert_text}) == alert_text(failed)


def test_a_template_may_take_it_apart(failed: Any) -> None:
    first = rendered("{{ macros.streamtasks.alert_text().splitlines() | first }}", failed)
    assert first == alert_text(failed).splitlines()[0]


@pytest.mark.parametrize("name", ["task_id", "error_type", "description", "stack_trace", "version"])
def test_a_template_reaches_the_fields_of_the_exception(failed: Any, name: str) -> None:
    assert rendered(f"{{{{ exception.{name} }}}}", failed) == getattr(failed["exception"], name) != ""
