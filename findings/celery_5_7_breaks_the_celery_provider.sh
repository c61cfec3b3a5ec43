#!/usr/bin/env bash
# Package:   apache-airflow-providers-celery 3.26.0 with celery 5.7.0, which its requirements allow
# Behaviour: the executor's module cannot be imported: it takes a name that celery 5.7.0 no longer has.
# Seen:      ImportError: cannot import name 'retry' from 'celery.backends.database'
# For us:    the tests with CeleryExecutor pin celery below 5.7.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  apache-airflow==3.3.2 apache-airflow-providers-celery==3.26.0 celery==5.7.0

AIRFLOW_HOME="$folder/airflow" "$folder/venv/bin/python" - >"$folder/seen" 2>/dev/null <<'PYTHON'
try:
    import airflow.providers.celery.executors.celery_executor_utils
except ImportError as error:
    print(f"{type(error).__name__}: {error.name}: {str(error).partition(' (')[0]}")
PYTHON

diff - "$folder/seen" <<'EXPECTED'
ImportError: celery.backends.database: cannot import name 'retry' from 'celery.backends.database'
EXPECTED
echo "As it was: the Celery provider 3.26.0 cannot be imported with celery 5.7.0."
