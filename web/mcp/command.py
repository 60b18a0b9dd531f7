"""`python server.py mcp`: serve a running Sightline over the Model Context Protocol, on stdio."""

import argparse
import asyncio
import os
import signal
import ssl
from pathlib import Path
from typing import Any

from yarl import URL

from stream.settings import is_loopback
from web.mcp.client import SightlineClient
from web.mcp.folders import AllowedFolders

_DEFAULT_SERVER = "http://127.0.0.1:4200"


class CommandError(RuntimeError):
    """The command cannot start; the message says why and what to do."""


def add_parser(commands: Any) -> None:
    """Add the command.

    Args:
        commands: What `argparse.ArgumentParser.add_subparsers` returned.
    """
    about = "let an assistant on this machine use a running server (Model Context Protocol)"
    parser = commands.add_parser(
        "mcp",
        help=about,
        description=f"{about.capitalize()}. It speaks on standard input and output; an assistant "
        "starts it. It needs the extra: pip install 'sightline[mcp]'",
    )
    parser.add_argument(
        "--server", default=_DEFAULT_SERVER, metavar="URL", help=f"default: {_DEFAULT_SERVER}"
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="file with the viewer token, or the admin token",
    )
    parser.add_argument(
        "--caption-token-file",
        type=Path,
        metavar="FILE",
        help="file with the caption token, for image files (default: the other token)",
    )
    parser.add_argument(
        "--allow",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="folder whose image files the assistant may have captioned; may be repeated",
    )
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="send tokens over plain HTTP to another machine, in a private network",
    )
    parser.add_argument(
        "--certificate",
        type=Path,
        metavar="FILE",
        help="certificate of the server, in PEM, if it is self-signed",
    )


def run(options: argparse.Namespace) -> None:
    """Serve until standard input is closed.

    Raises:
        CommandError: If the package `mcp` is missing, or an option is wrong.
    """
    client, folders = _create_client(options), _read_folders(options.allow)
    try:
        from web.mcp.tools import create_server
    except ImportError as error:
        raise CommandError(
            "the package mcp is not installed; run: pip install 'sightline[mcp]'"
        ) from error

    async def serve() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            # At once: the thread that reads standard input cannot be interrupted, and nothing here
            # is left behind.
            asyncio.get_running_loop().add_signal_handler(number, os._exit, 128 + number)
        async with client:
            await create_server(client, folders).run_stdio_async()

    asyncio.run(serve())


def _create_client(options: argparse.Namespace) -> SightlineClient:
    url = _read_url(options.server)
    token = _read_token(options.token_file)
    caption_token = _read_token(options.caption_token_file) or token
    is_open = url.scheme == "http" and not is_loopback(url.host or "")
    if is_open and (token or caption_token) and not options.insecure:
        raise CommandError(
            f"tokens would be sent to {url.host} over plain HTTP; use https, or --insecure in a "
            "private network"
        )
    return SightlineClient(url, token, caption_token, _read_certificate(options.certificate))


def _read_url(text: str) -> URL:
    try:
        url = URL(text)
        valid = url.scheme in ("http", "https") and url.host and not (url.query or url.fragment)
    except ValueError:
        valid = False
    if not valid or url.user or url.password:
        raise CommandError(f"--server must be a URL such as {_DEFAULT_SERVER}, without user or ?")
    return url


def _read_token(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    if not token.isascii() or not token.isprintable() or not token:
        raise CommandError(f"{path} must contain a token: printable ASCII characters, in one line")
    return token


def _read_certificate(path: Path | None) -> ssl.SSLContext | None:
    if path is None:
        return None
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        # ssl.SSLError is one, too.
        raise CommandError(f"{path} is not a readable certificate in PEM: {error}") from error


def _read_folders(paths: list[Path]) -> AllowedFolders:
    for path in paths:
        if not path.is_dir():
            raise CommandError(f"--allow {path}: there is no such folder")
    return AllowedFolders(paths)
