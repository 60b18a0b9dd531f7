"""Sightline: live video captions with visual explanations.

python server.py                      start the web server
python server.py caption SOURCE       caption an image, video, camera or stream in the terminal
python server.py explain IMAGE        explain the caption of an image, or those of a folder
python server.py captioner ACTION     download, list and test captioners
python server.py history ACTION       summarize past captions, or copy them to PostgreSQL
python server.py rules                list rules, and when they would have fired
python server.py pool                 deploy a captioner pool on a Ray cluster
python server.py mcp                  let an assistant use a running server (MCP)
"""

import os
import signal
import sys

_INTERRUPTED = 128 + signal.SIGINT
_TERMINATED = 128 + signal.SIGTERM


def _exit_at_once(number: int, _frame: object) -> None:
    """Handle a signal where an exception could be lost, as in a finalizer or an import."""
    os._exit(128 + number)


def _exit(_number: int, _frame: object) -> None:
    signal.signal(signal.SIGTERM, _exit_at_once)
    sys.exit(_TERMINATED)


if __name__ == "__main__":
    # Before the imports, which take a while: as process 1 of a container, a process does not get a
    # signal that it does not handle. The container starts it with SIGTERM blocked.
    signal.signal(signal.SIGTERM, _exit_at_once)
    # SIGINT is ignored by programs that a shell script runs in the background.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _exit_at_once)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

import argparse
import asyncio
import contextlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from inference.captioners import command as captioner_command
from inference.captioning import QuantizedError, read_int8
from inference.engine import EngineUnavailable
from inference.report import command as explain_command
from inference.startup import TensorFlowUnavailable
from models.catalogue import CaptionerError, local_folder, read_architecture
from stream.captioning import (
    WebVttWriter,
    check_writable,
    format_json_line,
    format_line,
    is_repeat,
    transcribe,
)
from stream.history import HistoryBusy, HistoryError
from stream.history import command as history_command
from stream.rules import RuleFile, RuleFileError
from stream.rules import command as rules_command
from stream.sources import Source, SourceError, open_source
from web import mcp as mcp_command
from web import pool as pool_command
from web.background import create_captioner
from web.security import CertificateError, check_exposure, warn_if_world_readable
from web.service import log_to_stderr, secrets_in
from web.service.reload import describe_failure
from web.service.serving import ListenError, serve
from web.settings import ServerSettings, SettingsError, read_settings

_MAX_ENGINE_FAILURES = 3

