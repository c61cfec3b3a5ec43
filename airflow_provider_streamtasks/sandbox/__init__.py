"""A local Stream API for tests and rehearsals: a real HTTP server that fails on demand.

Start it with ``python -m airflow_provider_streamtasks.sandbox``, or in a test with
:func:`running_sandbox`; steer it with :class:`SandboxControl`.
"""

from airflow_provider_streamtasks.sandbox.background import Sandbox, running_sandbox
from airflow_provider_streamtasks.sandbox.control import SandboxControl

__all__ = ["Sandbox", "SandboxControl", "running_sandbox"]
