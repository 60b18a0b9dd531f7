"""`python server.py explain`: from a picture to a folder that says all about its caption."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.captioning import Precision
from inference.captioning.model import CaptionModel
from inference.explanations.methods import METHODS
from inference.output_folder import output_folder
from inference.progress import ProgressPrinter
from inference.report.analyses import ANALYSES, Analyses, analyse_picture
from inference.report.analysis_files import HTML, JSON
from inference.report.contents import Contents, explain_picture, method_file
from inference.report.document import Document
from inference.report.page import page
from inference.report.pictures import method_sheets, painted_maps, words_sheet
from inference.startup import quiet, use_one_thread

SHEET = "sheet.png"


def write_report(
    picture: NDArray[np.uint8],
    name: str,
    folder: Path,
    only: Sequence[str] | None,
    captioner: Path,
    precision: Precision,
    tell: Callable[[str], None],
) -> list[tuple[Path, str]]:
    """Write `report.html`, `report.json`, `sheet.png` and a picture for each method, or nothing.

    Args:
        picture: RGB, uint8 [H, W, 3].
        name: The picture's, for the report.
        folder: Where to; made if there is none.
        only: Names of `METHODS` and `ANALYSES`; all of both when None.
        captioner: Its folder.
        precision: What its encoder computes in.
        tell: Told what is done next, how far it is and about how long it still takes.

    Returns:
        The files, each with what it shows.

    Raises:
        OSError: If the folder cannot be written to.
        ValueError: If no method and no analysis has one of the names.
        models.checkpoint.ReleaseError: If the captioner cannot be loaded.
    """
    chosen = check_names(only)
    methods = [each for each in chosen if each in METHODS]
    analyses = tuple(each for each in chosen if each in ANALYSES)
    checks = any("word" in METHODS[each].kinds for each in methods)
    with output_folder(folder) as place:
        tell("Loading the captioner ...")
        use_one_thread()
        with quiet():
            model = CaptionModel(captioner, precision)
        progress = ProgressPrinter(tell, len(chosen) + checks)
        contents = explain_picture(model, picture, methods, progress)
        found = Analyses()
        if contents.words:
            found = analyse_picture(model, picture, contents.tokens, analyses, progress)
        elif analyses:
            tell("Not analysed: the caption has no words.")
        tell("Writing the report ...")
        written = list(_write(contents, found, name, place))
    return [(folder / file, shows) for file, shows in written]


def check_names(names: Sequence[str] | None) -> list[str]:
    """Return the names of methods and analyses, each once; all of them when None.

    Raises:
        ValueError: If nothing has one of them.
    """
    known = [*METHODS, *ANALYSES]
    chosen = list(dict.fromkeys(names if names is not None else known))
    for name in chosen:
        if name not in known:
            raise ValueError(
                f"no method or analysis is called {name!r}; there are {', '.join(known)}"
            )
    return chosen


def _write(
    contents: Contents, found: Analyses, name: str, place: Path
) -> Iterator[tuple[str, str]]:
    document = Document(
        name,
        contents.picture,
        contents.card,
        contents.caption,
        found.adversarial,
        found.concepts,
        painted_maps(contents),
    )
    (place / HTML).write_text("".join(page(document)), encoding="utf-8")
    yield HTML, "all of it, to be read"
    sheet = words_sheet(contents)
    if sheet:
        sheet.save(place / SHEET)
        yield SHEET, "every word"
    for explained, picture in method_sheets(contents):
        file = method_file(explained.method.name)
        picture.save(place / file)
        yield file, explained.method.title
    values = json.dumps({**document.to_json(), **contents.to_json()}, indent=1)
    (place / JSON).write_text(values + "\n", encoding="utf-8")
    yield JSON, "all of it as figures"
