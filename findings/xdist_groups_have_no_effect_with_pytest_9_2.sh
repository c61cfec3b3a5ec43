#!/usr/bin/env bash
# Package:   pytest-xdist 3.8.0 with pytest 9.2.0, which its requirements allow
# Behaviour: --dist loadgroup takes no notice of xdist_group: tests of one group run in different processes, and
#            nothing says so. With pytest 9.1.1 they run in one (pytest-xdist issue 1386).
# Seen:      pytest 9.1.1: 1 of 2 processes; pytest 9.2.0: 2 of 2 processes
# For us:    system tests are given to processes by module (--dist loadfile).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
mkdir "$folder/tests"
cat >"$folder/tests/test_group.py" <<'PYTHON'
import os

import pytest


@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(8))
def test_where(number):
    with open("processes", "a") as seen:
        print(os.environ["PYTEST_XDIST_WORKER"], file=seen)
PYTHON

for version in 9.1.1 9.2.0; do
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "pytest==$version" pytest-xdist==3.8.0
  (cd "$folder/tests" && rm -f processes &&
    "$folder/venv/bin/python" -m pytest -q -n 2 --dist loadgroup -p no:cacheprovider >/dev/null)
  echo "pytest $version: $(sort -u "$folder/tests/processes" | wc -l | tr -d ' ') of 2 processes"
done >"$folder/seen"

diff - "$folder/seen" <<'EXPECTED'
pytest 9.1.1: 1 of 2 processes
pytest 9.2.0: 2 of 2 processes
EXPECTED
echo "As it was: with pytest 9.2.0, pytest-xdist 3.8.0 groups nothing."
