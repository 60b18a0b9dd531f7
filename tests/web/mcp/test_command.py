"""The options of `server.py mcp`, and the folders that it allows."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import server
from web.mcp.folders import AllowedFolders, FileRefused

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--server", "127.0.0.1:4200"], "--server must be a URL"),
        (["--server", "ftp://127.0.0.1"], "--server must be a URL"),
        (["--server", "http://me:secret@127.0.0.1"], "without user"),
        (["--token-file", "/nowhere/token"], "/nowhere/token cannot be read"),
        (["--token-file", "{folder}/empty"], "must contain a token"),
        (["--server", "http://192.0.2.1", "--token-file", "{folder}/token"], "over plain HTTP"),
        (["--server", "http://192.0.2.1", "--caption-token-file", "{folder}/token"], "--insecure"),
        (["--allow", "/nowhere"], "there is no such folder"),
        (["--certificate", "{folder}/token"], "is not a readable certificate"),
    ],
)
def test_wrong_options_are_explained(
    options: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "token").write_text("t" * 20)
    arguments = [option.format(folder=tmp_path) for option in options]
    assert server.main(["mcp", *arguments]) == 2
    printed = capsys.readouterr()
    assert reason in printed.err and not printed.out
    assert "t" * 20 not in printed.err


def test_the_package_is_needed_only_to_serve(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mcp.server", None)
    monkeypatch.delitem(sys.modules, "web.mcp.tools", raising=False)
    monkeypatch.delattr("web.mcp.tools", raising=False)
    assert server.main(["mcp"]) == 2
    assert "pip install 'sightline[mcp]'" in capsys.readouterr().err


def test_a_signal_ends_it_while_it_waits_for_its_client() -> None:
    """Its input is open, as that of an assistant that ends it by a signal."""
    hello = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    request = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    with subprocess.Popen(
        [sys.executable, "server.py", "mcp"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin and process.stdout
        process.stdin.write(f"{json.dumps(request)}\n".encode())
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["result"]["serverInfo"]["name"] == "sightline"
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(20) == 128 + signal.SIGTERM
        finally:
            process.kill()


def test_only_files_in_allowed_folders_are_read(tmp_path: Path) -> None:
    allowed, other = tmp_path / "a b", tmp_path / "a bc"
    for folder in (allowed, allowed / "deep", other):
        folder.mkdir()
        (folder / "x.png").write_bytes(folder.name.encode())
    (tmp_path / "link").symlink_to(allowed)
    (allowed / "inside").symlink_to(allowed / "deep" / "x.png")
    (allowed / "outside").symlink_to(other / "x.png")
    os.mkfifo(allowed / "pipe")
    folders = AllowedFolders([tmp_path / "link"])

    assert folders.read("x.png") == b"a b"
    assert folders.read("deep/x.png") == folders.read("inside") == b"deep"
    for path in (allowed / "x.png", tmp_path / "link" / "x.png", allowed / "deep" / ".." / "x.png"):
        assert folders.read(str(path)) == b"a b"
    for name in ("../a bc/x.png", str(other / "x.png"), "outside", "none.png", "\0", "~/x", "/"):
        with pytest.raises(FileRefused):
            folders.read(name)
    for name in ("pipe", "deep", "."):
        with pytest.raises(FileRefused, match="not a regular file"):
            folders.read(name)


@pytest.mark.parametrize("name", ["~nobody-of-this-name/a.png", 300 * "a" + ".png", "\ud800.png"])
def test_a_path_that_names_no_file_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="not a file in an allowed folder"):
        AllowedFolders([tmp_path]).read(name)
