"""A short run of `python -m tests.network`, and tests of its lossy link."""

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.network.lossy_link import LossyLink

ROOT = Path(__file__).parents[2]


def test_video_and_captions_survive_packet_loss_and_stalls() -> None:
    # The other tests that run at the same time cost frames too.
    short = ("--scripted", "--seconds", "5", "--stalls", "1", "--pause", "0", "--min-frames", "0.3")
    done = subprocess.run(
        [sys.executable, "-m", "tests.network", *short],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": met:") == 4
    assert "MISSED" not in done.stdout


@pytest.mark.parametrize(("loss", "down"), [(0.0, False), (0.3, False), (0.0, True)])
async def test_a_link_loses_the_configured_share(loss: float, down: bool) -> None:
    """Datagram sockets replace the interfaces: both read and write whole packets."""
    link = LossyLink(seed=3)
    link.loss, link.down = loss, down
    near, near_interface = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    far, far_interface = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with near, far, near_interface, far_interface:
        for end in (far, near_interface, far_interface):
            end.setblocking(False)
        for number in range(200):
            near.send(bytes([number]))
            link._forward(near_interface.fileno(), far_interface.fileno())
        await asyncio.sleep(0)
        received = 0
        while True:
            try:
                far.recv(100)
            except BlockingIOError:
                break
            received += 1

    assert received == link.forwarded
    assert received + link.lost == 200
    assert received == {(0.0, False): 200, (0.0, True): 0}.get((loss, down), received)
    if loss:
        assert 100 < received < 180
