"""Readers of captioned image data sets."""

from collections.abc import Sequence
from pathlib import Path

from models.datasets import coco, flickr, pack
from models.datasets.base import Dataset, DatasetError, Example, Together, decode_image

__all__ = [
    "Dataset",
    "DatasetError",
    "Example",
    "Together",
    "decode_image",
    "open_dataset",
    "open_together",
]


def open_together(folders: Sequence[Path]) -> Dataset:
    """Open one data set, or several as one.

    Args:
        folders: One at least; see `open_dataset`.

    Raises:
        DatasetError: As `open_dataset`.
    """
    datasets = [open_dataset(folder) for folder in folders]
    return datasets[0] if len(datasets) == 1 else Together(datasets)


def open_dataset(folder: Path) -> Dataset:
    """Open a data set, whichever of the known layouts it has.

    The layouts are told apart by their captions file: `captions.tsv` (packed),
    `Flickr8k.token.txt`, `results.csv` (Flickr30k), `annotations/captions_*.json` (COCO). Of a
    folder with several, the first of these is opened.

    Args:
        folder: The data set's folder.

    Returns:
        The data set.

    Raises:
        DatasetError: There is no such folder, it has no known layout, or the data set in it is
            incomplete or malformed.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder; pass the folder of a data set")
    if (folder / pack.CAPTIONS_FILE).is_file():
        return pack.PackDataset(folder)
    if (folder / flickr.FLICKR8K_CAPTIONS).is_file():
        return flickr.Flickr8kDataset(folder)
    if (folder / flickr.FLICKR30K_CAPTIONS).is_file():
        return flickr.Flickr30kDataset(folder)
    if any(folder.glob(coco.CAPTIONS_PATTERN)):
        return coco.CocoDataset(folder)
    raise DatasetError(
        f"{folder}: no data set of a known layout; looked in it for {pack.CAPTIONS_FILE} (packed), "
        f"{flickr.FLICKR8K_CAPTIONS} (Flickr8k), {flickr.FLICKR30K_CAPTIONS} (Flickr30k) and "
        f"{coco.CAPTIONS_PATTERN} (COCO)"
    )
