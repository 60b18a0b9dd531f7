"""The layout in which Flickr30k is commonly distributed.

P. Young, A. Lai, M. Hodosh, J. Hockenmaier, "From Image Descriptions to Visual Denotations: New
Similarity Metrics for Semantic Inference over Event Descriptions", TACL 2 (2014) 67-78.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from models.datasets.base import DatasetError, Example, read_lines
from models.datasets.image_folder import ImageFolderDataset, group_captions

CAPTIONS_FILE = "results.csv"
IMAGE_FOLDERS = ("flickr30k_images", "flickr30k-images")
_HEADER = ["image_name", "comment_number", "comment"]
_DEV_PERCENT = 3
_TEST_PERCENT = 3


class Flickr30kDataset(ImageFolderDataset):
    """Flickr30k: `results.csv` and a folder of images.

    A line of `results.csv` is `image_name| comment_number| comment`, unquoted; blanks around a
    field are dropped. The file has no splits, so a hash of an image's name assigns them: about
    94 % `train`, 3 % `dev` and 3 % `test`, the same on every machine and whatever else the file
    holds. They are not the splits that published results use. Flickr30k extends Flickr8k, so its
    `train` holds images of Flickr8k's `test`.
    """

    def __init__(self, folder: Path) -> None:
        """Read the captions and assign the splits.

        Args:
            folder: The folder that holds `results.csv` and `flickr30k_images/`,
                `flickr30k-images/` or the images themselves.

        Raises:
            DatasetError: The file is missing or malformed, or a captioned image has no file.
        """
        path = folder / CAPTIONS_FILE
        images = next((folder / n for n in IMAGE_FOLDERS if (folder / n).is_dir()), folder)
        super().__init__(
            (
                Example(name, hash_split(name), group)
                for name, group in group_captions(path, _captions(path)).items()
            ),
            dict.fromkeys(("train", "dev", "test"), images),
            path,
        )


def hash_split(name: str) -> str:
    """Assign a split by an image's name alone.

    Args:
        name: The image's name.

    Returns:
        `dev` for about 3 % of the names, `test` for about 3 %, `train` for the rest.
    """
    percentile = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % 100
    if percentile < _DEV_PERCENT:
        return "dev"
    if percentile < _DEV_PERCENT + _TEST_PERCENT:
        return "test"
    return "train"


def _captions(path: Path) -> Iterator[tuple[str, str]]:
    lines = read_lines(path)
    if not lines or _fields(lines[0]) != _HEADER:
        raise DatasetError(f"{path}: line 1 must be the header '{'| '.join(_HEADER)}'")
    for number, line in enumerate(lines[1:], start=2):
        fields = _fields(line)
        # Copies in circulation have one line that lacks its second separator.
        if len(fields) != 3 or not all(fields) or not fields[1].isdecimal():
            raise DatasetError(
                f"{path}: line {number} must be '{'| '.join(_HEADER)}' but is {line[:80]!r}; "
                "insert the missing separator"
            )
        yield fields[0], fields[2]


def _fields(line: str) -> list[str]:
    return [field.strip() for field in line.split("|", maxsplit=2)]
