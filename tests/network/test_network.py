"""A session over a bad line, in short; `python -m tests.network` is the long form."""

import asyncio
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.network.bad_line import BadLine

ROOT = Path(__file__).parent.parent.parent


def test_video_and_captions_survive_lost_packets_and_a_dead_line() -> None:
    short = ("--scripted", "--seconds", "5", "--stalls", "1", "--pause", "0")
    done = subprocess.run(
        [sys.executable, "-m", "tests.network", *short],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall("reached", done.stdout)) == 4
    assert "MISSED" not in done.stdout


@pytest.mark.parametrize(("loss", "cut"), [(0.0, False), (0.3, False), (0.0, True)])
async def test_a_line_loses_what_it_is_told_to(loss: float, cut: bool) -> None:
    """Datagrams stand for what goes over the interfaces: a packet is read and written whole."""
    line = BadLine(seed=3)
    line.loss, line.cut = loss, cut
    near, inner_near = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    far, inner_far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with near, far, inner_near, inner_far:
        for end in (far, inner_near, inner_far):
            end.setblocking(False)
        for number in range(200):
            near.send(bytes([number]))
            line._carry(inner_near.fileno(), inner_far.fileno())
        await asyncio.sleep(0)
        came = 0
        while True:
            try:
                far.recv(100)
            except BlockingIOError:
                break
            came += 1

    assert came == line.carried
    assert came + line.lost == 200
    assert came == {(0.0, False): 200, (0.0, True): 0}.get((loss, cut), came)
    if loss:
        assert 100 < came < 180
