"""Sightline: live captions that show what they looked at.

python server.py                      serve the page
python server.py caption SOURCE       caption an image, a video, a device, a stream or `demo`
python server.py explain IMAGE        report why the captioner says what it says of an image
"""

import argparse
import asyncio
import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from inference.captioning import QuantizedError, read_int8
from inference.engine import Engine, EngineUnavailable
from inference.startup import load_keras, quiet
from stream.captioning import (
    WebVtt,
    check_writable,
    json_line,
    lasts_on,
    line_for_people,
    transcribe,
)
from stream.history import HistoryError
from stream.publishing.sinks import MqttMissing
from stream.sources import Source, SourceError, open_source, read_image
from web.security import CertificateError, check_exposure, warn_of_readers
from web.service import log_to_stderr, secrets_in
from web.service.serving import serve
from web.settings import ServerSettings, SettingsError, read_settings

_INTERRUPTED = 130

Number = TypeVar("Number", int, float)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    options = _parser().parse_args(arguments)
    overrides = _overrides(options)
    try:
        settings = read_settings(options.config, overrides)
    except SettingsError as problem:
        return _refuse(str(problem))
    if not (settings.captioner / "config.json").is_file():
        return _refuse(f"{settings.captioner} holds no captioner; give the folder of one")
    try:
        if settings.precision == "int8":
            read_int8(settings.captioner)
    except QuantizedError as problem:
        return _refuse(str(problem))
    try:
        if options.command == "caption":
            return _caption(options, settings)
        if options.command == "explain":
            return _explain(options, settings)
        if options.check:
            return _check(settings)
        return _serve(options.config, settings, lambda: read_settings(options.config, overrides))
    except KeyboardInterrupt:
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="server.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, metavar="FILE.toml", help="settings")
    parser.add_argument("--captioner", type=Path, metavar="DIR", help="captioner to run")
    parser.add_argument("--host", help="address to bind to (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port of the page (default: 4200)")
    parser.add_argument(
        "--https",
        action="store_true",
        help="speak https, with a certificate of its own unless the settings give one",
    )
    parser.add_argument(
        "--open", action="store_true", help="let everyone in who can reach it, without a token"
    )
    parser.add_argument(
        "--check", action="store_true", help="say whether the settings are right, and end"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    caption = commands.add_parser("caption", help="caption a source in the terminal")
    caption.add_argument(
        "source", metavar="SOURCE", help="file, device, URL, `demo`, or `feed:NAME` of the settings"
    )
    caption.add_argument(
        "--every",
        type=_positive(float),
        default=1.0,
        metavar="SECONDS",
        help="between captions (default: 1)",
    )
    caption.add_argument(
        "--limit", type=_positive(int), metavar="N", help="stop after so many lines"
    )
    form = caption.add_mutually_exclusive_group()
    form.add_argument("--jsonl", action="store_true", help="one JSON object a line")
    form.add_argument("--vtt", type=Path, metavar="FILE", help="write WebVTT subtitles too")
    explain = commands.add_parser("explain", help="explain the caption of an image")
    explain.add_argument("image", type=Path, metavar="IMAGE", help="JPEG, PNG, WebP or the like")
    explain.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for what it writes"
    )
    explain.add_argument(
        "--only",
        type=lambda names: names.split(","),
        metavar="NAMES",
        help="of methods (saliency, gradcam, ...) and of the analyses adversarial and ace, "
        "between commas (default: all of them)",
    )
    return parser


def _overrides(options: argparse.Namespace) -> dict[str, Any]:
    """What the command line says of the settings: it goes before everything."""
    given = {name: getattr(options, name) for name in ("host", "port", "captioner")}
    overrides = {name: value for name, value in given.items() if value is not None}
    if options.https:
        overrides["https"] = {"on": True}
    if options.open:
        overrides["access"] = {"open": True}
    return overrides


