"""Calibrations of published captioners, in the user's state folder.

The calibration of a captioner that `models.train` trained is in its model card instead.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from models.calibration.confidence import ConfidenceCalibration
from models.catalogue import read_measurement, write_measurement
from models.catalogue.state import damaged, measurement_path

_NAME = "calibration"
_ADAPTER = TypeAdapter(ConfidenceCalibration)


def read_calibration(folder: Path) -> ConfidenceCalibration | None:
    """Return the calibration of the published captioner in a folder; None if there is none.

    Raises:
        models.catalogue.CaptionerError: If it is damaged; the message names the file.
    """
    values = read_measurement(folder, _NAME)
    if values is None:
        return None
    try:
        return _ADAPTER.validate_python(values.get(_NAME))
    except ValidationError:
        raise damaged(measurement_path(folder, _NAME)) from None


def write_calibration(
    folder: Path, calibration: ConfidenceCalibration, about: dict[str, Any]
) -> Path:
    """Store the calibration of the published captioner in a folder; return the file's path.

    Args:
        folder: Folder of the captioner.
        calibration: Its calibration.
        about: How it was fitted, and its figures, as JSON values.

    Raises:
        models.catalogue.CaptionerError: If there is no state folder.
        OSError: If the file cannot be written.
    """
    return write_measurement(folder, _NAME, {_NAME: asdict(calibration), **about})
