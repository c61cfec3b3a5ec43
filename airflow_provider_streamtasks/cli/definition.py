"""Which commands there are. Every ``airflow`` command imports this, so it imports nothing that is heavy."""

from __future__ import annotations

from airflow.cli.cli_config import (
    ARG_OUTPUT,
    ARG_VERBOSE,
    ActionCommand,
    Arg,
    CLICommand,
    GroupCommand,
    lazy_load_command,
)

_COMMANDS = "airflow_provider_streamtasks.cli.commands"

_CONN_ID = Arg(
    ("--conn-id",),
    help="The Airflow connection, of type stream (default: %(default)s)",
    default="stream_default",
)
_TASK_ID = Arg(("stream_task_id",), help="The id of the Stream task")
_TASK_IDS = Arg(("stream_task_id",), nargs="+", help="The ids of the Stream tasks")
_TIMEOUT = Arg(
    ("--timeout",),
    type=float,
    help="Seconds to wait (default: [streamtasks] timeout of Airflow's configuration)",
)
_DAG_ID = Arg(("--dag-id",), help="Only the waits of this DAG")
_LIMIT = Arg(("--limit",), type=int, default=100, help="How many waits at most (default: %(default)s)")

_OUTPUT = (ARG_OUTPUT, ARG_VERBOSE)


def get_cli_commands() -> list[CLICommand]:
    """Return the group ``stream``. Nothing in it changes anything at Stream or in Airflow."""
    task = GroupCommand(
        name="task",
        help="How Stream tasks stand",
        subcommands=(
            ActionCommand(
                name="get",
                help="Show a Stream task",
                description="Exit status: 0, also for a Stream task that failed; 1 for an error.",
                func=lazy_load_command(f"{_COMMANDS}.get_task"),
                args=(_TASK_ID, _CONN_ID, *_OUTPUT),
            ),
            ActionCommand(
                name="wait",
                help="Wait until Stream tasks have finished, and show them",
                description=(
                    "Exit status: 0 if all are completed, 1 for an error, 3 if one failed, 4 if the time was "
                    "up. Interrupting it changes nothing at Stream."
                ),
                func=lazy_load_command(f"{_COMMANDS}.wait_for_tasks"),
                args=(_TASK_IDS, _CONN_ID, _TIMEOUT, *_OUTPUT),
            ),
        ),
    )
    connection = GroupCommand(
        name="connection",
        help="Connections to Stream",
        subcommands=(
            ActionCommand(
                name="test",
                help="Ask Stream whether key and secret are right",
                description="Exit status: 0 if they are, 1 if not; then it says what is wrong.",
                func=lazy_load_command(f"{_COMMANDS}.test_connection"),
                args=(_CONN_ID, ARG_VERBOSE),
            ),
        ),
    )
    waits = ActionCommand(
        name="waits",
        help="List the Airflow tasks that are deferred until Stream has finished",
        func=lazy_load_command(f"{_COMMANDS}.list_waits"),
        args=(_DAG_ID, _LIMIT, *_OUTPUT),
    )
    return [
        GroupCommand(name="stream", help="Stream tasks (getstream.io)", subcommands=(task, connection, waits))
    ]
