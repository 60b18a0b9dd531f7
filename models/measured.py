"""What the user measured about a captioner: its calibration, and which word maps are faithful.

It is kept in the user's state folder; see `models.catalogue.state`. The calibration of a captioner
that `models.train` trained is in its model card instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from models.calibration import ConfidenceCalibration
from models.catalogue import read_measurement, write_measurement
from models.catalogue.state import damaged, measurement_path
from models.checkpoint import ModelCard

_CALIBRATION, _FAITHFULNESS, _VERIFIED = "calibration", "faithfulness", "verified"
_READ_CALIBRATION = TypeAdapter(ConfidenceCalibration).validate_python
_READ_VERIFIED = TypeAdapter(tuple[str, ...]).validate_python


def measured_card(folder: Path, card: ModelCard) -> ModelCard:
    """Return a captioner's card with what the user measured in place of what it states.

    Raises:
        models.catalogue.CaptionerError: If a measurement is damaged; the message names the file.
    """
    name = _CALIBRATION
    try:
        if values := read_measurement(folder, _CALIBRATION):
            card = replace(card, confidence=_READ_CALIBRATION(values.get(_CALIBRATION)))
        name = _FAITHFULNESS
        if values := read_measurement(folder, _FAITHFULNESS):
            card = replace(card, verified=_READ_VERIFIED(values.get(_VERIFIED)))
    except ValidationError:
        raise damaged(measurement_path(folder, name)) from None
    return card


def write_calibration(
    folder: Path, calibration: ConfidenceCalibration, about: Mapping[str, Any]
) -> Path:
    """Store the calibration of a published captioner; return the file's path.

    Args:
        folder: Folder of the captioner.
        calibration: Its calibration.
        about: How it was fitted, and its figures, as JSON values.

    Raises:
        models.catalogue.CaptionerError: If there is no state folder.
        OSError: If the file cannot be written.
    """
    return write_measurement(folder, _CALIBRATION, {_CALIBRATION: asdict(calibration), **about})


def write_verified(folder: Path, verified: Sequence[str], about: Mapping[str, Any]) -> Path:
    """Store which explanation methods are faithful to a captioner; return the file's path.

    Args:
        folder: Folder of the captioner.
        verified: Their names, the most faithful first.
        about: How they were measured, and the figures, as JSON values.

    Raises:
        models.catalogue.CaptionerError: If there is no state folder.
        OSError: If the file cannot be written.
    """
    return write_measurement(folder, _FAITHFULNESS, {_VERIFIED: list(verified), **about})
