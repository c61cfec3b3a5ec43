"""The plugin costs nothing where it is not shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.links import task_classes
from airflow_provider_streamtasks.plugin import StreamTasksPlugin

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "airflow_provider_streamtasks" / "ui" / "www" / "stream_tasks.js"


def said_by(code: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys\n{code}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_a_process_that_shows_nothing_loads_no_web_framework_and_no_operator_for_it() -> None:
    """As workers, triggerers and DAG processors do, for the sake of the macros."""
    loaded = said_by(
        "from airflow.sdk import plugins_manager as m\n"
        "m._get_plugins() if hasattr(m, '_get_plugins') else m.ensure_plugins_loaded()\n"
        "m.integrate_macros_plugins()\n"
        "print(json.dumps(sorted(sys.modules)))"
        if _compat.RUNS_WITHOUT_WORKERS
        else "from airflow import plugins_manager as m\n"
        "m.ensure_plugins_loaded()\n"
        "m.integrate_macros_plugins()\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    assert "airflow_provider_streamtasks.plugin" in loaded
    for heavy in ("starlette", "fastapi.staticfiles", "airflow.api_fastapi.core_api.security"):
        assert heavy not in loaded
    for ours in ("ui.app", "ui.waits", "links", "operators.chat", "sensors.task"):
        assert f"airflow_provider_streamtasks.{ours}" not in loaded


def test_airflow_takes_what_it_declares() -> None:
    from airflow import plugins_manager

    if not hasattr(plugins_manager, "_get_ui_plugins"):
        assert not _compat.RUNS_WITHOUT_WORKERS  # 3.1 and 3.2 collect them elsewhere
        return
    apps = [each["url_prefix"] for each in plugins_manager.get_fastapi_plugins()[0]]
    assert "/streamtasks" in apps
    assert "stream-tasks" in [each["url_route"] for each in plugins_manager._get_ui_plugins()[1]]


def test_a_property_returns_the_same_list_each_time() -> None:
    """Airflow takes refused views out of it."""
    plugin = StreamTasksPlugin()
    assert plugin.react_apps is plugin.react_apps
    assert plugin.fastapi_apps is plugin.fastapi_apps


def test_the_bundle_defines_the_component_of_each_view() -> None:
    text = BUNDLE.read_text()
    for view in StreamTasksPlugin().react_apps:
        assert f'globalThis["{view["name"]}"] =' in text or f"globalThis.{view['name']} =" in text


def test_there_is_a_tab_only_where_it_stays_off_other_operators() -> None:
    tabs = [each for each in StreamTasksPlugin().react_apps if each["destination"] == "task_instance"]
    assert len(tabs) == _compat.KEEPS_TABS_OFF_OTHERS
    for tab in tabs:
        assert tab["applies_to"] == {"operator_name": sorted(each.__name__ for each in task_classes())}


def test_a_release_without_what_the_page_needs_starts_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow_provider_streamtasks.ui.app", None)
    plugin = StreamTasksPlugin()
    assert plugin.fastapi_apps == []
    assert plugin.react_apps == []
    assert len(plugin.operator_extra_links) == 0
