import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference import faithfulness
from inference.captioners.opening import open_captioner
from inference.explanations import Target
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.masking import check_map
from inference.explanations.methods import METHODS
from inference.faithfulness.__main__ import _read_photographs, main
from inference.faithfulness.checks import VERDICTS
from inference.faithfulness.given_maps import GivenMaps
from inference.faithfulness.measurement import caption_image, images_of_part
from inference.faithfulness.randomisation import TRAINED
from inference.progress import finish
from models.catalogue import read_measurement
from models.word_kinds import word_kind
from tests.models.conftest import MakeFlickr8k
from tests.support.captioners.subwords import END, SubwordCaptionModel

TEXTS = ["a dog runs", "a red dog on grass"]


@pytest.fixture
def arguments(tmp_path: Path, make_flickr8k: MakeFlickr8k, saved: Path) -> list[str]:
    data = tmp_path / "flickr8k"
    names = [f"dev{index}.png" for index in range(5)]
    make_flickr8k(data, {"dev": dict.fromkeys(names, TEXTS)})
    out = str(tmp_path / "out")
    return ["--data", str(data), "--captioner", str(saved), "--limit", "2", "--out", out]


def test_run_writes_a_report_and_a_plot_and_keeps_the_faithful_methods(
    arguments: list[str],
    saved: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("inference.faithfulness.summary.MIN_VERIFYING_IMAGES", 1)
    methods = {"readcam", "gradcam", "hirescam"}

    assert main([*arguments, "--part", "all", "--methods", ",".join(methods)]) == 0

    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "report.json",
        "faithfulness.webp",
    }
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["counts"]["pictures"] == 2
    assert report["counts"]["object"] > 0
    summary = report["summary"]["object"]
    assert set(summary) == {"deletion", "insertion", "disappearance"}
    for summaries in summary.values():
        assert set(summaries) == {*methods, "random", "centre"}
        for each in summaries.values():
            assert each["value"]["low"] <= each["value"]["mean"] <= each["value"]["high"]
    assert report["randomisation"][0]["stage"] == TRAINED
    assert set(report["stability"]) == methods
    assert np.asarray(cv2.imread(str(tmp_path / "out" / "faithfulness.webp"))).shape[1] > 800
    output = capsys.readouterr().out
    gone = summary["disappearance"]["centre"]["value"]["mean"]
    areas = {each: summary[each]["centre"]["value"]["mean"] for each in ("deletion", "insertion")}
    row = f"| `centre` | {areas['deletion']:.3f} |  | {areas['insertion']:.3f} |  | {gone:.0%} |"
    assert row.replace("%", " %") in output
    assert "| `readcam` |" in output
    mean = summary["deletion"]["gradcam"]["value"]["mean"]
    assert f"| gradcam | {mean:.3f} (" in output

    deletion, insertion = summary["deletion"], summary["insertion"]
    verified = [
        name
        for name in sorted(methods, key=lambda name: deletion[name]["value"]["mean"])
        if deletion[name]["against"]["random"]["high"] < 0
        and insertion[name]["against"]["random"]["low"] > 0
    ]
    kept = read_measurement(saved, "faithfulness")
    assert kept and kept["verified"] == verified
    assert f"More faithful than chance, the best first: {', '.join(verified) or 'none'}" in output


