"""Health check of a server on this machine, for containers.

python -m web.probe    exits with 0 if the server is healthy, with 1 if not

The server writes its URL into the file that `SIGHTLINE_ADDRESS_FILE` names.
"""

import http.client
import os
import ssl
import sys
from pathlib import Path
from urllib.parse import urlsplit

_TIMEOUT_S = 4.0


def probe(file: Path) -> str:
    """Return why the server whose URL is in a file is not healthy; empty if it is.

    It is healthy if `GET /healthz` returns 200.
    """
    try:
        url = urlsplit(file.read_text(encoding="utf-8").strip())
        host, port = url.hostname, url.port
    except OSError as error:
        return f"the server does not listen: {file}: {error.strerror}"
    except ValueError:
        host = None
    if not host:
        return f"{file} contains no URL; use a file that no other program writes"
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    if url.scheme == "https":
        # The certificate need not be for this address, and the connection stays on this machine.
        unverified = ssl.create_default_context()
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=unverified)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"no response from {url.geturl()}: {error!r}"
    finally:
        connection.close()
    return "" if status == http.HTTPStatus.OK else f"{url.geturl()}/healthz returned {status}"


def main() -> int:
    """Print the reason if the server is not healthy; return the exit code."""
    file = os.environ.get("SIGHTLINE_ADDRESS_FILE", "")
    reason = probe(Path(file)) if file else "set SIGHTLINE_ADDRESS_FILE for server and probe"
    if reason:
        print(reason, file=sys.stderr)
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())
