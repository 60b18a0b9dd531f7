"""A Hugging Face Hub on the loopback interface that fails on demand.

It has the routes that huggingface_hub uses to look up and download a model: information with file
sizes, and files, whose large ones are redirected as to the Hub's content delivery network.
"""

import hashlib
import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".bin")
"""Files that the Hub stores outside of git (Git LFS)."""


@dataclass
class Repository:
    """A repository with one commit."""

    files: dict[str, bytes]
    commit: str = COMMIT
    licence: str | None = "bsd-3-clause"
    branches: tuple[str, ...] = ("main",)
    gated: bool = False
    conversions: dict[int, "Repository"] = field(default_factory=dict)
    """Hugging Face's pull requests with safetensors, by number."""

    def find(self, revision: str) -> "Repository | None":
        """Return the contents at a branch, a commit or a pull request."""
        if revision in (*self.branches, self.commit):
            return self
        for number, conversion in self.conversions.items():
            if revision in (f"refs/pr/{number}", conversion.commit):
                return conversion
        return None


@dataclass
class Faults:
    """How the Hub misbehaves."""

    status: int | None = None
    """Of each response, if set."""
    body: bytes | None = None
    """Of each response, if set."""
    cut_after: int | None = None
    """Close the connection after so many bytes of a large file, once."""
    flip: bool = False
    """Change a byte of each large file."""
    stall_information: bool = False
    """Do not answer requests for information."""
    stall_files: bool = False
    """Send the headers of large files only."""
    reached: threading.Event = field(default_factory=threading.Event)
    """Set once a client waits for what does not come."""


@dataclass
class Hub:
    """A running Hub."""

    url: str
    repositories: dict[str, Repository]
    faults: Faults = field(default_factory=Faults)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and `Range` header of each request."""
    agents: set[str] = field(default_factory=set)
    """The `User-Agent` headers."""

    def downloads(self) -> list[str]:
        """Return the names of the files that were downloaded, without those of redirects."""
        return [
            path.rpartition("/")[2]
            for method, path, _ in self.requests
            if method == "GET" and not path.startswith("/api/")
        ]


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


@contextmanager
def running_hub(repositories: dict[str, Repository]) -> Iterator[Hub]:
    """Serve repositories, by OWNER/NAME, on a free port."""
    stopping = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_HEAD(self) -> None:
            self._answer()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

        def _answer(self) -> None:
            hub.requests.append((self.command, self.path, self.headers["Range"]))
            hub.agents.add(self.headers["User-Agent"])
            if hub.faults.status or hub.faults.body is not None:
                self._send(hub.faults.status or 200, hub.faults.body or b"{}")
                return
            parts = [unquote(part) for part in self.path.partition("?")[0].split("/")[1:]]
            if parts[0] == "api" and parts[4:5] == ["discussions"]:
                self._send_discussions("/".join(parts[2:4]))
            elif parts[0] == "api":
                self._send_information("/".join(parts[2:4]), "".join(parts[5:6]) or "main")
            elif parts[0] == "cdn":
                self._send_large("/".join(parts[1:3]), parts[3], parts[4])
            else:
                self._send_file("/".join(parts[:2]), parts[3], "/".join(parts[4:]))

        def _stall(self) -> None:
            hub.faults.reached.set()
            stopping.wait()
            self.close_connection = True

        def _find(self, name: str, revision: str) -> Repository | None:
            repository = hub.repositories.get(name)
            found = repository.find(revision) if repository else None
            if not repository:
                self._send(401, b"{}", {"X-Error-Code": "RepoNotFound"})
            elif not found:
                self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            return found

        def _send_discussions(self, name: str) -> None:
            discussions = [
                {"num": number, "isPullRequest": True, "author": {"name": "SFconvertbot"}}
                for number in hub.repositories[name].conversions
            ]
            self._send(200, json.dumps({"discussions": discussions}).encode())

        def _send_information(self, name: str, revision: str) -> None:
            repository = self._find(name, revision)
            if not repository:
                return
            if hub.faults.stall_information:
                self._stall()
                return
            siblings = [
                {"rfilename": each, "size": len(data), "blobId": "0" * 40}
                | (
                    {"lfs": {"sha256": _sha256(data), "size": len(data), "pointerSize": 130}}
                    if each.endswith(LARGE)
                    else {}
                )
                for each, data in repository.files.items()
            ]
            tags = [f"license:{repository.licence}"] if repository.licence else []
            about = {"id": name, "sha": repository.commit, "tags": tags, "siblings": siblings}
            self._send(200, json.dumps(about).encode(), {"Content-Type": "application/json"})

        def _send_file(self, name: str, revision: str, file: str) -> None:
            repository = self._find(name, revision)
            if not repository:
                return
            commit = {"X-Repo-Commit": repository.commit}
            if repository.gated:
                self._send(403, b"", commit | {"X-Error-Code": "GatedRepo"})
            elif file not in repository.files:
                self._send(404, b"", commit | {"X-Error-Code": "EntryNotFound"})
            elif file.endswith(LARGE):
                data = repository.files[file]
                linked = {
                    # Another host, as huggingface_hub follows redirects within a host by itself.
                    "Location": f"{hub.url}/cdn/{name}/{revision}/{file}".replace(
                        "127.0.0.1", "localhost"
                    ),
                    "X-Linked-Size": str(len(data)),
                    "X-Linked-Etag": f'"{_sha256(data)}"',
                }
                self._send(302, b"", commit | linked)
            else:
                data = repository.files[file]
                etag = hashlib.sha1(data, usedforsecurity=False).hexdigest()
                self._send(200, data, commit | {"ETag": f'"{etag}"'})

        def _send_large(self, name: str, revision: str, file: str) -> None:
            repository = self._find(name, revision)
            if not repository:
                return
            data = repository.files[file]
            if hub.faults.flip:
                data = bytes([data[0] ^ 1]) + data[1:]
            first = int((self.headers["Range"] or "bytes=0-")[6:].split("-")[0])
            headers = {"Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}"}
            status = 206 if self.headers["Range"] else 200
            if hub.faults.cut_after is not None:
                self._send(status, data[first:], headers, sent=hub.faults.cut_after)
                hub.faults.cut_after, self.close_connection = None, True
            elif hub.faults.stall_files:
                self._send(status, data[first:], headers, sent=0)
                self._stall()
            else:
                self._send(status, data[first:], headers)

        def _send(
            self,
            status: int,
            body: bytes,
            headers: dict[str, str] | None = None,
            sent: int | None = None,
        ) -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body[:sent])
                self.wfile.flush()

    with _Server(("127.0.0.1", 0), Handler) as server:
        hub = Hub(f"http://127.0.0.1:{server.server_port}", repositories)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield hub
        finally:
            stopping.set()
            server.shutdown()
            thread.join()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