def test_shares_of_the_verdicts_are_printed_for_every_method(
    arguments: list[str], saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    methods = "gradcam,occlusion"

    assert main([*arguments, "--check", "--methods", methods]) == 0

    assert {path.name for path in (tmp_path / "out").iterdir()} == {"checks.json"}
    report = json.loads((tmp_path / "out" / "checks.json").read_text())
    verdicts = [word["verdicts"] for each in report["pictures"] for word in each["words"]]
    assert len(report["pictures"]) == 2
    assert verdicts
    output = capsys.readouterr().out
    for name in ("gradcam", "occlusion"):
        shares = report["shares"][name]
        found = [each[name] for each in verdicts]
        assert [shares[verdict] for verdict in VERDICTS] == pytest.approx(
            [found.count(verdict) / len(found) for verdict in VERDICTS]
        )
        assert f"| `{name}` | {shares['holds up']:.0%} |" in output
    assert f"{len(verdicts)} object words of 2 images" in output

    # The verdicts are those of the page.
    model = open_captioner(saved)
    first = _photographs(arguments)[0]
    sample = caption_image(model, model.preprocess(first))
    subject = CaptionedImage(model, sample.image, sample.tokens)
    objects = [index for index, word in enumerate(sample.words) if word_kind(word) == "object"]
    expected = [
        finish(check_map(subject, finish(METHODS["gradcam"].explain(subject, target)), index))
        for index in objects
        for target in (Target("word", index),)
    ]
    words = report["pictures"][0]["words"]
    assert [word["verdicts"]["gradcam"] for word in words] == [each.verdict for each in expected]
    assert [word["p"]["gradcam"] for word in words] == [each.p for each in expected]


def _photographs(arguments: list[str]) -> list[np.ndarray]:
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    return _read_photographs(Path(options["--data"]), "dev", "reporting", 2)


def test_interrupted_run_is_resumed(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("inference.faithfulness.__main__.plot", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            main([*arguments, "--part", "all", "--methods", "gradcam"])
    journal = tmp_path / "out" / "measured.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    measured = [json.loads(line) for line in lines[1:]]
    marked = lines[1].replace('"caption": "', '"caption": "measured before: ')
    journal.write_text(lines[0] + marked)

    assert main([*arguments, "--part", "all", "--methods", "gradcam"]) == 0

    again = json.loads((tmp_path / "out" / "report.json").read_text())
    assert again["pictures"][0]["caption"].startswith("measured before: ")
    assert again["pictures"][1:] == measured[1:]
    # Which of its maps should be live is not known from one of them.
    reason = "Not stored, as methods that can be live were not measured: readcam, hirescam"
    assert reason in capsys.readouterr().out


def test_half_of_a_split_is_reported_and_the_other_is_for_choosing() -> None:
    chosen, reported, every = (
        images_of_part(1000, part) for part in ("choosing", "reporting", "all")
    )

    assert len(chosen) == len(reported) == 500
    assert sorted([*chosen, *reported]) == sorted(every) == list(range(1000))
    # The first 100 of this order chose Read-CAM, so it must not change.
    assert set(np.random.default_rng(0).permutation(1000)[:100]) < set(chosen)
    np.testing.assert_array_equal(images_of_part(1000, "reporting"), reported)


def test_the_maps_of_a_given_function_are_measured(
    arguments: list[str],
    saved: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    readme = Path(faithfulness.__file__).with_name("README.md").read_text()
    example, *_ = re.findall(r"```python\n(.*?)```", readme, re.S)
    more = """
calls = []

def object_size(image, caption, word):
    calls.append((image.shape, str(image.dtype), caption, word))
    return [[len(word), 0.0], [-1.0, 0.0]]

def nothing(image, caption, word):
    return [[float("nan")]]

def fails(image, caption, word):
    raise KeyError("no such thing")

class Tensor:
    def __array__(self, *_, **__):
        raise RuntimeError("call detach first")

def foreign(image, caption, word):
    return Tensor()

centre = edges
"""
    (tmp_path / "my_maps.py").write_text(example + more)
    (tmp_path / "more_maps.py").write_text("from my_maps import edges\n")
    (tmp_path / "outdated.py").write_text("import json\n\njson.no_such\n")
    (tmp_path / "script.py").write_text("raise SystemExit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("inference.faithfulness.summary.MIN_VERIFYING_IMAGES", 1)
    arguments += ["--methods", "readcam,gradcam,hirescam"]

    given = ["--maps", "my_maps:edges", "--maps", "my_maps:object_size"]
    assert main([*arguments, *given]) == 0

    report = json.loads((tmp_path / "out" / "report.json").read_text())
    names = {"readcam", "gradcam", "hirescam", "edges", "object_size", "random", "centre"}
    assert set(report["summary"]["object"]["deletion"]) == names
    assert set(report["stability"]) == names - {"random", "centre"}
    assert set(report["randomisation"][0]["correlation"]) <= {"readcam", "gradcam", "hirescam"}
    assert report["part"] == "reporting"
    output = capsys.readouterr().out
    assert "2 images of the dev split's half for reporting" in output
    # These images choose nothing.
    assert "choose a live map with --part choosing" in output
    assert not read_measurement(saved, "faithfulness")
    calls = __import__("my_maps").calls
    captions = {picture["caption"] for picture in report["pictures"]}
    assert {(shape, kind) for shape, kind, *_ in calls} == {((64, 64, 3), "uint8")}
    assert all(word in caption.lower().split() for _, _, caption, word in calls)
    assert captions <= {caption.lower() for _, _, caption, _ in calls}

    subject = CaptionedImage(SubwordCaptionModel(), np.zeros((32, 32, 3), np.uint8), (3, 4, END))
    for name, message in (
        ("nothing", "my_maps:nothing returned no map of the word 'dog'; it must return finite"),
        ("foreign", "no map of the word 'dog' (RuntimeError: call detach first); it must return"),
        ("fails", "my_maps:fails failed for the word 'dog' of 'A dog': KeyError: 'no such thing'"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            finish(GivenMaps.load(f"my_maps:{name}").explain(subject, Target("word", 1)))
    for source, message in (
        ("my_maps:lacking", "the module my_maps has no 'lacking'"),
        ("my_maps:calls", "my_maps:calls is no function"),
        ("my_maps:a b", "must be MODULE:FUNCTION"),
        ("no_such:thing", "no_such cannot be imported (ModuleNotFoundError"),
        ("outdated:maps", "outdated cannot be imported (AttributeError: module 'json' has no"),
        ("script:maps", "script cannot be imported (SystemExit: 3)"),
        ("my_maps:centre", "'centre' is the name of a baseline; rename the function"),
        ("more_maps:edges", "'edges' is the name of another; rename the function"),
    ):
        assert main([*arguments, "--maps", "my_maps:edges", "--maps", source]) == 2
        assert message in capsys.readouterr().err


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--data", "none"], "none: no such folder"),
        (["--captioner", "none"], "'none' is no captioner and no folder; use shipped, a folder"),
        (["--captioner", "hf:a/b"], "download it with: python server.py captioner fetch hf:a/b"),
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
