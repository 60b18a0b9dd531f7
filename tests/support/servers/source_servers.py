"""Servers on the loopback interface for video sources: HTTP and RTSP cameras, in threads."""

import base64
import http.server
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import responses
from typing import Any, Self

import av
import cv2
import numpy as np

BOUNDARY = "frame"


@contextmanager
def silent_server() -> Iterator[int]:
    """Accept connections and never respond; yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    block_on_close = False


@dataclass(frozen=True)
class Response:
    """A response whose body is sent bit by bit, exactly as given."""

    send: Callable[[Callable[[bytes], object], threading.Event], None]
    """Sends the body by the function that it receives, until the event is set."""
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    chunked: bool = False
    """Whether the body is sent in chunks (RFC 9112, section 7.1); otherwise its end closes the
    connection."""


class WebServer:
    """An HTTP server with the given content, which records the requested paths."""

    def __init__(
        self, pages: Mapping[str, "bytes | int | Response | Callable[[MjpegCamera], None]"]
    ) -> None:
        """Bind to a free port.

        Args:
            pages: By path, the body of a response, an error status, a response, or a function that
                sends the frames of a camera.
        """
        self.requested: list[str] = []
        self.authorizations: list[str | None] = []
        self.stopping = threading.Event()
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.requested.append(self.path)
                web.authorizations.append(self.headers["Authorization"])
                page = pages.get(self.path.partition("?")[0], 404)
                if isinstance(page, int):
                    self.send_error(page, responses[page])
                elif isinstance(page, bytes):
                    self._send(page)
                elif isinstance(page, Response):
                    self._stream(page)
                else:
                    self.send_response(200)
                    self.send_header(
                        "Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}"
                    )
                    self.end_headers()
                    try:
                        page(MjpegCamera(self.wfile, web.stopping))
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

            def _stream(self, response: Response) -> None:
                def write_chunk(data: bytes) -> None:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

                self.protocol_version = "HTTP/1.1"
                self.close_connection = True
                self.send_response(response.status)
                for name, value in response.headers.items():
                    self.send_header(name, value)
                if response.chunked:
                    self.send_header("Transfer-Encoding", "chunked")
                self.send_header("Connection", "close")
                self.end_headers()
                try:
                    response.send(
                        write_chunk if response.chunked else self.wfile.write, web.stopping
                    )
                    if response.chunked:
                        self.wfile.write(b"0\r\n\r\n")
                except (OSError, av.FFmpegError):
                    pass

            def log_message(self, *_: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        """Start the server."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server; cameras disconnect."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class MjpegCamera:
    """The sending side of an HTTP camera (Motion JPEG)."""

    def __init__(self, output: Any, stopping: threading.Event) -> None:
        """Send to `output` until `stopping` is set."""
        self._output = output
        self._noise = np.random.default_rng(0)
        self.stopping = stopping

    def send(self, brightness: int) -> None:
        """Send a frame of a mean brightness, noisy to be as large as a small camera's."""
        image = brightness + self._noise.integers(-20, 21, (96, 128))
        _, data = cv2.imencode(".jpg", image.astype(np.uint8))
        self.send_image(data.tobytes())

    def send_garbage(self) -> None:
        """Send frames that cannot be decoded, until the server stops."""
        while not self.stopping.wait(0.02):
            self.send_image(bytes(3000))

    def send_image(self, data: bytes) -> None:
        """Send a JPEG image as a frame."""
        head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
        self._output.write(head.encode() + data + b"\r\n")
        self._output.flush()

    def hang(self) -> None:
        """Send nothing more, but stay connected."""
        self.stopping.wait()


class RtspCamera:
    """An RTSP server (RFC 2326) with one VP8 stream, interleaved in the TCP connection.

    FFmpeg's RTP muxer packetizes the stream; its packets are received on the loopback interface
    and forwarded.
    """

    def __init__(self, user: str = "", password: str = "", rate: int = 25) -> None:
        """Bind to a free port; with a user, require the password."""
        self._rate = rate
        self.sent = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self.port = self._listener.getsockname()[1]
        self._stopping = threading.Event()
        self._authorization = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._is_public = not user
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        """Start the server."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server, and disconnect."""
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
                self._respond(connection)

    def _respond(self, connection: socket.socket) -> None:
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
            elif not self._is_public and self._authorization not in headers.get(
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
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            receiver.setblocking(False)
            port = receiver.getsockname()[1]
            with av.open(f"rtp://127.0.0.1:{port}", "w", format="rtp") as output:
                stream = output.add_stream("libvpx", rate=self._rate)
                stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
                stream.options = {"deadline": "realtime", "lag-in-frames": "0"}
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 200, np.uint8))
                while not self._stopping.wait(1 / self._rate):
                    frame.pts = self.sent
                    self.sent += 1
                    output.mux(stream.encode(frame))
                    try:
                        self._forward(receiver, connection)
                    except OSError:
                        return

    def _forward(self, receiver: socket.socket, connection: socket.socket) -> None:
        while True:
            try:
                packet = receiver.recv(65536)
            except BlockingIOError:
                return
            connection.sendall(b"$\0" + len(packet).to_bytes(2, "big") + packet)
