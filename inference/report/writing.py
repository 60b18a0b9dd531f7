"""`python server.py explain`: explain an image or a folder of images, and write what was found."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.captioners.opening import open_captioner
from inference.captioning import Precision
from inference.captioning.model import CaptionModel
from inference.explanations.methods import METHODS, available_methods
from inference.output_folder import output_folder
from inference.progress import ProgressPrinter
from inference.report import Analyses, write_files
from inference.report.contents import ANALYSES, analyse_image, explain_image
from inference.report.image_folder import (
    Outcome,
    explain_folder,
    find_images,
    run_settings,
)
from inference.startup import quiet_stderr, use_one_thread


def write_report(
    image: NDArray[np.uint8],
    name: str,
    folder: Path,
    only: Sequence[str] | None,
    captioner: Path,
    precision: Precision,
    layer: int | None,
    report: Callable[[str], None],
    *,
    consensus: bool = True,
) -> list[tuple[Path, str]]:
    """Write `report.html`, `report.json`, `sheet.png` and an image per method to a folder.

    If anything fails, nothing is written.

    Args:
        image: RGB, uint8 [H, W, 3].
        name: File name of the image, for the report.
        folder: Where to write; created if missing.
        only: Names of `METHODS` and `ANALYSES`; None for all that the captioner offers.
        captioner: Folder of its checkpoint.
        precision: Of its encoder.
        layer: See `open_captioner`.
        report: Called with lines about the progress and the time left.
        consensus: See `open_captioner`.

    Returns:
        The files, each with a description.

    Raises:
        OSError: If the folder cannot be written to.
        ValueError: If no method and no analysis has one of the names, or the captioner does not
            offer it.
        models.checkpoint.CheckpointError: If the captioner cannot be loaded.
    """
    check_names(only)
    with output_folder(folder) as place:
        model = _load(captioner, precision, layer, report, consensus=consensus)
        chosen = choose(model, only)
        methods = [each for each in chosen if each in METHODS]
        analyses = tuple(each for each in chosen if each in ANALYSES)
        checks = any("word" in METHODS[each].kinds for each in methods)
        progress = ProgressPrinter(report, len(chosen) + checks)
        contents = explain_image(model, image, methods, progress)
        found = Analyses()
        if contents.words:
            found = analyse_image(model, image, contents.tokens, analyses, progress)
        elif analyses:
            report("Skipping the analyses: the caption has no words.")
        report("Writing the report ...")
        written = list(write_files(contents, found, name, place))
    return [(folder / file, description) for file, description in written]


def explain_images(
    folder: Path,
    out: Path,
    only: Sequence[str] | None,
    captioner: Path,
    precision: Precision,
    layer: int | None,
    max_pixels: int,
    report: Callable[[str], None],
    *,
    consensus: bool = True,
) -> Outcome:
    """Explain the images of a folder that were not explained before; see `explain_folder`.

    Args:
        folder: Contains the images.
        out: Output folder; created if missing.
        only: Names of methods; None for that of the captioner's live maps.
        captioner: As in `write_report`.
        precision: As in `write_report`.
        layer: As in `write_report`.
        max_pixels: Maximum width times height; larger images are scaled down.
        report: As in `write_report`.
        consensus: As in `write_report`.

    Raises:
        ValueError: As `write_report` and `explain_folder`, or if an analysis is named.
        OSError: If something cannot be read or written.
    """
    check_names(only)
    find_images(folder, out)
    if analyses := [name for name in only or () if name in ANALYSES]:
        raise ValueError(f"{analyses[0]} is for single images: name an image, or other methods")
    model = _load(captioner, precision, layer, report, consensus=consensus)
    methods = choose(model, only if only is not None else [model.live_method])
    settings = run_settings(precision, layer, consensus, max_pixels)
    return explain_folder(model, folder, out, methods, settings, max_pixels, report)


def check_names(names: Sequence[str] | None) -> None:
    """Check names of methods and analyses before a captioner is loaded.

    Raises:
        ValueError: If there is no method or analysis of a name.
    """
    known = [*METHODS, *ANALYSES]
    for name in names or ():
        if name not in known:
            raise ValueError(f"no method or analysis {name!r}; choose from: {', '.join(known)}")


def choose(model: CaptionModel, names: Sequence[str] | None) -> list[str]:
    """Return names of methods and analyses without repetitions; for None, all that are offered.

    Raises:
        ValueError: If one is not offered for this captioner.
    """
    offered = [*available_methods(model), *model.analyses]
    chosen = list(dict.fromkeys(names if names is not None else offered))
    for name in chosen:
        if name not in offered:
            raise ValueError(
                f"{name} is not possible with the captioner {model.card.name}; choose from: "
                f"{', '.join(offered)}"
            )
    return chosen


def _load(
    captioner: Path,
    precision: Precision,
    layer: int | None,
    report: Callable[[str], None],
    *,
    consensus: bool,
) -> CaptionModel:
    report("Loading the captioner ...")
    use_one_thread()
    with quiet_stderr():
        return open_captioner(captioner, precision, layer, consensus=consensus)
