"""What the demo runs, and how each of it must end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Ending:
    """
    How an Airflow task ends.

    :param state: its last state.
    :param log: what its log shows, if that matters.
    :param alert: what the alert about it says; None if there must be none.
    """

    state: str
    log: str | None = None
    alert: str | None = None

    def __str__(self) -> str:
        return ": ".join(filter(None, [self.state, self.log or self.alert]))


@dataclass(frozen=True)
class Scenario:
    """
    One example DAG and its expected end.

    :param dag_id: the DAG.
    :param endings: Airflow task id -> how it must end, each of its instances if it is mapped.
    :param params: of the run that the demo starts; ``{folder}`` stands for a folder that is removed
        afterwards. None where the scheduler starts a run, by the DAG's schedule or its assets.
    :param late: whether there is an alert that the run missed its deadline.
    :param mails: whether its alerts come by mail, too.
    """

    dag_id: str
    endings: Mapping[str, Ending]
    params: Mapping[str, str] | None = field(default_factory=dict)
    late: bool = False
    mails: bool = True


SUCCESS = Ending("success")
EVERY_OPERATION = "failed_operations"
"""The DAG in which each operation of Stream's fails."""

SCENARIOS = (
    Scenario(
        "nightly_channel_report",
        {"stored_files": SUCCESS, "read_file": SUCCESS},
        params=None,
    ),
    Scenario(
        "nightly_channel_export",
        {
            "find_channels": SUCCESS,
            "export_channels": SUCCESS,
            "wait_for_exports": SUCCESS,
            "store_exports": SUCCESS,
        },
        params=None,
    ),
    Scenario(
        "gdpr_user_requests",
        {
            "find_user": SUCCESS,
            "export_user": SUCCESS,
            "store_export": SUCCESS,
            "delete_user": SUCCESS,
            "verify": SUCCESS,
            "write_record": SUCCESS,
        },
        {"user_id": "erasmus", "reference": "request 2026-117"},
    ),
    Scenario(
        "retention_cleanup",
        {"find_channels": SUCCESS, "delete_channels": SUCCESS},
        params=None,
    ),
    Scenario(
        "failure_alerts",
        # Stream's words, as fates.json has them, and the provider's where Stream said nothing.
        {
            "failed_at_stream": Ending("failed", alert="message store down"),
            "not_in_time": Ending("failed", alert="did not finish"),
            "partly_failed": Ending("failed", alert="the channel is frozen"),
            "refused": Ending("failed", alert="Stream answered 400"),
            "no_answer": Ending("failed", alert="may or may not have taken"),
            "no_connection": Ending("failed", alert="stream_forgotten"),
        },
        late=True,
    ),
    Scenario(
        "delete_channels_and_wait",
        {"delete_channels": SUCCESS, "wait_for_deletion": SUCCESS},
    ),
    Scenario(
        "delete_channels_with_alert",
        {
            "delete_channels": SUCCESS,
            "wait_for_deletion": Ending("failed", log="message store down"),
        },
    ),
    Scenario(
        "delete_channels_with_deadline",
        {"delete_channels": SUCCESS, "wait_for_deletion": Ending("failed", log="AirflowSensorTimeout")},
    ),
    Scenario(
        "export_channels_to_storage",
        {"export_channels": SUCCESS, "wait_for_export": SUCCESS, "store_export": SUCCESS},
        {"destination": "file://{folder}/exports/"},
    ),
    Scenario(
        # What Stream says of each, wherever fates.json puts it.
        EVERY_OPERATION,
        {
            task_id: Ending("failed", alert=reason)
            for task_id, reason in {
                "delete_channels": "the channel is locked",
                "export_channels": "the export is larger than 20 GB",
                "update_channels": "more than 3,000 members",
                "delete_users": "the user owns channels",
                "deactivate_users": "the user is a bot",
                "reactivate_users": "the user was deleted",
                "export_users": "more than 10,000 messages",
                "delete_call": "the call is going on",
                "delete_feed": "the activity store is down",
                "delete_feeds": "the feed has followers",
                "delete_feed_user_data": "reactions could not be removed",
                "export_feed_user_data": "there is no place for the file",
                "import_block_list": "the block list is full",
                "moderate_images": "line 1 holds no URL",
                "export_moderation_logs": "the logs are being archived",
                "import_file": "line 1 is not JSON",
                "import_from_bucket": "message 7 has no author",
                "any_operation": "files are under legal hold",
            }.items()
        },
        mails=False,
    ),
)
