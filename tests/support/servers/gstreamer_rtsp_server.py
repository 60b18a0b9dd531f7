"""GStreamer's RTSP server with a moving ball, in H.264.

It runs in Debian's own Python, which has GStreamer's bindings:

    /usr/bin/python3 tests/support/servers/gstreamer_rtsp_server.py PORT

Port 0 selects a free one. It prints the port, and serves `rtsp://127.0.0.1:PORT/live` until its
standard input ends. With `CAMERA_LOGIN=user:password` in the environment it requires that login: by
HTTP basic authentication (RFC 7617) or, with `CAMERA_DIGEST=1`, by digest authentication.
`CAMERA_RATE` is the number of frames per second, as a fraction such as `1/10`.
"""

import os
import sys
import threading
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")

from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # type: ignore[import-not-found]  # noqa: E402

PIPELINE = (
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate={rate} "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 "
    "! rtph264pay name=pay0 pt=96 )"
)


def main() -> None:
    """Serve until standard input ends."""
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(sys.argv[1])
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE.format(rate=os.environ.get("CAMERA_RATE", "15/1")))
    factory.set_shared(True)
    if login := os.environ.get("CAMERA_LOGIN"):
        require_login(login, server, factory)
    server.get_mount_points().add_factory("/live", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    loop = GLib.MainLoop()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.quit()), daemon=True).start()
    loop.run()


def require_login(login: str, server: Any, factory: Any) -> None:
    """Require the login `user:password`."""
    user, _, password = login.partition(":")
    auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "guest")
    if os.environ.get("CAMERA_DIGEST"):
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("guest", "media.factory.access", True)
    permissions.add_permission_for_role("guest", "media.factory.construct", True)
    factory.set_permissions(permissions)


if __name__ == "__main__":
    main()
