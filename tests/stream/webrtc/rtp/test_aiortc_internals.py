"""The check that aiortc is the one whose internals are relied on."""

import pytest
from aiortc import RTCRtpSender

from stream.webrtc.rtp.aiortc_internals import check_aiortc


def test_another_version_of_aiortc_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_aiortc()

    async def send_rtp(self: RTCRtpSender) -> None:
        """Do without what is used."""

    monkeypatch.setattr("stream.webrtc.rtp.aiortc_internals._USED", {send_rtp: ("_history",)})
    with pytest.raises(ImportError, match=r"aiortc 1\.\d+\S* .*send_rtp has no _history; install"):
        check_aiortc()