def _positive(kind: type[Number]) -> Callable[[str], Number]:
    def parse(text: str) -> Number:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not more than zero")
        return value

    return parse


def _check(settings: ServerSettings) -> int:
    try:
        check_exposure(settings)
    except SettingsError as problem:
        return _refuse(str(problem))
    print("sightline: the settings are right")
    return 0


def _serve(
    config: Path | None, settings: ServerSettings, reread: Callable[[], ServerSettings]
) -> int:
    log_to_stderr(settings.log, secrets_in(settings))
    if config:
        warn_of_readers(config, settings)
    try:
        check_exposure(settings)
        asyncio.run(serve(settings, reread))
    except (SettingsError, CertificateError, HistoryError, MqttMissing) as problem:
        return _refuse(str(problem))
    except OSError as problem:
        return _refuse(_bind_failure(problem, settings))
    return 0


def _bind_failure(problem: OSError, settings: ServerSettings) -> str:
    place = f"{settings.host}:{settings.port}"
    if problem.errno == errno.EADDRINUSE:
        return f"{place} is in use; end what uses it, or choose another with --port"
    if problem.errno == errno.EACCES:
        return f"{place} needs more rights; choose a port from 1024 on with --port"
    return f"{place} cannot be bound: {problem.strerror or problem}"


def _caption(options: argparse.Namespace, settings: ServerSettings) -> int:
    try:
        if options.vtt:
            check_writable(options.vtt)
        with open_source(_named(options.source, settings)) as source:
            asyncio.run(_transcribe(source, options, settings))
    except (SourceError, EngineUnavailable) as problem:
        return _refuse(str(problem))
    except BrokenPipeError:
        # Whoever read the lines has seen enough; nothing is to be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as problem:
        return _refuse(f"{options.vtt} cannot be written: {problem.strerror or problem}")
    return 0


def _named(source: str, settings: ServerSettings) -> str:
    """What a source means that may be a feed's name: so that a password need not be typed."""
    kind, _, name = source.partition(":")
    if kind != "feed":
        return source
    if name not in settings.feeds:
        known = ", ".join(settings.feeds) or "none; name its file with --config"
        raise SourceError(f"there is no feed {name!r} in the settings, which have: {known}")
    return settings.feeds[name].read_source()


async def _transcribe(
    source: Source, options: argparse.Namespace, settings: ServerSettings
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        engine = Engine(settings.captioner, precision=settings.precision, explains=False)
        stack.push_async_callback(engine.stop)
        engine.start()
        print("Loading the captioner ...", file=sys.stderr)
        await engine.wait_loaded()
        # Not before: a captioner that cannot be loaded must not cost anyone a file.
        vtt = options.vtt and stack.enter_context(WebVtt(options.vtt, options.every))
        lines = transcribe(source, engine, options.every)
        await stack.enter_async_context(contextlib.aclosing(lines))
        count, shown = 0, None
        async for line in lines:
            if vtt:
                vtt.add(line)
            if lasts_on(shown, line) and not options.jsonl:
                continue
            print(json_line(count, line) if options.jsonl else line_for_people(line), flush=True)
            count, shown = count + 1, line
            if count == options.limit:
                return


def _explain(options: argparse.Namespace, settings: ServerSettings) -> int:
    # As Ctrl+C does: what was half written goes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        picture = read_image(options.image)
        # Not above: the server must not load TensorFlow, and mistakes are told without it.
        with quiet():
            load_keras()
            from inference.report.writing import write_report
        written = write_report(
            picture,
            options.image.name,
            options.out,
            options.only,
            settings.captioner,
            settings.precision,
            lambda step: print(step, file=sys.stderr),
        )
    except (SourceError, ValueError) as problem:
        return _refuse(str(problem))
    except OSError as problem:
        return _refuse(f"{options.out} cannot be written: {problem.strerror or problem}")
    for path, shows in written:
        print(f"{path}  {shows}")
    return 0


def _refuse(message: str) -> int:
    print(f"sightline: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
