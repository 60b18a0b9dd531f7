"""`models.calibrate` sees a published captioner as it runs later."""

from pathlib import Path

import numpy as np
import pytest

from inference.captioners.opening import open_captioner
from models.calibrate import main
from models.calibration import ConfidenceCalibration, WordCalibration
from models.calibration.predictors import open_predictor
from models.catalogue import read_measurement
from models.language import PAD
from models.measured import write_calibration
from tests.models.conftest import MakeFlickr8k, make_flickr8k, named_image
from tests.support.blip import folder

__all__ = ["make_flickr8k"]

TEXTS = ["two men on a red board", "a man with a surfboard"]
COUNT = 6


def test_a_calibrated_captioner_has_the_confidence_that_was_fitted(
    tmp_path: Path,
    make_flickr8k: MakeFlickr8k,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    data, captioner = tmp_path / "data", folder("plain")
    predictor = open_predictor(captioner)
    images = {f"{index}.png": named_image(f"{index}.png") for index in range(COUNT)}
    predictions = predictor.predict(list(images.values()), [TEXTS] * COUNT)
    predicted = dict(zip(images, predictions, strict=True))
    make_flickr8k(data, {"dev": dict.fromkeys(images, TEXTS)})

    # The same one, so that it is not compiled again.
    monkeypatch.setattr("models.calibrate.open_predictor", lambda _: predictor)

    assert main(["--captioner", str(captioner), "--data", str(data)]) == 0

    path = next((tmp_path / "state").rglob("calibration.json"))
    assert f"Wrote {path}, which Sightline uses from now on" in capsys.readouterr().out
    stored = read_measurement(captioner, "calibration")
    assert stored and (stored["split"], stored["images"]) == ("dev", COUNT)

    # In place of the fit, which is certain that all are wrong; a temperature changes nothing.
    features = predicted["1.png"].evidence.word_features()
    word_weights = 0.5 / np.maximum(np.abs(features).max(axis=0), 0.1)
    words = WordCalibration(tuple(word_weights.tolist()), 0.2, {})
    evidence = predicted["1.png"].evidence
    weights = (2.0, 0.5 / evidence.activity, -1 / evidence.evenness)
    calibration = ConfidenceCalibration(1.5, words, weights, 0.1, 0.0, 0.5)
    write_calibration(captioner, calibration, {})
    model = open_captioner(captioner)
    assert model.calibrated
    for name in ("1.png", "2.png", "3.png"):
        confidence, of_words = calibration.assess(predicted[name].evidence)
        caption = model.caption(images[name])
        assert caption.confidence == pytest.approx(confidence, abs=1e-3)
        known = [word.confidence for word in caption.words]
        assert known == pytest.approx(of_words, abs=1e-3)
        assert 0.02 < confidence < 0.98
        # A random captioner has no words for some images.
        assert name != "1.png" or any(each is not None for each in known)

    # Along a reference caption it predicts what the captioner itself computes.
    tokens = [*model.wording.tokens_of(TEXTS[0]), model.wording.end]
    (forced,) = model.rescore(model.encode([images["1.png"]]), [tokens]).search_log_probs
    length = len(tokens)
    logits = predicted["1.png"].logits[:length].astype(np.float64)
    log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    assert predicted["1.png"].tokens[:length].tolist() == tokens
    np.testing.assert_allclose(log_probs[np.arange(length), tokens], forced[:length], atol=1e-3)
    assert PAD not in predicted["1.png"].tokens


def test_a_published_captioner_has_no_tags_to_calibrate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    captioner = str(folder("plain"))

    assert main(["--tags", "--captioner", captioner, "--data", str(tmp_path)]) == 2
    assert "has no tags to calibrate" in capsys.readouterr().err
