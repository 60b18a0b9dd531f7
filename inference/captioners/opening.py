"""Open the captioner in a folder, whatever its architecture."""

from pathlib import Path

from inference.captioners.lstm import LstmCaptionModel
from inference.captioning import Precision
from inference.captioning.model import CaptionModel
from models.catalogue import UnknownArchitecture, read_architecture
from models.checkpoint import CheckpointError


def open_captioner(
    folder: Path,
    precision: Precision = "float32",
    layer: int | None = None,
    *,
    consensus: bool = True,
) -> CaptionModel:
    """Load the captioner in a folder, and compile what every caption needs.

    Args:
        folder: Folder of its files.
        precision: Numeric precision of the encoder, and of the search of BLIP.
        layer: Index of the cross-attention layer that is explained, for captioners that have
            several; by default the captioner's own choice.
        consensus: Whether a captioner that has a consensus chooses by it.

    Raises:
        models.checkpoint.CheckpointError: If the folder has no usable captioner, or one of an
            architecture that is not known.
        inference.captioning.QuantizedError: If it has no encoder of that precision.
    """
    try:
        architecture = read_architecture(folder)
    except UnknownArchitecture as problem:
        raise CheckpointError(str(problem)) from problem
    except OSError:
        # The loader of our own captioners says which file is missing.
        architecture = "sightline"
    if architecture == "sightline":
        return LstmCaptionModel(folder, precision, consensus=consensus)
    # Imported here: what it needs would only delay the shipped captioner's start.
    from inference.captioners.blip import BlipCaptionModel

    return BlipCaptionModel(folder, precision, layer)
