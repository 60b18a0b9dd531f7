"""`python server.py explain FOLDER`: caption and explain every image of a folder, and resume."""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.captioning import Precision
from inference.captioning.model import CaptionModel
from inference.explanations.methods import METHODS
from inference.image_files import ImageError, decode_image, is_image, read_bytes
from inference.output_folder import output_folder
from inference.progress import ProgressPrinter
from inference.report.contents import explain_image
from inference.report.document import Contents, Document, Explanation, method_file
from inference.report.images import method_sheets
from models.catalogue.state import captioner_sha256
from models.digests import file_sha256
from models.word_kinds import word_kind

LINES, RUN, MAPS = "explanations.jsonl", "run.json", "maps.npz"
"""Names of files."""
IMAGES = "images"
"""Folder of what belongs to single images."""

_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif")
)
"""A file with one of these is meant to be an image, even if it is damaged."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the images of a folder."""

    explained: int
    """In this run."""
    skipped: int
    """Explained in an earlier one."""
    failed: tuple[str, ...]
    """Why the others could not be, each with its file."""


def find_images(folder: Path, besides: Path) -> list[Path]:
    """Find the images below a folder, in order.

    Hidden files and folders, links to folders and a folder `besides` are left out. What has the
    suffix of an image counts even if it is none.

    Returns:
        Paths relative to the folder.

    Raises:
        ValueError: If there are none.
    """
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and (Path(place) / name).resolve() != besides.resolve()
        )
        for name in sorted(files):
            path = Path(place) / name
            if not name.startswith(".") and path.is_file() and _is_meant_as_image(path):
                found.append(path.relative_to(folder))
    if not found:
        raise ValueError(f"{folder} contains no images (JPEG, PNG, WebP, ...)")
    return found


def explain_folder(
    model: CaptionModel,
    folder: Path,
    out: Path,
    methods: Sequence[str],
    settings: dict[str, Any],
    max_pixels: int,
    report: Callable[[str], None],
) -> Outcome:
    """Explain every image of a folder that was not explained before.

    Writes `explanations.jsonl`, a line for each image, and for each a folder `images/FILE` with
    `maps.npz` and a sheet of all maps of each method. A line is written last, so what a run left
    half-written is done again. An image that cannot be read does not stop the run.

    Args:
        model: The captioner.
        folder: Contains the images, at any depth.
        out: Output folder; created if missing.
        methods: Names of methods that are available for the captioner.
        settings: What else determines the maps, as JSON values.
        max_pixels: Maximum width times height; larger images are scaled down.
        report: Called with lines about the progress and the time left.

    Raises:
        ValueError: If there are no images, or `out` has results of another captioner or of other
            methods or settings, or another run writes to it.
        OSError: If something cannot be written.
    """
    files = find_images(folder, out)
    run = {
        "captioner": model.card.name,
        "weights": captioner_sha256(model.folder),
        "methods": list(methods),
        **settings,
    }
    out.mkdir(parents=True, exist_ok=True)
    with _locked(out, run):
        done = _resume(out, folder, files)
        todo = [file for file in files if file.as_posix() not in done]
        if done:
            report(f"{len(done)} of {len(files)} images are explained already")
        printer = ProgressPrinter(report, 1)
        if todo:
            printer.begin(f"explanations of {len(todo)} images")
        failed = []
        for index, file in enumerate(todo):
            printer.update(index / len(todo), file.as_posix())
            try:
                data = read_bytes(folder / file)
                image = decode_image(data, file.as_posix(), max_pixels)
            except ImageError as problem:
                failed.append(str(problem))
                continue
            line = _explain(model, image, file, out, methods)
            with (out / LINES).open("a", encoding="utf-8") as lines:
                lines.write(_to_line({**line, "sha256": sha256(data).hexdigest()}))
    return Outcome(len(todo) - len(failed), len(done), tuple(failed))


def array_name(method: str, explanation: Explanation) -> str:
    """Return the name of a map in `maps.npz`, such as `gradcam.caption` or `gradcam.word.3`."""
    target = explanation.target
    which = target.text if target.kind == "tag" else target.index
    return f"{method}.{target.kind}" + ("" if which is None else f".{which}")


