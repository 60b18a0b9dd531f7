"""The files of a report: a page that opens without network, server or script, and its JSON.

Its markup lies in `templates`, where all text is escaped.
"""

import json
from collections.abc import Generator, Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from inference.adversarial import AdversarialFindings
from inference.concepts import ConceptFindings
from inference.explanations import Tile
from inference.progress import Progress
from inference.report import formatting
from inference.report.adversarial_section import AdversarialSection
from inference.report.concepts_section import ConceptsSection
from inference.report.document import Analyses, Contents, Document, method_file
from inference.report.images import (
    MEDIUM_SIDE,
    ReportImage,
    method_sheets,
    painted_maps,
    word_sheet,
)

HTML_FILE, JSON_FILE, SHEET_FILE = "report.html", "report.json", "sheet.png"

_FOLDER = Path(__file__).parent
_FILTERS = (
    formatting.attack_name,
    formatting.capitalized,
    formatting.exact,
    formatting.listed,
    formatting.log_prob,
    formatting.number,
    formatting.p_value,
    formatting.percent,
    formatting.confidence_text,
    formatting.quoted,
    formatting.signed,
)
_WITHOUT_WORDS = ("(no words)", "Nothing to describe: the image is blank")
"""In place of a caption without words, and of that of a blank image."""

_SLICE = 3000
"""Characters: about one image or chart, so that a slice takes tens of milliseconds."""

_CHART_MODULES = ("matplotlib", "matplotlib.text", "matplotlib.axes", "inference.report.charts")
"""Imported one by one: matplotlib takes half a second to load, and captions wait for a slice."""


def render_page(document: Document) -> Iterator[str]:
    """Render the page in slices that take little time each, images and charts included."""
    template = _environment().get_template("report.html.jinja")
    caption = document.caption
    adversarial, concepts = document.adversarial, document.concepts
    height, width = document.image.shape[:2]
    shape = height, width
    yield from _slices(
        template.generate(
            document=document,
            # The whole caption, also where the fallback shows less: it is what was analysed.
            caption=caption.guess or caption.text or _WITHOUT_WORDS[caption.fallback == "blank"],
            image=ReportImage(document.image, "Captioned image"),
            adversarial=AdversarialSection(adversarial, shape) if adversarial else None,
            concepts=ConceptsSection(concepts, document.image) if concepts else None,
            style=_style(),
        )
    )


def _slices(pieces: Iterable[str]) -> Iterator[str]:
    waiting: list[str] = []
    for piece in pieces:
        waiting.append(piece)
        if sum(map(len, waiting)) >= _SLICE:
            yield "".join(waiting)
            waiting.clear()
    yield "".join(waiting)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_clean,
    )
    environment.filters |= {each.__name__: each for each in _FILTERS}
    environment.globals |= {
        "counted": formatting.counted,
        "epsilon_text": formatting.epsilon_text,
        "NORM_NAMES": formatting.NORM_NAMES,
        "NORM_UNITS": formatting.NORM_UNITS,
        "map_image": _map_image,
    }
    return environment


def _clean(value: Any) -> Any:
    """Replace characters that no page may contain, in text that is not yet escaped."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return formatting.printable(value)
    return value


def _map_image(tile: Tile, method: str) -> ReportImage:
    alt = f"{method} map of {tile.title} on the image"
    return ReportImage(tile.image, alt, tile.title, tile.note, MEDIUM_SIDE)


@cache
def _style() -> Markup:
    return Markup((_FOLDER / "report.css").read_text(encoding="utf-8"))


def analysis_files(
    contents: Contents,
    adversarial: AdversarialFindings | None,
    concepts: ConceptFindings | None,
) -> Generator[Progress, None, dict[str, bytes]]:
    """Write the report on the analyses of a caption. Needs no TensorFlow.

    Args:
        contents: The caption and its explanations.
        adversarial: Findings about this image and caption; None without such an analysis.
        concepts: The same.

    Yields:
        The same progress before each slice: all done but the writing.

    Returns:
        `report.html`, a page that needs no other file, and `report.json`, see `Document.to_json`
        and `Contents.to_json`, both in UTF-8; and the images of concepts, see `concept_file`.
    """
    writing = Progress(1.0, "Writing the report")
    if adversarial:
        for module in _CHART_MODULES:
            import_module(module)
            yield writing
    document = _document(contents, "", Analyses(adversarial, concepts))
    slices = []
    for each in render_page(document):
        slices.append(each)
        yield writing
    values = {**document.to_json(), **contents.to_json(has_sheets=False)}
    pictures = concepts.pictures if concepts else {}
    return {
        HTML_FILE: "".join(slices).encode(),
        JSON_FILE: _json(values).encode(),
        **{concept_file(name): webp for name, webp in pictures.items()},
    }


def concept_file(picture: str) -> str:
    """Return the file name of the image that illustrates a concept, see `ConceptInFrame`."""
    return f"concept-{picture}.webp"


def write_files(
    contents: Contents, found: Analyses, name: str, place: Path
) -> Iterator[tuple[str, str]]:
    """Write the report on a captioned and explained image. Needs no TensorFlow.

    Args:
        contents: The caption and its explanations.
        found: The analyses.
        name: File name of the image.
        place: An existing folder.

    Yields:
        The name of each file that was written, and its description.
    """
    document = _document(contents, name, found)
    (place / HTML_FILE).write_text("".join(render_page(document)), encoding="utf-8")
    yield HTML_FILE, "the report"
    sheet = word_sheet(contents)
    if sheet:
        sheet.save(place / SHEET_FILE)
        yield SHEET_FILE, "maps of every word"
    for maps, image in method_sheets(contents):
        file = method_file(maps.method.name)
        image.save(place / file)
        yield file, maps.method.title
    values = {**document.to_json(), **contents.to_json()}
    (place / JSON_FILE).write_text(_json(values), encoding="utf-8")
    yield JSON_FILE, "the report as data"


def _document(contents: Contents, name: str, found: Analyses) -> Document:
    return Document(
        name,
        contents.image,
        contents.card,
        contents.caption,
        found.adversarial,
        found.concepts,
        painted_maps(contents),
    )


def _json(values: dict[str, Any]) -> str:
    """Encode values; numbers that are not finite are no JSON, and fail."""
    return json.dumps(values, indent=1, allow_nan=False) + "\n"
