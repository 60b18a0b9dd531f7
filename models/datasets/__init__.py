"""Readers of captioned image datasets: packed, Flickr8k, Flickr30k and COCO."""

from collections.abc import Sequence
from pathlib import Path

from models.datasets import coco, flickr, pack
from models.datasets.base import CombinedDataset, Dataset, DatasetError, Example, decode_image

__all__ = [
    "CombinedDataset",
    "Dataset",
    "DatasetError",
    "Example",
    "decode_image",
    "open_combined",
    "open_dataset",
]


def open_combined(folders: Sequence[Path]) -> Dataset:
    """Open one dataset, or several as one.

    Args:
        folders: At least one; see `open_dataset`.

    Raises:
        DatasetError: If one of them cannot be opened.
    """
    datasets = [open_dataset(folder) for folder in folders]
    return datasets[0] if len(datasets) == 1 else CombinedDataset(datasets)


def open_dataset(folder: Path) -> Dataset:
    """Open a dataset in any of the supported layouts.

    The layout is detected by the captions file: `captions.tsv` (packed), `Flickr8k.token.txt`,
    `results.csv` (Flickr30k) or `annotations/captions_*.json` (COCO). If there are several, the
    first of these is used.

    Args:
        folder: The dataset's folder.

    Returns:
        The dataset.

    Raises:
        DatasetError: If the folder does not exist, has none of these layouts, or the dataset is
            incomplete or malformed.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder; give the folder of a dataset")
    if (folder / pack.CAPTIONS_FILE).is_file():
        return pack.PackDataset(folder)
    if (folder / flickr.FLICKR8K_CAPTIONS).is_file():
        return flickr.Flickr8kDataset(folder)
    if (folder / flickr.FLICKR30K_CAPTIONS).is_file():
        return flickr.Flickr30kDataset(folder)
    if any(folder.glob(coco.CAPTIONS_PATTERN)):
        return coco.CocoDataset(folder)
    raise DatasetError(
        f"{folder}: no dataset of a known layout; looked for {pack.CAPTIONS_FILE} (packed), "
        f"{flickr.FLICKR8K_CAPTIONS} (Flickr8k), {flickr.FLICKR30K_CAPTIONS} (Flickr30k) and "
        f"{coco.CAPTIONS_PATTERN} (COCO)"
    )
