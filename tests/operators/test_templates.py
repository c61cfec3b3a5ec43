"""What templates give, or fail to give, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, Context, literal

from airflow_provider_streamtasks.operators.chat import (
    StreamChannelBatchUpdateOperator,
    StreamExportChannelsOperator,
)
from airflow_provider_streamtasks.operators.moderation import StreamImportBlockListOperator
from airflow_provider_streamtasks.operators.operation import StreamOperationOperator
from airflow_provider_streamtasks.operators.users import StreamDeleteUsersOperator
from airflow_provider_streamtasks.sandbox import SandboxControl
from tests.airflow_tasks import Run
from tests.test_arguments import Mapped


@pytest.fixture
def run(connection: None, control: SandboxControl) -> Run:
    control.fate(pending=0, running=0)
    return Run()


def delete(given: Any) -> Any:
    return StreamDeleteUsersOperator(task_id="delete", user_ids=given)


def delete_and_give(given: Any) -> Any:
    return StreamDeleteUsersOperator(task_id="delete", user_ids=["joe"], new_channel_owner_id=given)


def hide(given: Any) -> Any:
    filter_ = {"cids": {"$in": ["messaging:a", given]}}
    return StreamChannelBatchUpdateOperator(task_id="hide", operation="hide", filter=filter_)


def add(given: Any) -> Any:
    return StreamChannelBatchUpdateOperator(
        task_id="add",
        operation="addMembers",
        filter={"types": {"$eq": "messaging"}},
        members=["ann", {"user_id": "joe", "channel_role": given}],
    )


def export(given: Any) -> Any:
    channels = [{"cid": "messaging:a", "messages_since": given}]
    return StreamExportChannelsOperator(task_id="export", channels=channels)


def any_with_body(given: Any) -> Any:
    body = {"user_ids": ["joe"], "created_by_id": given}
    return StreamOperationOperator(task_id="any", path="/api/v2/users/deactivate", body=body)


def any_with_query(given: Any) -> Any:
    path = "/api/v2/feeds/feed_groups/user/feeds/joe"
    return StreamOperationOperator(task_id="any", path=path, method="DELETE", query={"hard_delete": given})


PLACES: list[tuple[Callable[[Any], Any], str]] = [
    (lambda given: delete([given]), "user_ids[0]"),
    (lambda given: delete(["joe", given]), "user_ids[1]"),
    (delete, "user_ids"),
    (delete_and_give, "new_channel_owner_id"),
    (hide, "filter['cids']['$in'][1]"),
    (add, "members[1]['channel_role']"),
    (export, "channels[0]['messages_since']"),
    (any_with_body, "body['created_by_id']"),
    (any_with_query, "query['hard_delete']"),
]
EACH_PLACE = pytest.mark.parametrize(("make", "place"), [pytest.param(*case, id=case[1]) for case in PLACES])
TEMPLATE = "{{ params.given }}"


@EACH_PLACE
@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
def test_a_template_that_gives_none_sends_nothing(
    make: Callable[[Any], Any], place: str, native: bool, run: Run, control: SandboxControl
) -> None:
    with DAG("dag", schedule=None, render_template_as_native_obj=native):
        operator = make(TEMPLATE)
    operator.render_template_fields(Context(params={"given": None}))
    with pytest.raises(ValueError, match=r"gave None$") as raised:
        operator.execute(run.context)
    assert str(raised.value).startswith(f"{place} is ")
    assert control.journal() == []


@EACH_PLACE
def test_an_airflow_task_that_returns_none_sends_nothing(
    make: Callable[[Any], Any], place: str, run: Run, control: SandboxControl
) -> None:
    with DAG("dag", schedule=None):
        operator = make(BaseOperator(task_id="nobody").output)
    operator.render_template_fields(Context(ti=run.ti))  # type: ignore[typeddict-item]
    with pytest.raises(ValueError, match=r"gave None$") as raised:
        operator.execute(run.context)
    assert str(raised.value).startswith(f"{place} is None")
    assert control.journal() == []


@EACH_PLACE
@pytest.mark.parametrize(
    "template",
    [
        "messaging:{{ params.given }}",
        "{{ params.some }}-{{\nparams.given }}",
        "joe-{{ params.given }}\n",
        "joe- {{- params.given -}} ",
        "joe {{- params.given }}\r\nx",
        "{{- params.some }}:{{ params.given -}}",
        "joe-{{ params.given }}-{{ params.uuid }}",
    ],
)
def test_nor_does_one_that_gives_none_within_a_text(
    template: str, make: Callable[[Any], Any], place: str, run: Run, control: SandboxControl
) -> None:
    with DAG("dag", schedule=None):
        operator = make(template)
    operator.render_template_fields(Context(params={"given": None, "some": "a", "uuid": "3f2a-77"}))
    with pytest.raises(ValueError, match=r"gave None$") as raised:
        operator.execute(run.context)
    assert str(raised.value).startswith(f"{place} is ")
    assert control.journal() == []


@pytest.mark.parametrize(
    ("template", "given"),
    [
        ("{{ params.given }}{{ params.some }}", ""),
        ("{{ params.given }}{{ params.some }}{{ params.given }}", "x"),
        ("{{ params.given }}-{{ params.some }}", "a"),
    ],
)
def test_a_name_that_begins_like_none_is_somebodys(
    template: str, given: str, run: Run, control: SandboxControl
) -> None:
    with DAG("dag", schedule=None):
        operator = StreamDeleteUsersOperator(task_id="delete", user_ids=[template])
    operator.render_template_fields(Context(params={"given": given, "some": "Nonesuch"}))
    operator.execute(run.context)
    (sent,) = (each["items"] for each in control.journal("DeleteUsers"))
    assert "Nonesuch" in sent[0]


def test_a_dag_may_write_its_templates_in_another_way(run: Run, control: SandboxControl) -> None:
    ways: Any = {"variable_start_string": "{$", "variable_end_string": "$}"}
    with DAG("dag", schedule=None, jinja_environment_kwargs=ways):
        operator = StreamDeleteUsersOperator(task_id="delete", user_ids=["{$ params.given $}"])
    operator.render_template_fields(Context(params={"given": "joe"}))
    operator.execute(run.context)
    assert [each["items"] for each in control.journal("DeleteUsers")] == [["joe"]]


def test_nor_does_one_that_gives_none_in_a_path(run: Run, control: SandboxControl) -> None:
    path = "/api/v2/feeds/users/{{ params.given }}/delete"
    with DAG("dag", schedule=None):
        operator = StreamOperationOperator(task_id="any", path=path)
    operator.render_template_fields(Context(params={"given": None}))
    with pytest.raises(ValueError, match=r"^path is .* gave None$"):
        operator.execute(run.context)
    assert control.journal() == []


@EACH_PLACE
@pytest.mark.parametrize("template", [TEMPLATE, "joe-{% if x %}a{% endif %}"])
def test_a_template_that_nobody_renders_sends_nothing(
    make: Callable[[Any], Any], place: str, template: str, run: Run, control: SandboxControl
) -> None:
    # Inside a TaskFlow function, Airflow renders the templates of the function's own arguments alone.
    with pytest.raises(ValueError, match="Airflow has not rendered this template") as raised:
        make(template).execute(run.context)
    assert str(raised.value).startswith(f"{place} is '{template}'")
    assert control.journal() == []


@EACH_PLACE
def test_an_output_that_nobody_resolves_sends_nothing(
    make: Callable[[Any], Any], place: str, run: Run, control: SandboxControl
) -> None:
    with DAG("dag", schedule=None):
        operator = make(BaseOperator(task_id="before").output)
    with pytest.raises(ValueError, match="Airflow has not rendered this template") as raised:
        operator.execute(run.context)
    assert str(raised.value).startswith(f"{place} is ")
    assert control.journal() == []


def test_templates_can_be_rendered_inside_another_airflow_task(run: Run, control: SandboxControl) -> None:
    operator = delete(["joe", TEMPLATE])
    operator.render_template_fields(Context(params={"given": "ann"}))
    operator.execute(run.context)
    assert [each["items"] for each in control.journal("DeleteUsers")] == [["joe", "ann"]]


def test_the_output_of_a_mapped_airflow_task_may_stand_anywhere(run: Run, control: SandboxControl) -> None:
    cids = ["messaging:a", "messaging:b"]
    with DAG("dag", schedule=None):
        output = BaseOperator(task_id="each").output
        update = StreamChannelBatchUpdateOperator(
            task_id="hide", operation="hide", filter={"cids": {"$in": output}}
        )
        other = StreamOperationOperator(
            task_id="any", path="/api/v2/chat/channels/delete", body={"cids": output}
        )
    update.filter = {"cids": {"$in": Mapped(*cids)}}
    other.body = {"cids": Mapped(*cids)}
    for operator in (update, other):
        operator.execute(Run().context)
    assert [each["items"] for each in control.journal() if each["items"]] == [cids, cids]


def test_a_list_that_became_text_is_called_so(run: Run) -> None:
    with DAG("dag", schedule=None):
        operator = delete(TEMPLATE)
    operator.render_template_fields(Context(params={"given": ["joe"]}))
    with pytest.raises(ValueError, match=r"became text in a template: .* render_template_as_native_obj=True"):
        operator.execute(run.context)


class DeleteForReason(StreamDeleteUsersOperator):
    """As Airflow's documentation has it: with a template of its own, set after what the base does."""

    template_fields = (*StreamDeleteUsersOperator.template_fields, "reason")

    def __init__(self, *, reason: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reason = reason


def test_a_class_of_the_user_may_have_a_template_of_its_own(run: Run, control: SandboxControl) -> None:
    operator = DeleteForReason(task_id="delete", user_ids=["joe"], reason=TEMPLATE)
    operator.render_template_fields(Context(params={"given": "asked for"}))
    operator.execute(run.context)
    assert operator.reason == "asked for"
    assert [each["items"] for each in control.journal("DeleteUsers")] == [["joe"]]


def test_text_that_only_looks_like_a_template_is_sent(run: Run, control: SandboxControl) -> None:
    words: list[Any] = ["{curly", "None", literal("{{ no template }}"), "{{ params.given }}"]
    words += ["{{ params.word }}", "a None {{ params.given }}", "a {{ params.word }}"]
    operator = StreamImportBlockListOperator(task_id="words", blocklist_id="a", items=words)
    operator.render_template_fields(Context(params={"given": "{{ nor this }}", "word": "None of them"}))
    operator.execute(run.context)
    (request,) = control.journal("ImportBlockList")
    assert request["items"] == [
        *("{curly", "None", "{{ no template }}", "{{ nor this }}"),
        *("None of them", "a None {{ nor this }}", "a None of them"),
    ]