def run_settings(
    precision: Precision, layer: int | None, consensus: bool, max_pixels: int
) -> dict[str, Any]:
    """Return the settings that determine the maps, for `explain_folder`."""
    return {
        "precision": precision,
        "layer": layer,
        "consensus": consensus,
        "max_pixels": max_pixels,
    }


def _is_meant_as_image(path: Path) -> bool:
    if path.suffix.lower() in _SUFFIXES:
        return True
    try:
        return is_image(path)
    except ImageError:
        return False


@contextmanager
def _locked(out: Path, run: dict[str, Any]) -> Iterator[None]:
    """Claim the output folder for a run, and compare it with the run that began the folder."""
    with (out / RUN).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another run writes to {out}; wait for its end") from None
        file.seek(0)
        before = _read_line(file.read())
        if before is None:
            file.truncate(0)
            file.write(_to_line(run))
            file.flush()
        elif before != run:
            differing = [name for name in run if before.get(name) != run[name]]
            raise ValueError(
                f"{out} has explanations by other settings ({', '.join(differing)}); choose "
                f"another folder, or delete {out}"
            )
        yield


def _resume(out: Path, folder: Path, files: Sequence[Path]) -> set[str]:
    """Return which files are done, and drop the lines of those that have to be done again.

    An incomplete last line, and lines of images that have changed since, are dropped.
    """
    path = out / LINES
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    names = {file.as_posix() for file in files}
    done, kept = set(), []
    for line in text.splitlines(keepends=True):
        entry = _read_line(line)
        if entry is None:
            continue
        file = str(entry["file"])
        if file in names:
            complete = all((out / each).is_file() for each in entry["files"])
            if not complete or _digest(folder / file) != entry["sha256"]:
                continue
            done.add(file)
        kept.append(line)
    if (rest := "".join(kept)) != text:
        temporary = out / f".{LINES}"
        temporary.write_text(rest, encoding="utf-8")
        temporary.replace(path)
    return done


def _explain(
    model: CaptionModel, image: NDArray[np.uint8], file: Path, out: Path, methods: Sequence[str]
) -> dict[str, Any]:
    """Explain an image and write its files; return its line."""
    silent = ProgressPrinter(lambda _: None, len(methods))
    contents = explain_image(model, image, methods, silent, check=False)
    place = out / IMAGES / file
    # Of a run that was killed.
    for left in place.glob(".writing-*"):
        shutil.rmtree(left)
    written = []
    if contents.methods:
        with output_folder(place) as temporary:
            maps: dict[str, Any] = {
                array_name(each.method.name, found): found.map.values
                for each in contents.methods
                for found in each.explanations
            }
            np.savez_compressed(temporary / MAPS, **maps)
            for each, sheet in method_sheets(contents):
                sheet.save(temporary / method_file(each.method.name))
            written = sorted(path.name for path in temporary.iterdir())
    return _line(contents, file, [(Path(IMAGES) / file / name).as_posix() for name in written])


def _line(contents: Contents, file: Path, written: Sequence[str]) -> dict[str, Any]:
    document = Document(
        file.as_posix(), contents.image, contents.card, contents.caption, None, None
    ).to_json()
    return {
        "file": document["image"]["file"],
        "width": document["image"]["width"],
        "height": document["image"]["height"],
        "caption": document["caption"],
        "words": [{**asdict(word), "kind": word_kind(word.text)} for word in contents.words],
        "tags": [asdict(tag) for tag in contents.caption.tags],
        "maps": [
            {
                "method": each.method.name,
                "unit": METHODS[each.method.name].unit,
                "of": found.target.to_json(),
                "array": array_name(each.method.name, found),
                **({"note": found.map.note} if found.map.note else {}),
            }
            for each in contents.methods
            for found in each.explanations
        ],
        "files": list(written),
    }


def _to_line(values: dict[str, Any]) -> str:
    return json.dumps(values, allow_nan=False) + "\n"


def _read_line(line: str) -> dict[str, Any] | None:
    """Read a line; None if it is incomplete."""
    if not line.endswith("\n"):
        return None
    try:
        values: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        return None
    return values


def _digest(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError:
        return ""
