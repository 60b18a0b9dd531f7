"""Asks the server of this machine whether it lives, as the health check of a container.

python -m web.probe    ends with 0 if it does, with 1 if it does not
"""

import http.client
import os
import ssl
import sys

_PATIENCE_S = 4.0


def lives(port: int) -> bool:
    """Whether a server on the loopback says that it is well, by http or https."""
    # The certificate is that of other names, and this is the same machine.
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    for connection in (
        http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S),
        http.client.HTTPSConnection("127.0.0.1", port, timeout=_PATIENCE_S, context=unchecked),
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
    sys.exit(0 if lives(int(os.environ.get("SIGHTLINE_PORT", "4200"))) else 1)
