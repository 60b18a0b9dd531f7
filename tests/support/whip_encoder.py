"""A WHIP encoder: FFmpeg's WHIP muxer, which PyAV includes.

It runs in a process of its own, because the muxer holds Python's global interpreter lock while it
connects: `python -m tests.support.whip_encoder URL TOKEN FOOTAGE FOLDER` publishes the footage in a
loop until its standard input is closed.
"""

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_RATE = 25
"""Frames per second."""
_SAMPLE_RATE, _SAMPLES_PER_FRAME = 48_000, 960
"""Of the audio."""


@asynccontextmanager
async def whip_encoder(
    url: str, token: str, footage: Path, folder: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Publish footage until the context ends.

    Args:
        url: The WHIP endpoint.
        token: Bearer token.
        footage: The video to publish.
        folder: Where to write a key and a certificate.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.whip_encoder", url, token),
        *(str(footage), str(folder)),
        stdin=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        assert process.stdin
        process.stdin.close()
        async with asyncio.timeout(20):
            await process.wait()


def main(url: str, token: str, footage: str, folder: str) -> None:
    """Publish until standard input ends."""
    ended = threading.Event()
    threading.Thread(target=_wait_for_end, args=[ended], daemon=True).start()
    key, certificate = _write_certificate(Path(folder))
    # By default FFmpeg with GnuTLS, as in PyAV, creates a certificate on the curve secp224r1, which
    # OpenSSL and browsers refuse.
    options = {"authorization": token, "cert_file": certificate, "key_file": key}
    with av.open(url, "w", format="whip", options=options) as target:
        video, audio = _add_video(target), _add_audio(target)
        started = time.monotonic()
        for number, frame in enumerate(_read_in_loop(footage)):
            if ended.is_set():
                break
            frame.pts, frame.time_base = number, Fraction(1, _RATE)
            target.mux(video.encode(frame))
            for packet in _encode_silence(audio, number):
                target.mux(packet)
            time.sleep(max(0.0, started + number / _RATE - time.monotonic()))


def _wait_for_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def _add_video(target: OutputContainer) -> VideoStream:
    # Constrained Baseline without B-frames, as the muxer requires and every browser decodes.
    video = target.add_stream("libx264", rate=_RATE)
    video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
    video.options = {"profile": "baseline", "preset": "ultrafast", "tune": "zerolatency"}
    video.codec_context.gop_size, video.codec_context.max_b_frames = _RATE, 0
    return video


def _add_audio(target: OutputContainer) -> AudioStream:
    audio = target.add_stream("libopus", rate=_SAMPLE_RATE)
    audio.layout = "stereo"
    return audio


def _read_in_loop(path: str) -> Iterator[av.VideoFrame]:
    while True:
        with av.open(path) as source:
            for frame in source.decode(video=0):
                yield frame.reformat(320, 240, "yuv420p")


def _encode_silence(audio: AudioStream, number: int) -> "Iterator[av.Packet[AudioStream]]":
    for index in range(2):
        samples = np.zeros((1, 2 * _SAMPLES_PER_FRAME), np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        frame.sample_rate, frame.time_base = _SAMPLE_RATE, Fraction(1, _SAMPLE_RATE)
        frame.pts = (2 * number + index) * _SAMPLES_PER_FRAME
        yield from audio.encode(frame)


def _write_certificate(folder: Path) -> tuple[str, str]:
    """Write a key and a self-signed certificate for DTLS; return their paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "encoder")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    return str(folder / "key.pem"), str(folder / "certificate.pem")


if __name__ == "__main__":
    main(*sys.argv[1:])
