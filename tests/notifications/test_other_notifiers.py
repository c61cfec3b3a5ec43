"""Airflow's own notifiers bring the alert text and the fields of the exception, by their templates alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.providers.http.notifications.http import HttpNotifier
from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier
from airflow.providers.smtp.notifications.smtp import SmtpNotifier

from airflow_provider_streamtasks.notifications.alerts import alert_text
from local_stack.mail import LocalMail, local_mail
from tests.servers import receiving

TEXT = "{{ macros.streamtasks.alert_text() }}"
FIELDS = ("task_id", "error_type", "description", "stack_trace", "version")
TEMPLATE = " | ".join(f"{{{{ exception.{name} }}}}" for name in FIELDS)


def fields(context: Any) -> str:
    return " | ".join(getattr(context["exception"], name) for name in FIELDS)


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalMail]:
    """A mail server, which the Airflow connection ``smtp_default`` leads to."""
    with local_mail() as mail:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", mail.connection)
        yield mail


@pytest.fixture
def endpoint() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """A base URL, and what was posted there."""
    with receiving() as endpoint:
        yield endpoint


def test_a_mail(failed: Any, mail: LocalMail) -> None:
    SmtpNotifier(
        to="data-team@example.com",
        from_email="airflow@example.com",
        subject="{{ ti.dag_id }}.{{ ti.task_id }}: {{ exception.error_type }}",
        html_content=f"<pre>{TEXT[:-3]} | e }}}}</pre><p>{TEMPLATE}</p>",
    )(failed)
    (message,) = mail.messages
    body = message.get_body(("html",))
    assert message["subject"] == "nightly.wait: storage_error"
    assert body is not None
    content = body.get_content().replace("&#39;", "'")
    for line in alert_text(failed).splitlines():
        assert line in content
    assert fields(failed) in content


def test_a_message_in_slack(failed: Any, endpoint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    url, posted = endpoint
    hook = {"conn_type": "slackwebhook", "host": url, "password": "/services/T0/B0/key"}
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_DEFAULT", json.dumps(hook))
    SlackWebhookNotifier(slack_webhook_conn_id="slack_default", text=f"{TEXT}\n{TEMPLATE}")(failed)
    assert posted == [("/services/T0/B0/key", {"text": f"{alert_text(failed)}\n{fields(failed)}"})]


def test_a_request_to_any_endpoint(failed: Any, endpoint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    url, posted = endpoint
    monkeypatch.setenv("AIRFLOW_CONN_PAGER", json.dumps({"conn_type": "http", "host": url}))
    HttpNotifier(
        http_conn_id="pager", endpoint="/alerts", json={"text": TEXT, "key": "{{ exception.task_id }}"}
    )(failed)
    assert posted == [("/alerts", {"text": alert_text(failed), "key": failed["exception"].task_id})]
