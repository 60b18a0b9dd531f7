"""Servers on the loopback interface, for sources to connect to."""

import base64
import http.server
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import responses
from typing import Any, Self

import av
import cv2
import numpy as np

BOUNDARY = "picture"


def free_port() -> int:
    """Find a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def silent_server() -> Iterator[int]:
    """Accept connections and never answer; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    block_on_close = False


class WebServer:
    """An HTTP server of given contents.

    Args:
        pages: by path, the body of an answer, the status of a refusal, or a function that writes
            the pictures of a camera to where it is told until it is told to stop.
    """

    def __init__(self, pages: Mapping[str, "bytes | int | Callable[[Camera], None]"]) -> None:
        """Bind to a free port."""
        self.asked: list[str] = []
        self.stopping = threading.Event()
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked.append(self.path)
                page = pages.get(self.path.partition("?")[0], 404)
                if isinstance(page, int):
                    self.send_error(page, responses[page])
                elif isinstance(page, bytes):
                    self._send(page)
                else:
                    self.send_response(200)
                    self.send_header(
                        "Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}"
                    )
                    self.end_headers()
                    try:
                        page(Camera(self.wfile, web.stopping))
                    except OSError:
                        self.close_connection = True

            def _send(self, body: bytes) -> None:
                first = self.headers.get("Range", "bytes=0-").removeprefix("bytes=")
                start = int(first.partition("-")[0])
                self.send_response(206)
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
                self.send_header("Content-Length", str(len(body) - start))
                self.end_headers()
                self.wfile.write(body[start:])

            def log_message(self, *_: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        """Start to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; cameras hang up."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Camera:
    """The sending end of an HTTP camera (MJPEG)."""

    def __init__(self, output: Any, stopping: threading.Event) -> None:
        """Send to `output` until `stopping`."""
        self._output = output
        self._noise = np.random.default_rng(0)
        self.stopping = stopping

    def send(self, brightness: int) -> None:
        """Send a picture of a mean brightness, and as many bytes as a small camera would."""
        picture = brightness + self._noise.integers(-20, 21, (96, 128))
        _, data = cv2.imencode(".jpg", picture.astype(np.uint8))
        self._send(data.tobytes())

    def send_scraps(self) -> None:
        """Send pictures that are none, until told to stop."""
        while not self.stopping.wait(0.02):
            self._send(bytes(3000))

    def _send(self, data: bytes) -> None:
        head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
        self._output.write(head.encode() + data + b"\r\n")
        self._output.flush()

    def hang(self) -> None:
        """Send nothing more, without hanging up."""
        self.stopping.wait()


class RtspCamera:
    """An RTSP server (RFC 2326) of one VP8 stream, interleaved in the connection.

    FFmpeg's own RTP muxer packs the stream; its packets are caught on the loopback interface and
    passed on.
    """

    def __init__(self, user: str = "", password: str = "", rate: int = 25) -> None:
        """Bind to a free port; with a user, ask for the password."""
        self._rate = rate
        self.sent = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self.port = self._listener.getsockname()[1]
        self._stopping = threading.Event()
        self._authorization = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._open_to_all = not user
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        """Start to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and hang up."""
        self._stopping.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(5)
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        requests = connection.makefile("rb")
        while line := requests.readline():
            method = line.split()[0].decode()
            headers = {}
            while header := requests.readline().strip():
                name, _, value = header.decode().partition(":")
                headers[name.lower()] = value.strip()
            reply = [f"CSeq: {headers['cseq']}", "Session: 1"]
            body, status = "", "200 OK"
            if method == "OPTIONS":
                reply.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
            elif not self._open_to_all and self._authorization not in headers.get(
                "authorization", ""
            ):
                status = "401 Unauthorized"
                reply.append('WWW-Authenticate: Basic realm="camera"')
            elif method == "DESCRIBE":
                reply.append("Content-Type: application/sdp")
                body = (
                    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\n"
                    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=control:video\r\n"
                )
            elif method == "SETUP":
                reply.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
            head = [f"RTSP/1.0 {status}", *reply, f"Content-Length: {len(body)}", "", body]
            connection.sendall("\r\n".join(head).encode())
            if method == "PLAY":
                self._play(connection)
                return

    def _play(self, connection: socket.socket) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as catcher:
            catcher.bind(("127.0.0.1", 0))
            catcher.setblocking(False)
            port = catcher.getsockname()[1]
            with av.open(f"rtp://127.0.0.1:{port}", "w", format="rtp") as output:
                stream = output.add_stream("libvpx", rate=self._rate)
                stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
                stream.options = {"deadline": "realtime", "lag-in-frames": "0"}
                picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 200, np.uint8))
                while not self._stopping.wait(1 / self._rate):
                    picture.pts = self.sent
                    self.sent += 1
                    output.mux(stream.encode(picture))
                    try:
                        self._pass_on(catcher, connection)
                    except OSError:
                        return

    def _pass_on(self, catcher: socket.socket, connection: socket.socket) -> None:
        while True:
            try:
                packet = catcher.recv(65536)
            except BlockingIOError:
                return
            connection.sendall(b"$\0" + len(packet).to_bytes(2, "big") + packet)
