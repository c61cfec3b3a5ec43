"""What Airflow asks a provider about itself, in every process: importing this must stay cheap."""

from __future__ import annotations

from typing import Any

from airflow_provider_streamtasks import __version__


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, as Airflow's provider schema describes it."""
    return {
        "package-name": "airflow-provider-streamtasks",
        "name": "Stream",
        "description": "Submit and await the asynchronous tasks of `Stream <https://getstream.io>`__.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": "Stream",
                "external-doc-url": "https://getstream.io/docs/",
                "tags": ["service"],
            }
        ],
        "hooks": [
            {
                "integration-name": "Stream",
                "python-modules": ["airflow_provider_streamtasks.hooks.stream"],
            }
        ],
        "operators": [
            {
                "integration-name": "Stream",
                "python-modules": [
                    "airflow_provider_streamtasks.operators.chat",
                    "airflow_provider_streamtasks.operators.feeds",
                    "airflow_provider_streamtasks.operators.data_import",
                    "airflow_provider_streamtasks.operators.moderation",
                    "airflow_provider_streamtasks.operators.operation",
                    "airflow_provider_streamtasks.operators.users",
                    "airflow_provider_streamtasks.operators.video",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": "Stream",
                "python-modules": [
                    "airflow_provider_streamtasks.sensors.data_import",
                    "airflow_provider_streamtasks.sensors.task",
                ],
            }
        ],
        "transfers": [
            {
                "source-integration-name": "Stream",
                "target-integration-name": "Common IO",
                "python-module": "airflow_provider_streamtasks.transfers.export",
            }
        ],
        "triggers": [
            {
                "integration-name": "Stream",
                "python-modules": [
                    "airflow_provider_streamtasks.triggers.data_import",
                    "airflow_provider_streamtasks.triggers.sensor",
                    "airflow_provider_streamtasks.triggers.task",
                ],
            }
        ],
        "notifications": [
            "airflow_provider_streamtasks.notifications.chat.StreamChatNotifier",
        ],
        "cli": ["airflow_provider_streamtasks.cli.definition.get_cli_commands"],
        "connection-types": [
            {
                "connection-type": "stream",
                "hook-name": "Stream",
                "hook-class-name": "airflow_provider_streamtasks.hooks.stream.StreamHook",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema"],
                    "relabeling": {"login": "API key", "password": "API secret", "host": "Base URL"},
                    "placeholders": {"host": "https://chat.stream-io-api.com"},
                },
                "conn-fields": {
                    "request_timeout": {
                        "label": "Request timeout",
                        "description": "Seconds that one request may take, to the last byte of the answer",
                        "schema": {"type": ["number", "null"], "default": 30, "minimum": 1, "maximum": 3600},
                    },
                    "rate_limit_share": {
                        "label": "Rate limit share",
                        "description": "The part of each endpoint's budget that Airflow may use, from 0 to 1",
                        "schema": {"type": ["number", "null"], "default": 0.8, "minimum": 0.01, "maximum": 1},
                    },
                },
            }
        ],
        "config": {
            "streamtasks": {
                "description": "How Stream tasks are waited for, where an operator or sensor says nothing.",
                "options": {
                    "poll_interval": {
                        "description": "Seconds between two polls of a Stream task at least.",
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": None,
                        "default": "1.0",
                    },
                    "max_poll_interval": {
                        "description": "Seconds between two polls of a Stream task at most.",
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": None,
                        "default": "30.0",
                    },
                    "timeout": {
                        "description": "Seconds that a Stream task is waited for. Exports may take hours.",
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": "14400",
                        "default": "60.0",
                    },
                    "scheduler_lag": {
                        "description": (
                            "Seconds that the scheduler may need to see that the worker of a deferred "
                            "Airflow task has ended, on top of [workers] min_heartbeat_interval. No trigger "
                            "hands an Airflow task to another worker before."
                        ),
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": "30",
                        "default": "10.0",
                    },
                    "max_items": {
                        "description": (
                            "How many items an operator may send. If there are more, it sends none, and "
                            "fails. A number, or unlimited. An operator's own max_items beats it."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "10000",
                        "default": "unlimited",
                    },
                    "max_result_size": {
                        "description": (
                            "Bytes of a result above which its XCom is a summary, unless push_result=True "
                            "asks for all of it."
                        ),
                        "version_added": "0.1.0",
                        "type": "integer",
                        "example": None,
                        "default": "65536",
                    },
                    "record_progress": {
                        "description": (
                            "Whether waits of more than a minute record, at most once a minute, what Stream "
                            "said last and how many Stream tasks have finished: in the triggerer in an XCom, "
                            "on a worker in the task state store."
                        ),
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": None,
                        "default": "True",
                    },
                    "start_from_trigger_max_dag_tasks": {
                        "description": (
                            "How many tasks a DAG may have for its sensors to begin in the triggerer. In a "
                            "larger one a worker begins them, because Airflow sends the whole DAG to the "
                            "triggerer for each sensor that begins there."
                        ),
                        "version_added": "0.1.0",
                        "type": "integer",
                        "example": "50",
                        "default": "100",
                    },
                    "redact_result_urls": {
                        "description": (
                            "Whether URLs in results lose their signature, and with it the right to download "
                            "the file, before they become XComs."
                        ),
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": None,
                        "default": "False",
                    },
                },
            }
        },
    }


def connection_type() -> dict[str, Any]:
    """Return how the connection type ``stream`` is described to Airflow."""
    (described,) = get_provider_info()["connection-types"]
    return dict(described)
