"""Which certificate authorities every transport trusts."""

from __future__ import annotations

import os
import ssl

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from airflow_provider_streamtasks.exceptions import StreamConfigurationError

_AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


def certificate_authorities() -> str:
    """
    Return the path of the authorities to trust: of the environment, else the system's.

    :raises StreamConfigurationError: if nothing is where the environment says
    """
    for name in _AUTHORITIES:
        if chosen := os.environ.get(name):
            # OpenSSL takes several folders.
            paths = chosen.split(os.pathsep) if name == "SSL_CERT_DIR" else [chosen]
            for path in filter(os.path.exists, paths):
                return path
            raise StreamConfigurationError(
                f"The environment's {name} is {chosen!r}, where no certificate authorities are."
            )
    system = ssl.get_default_verify_paths()
    return system.cafile or system.capath or DEFAULT_CA_BUNDLE_PATH
