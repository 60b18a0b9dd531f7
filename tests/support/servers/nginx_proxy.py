"""nginx as a reverse proxy, on the loopback interface."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp.test_utils import unused_port

NGINX = "/usr/sbin/nginx"

_START_TIMEOUT_S = 10
_CONFIG = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port}{tls};
{locations}
  }}
}}
"""


@contextmanager
def nginx_proxy(folder: Path, locations: str, *, certificate: Path | None = None) -> Iterator[str]:
    """Run nginx on a free port until the context ends; yield its URL.

    Args:
        folder: An empty folder for its files.
        locations: The `location` blocks of its configuration.
        certificate: PEM file with a certificate and its key, for HTTPS.
    """
    port = unused_port()
    tls = f" ssl;\nssl_certificate {certificate};\nssl_certificate_key {certificate}"
    text = _CONFIG.format(
        folder=folder, port=port, tls=tls if certificate else "", locations=locations
    )
    with running_nginx(folder, text):
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"


@contextmanager
def running_nginx(folder: Path, config: str) -> Iterator[None]:
    """Run nginx with a configuration until the context ends.

    Args:
        folder: An empty folder for its files.
        config: Its configuration; the file with its process id must be `nginx.pid` in the folder.
    """
    file, log = folder / "nginx.conf", folder / "nginx.log"
    file.write_text(config, encoding="utf-8")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [NGINX, "-e", "stderr", "-p", str(folder), "-c", str(file)],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_running(folder / "nginx.pid", process, log)
        yield
    finally:
        process.terminate()
        process.wait(10)


def _wait_until_running(pid: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    # nginx writes the file once it listens.
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        if pid.exists() and pid.read_text(encoding="ascii").strip():
            return
        time.sleep(0.02)
    raise AssertionError(f"nginx did not start: {log.read_text(errors='replace')}")
