"""FFmpeg as it publishes by WHIP: PyAV's wheel carries its muxer.

A process of its own, since the muxer holds Python's lock while it connects: `python -m
tests.support.whip_encoder URL TOKEN FOOTAGE FOLDER`. It plays the footage again and again until
its input is closed.
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


_SAMPLES_PER_S, _SAMPLES = 48_000, 960


@asynccontextmanager
async def encoder(
    url: str, token: str, footage: Path, folder: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Publish footage until the context ends."""
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "tests.support.whip_encoder",
            url,
            token,
            str(footage),
            str(folder),
        ),
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
    """Publish until the standard input ends."""
    ended = threading.Event()
    threading.Thread(target=_wait_for_end, args=[ended], daemon=True).start()
    key, certificate = _make_certificate(Path(folder))
    # Built with GnuTLS, as PyAV's is, it would make itself a certificate on a curve, secp224r1,
    # that OpenSSL and browsers refuse.
    options = {"authorization": token, "cert_file": certificate, "key_file": key}
    with av.open(url, "w", format="whip", options=options) as target:
        video, audio = _add_video(target), _add_audio(target)
        begun = time.monotonic()
        for number, frame in enumerate(_footage(footage)):
            if ended.is_set():
                break
            frame.pts, frame.time_base = number, Fraction(1, _RATE)
            target.mux(video.encode(frame))
            for packet in _silence(audio, number):
                target.mux(packet)
            time.sleep(max(0.0, begun + number / _RATE - time.monotonic()))


def _wait_for_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def _add_video(target: OutputContainer) -> VideoStream:
    # Constrained Baseline, without B-frames: what the muxer takes, and every browser decodes.
    video = target.add_stream("libx264", rate=_RATE)
    video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
    video.options = {"profile": "baseline", "preset": "ultrafast", "tune": "zerolatency"}
    video.codec_context.gop_size, video.codec_context.max_b_frames = _RATE, 0
    return video


def _add_audio(target: OutputContainer) -> AudioStream:
    audio = target.add_stream("libopus", rate=_SAMPLES_PER_S)
    audio.layout = "stereo"
    return audio


def _footage(path: str) -> Iterator[av.VideoFrame]:
    while True:
        with av.open(path) as source:
            for frame in source.decode(video=0):
                yield frame.reformat(320, 240, "yuv420p")


def _silence(audio: AudioStream, number: int) -> "Iterator[av.Packet[AudioStream]]":
    for index in range(2):
        samples = np.zeros((1, 2 * _SAMPLES), np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        frame.sample_rate, frame.time_base = _SAMPLES_PER_S, Fraction(1, _SAMPLES_PER_S)
        frame.pts = (2 * number + index) * _SAMPLES
        yield from audio.encode(frame)


def _make_certificate(folder: Path) -> tuple[str, str]:
    """Make a key and a certificate for DTLS; return their files."""
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
