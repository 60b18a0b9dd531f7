"""Health check of a server on this machine, for containers.

python -m web.probe    exits with 0 if the server is healthy, with 1 if not
"""

import http.client
import os
import ssl
import sys

_TIMEOUT_S = 4.0


def is_healthy(port: int) -> bool:
    """Whether `GET /healthz` on 127.0.0.1 returns 200, over HTTP or HTTPS."""
    # The certificate need not be for 127.0.0.1, and the connection stays on this machine.
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    for connection in (
        http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S),
        http.client.HTTPSConnection("127.0.0.1", port, timeout=_TIMEOUT_S, context=unverified),
    ):
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            continue
        finally:
            connection.close()
    return False


if __name__ == "__main__":
    sys.exit(0 if is_healthy(int(os.environ.get("SIGHTLINE_PORT", "4200"))) else 1)
