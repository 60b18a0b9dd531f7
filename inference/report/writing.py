"""`python server.py explain`: from a picture to a folder that says all about its caption."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.captioning import CaptionModel
from inference.explanations.methods import METHODS
from inference.quantized import Precision
from inference.quiet import quiet
from inference.report.contents import Contents, explain_picture, method_file
from inference.report.output_folder import output_folder
from inference.report.pictures import method_sheets, words_sheet
from inference.threads import use_one_thread

SHEET, REPORT = "sheet.png", "report.json"


def write_report(
    picture: NDArray[np.uint8],
    name: str,
    folder: Path,
    methods: Sequence[str] | None,
    captioner: Path,
    precision: Precision,
    progress: Callable[[str], None],
) -> list[tuple[Path, str]]:
    """Write `sheet.png`, a picture for each method and `report.json`, or nothing at all.

    Args:
        picture: RGB, uint8 [H, W, 3].
        name: The picture's, for the report.
        folder: Where to; made if there is none.
        methods: Names of `METHODS`; all when None.
        captioner: Its folder.
        precision: What its encoder computes in.
        progress: Told what is done next.

    Returns:
        The files, each with what it shows.

    Raises:
        OSError: If the folder cannot be written to.
        ValueError: If no method has one of the names.
        models.release.ReleaseError: If the captioner cannot be loaded.
    """
    chosen = check_methods(methods)
    with output_folder(folder) as place:
        progress("Loading the captioner ...")
        use_one_thread()
        with quiet():
            model = CaptionModel(captioner, precision)
        contents = explain_picture(
            model, picture, chosen, lambda title: progress(f"Computing: {title} ...")
        )
        written = list(_write(contents, name, place))
    return [(folder / file, shows) for file, shows in written]


def check_methods(names: Sequence[str] | None) -> list[str]:
    """Return the names, each once; those of all methods when None.

    Raises:
        ValueError: If no method has one of them.
    """
    chosen = list(dict.fromkeys(names if names is not None else METHODS))
    for name in chosen:
        if name not in METHODS:
            raise ValueError(f"no method is called {name!r}; there are {', '.join(METHODS)}")
    return chosen


def _write(contents: Contents, name: str, place: Path) -> Iterator[tuple[str, str]]:
    sheet = words_sheet(contents)
    if sheet:
        sheet.save(place / SHEET)
        yield SHEET, "every word"
    for explained, picture in method_sheets(contents):
        file = method_file(explained.method.name)
        picture.save(place / file)
        yield file, explained.method.title
    report = json.dumps(contents.to_json(name), indent=1)
    (place / REPORT).write_text(report + "\n", encoding="utf-8")
    yield REPORT, "all of it as figures"
