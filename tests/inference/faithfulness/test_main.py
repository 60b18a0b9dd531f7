import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference.faithfulness.__main__ import main
from inference.faithfulness.randomisation import TRAINED
from tests.models.conftest import MakeFlickr8k

TEXTS = ["a dog runs", "a red dog on grass"]


@pytest.fixture
def arguments(tmp_path: Path, make_flickr8k: MakeFlickr8k, saved: Path) -> list[str]:
    data = tmp_path / "flickr8k"
    names = [f"dev{index}.png" for index in range(5)]
    make_flickr8k(data, {"dev": dict.fromkeys(names, TEXTS)})
    out = str(tmp_path / "out")
    return ["--data", str(data), "--captioner", str(saved), "--limit", "3", "--out", out]


def test_run_writes_a_report_and_a_plot(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--methods", "gradcam,attention"]) == 0

    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "report.json",
        "faithfulness.webp",
    }
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["counts"]["pictures"] == 3
    assert report["counts"]["object"] > 0
    summary = report["summary"]["object"]
    assert set(summary) == {"deletion", "insertion", "disappearance"}
    for summaries in summary.values():
        assert set(summaries) == {"gradcam", "attention", "random", "centre"}
        for each in summaries.values():
            assert each["value"]["low"] <= each["value"]["mean"] <= each["value"]["high"]
    assert report["randomisation"][0]["stage"] == TRAINED
    assert set(report["stability"]) == {"gradcam", "attention"}
    assert np.asarray(cv2.imread(str(tmp_path / "out" / "faithfulness.webp"))).shape[1] > 800
    output = capsys.readouterr().out
    mean = summary["deletion"]["gradcam"]["value"]["mean"]
    assert f"| gradcam | {mean:.3f} (" in output


def test_interrupted_run_is_resumed(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("inference.faithfulness.__main__.plot", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            main([*arguments, "--methods", "gradcam"])
    journal = tmp_path / "out" / "measured.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    measured = [json.loads(line) for line in lines[1:]]
    marked = lines[1].replace('"caption": "', '"caption": "measured before: ')
    journal.write_text(lines[0] + marked)

    assert main([*arguments, "--methods", "gradcam"]) == 0

    again = json.loads((tmp_path / "out" / "report.json").read_text())
    assert again["pictures"][0]["caption"].startswith("measured before: ")
    assert again["pictures"][1:] == measured[1:]


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--data", "none"], "none: no such folder"),
        (["--captioner", "none"], "none is not a captioner checkpoint"),
        (["--split", "none"], "no split 'none'"),
        (["--limit", "0"], "--limit is 0"),
        (
            ["--methods", "gradcam,guesswork"],
            "'guesswork' is no method that explains words",
        ),
        (["--video", "none.mp4"], "none.mp4 cannot be read as a video"),
    ],
)
def test_errors_are_reported(
    arguments: list[str], more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, *more]) == 2
    assert message in capsys.readouterr().err
