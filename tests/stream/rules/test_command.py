"""`python server.py rules`, on the command line."""

import time
from pathlib import Path

import pytest

from server import main
from stream.history.backend import choose_backend
from tests.support.captions import BASE_TIME, caption_event

RULES = """
[rules.dogs]
any = ['dog']
present_s = 0
hours = '00:00-24:00'
[rules.cats]
any = ['cat']
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "sightline.toml"
    path.write_text(f"{RULES}[history]\npath = '{tmp_path / 'history.sqlite'}'\n")
    (tmp_path / "rules.toml").write_text("[rules.birds]\nany = ['bird']\nenabled = false\n")
    return path


def test_rules_are_listed_with_when_they_would_have_fired(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = choose_backend(config.parent / "history.sqlite", None).open_store(90, 100)
    begin = time.time() - BASE_TIME - 1000
    for second, text in ((0, "A dog runs"), (20, "A lake"), (300, "Two dogs"), (320, "A lake")):
        store.add(caption_event(text, begin + second))
    store.close()

    assert main(["--config", str(config), "rules"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["birds: any of bird | feeds: all | not in use", "  would not have fired"]
    assert lines[2:4] == ["cats: any of cat | feeds: all", "  would not have fired"]
    assert lines[4] == "dogs: any of dog | feeds: all | 00:00-24:00"
    assert lines[5].startswith("  would have fired 2 times: ")
    # Nothing is known after the silence that began with the lake.
    assert lines[6].endswith("  yard for 50 s  A dog runs")
    assert main(["--config", str(config), "rules", "cats", "--days", "30"]) == 0
    assert capsys.readouterr().out.splitlines() == lines[2:4]


def test_problems_are_reported(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(config), "rules", "bears"]) == 2
    assert "there is no rule 'bears'; rules: birds, cats, dogs" in capsys.readouterr().err
    assert main(["--config", str(config), "rules", "dogs"]) == 0
    assert "There is no history to try rules on" in capsys.readouterr().out
    assert not (config.parent / "history.sqlite").exists()
    (config.parent / "rules.toml").write_text("[rules.birds]\n")
    assert main(["--config", str(config), "rules"]) == 2
    assert "rules.toml: setting 'rules.birds': set any, all or none" in capsys.readouterr().err
