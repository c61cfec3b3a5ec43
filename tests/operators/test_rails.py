"""Limits and dry runs: what keeps a mistake from deleting anybody."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG, BaseOperator, Context

from airflow_provider_streamtasks.exceptions import StreamApiException, StreamConfigurationError
from airflow_provider_streamtasks.operators.base import StreamBaseOperator
from airflow_provider_streamtasks.operators.data_import import StreamImportOperator
from airflow_provider_streamtasks.operators.operation import StreamOperationOperator
from airflow_provider_streamtasks.operators.rails import TooManyItemsError
from airflow_provider_streamtasks.operators.users import StreamDeleteUsersOperator
from airflow_provider_streamtasks.sandbox import SandboxControl
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from tests.airflow_tasks import Run
from tests.conftest import Logs, SetConnection
from tests.every_operator import OPERATORS, make, name_of

EVERY = pytest.mark.parametrize("operator", OPERATORS, ids=name_of)
OF_LISTS = pytest.mark.parametrize(
    "operator", [each for each in OPERATORS if each.stream_operation.items], ids=name_of
)
WAITING = {"wait_for_completion": True, "deferrable": True}
MILLION = 1_000_000


@pytest.fixture
def run(connection: None) -> Run:
    return Run()


def delete(user_ids: Any, **others: Any) -> StreamDeleteUsersOperator:
    return StreamDeleteUsersOperator(task_id="delete", user_ids=user_ids, user="hard", **others)


def requests(control: SandboxControl) -> list[str]:
    """Everything that reached the sandbox but questions about the budget."""
    return [call["operation"] for call in control.journal() if call["operation"] != "GetRateLimits"]


def everybody(context: Context) -> Iterator[str]:
    """A filter that matches a million users by mistake."""
    return (f"user-{number}" for number in range(MILLION))


def write(folder: Path, name: str, opened: Callable[..., Any] = open) -> str:
    with opened(folder / name, "wt") as file:
        file.writelines(f"user-{number}\n" for number in range(1001))
    return f"file://{folder}/{name}"


SOURCES: dict[str, Callable[[Path], Any]] = {
    "a list": lambda folder: [f"user-{number}" for number in range(1001)],
    "a callable": lambda folder: lambda context: (f"user-{number}" for number in range(1001)),
    "a file": lambda folder: write(folder, "users.txt"),
    "a gzip file": lambda folder: write(folder, "users.txt.gz", gzip.open),
}


class TestLimit:
    @pytest.mark.parametrize("source", SOURCES)
    def test_more_than_allowed_and_nothing_is_sent(
        self, source: str, run: Run, control: SandboxControl, tmp_path: Path
    ) -> None:
        users = SOURCES[source](tmp_path)
        with pytest.raises(TooManyItemsError) as raised:
            run.execute(lambda: delete(users, max_items=1000))
        assert str(raised.value) == (
            "user_ids has 1,001 items, max_items allows 1,000, and nothing was sent. "
            "If all of them are meant, give the operator max_items=1001, or 'unlimited'."
        )
        assert (raised.value.count, raised.value.max_items) == (1001, 1000)
        assert control.journal() == []
        assert run.xcoms == {"task_ids": []}

    @OF_LISTS
    def test_every_operator_that_takes_a_list_has_it(
        self, operator: type[StreamBaseOperator], run: Run, control: SandboxControl
    ) -> None:
        with pytest.raises(TooManyItemsError, match="has 2 items, max_items allows 1, and nothing was sent"):
            run.execute(lambda: make(operator, max_items=1))
        assert control.journal() == []
        run.execute(lambda: make(operator, max_items=2))
        assert len(requests(control)) == 1

    @EVERY
    def test_others_have_nothing_to_count(self, operator: type[StreamBaseOperator]) -> None:
        if operator.stream_operation.items:
            assert make(operator, max_items=1).max_items == 1
        else:
            with pytest.raises(
                ValueError, match=r"^max_items is 1: it needs a list of items, and there is none"
            ):
                make(operator, max_items=1)

    @EVERY
    def test_a_limit_for_the_whole_dag_is_for_those_who_count(
        self, operator: type[StreamBaseOperator]
    ) -> None:
        with DAG("dag", schedule=None, default_args={"max_items": 1}):
            assert make(operator).max_items == 1

    def test_any_operation_has_it(self, run: Run, control: SandboxControl) -> None:
        with pytest.raises(TooManyItemsError, match="cids has 2 items"):
            run.execute(
                lambda: StreamOperationOperator(
                    task_id="any",
                    path="/api/v2/chat/channels/delete",
                    items=["messaging:a", "messaging:b"],
                    items_field="cids",
                    max_items=1,
                )
            )
        assert control.journal() == []

    def test_duplicates_do_not_count(self, run: Run, control: SandboxControl) -> None:
        run.execute(lambda: delete(["joe", "joe", "ann"], max_items=2))
        assert requests(control) == ["DeleteUsers"]

    def test_airflow_does_not_retry_it(self) -> None:
        assert issubclass(TooManyItemsError, AirflowFailException)

    def test_it_outlives_the_ways_that_exceptions_go(self) -> None:
        import pickle

        error = TooManyItemsError("too many", hint="look", count=2, max_items=1)
        again = pickle.loads(pickle.dumps(error))
        assert (str(again), again.fields()) == (str(error), error.fields())
        path, args, fields = error.serialize()
        assert path == "airflow_provider_streamtasks.operators.rails.TooManyItemsError"
        assert TooManyItemsError(*args, **fields).fields() == error.fields()

    def test_the_configuration_limits_all(
        self, run: Run, control: SandboxControl, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__STREAMTASKS__MAX_ITEMS", "1")
        with pytest.raises(TooManyItemsError, match=r"\[streamtasks\] max_items allows 1, and nothing"):
            run.execute(lambda: delete(["joe", "ann"]))
        assert control.journal() == []

    @pytest.mark.parametrize("allowed", [2, "2", "unlimited"])
    def test_the_operator_beats_the_configuration(
        self, allowed: Any, run: Run, control: SandboxControl, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__STREAMTASKS__MAX_ITEMS", "1")
        run.execute(lambda: delete(["joe", "ann"], max_items=allowed))
        assert requests(control) == ["DeleteUsers"]

    def test_a_limit_that_is_none_sends_nothing(
        self, run: Run, control: SandboxControl, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__STREAMTASKS__MAX_ITEMS", "many")
        with pytest.raises(ValueError, match=r"^\[streamtasks\] max_items is 'many': a whole number"):
            run.execute(lambda: delete(["joe"]))
        assert control.journal() == []

    def test_a_parameter_of_the_run_may_raise_it(self, run: Run, control: SandboxControl) -> None:
        operator = delete(["joe", "ann"], max_items="{{ params.at_most }}")
        operator.render_template_fields(Context(params={"at_most": 2}))
        run.execute(lambda: operator)
        assert requests(control) == ["DeleteUsers"]

    @pytest.mark.parametrize("dry_run", [False, True])
    def test_a_limit_of_which_a_template_leaves_nothing_is_not_no_limit(
        self, dry_run: bool, run: Run, control: SandboxControl
    ) -> None:
        operator = delete(["joe", "ann"], max_items="{{ params.at_most }}", dry_run=dry_run)
        operator.max_items = (
            None  # as render_template_as_native_obj, or an XCom that nobody pushed, leaves it
        )
        with pytest.raises(ValueError, match=r"^max_items is None: its template, or .*, gave None"):
            run.execute(lambda: operator)
        assert control.journal() == []

    @pytest.mark.parametrize("wrong", [0, "all", True])
    def test_a_slip_is_found_when_the_dag_is_read(self, wrong: Any) -> None:
        with pytest.raises(ValueError, match=r"^max_items is"):
            delete(["joe"], max_items=wrong)

    def test_a_retry_that_may_send_less_goes_no_further(self, run: Run, control: SandboxControl) -> None:
        users = [f"user-{number}" for number in range(150)]
        control.fault("api_error", operation="DeleteUsers", status=404, code=16, message="no", times=1)
        with pytest.raises(StreamApiException):
            run.execute(lambda: delete(users))
        before = len(control.journal())
        with pytest.raises(TooManyItemsError):
            run.execute(lambda: delete(users, max_items=149))
        assert len(control.journal()) == before

    def test_a_filter_that_matches_a_million_users_deletes_nobody(
        self, run: Run, control: SandboxControl
    ) -> None:
        with pytest.raises(TooManyItemsError, match="user_ids has 1,000,000 items, max_items allows 1,000,"):
            run.execute(lambda: delete(everybody, max_items=1000))
        assert control.journal() == []


class TestDryRun:
    @EVERY
    @pytest.mark.parametrize("waiting", [{}, WAITING], ids=["submits", "waits"])
    def test_nothing_is_sent(
        self,
        operator: type[StreamBaseOperator],
        waiting: dict[str, Any],
        run: Run,
        control: SandboxControl,
        logs: Logs,
    ) -> None:
        spec = operator.stream_operation.items
        assert run.execute(lambda: make(operator, dry_run=True, **waiting)) == []
        assert requests(control) == []
        assert control.tasks() == []
        assert run.store.values == {}
        assert run.deferrals == []
        found = run.xcoms.pop("dry_run")
        assert run.xcoms == {"return_value": [], "task_ids": []}
        assert found.pop("minimum_seconds") is not None
        sample = found.pop("sample")
        assert len(sample) == (2 if spec and not spec.free_text else 0)
        assert found == {
            "operation": operator.stream_operation.name,
            "items": 2 if spec else None,
            "batches": 1,
        }
        assert f"Dry run of {operator.stream_operation.name}: " in logs.text
        assert "Nothing was sent." in logs.text

    def test_it_counts_batches_time_and_names_a_few(self, run: Run, control: SandboxControl) -> None:
        run.execute(lambda: delete([f"user-{number}" for number in range(1001)], dry_run=True))
        found = run.xcoms["dry_run"]
        # Six requests a minute, of which Airflow takes four.
        assert 60 <= found.pop("minimum_seconds") <= 120
        assert found == {
            "operation": "DeleteUsers",
            "items": 1001,
            "batches": 11,
            "sample": ["user-0", "user-250", "user-500", "user-750", "user-1000"],
        }

    def test_a_sensor_behind_it_has_nothing_to_wait_for(self, run: Run, control: SandboxControl) -> None:
        submitted = run.execute(lambda: delete(["joe"], dry_run=True))
        Run().execute(lambda: StreamTaskSensor(task_id="wait", stream_task_id=submitted))
        assert requests(control) == []

    @pytest.mark.parametrize(("rendered", "sent"), [(True, []), (False, ["DeleteUsers"])])
    def test_a_parameter_of_the_run_switches_it(
        self, rendered: bool, sent: list[str], run: Run, control: SandboxControl
    ) -> None:
        operator = delete(["joe"], dry_run="{{ params.dry_run }}")
        operator.render_template_fields(Context(params={"dry_run": rendered}))
        run.execute(lambda: operator)
        assert requests(control) == sent

    @pytest.mark.parametrize("rendered", [None, "", "yes", 0, 1])
    def test_what_a_template_gives_otherwise_is_an_error(
        self, rendered: Any, run: Run, control: SandboxControl
    ) -> None:
        operator = delete(["joe"], dry_run="{{ params.dry_run }}")
        operator.render_template_fields(Context(params={"dry_run": rendered}))
        words = "its template, or .*, gave None" if rendered is None else "True or False is needed"
        with pytest.raises(ValueError, match=rf"^dry_run is .*: {words}$"):
            run.execute(lambda: operator)
        assert control.journal() == []

    def test_a_subclass_that_renders_no_such_field_sends_nothing(
        self, run: Run, control: SandboxControl
    ) -> None:
        class Own(StreamDeleteUsersOperator):
            template_fields = ("user_ids",)

        operator = Own(task_id="delete", user_ids=["joe"], dry_run="{{ params.dry_run }}")
        operator.render_template_fields(Context(params={"dry_run": False}))
        with pytest.raises(ValueError, match=r"^dry_run is"):
            run.execute(lambda: operator)
        assert control.journal() == []

    @pytest.mark.parametrize("wrong", [None, "yes", 1, ""])
    def test_a_slip_is_found_when_the_dag_is_read(self, wrong: Any) -> None:
        with pytest.raises(ValueError, match=r"^dry_run is"):
            delete(["joe"], dry_run=wrong)

    @pytest.mark.parametrize(
        "users", [[""], ["joe", 7], [], lambda context: ["joe", ""]], ids=["empty", "number", "none", "late"]
    )
    def test_everything_is_checked(self, users: Any, run: Run, control: SandboxControl) -> None:
        with pytest.raises(ValueError, match="user_ids"):
            run.execute(lambda: delete(users, dry_run=True))
        assert control.journal() == []

    def test_it_fails_where_there_would_be_too_many_and_says_what_it_found(
        self, run: Run, control: SandboxControl
    ) -> None:
        with pytest.raises(TooManyItemsError):
            run.execute(lambda: delete(["joe", "ann"], dry_run=True, max_items=1))
        assert run.xcoms["dry_run"]["sample"] == ["joe", "ann"]
        assert requests(control) == []

    def test_it_fails_where_stream_would_refuse_the_connection(
        self, set_connection: SetConnection, control: SandboxControl
    ) -> None:
        set_connection(password="wrong" * 10)
        with pytest.raises(StreamApiException):
            Run().execute(lambda: delete(["joe"], dry_run=True))
        set_connection(password="")
        with pytest.raises(StreamConfigurationError):
            Run().execute(lambda: delete(["joe"], dry_run=True))

    def test_no_time_is_made_up_for_an_operation_that_nobody_names(
        self, run: Run, control: SandboxControl
    ) -> None:
        run.execute(
            lambda: StreamOperationOperator(
                task_id="any",
                path="/api/v2/chat/channels/delete",
                items=["erasmus@example.com"],
                items_field="cids",
                dry_run=True,
            )
        )
        assert control.journal() == []
        assert run.xcoms["dry_run"] == {
            "operation": "POST /api/v2/chat/channels/delete",
            "items": 1,
            "batches": 1,
            "minimum_seconds": None,
            "sample": [],
        }

    def test_a_file_to_import_is_checked_and_not_uploaded(
        self, run: Run, control: SandboxControl, tmp_path: Path
    ) -> None:
        file = tmp_path / "import.json"
        file.write_text("[]")

        def make() -> StreamImportOperator:
            return StreamImportOperator(task_id="import", file=f"file://{file}", mode="insert", dry_run=True)

        assert run.execute(make) == []
        assert requests(control) == []
        file.write_text("")
        with pytest.raises(ValueError, match="with 0 bytes"):
            run.execute(make)

    def test_no_xcom_is_pushed_where_none_is_wanted(self, run: Run) -> None:
        run.execute(lambda: delete(["joe"], dry_run=True, do_xcom_push=False))
        assert run.xcoms == {}

    def test_airflows_own_dry_run_still_renders_the_fields(self, logs: Logs) -> None:
        with DAG("dag", schedule=None):
            operator = delete(["joe"], dry_run=True)
        assert type(operator).dry_run is BaseOperator.dry_run
        operator.dry_run()
        assert "Dry run" in logs.text

    def test_a_mapped_operator_has_it(self) -> None:
        with DAG("dag", schedule=None):
            mapped = StreamDeleteUsersOperator.partial(
                task_id="delete", user="hard", dry_run="{{ params.dry_run }}", max_items=3
            ).expand(user_ids=[["joe"], ["ann"]])
        made = mapped.unmap({"user_ids": ["joe"]})
        assert isinstance(made, StreamDeleteUsersOperator)
        made.render_template_fields(Context(params={"dry_run": True}))
        assert (made.is_dry_run, made.max_items) == ("True", 3)

    def test_a_mapped_operator_must_run_after_what_decides(self, run: Run, control: SandboxControl) -> None:
        with DAG("dag", schedule=None):
            decide = BaseOperator(task_id="decide")
            between = BaseOperator(task_id="between")
            mapped = StreamDeleteUsersOperator.partial(
                task_id="delete", user="hard", dry_run=decide.output
            ).expand(user_ids=[["joe"], ["ann"]])

        def execute(decided: bool) -> None:
            made = mapped.unmap({"user_ids": ["joe"]})
            made.is_dry_run = decided  # as an earlier run of `decide` left it
            run.execute(lambda: made)

        with pytest.raises(
            ValueError, match=r"^dry_run is the output of 'decide', and Airflow .* decide >> delete"
        ):
            execute(False)
        assert control.journal() == []
        decide >> between >> mapped
        execute(False)
        assert requests(control) == ["DeleteUsers"]
