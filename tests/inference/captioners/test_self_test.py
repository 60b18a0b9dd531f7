import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image

import server
from inference.captioners.opening import open_captioner
from inference.captioning.model import CaptionModel
from inference.explanations import CaptionMaps, Map

NAMES = ("astronaut.png", "chelsea.png", "coffee.png")


@pytest.fixture(scope="module")
def loaded(saved: Path) -> CaptionModel:
    return open_captioner(saved)


@pytest.fixture
def model(loaded: CaptionModel) -> Iterator[CaptionModel]:
    """What `captioner show` loads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("inference.captioners.opening.open_captioner", lambda _: loaded)
        yield loaded


def show(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Return the exit status, the description, and the report."""
    status = server.main(["captioner", "show", str(folder)])
    description, report, _ = capsys.readouterr().out.split("-" * 72)
    return status, description, report


def test_show_describes_and_tests_a_captioner(
    model: CaptionModel, saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, description, report = show(saved, capsys)

    assert status == 0
    with np.load(saved / "weights.npz") as arrays:
        count = sum(array.size for array in arrays.values())
    assert f"weights       {count / 1e6:.1f} million values" in description
    assert "encoder       efficientnet-lite0, 64 px, 2x2 cells" in description
    assert (
        f"not calibrated; calibrate: python -m models.calibrate --captioner {saved}" in description
    )
    assert "live map      readcam (not verified)" in description
    for name in NAMES:
        image = np.asarray(Image.open(Path(skimage.__file__).parent / "data" / name))
        found = model.search(model.encode([image]))
        text, log_prob = model.text(found.tokens[0]), found.search_log_probs.sum()
        assert f"{name}: {text!r}, log-probability {log_prob:.3f}; encoder " in report
    digest = hashlib.sha256((saved / "weights.npz").read_bytes()).hexdigest()
    assert f"weights.npz: sha256 {digest}" in report
    assert "result: passed" in report
    # Nothing that identifies the user.
    assert "captioner: small (" in report and str(saved.parent) not in report


def test_a_captioner_that_computes_nonsense_fails_the_test(
    model: CaptionModel,
    saved: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken = Map(np.full(model.grid_size, np.nan, np.float32))
    monkeypatch.setattr(model, "live_maps", lambda *_: [CaptionMaps("readcam", (broken,), broken)])

    status, _, report = show(saved, capsys)

    assert status == 1
    assert "astronaut.png: FAULT: a map is not finite" in report
    assert "result: FAILED" in report


def test_show_names_the_command_for_a_missing_captioner(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert server.main(["--captioner", "hf:a/b", "captioner", "show"]) == 2
    assert "python server.py captioner fetch hf:a/b" in capsys.readouterr().err
