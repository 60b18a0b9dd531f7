"""Reader of the COCO captions dataset.

X. Chen et al., "Microsoft COCO Captions: Data Collection and Evaluation Server",
arXiv:1504.00325 (2015).
"""

import json
import re
from pathlib import Path
from typing import Any

from models.datasets.base import DatasetError, Example, ImageFolderDataset

CAPTIONS_PATTERN = "annotations/captions_*.json"
_CAPTIONS_NAME = re.compile(r"captions_((?P<split>[a-z]+)\d*)\.json")


class CocoDataset(ImageFolderDataset):
    """COCO captions: `annotations/captions_train2017.json` with the images in `train2017/`.

    Each captions file is a split, named after the file without the year: `train`, `val`. Images
    without a caption are ignored.
    """

    def __init__(self, folder: Path) -> None:
        """Read every captions file.

        Args:
            folder: The folder that holds `annotations/` and the image folders.

        Raises:
            DatasetError: If a file is malformed, two files are the same split, or a captioned image
                or its folder is missing.
        """
        examples: list[Example] = []
        folders: dict[str, Path] = {}
        for path in sorted(folder.glob(CAPTIONS_PATTERN)):
            match = _CAPTIONS_NAME.fullmatch(path.name)
            if match is None:
                raise DatasetError(
                    f"{path}: the file name must be captions_, a split and a year, such as "
                    "captions_train2017.json"
                )
            if match["split"] in folders:
                raise DatasetError(
                    f"{path}: there is another file for the split {match['split']}; keep one"
                )
            folders[match["split"]] = folder / match[1]
            examples += _read_captions(path, match["split"])
        if not examples:
            raise DatasetError(f"{folder / CAPTIONS_PATTERN}: no captions found")
        super().__init__(examples, folders, folder / CAPTIONS_PATTERN)


def _read_captions(path: Path, split: str) -> list[Example]:
    content = _read_json(path)
    names: dict[int, str] = {}
    for image in _records(path, content, "images", {"id": int, "file_name": str}):
        names[image["id"]] = image["file_name"]
    captions: dict[int, list[str]] = {}
    for annotation in _records(path, content, "annotations", {"image_id": int, "caption": str}):
        image_id = annotation["image_id"]
        if image_id not in names:
            raise DatasetError(
                f"{path}: an annotation has image_id {image_id}, which is not in 'images'"
            )
        captions.setdefault(image_id, []).append(annotation["caption"])
    return [Example(names[i], split, tuple(group)) for i, group in captions.items()]


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise DatasetError(f"{path}: not JSON ({error}); fetch it again") from error


def _records(path: Path, content: Any, key: str, fields: dict[str, type]) -> list[dict[str, Any]]:
    records = content.get(key) if isinstance(content, dict) else None
    if not isinstance(records, list):
        raise DatasetError(f"{path}: must be an object with a list {key!r}")
    for index, record in enumerate(records):
        if not isinstance(record, dict) or not all(
            isinstance(record.get(field), kind) for field, kind in fields.items()
        ):
            raise DatasetError(
                f"{path}: {key}[{index}] must be an object with "
                + " and ".join(f"{field!r} ({kind.__name__})" for field, kind in fields.items())
            )
    return records
