"""When a session is to end: its peer never came, or went, or its time is over."""

import time

from aiortc import RTCPeerConnection

from stream.intake import Intake
from stream.settings import StreamSettings


class Ended(Exception):
    """The session is over; the message is for the client."""

    def __init__(self, message: str, code: str = "session-ended") -> None:
        """End with one of the codes of `error`."""
        super().__init__(message)
        self.code = code


class SessionLimits:
    """Watches one session, from now on."""

    def __init__(
        self, peer: RTCPeerConnection, intake: Intake | None, settings: StreamSettings
    ) -> None:
        """Watch a peer, and its pictures if it is to send any."""
        self._peer, self._intake, self._settings = peer, intake, settings
        self._heard_at = self._begun = time.monotonic()
        self._heard_bytes = 0

    async def met(self) -> Ended | None:
        """Return why the session is to end, or None; to be asked every second or so."""
        await self._listen()
        settings, now = self._settings, time.monotonic()
        if self._peer.connectionState != "connected":
            late = now - self._begun > settings.connect_s
            return Ended("the connection was not made in time") if late else None
        if now - self._heard_at > settings.vanished_s:
            return Ended("nothing was heard of the peer any more")
        if self._intake and now - self._intake.newest_at > settings.idle_s:
            return Ended(f"no picture came for {settings.idle_s:g} s")
        if now - self._begun > settings.session_s:
            return Ended(f"a session may last {settings.session_s:g} s")
        return None

    async def _listen(self) -> None:
        """Take note of whether anything at all came from the peer: media, reports, messages."""
        report = await self._peer.getStats()
        heard = sum(part.bytesReceived for part in report.values() if part.type == "transport")
        if heard != self._heard_bytes:
            self._heard_bytes, self._heard_at = heard, time.monotonic()