Number = TypeVar("Number", int, float)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    _prepare_standard_streams()
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except KeyboardInterrupt:
        return _INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    if options.command == "mcp":
        # A client of a server, whose settings are not its own.
        return _attempt(lambda: mcp_command.run(options), mcp_command.CommandError)
    overrides = _overrides(options)
    try:
        settings = read_settings(options.config, overrides)
    except Exception as error:
        return _fail(describe_failure(error))
    if options.command == "captioner":
        return _captioner(options, settings)
    if options.command == "rules":
        return _rules(options, settings)
    if options.command == "history":
        database = settings.cluster.database_url
        return _attempt(
            lambda: history_command.run(options, settings.history, database), HistoryError
        )
    if options.command == "pool":
        return _attempt(lambda: pool_command.deploy(settings, _print_line), pool_command.PoolError)
    try:
        if not (settings.endpoint or settings.uses_pool):
            folder = local_folder(settings.captioner)
            if settings.precision == "int8" and read_architecture(folder) == "sightline":
                read_int8(folder)
    except (CaptionerError, QuantizedError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{settings.captioner} cannot be read: {error.strerror}")
    if options.command == "caption":
        return _caption(options, settings)
    if options.command == "explain":
        return _explain(options, settings)
    if options.check:
        return _check(settings)
    return _serve(options.config, settings, lambda: read_settings(options.config, overrides))


def _prepare_standard_streams() -> None:
    """Replace closed streams, whose place a file could take, and characters that do not print."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")
    # Captions, names and paths may contain characters that the terminal's encoding lacks.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_program(), description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, metavar="FILE.toml", help="settings file")
    parser.add_argument(
        "--captioner",
        metavar="CAPTIONER",
        help="shipped (default), a folder, hf:OWNER/NAME[@REVISION] or endpoint:NAME",
    )
    parser.add_argument("--host", help="address to bind to (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="HTTP port (default: 4200)")
    parser.add_argument(
        "--https",
        action="store_true",
        help="use HTTPS, with a self-signed certificate unless the settings name one",
    )
    parser.add_argument(
        "--open",
        action="store_true",
        help="allow access without a token to everyone who can reach the server",
    )
    parser.add_argument("--check", action="store_true", help="check the settings and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    caption = commands.add_parser("caption", help="caption a source in the terminal")
    caption.add_argument(
        "source",
        metavar="SOURCE",
        help="file, device, URL, demo, or feed:NAME for a feed of the settings",
    )
    caption.add_argument(
        "--every",
        type=_positive(float),
        default=1.0,
        metavar="SECONDS",
        help="seconds between captions (default: 1)",
    )
    caption.add_argument("--limit", type=_positive(int), metavar="N", help="stop after N lines")
    output = caption.add_mutually_exclusive_group()
    output.add_argument("--jsonl", action="store_true", help="print JSON Lines")
    output.add_argument("--vtt", type=Path, metavar="FILE", help="also write WebVTT subtitles")
    caption.add_argument("--maps", action="store_true", help="with --jsonl: print word maps, too")
    captioner_command.add_parser(commands)
    history_command.add_parser(commands)
    rules_command.add_parser(commands)
    pool_command.add_parser(commands)
    mcp_command.add_parser(commands)
    explain_command.add_parser(commands)
    return parser


def _program() -> str:
    """Return what the program is called in its help: the wheel's command, or this file."""
    return "sightline" if Path(sys.argv[0]).name == "sightline" else "server.py"


def _overrides(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings given on the command line, which override all other sources."""
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
            raise argparse.ArgumentTypeError(f"{text} is not greater than zero")
        return value

    return parse


def _check(settings: ServerSettings) -> int:
    try:
        check_exposure(settings)
    except SettingsError as error:
        return _fail(str(error))
    print("sightline: configuration OK")
    return 0


def _serve(
    config: Path | None, settings: ServerSettings, read: Callable[[], ServerSettings]
) -> int:
    log_to_stderr(settings.log, secrets_in(settings))
    if config:
        warn_if_world_readable(config, settings)
    try:
        check_exposure(settings)
        asyncio.run(serve(settings, read))
    except (SettingsError, CertificateError, HistoryError, ListenError) as error:
        return _fail(str(error))
    return 0


def _caption(options: argparse.Namespace, settings: ServerSettings) -> int:
    try:
        if options.maps and not options.jsonl:
            return _fail("--maps needs --jsonl: maps are printed as JSON")
        if options.vtt:
            check_writable(options.vtt)
        source = open_source(
            _resolve(options.source, settings), max_pixels=settings.stream.frame_pixels
        )
        with source:
            asyncio.run(_transcribe(source, options, settings))
    except (SourceError, EngineUnavailable) as error:
        return _fail(str(error))
    except BrokenPipeError:
        _discard_output()
    except OSError as error:
        return _fail(f"cannot write {options.vtt}: {error.strerror or error}")
    return 0


def _resolve(source: str, settings: ServerSettings) -> str:
    """Replace `feed:NAME` by the feed's source, so that a password need not be typed."""
    kind, _, name = source.partition(":")
    if kind != "feed":
        return source
    if name not in settings.feeds:
        known = ", ".join(settings.feeds) or "none; pass the settings file with --config"
        raise SourceError(f"there is no feed {name!r} in the settings; feeds: {known}")
    return settings.feeds[name].read_source()


async def _transcribe(
    source: Source, options: argparse.Namespace, settings: ServerSettings
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        engine = create_captioner(settings, explains=False, max_failures=_MAX_ENGINE_FAILURES)
        stack.push_async_callback(engine.stop)
        engine.start()
        if not (settings.endpoint or settings.uses_pool):
            print("Loading the captioner...", file=sys.stderr)
        await engine.wait_loaded()
        if options.maps and not (engine.info and engine.info.live_method):
            raise EngineUnavailable(
                "this captioner computes no maps with its captions; leave out --maps"
            )
        # Only now, so that an existing file survives a captioner that cannot be loaded.
        vtt = options.vtt and stack.enter_context(WebVttWriter(options.vtt, options.every))
        lines = transcribe(source, engine, options.every, maps=options.maps)
        await stack.enter_async_context(contextlib.aclosing(lines))
        count, shown = 0, None
        async for line in lines:
            if vtt:
                vtt.add(line)
            if is_repeat(shown, line) and not options.jsonl:
                continue
            if options.jsonl:
                print(format_json_line(count, line, maps=options.maps), flush=True)
            else:
                print(format_line(line), flush=True)
            count, shown = count + 1, line
            if count == options.limit:
                return


def _explain(options: argparse.Namespace, settings: ServerSettings) -> int:
    chosen = explain_command.ExplainSettings(
        settings.captioner,
        settings.endpoint,
        settings.precision,
        settings.cross_attention_layer,
        settings.consensus,
        settings.stream.frame_pixels,
    )
    try:
        return explain_command.run(options, chosen)
    except (TensorFlowUnavailable, EngineUnavailable, ValueError) as error:
        return _fail(str(error))
    except MemoryError:
        return _fail("not enough memory; free some, or raise the limit")
    except OSError as error:
        return _fail(f"cannot write to {options.out}: {error.strerror or error}")


def _captioner(options: argparse.Namespace, settings: ServerSettings) -> int:
    try:
        models = {name: endpoint.model for name, endpoint in settings.endpoints.items()}
        status = captioner_command.run(options, settings.captioner, models)
        sys.stdout.flush()
        return status
    except (TensorFlowUnavailable, ValueError) as error:
        return _fail(str(error))
    except MemoryError:
        return _fail("not enough memory; free some, or raise the limit")
    except BrokenPipeError:
        _discard_output()
        return 0
    except OSError as error:
        return _fail(f"{error.filename} cannot be read: {error.strerror or error}")


def _rules(options: argparse.Namespace, settings: ServerSettings) -> int:
    try:
        edited = RuleFile(settings.rules_file).read() if settings.rules_file else {}
        rules = dict(sorted({**edited, **settings.rules}.items()))
        rules_command.run(options, rules, settings.history, settings.cluster.database_url)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
    except (rules_command.RulesError, RuleFileError, HistoryError, HistoryBusy) as error:
        return _fail(str(error))
    return 0


def _attempt(work: Callable[[], object], error: type[Exception]) -> int:
    """Do the work of a command, which may fail with this error; return the exit code."""
    try:
        work()
    except error as failure:
        return _fail(str(failure))
    return 0


def _discard_output() -> None:
    """Let Python not fail when it flushes output whose reader closed the pipe, as `head` does."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_line(line: str) -> None:
    print(f"sightline: {line}", flush=True)


def _fail(message: str) -> int:
    print(f"sightline: {message}", file=sys.stderr)
    return 2


def console() -> None:
    """Run the command line as a program: the command `sightline` of an installed wheel."""
    signal.signal(signal.SIGTERM, _exit)
    # asyncio handles SIGINT only if the handler is Python's own.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())


if __name__ == "__main__":
    console()
