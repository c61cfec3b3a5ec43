from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.providers.common.compat.sdk import conf
from airflow.providers_manager import ProvidersManager

from airflow_provider_streamtasks import __version__, configuration
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol.credentials import DEFAULT_BASE_URL
from airflow_provider_streamtasks.protocol.delivery import MAX_RESULT_SIZE
from airflow_provider_streamtasks.provider_info import get_provider_info

INFO = get_provider_info()
PACKAGE = Path(__file__).parent.parent / "airflow_provider_streamtasks"
CONFIG = INFO["config"]["streamtasks"]["options"]


def schema(name: str) -> Any:
    return json.loads((Path(airflow.__file__).parent / name).read_text())


def test_airflow_finds_it_by_the_entry_point() -> None:
    (entry,) = (
        entry
        for entry in entry_points(group="apache_airflow_provider")
        if entry.value.startswith("airflow_provider_streamtasks.")
    )
    assert entry.load() is get_provider_info


def test_it_is_what_airflows_schema_describes() -> None:
    jsonschema.validate(INFO, schema("provider_info.schema.json"))


def test_its_connection_type_is_what_airflows_stricter_schema_describes() -> None:
    described = schema("provider.yaml.schema.json")
    jsonschema.validate(
        INFO["connection-types"],
        {**described["properties"]["connection-types"], "definitions": described.get("definitions", {})},
    )


def test_it_is_plain_json() -> None:
    assert json.loads(json.dumps(INFO)) == INFO


def test_it_holds_the_version() -> None:
    assert INFO["versions"] == [__version__]


def modules(kind: str) -> set[str]:
    return {module for group in INFO[kind] for module in group["python-modules"]}


@pytest.mark.parametrize("kind", ["operators", "sensors", "triggers"])
def test_it_lists_every_module_that_users_import(kind: str) -> None:
    present = {
        f"airflow_provider_streamtasks.{kind}.{path.stem}"
        for path in (PACKAGE / kind).glob("*.py")
        if path.stem not in ("__init__", "base") and "class Stream" in path.read_text()
    }
    assert modules(kind) == present


@pytest.mark.parametrize(
    "module", sorted(set().union(*map(modules, ("hooks", "operators", "sensors", "triggers"))))
)
def test_every_module_that_it_lists_can_be_imported(module: str) -> None:
    assert import_module(module).__doc__


@pytest.fixture(scope="module")
def providers() -> ProvidersManager:
    return ProvidersManager()


@pytest.mark.filterwarnings("ignore:ProvidersManager.hooks is deprecated")
def test_airflow_lists_the_hook(providers: ProvidersManager) -> None:
    hook = providers.hooks["stream"]
    assert hook is not None
    assert hook.hook_name == "Stream"
    assert hook.connection_id_attribute_name == "stream_conn_id"
    assert hook.hook_class_name == f"{StreamHook.__module__}.{StreamHook.__name__}"


def test_airflow_lists_the_provider(providers: ProvidersManager) -> None:
    assert providers.providers["airflow-provider-streamtasks"].version == __version__


def test_the_form_asks_for_key_secret_and_base_url() -> None:
    (connection,) = INFO["connection-types"]
    assert connection["ui-field-behaviour"]["relabeling"] == {
        "login": "API key",
        "password": "API secret",
        "host": "Base URL",
    }


@pytest.fixture(scope="module")
def form() -> dict[str, Any]:
    """The form of the connection, as Airflow's API hands it to its UI."""
    # In a process of its own: Airflow before 3.2 puts stand-ins for Flask's forms into sys.modules.
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService; "
            "(form,) = [f for f in HookMetaService.hook_meta_data() if f.connection_type == 'stream']; "
            "print(form.model_dump_json())",
        ],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("field", "label"), [("login", "API key"), ("password", "API secret"), ("host", "Base URL")]
)
def test_the_form_calls_the_standard_fields_by_streams_words(
    form: dict[str, Any], field: str, label: str
) -> None:
    assert form["standard_fields"][field]["title"] == label


def test_the_form_hides_what_stream_has_no_use_for(form: dict[str, Any]) -> None:
    assert form["standard_fields"]["url_schema"]["hidden"]


@pytest.mark.parametrize(("field", "default"), [("request_timeout", 30), ("rate_limit_share", 0.8)])
def test_the_form_has_fields_of_its_own(form: dict[str, Any], field: str, default: float) -> None:
    (connection,) = INFO["connection-types"]
    shown = form["extra_fields"][field]
    assert float(shown["value"]) == default
    assert shown["schema"]["title"] == connection["conn-fields"][field]["label"]


@pytest.mark.parametrize(("field", "default"), [("request_timeout", 30), ("rate_limit_share", 0.8)])
def test_the_fields_of_the_form_have_the_defaults_of_the_code(field: str, default: float) -> None:
    (connection,) = INFO["connection-types"]
    described = connection["conn-fields"][field]["schema"]
    assert described["default"] == default
    jsonschema.validate(default, described)
    jsonschema.validate(None, described)


@pytest.mark.parametrize("option", ["poll_interval", "max_poll_interval", "timeout"])
def test_a_number_of_the_configuration_has_one_default(
    providers: ProvidersManager, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    providers.initialize_providers_configuration()
    assert conf.getfloat("streamtasks", option) == float(CONFIG[option]["default"])
    assert getattr(configuration, option)() == float(CONFIG[option]["default"])
    monkeypatch.setenv(f"AIRFLOW__STREAMTASKS__{option.upper()}", "7.5")
    assert getattr(configuration, option)() == 7.5


@pytest.mark.parametrize(
    ("option", "default"), [("poll_interval", 1.0), ("max_poll_interval", 30.0), ("timeout", 60.0)]
)
def test_the_defaults_of_a_wait_are_streams(option: str, default: float) -> None:
    assert getattr(configuration, option)() == default


def test_a_default_that_the_protocol_needs_as_well_is_the_same_there() -> None:
    (connection,) = INFO["connection-types"]
    assert connection["ui-field-behaviour"]["placeholders"]["host"] == DEFAULT_BASE_URL
    assert configuration.max_result_size() == MAX_RESULT_SIZE


def test_urls_keep_their_signatures_unless_the_configuration_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert configuration.redact_result_urls() is False
    monkeypatch.setenv("AIRFLOW__STREAMTASKS__REDACT_RESULT_URLS", "True")
    assert configuration.redact_result_urls() is True


def test_it_lists_every_notifier(providers: ProvidersManager) -> None:
    present = {
        f"airflow_provider_streamtasks.notifications.{path.stem}.{name}"
        for path in (PACKAGE / "notifications").glob("*.py")
        for name in re.findall(r"class (Stream\w+Notifier)", path.read_text())
    }
    assert set(INFO["notifications"]) == present
    assert present <= set(providers.notification)


def test_it_lists_every_transfer() -> None:
    present = {
        f"airflow_provider_streamtasks.transfers.{path.stem}"
        for path in (PACKAGE / "transfers").glob("*.py")
        if "class Stream" in path.read_text()
    }
    assert {each["python-module"] for each in INFO["transfers"]} == present
    for module in present:
        assert import_module(module).__doc__
