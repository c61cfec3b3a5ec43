"""How the documentation is built: ``make docs``."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# Airflow leaves files in its home, even if it is only imported. They are not for the user's.
_home = tempfile.mkdtemp(prefix="airflow-docs-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _home

from airflow_provider_streamtasks import __version__  # noqa: E402

project = "airflow-provider-streamtasks"
author = "The authors of airflow-provider-streamtasks"
project_copyright = author
version = release = __version__

extensions = ["sphinx.ext.autodoc"]
html_theme = "furo"
html_title = f"Airflow provider for Stream's tasks {release}"
html_show_sphinx = False
exclude_patterns = ["_build"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"
