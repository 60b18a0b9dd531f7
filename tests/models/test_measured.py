import json
from pathlib import Path

import pytest

from models.calibration import ConfidenceCalibration, WordCalibration
from models.calibration.word_confidence import WORD_FEATURES
from models.captioner.beam_search import BeamConfig
from models.catalogue import CaptionerError
from models.checkpoint import ModelCard
from models.measured import measured_card, write_calibration, write_verified

WORDS = WordCalibration((0.5,) * len(WORD_FEATURES), -1.0, {"dog": 0.25})
CALIBRATION = ConfidenceCalibration(1.5, WORDS, (1.0, 0.5, -0.1), 2.0, 0.2, 0.5)
CARD = ModelCard("name", "data", "MIT", {}, BeamConfig(), verified=("readcam",))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "captioner"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "blip"}')
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_what_was_measured_replaces_what_the_card_states(folder: Path) -> None:
    assert measured_card(folder, CARD) == CARD

    write_calibration(folder, CALIBRATION, {"images": 10})
    calibrated = measured_card(folder, CARD)
    assert (calibrated.confidence, calibrated.verified) == (CALIBRATION, ("readcam",))

    write_verified(folder, ["gradcam", "attention"], {})
    measured = measured_card(folder, CARD)
    assert (measured.confidence, measured.verified) == (CALIBRATION, ("gradcam", "attention"))
    assert measured.name == "name"


def test_methods_that_are_all_unfaithful_replace_those_of_the_card(folder: Path) -> None:
    write_verified(folder, [], {})

    assert measured_card(folder, CARD).verified == ()


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("calibration", {"calibration": None}),
        ("calibration", {"calibration": {"temperature": 0}}),
        ("faithfulness", {"verified": "gradcam"}),
        ("faithfulness", {"verified": [1]}),
    ],
)
def test_a_damaged_measurement_is_named(
    folder: Path, name: str, changed: dict[str, object]
) -> None:
    write_calibration(folder, CALIBRATION, {})
    path = write_verified(folder, ["gradcam"], {}).with_name(f"{name}.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))

    with pytest.raises(CaptionerError, match=f"{path} is damaged; delete it, or measure"):
        measured_card(folder, CARD)
