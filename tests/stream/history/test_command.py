"""`python server.py history summary`."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from server import main
from stream.history.backend import Backend
from stream.history.sqlite import SqliteBackend
from tests.support.captions import caption_event


@pytest.fixture
def config(tmp_path: Path, path: Path) -> Path:
    """A configuration with a history that a dog has visited within the last hour."""
    config = tmp_path / "sightline.toml"
    config.write_text(f'[history]\npath = "{path}"\n')
    return config


def record(backend: Backend) -> None:
    store, begin = backend.open_store(days=90, megabytes=100), time.time() - 900
    for number in range(61):
        text = "A dog on a street" if 20 <= number < 40 else "An empty street"
        store.add(replace(caption_event(text, 10 * number), captured=begin + 10 * number))
    store.close()


def test_it_prints_what_was_there_and_what_changed(
    config: Path, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(SqliteBackend(path))
    command = ["--config", str(config), "history", "summary"]

    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "yard: 10 min of captions. Street: 10 min. Dog: 3 min."
    assert [line.rsplit(" ", 2)[1:] for line in lines[1:]] == [
        ["appeared:", "dog"],
        ["gone:", "dog"],
    ]

    assert main([*command, "--feed", "yard", "--hours", "2", "--jsonl"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["feed"], summary["text"]) == ("yard", lines[0].removeprefix("yard: "))

    assert main([*command, "--feed", "door"]) == 0
    assert "no captions" in capsys.readouterr().err


def test_without_a_history_it_says_what_to_do(
    config: Path, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config", str(config), "history", "summary"]) != 0
    assert "start the server first" in capsys.readouterr().err
    assert not path.exists()

    config.write_text("")
    assert main(["--config", str(config), "history", "summary"]) != 0
    assert "set path in [history]" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["history", "summary", "--hours", "0"])
