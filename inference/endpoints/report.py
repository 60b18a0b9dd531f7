"""`python server.py explain` with an endpoint: caption and explain an image, and write a report."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.captioning import Caption, FrameRequest
from inference.endpoints.captioner import EndpointCaptioner
from inference.endpoints.client import Endpoint
from inference.endpoints.occlusion import METHOD, method_card, request_count
from inference.explanations import Target
from inference.output_folder import output_folder
from inference.progress import ProgressPrinter
from inference.report import Analyses, Contents, Explanation, MethodMaps, write_files
from models.language import content_words


@dataclass(frozen=True, slots=True)
class _Card:
    """What is known of an endpoint's model, in place of a model card."""

    name: str
    licence: str
    data: str = "not known: the model runs on another server"


async def write_endpoint_report(
    endpoint: Endpoint,
    image: NDArray[np.uint8],
    name: str,
    folder: Path,
    only: Sequence[str] | None,
    report: Callable[[str], None],
) -> list[tuple[Path, str]]:
    """Write `report.html`, `report.json` and an image of the maps to a folder.

    If anything fails, nothing is written.

    Args:
        endpoint: Captions the image.
        image: RGB, uint8 [H, W, 3].
        name: File name of the image, for the report.
        folder: Where to write; created if missing.
        only: Names of methods; None for all of them, which is the one that an endpoint allows.
        report: Called with the number of requests before they are sent, and with the progress.

    Returns:
        The files, each with a description.

    Raises:
        OSError: If the folder cannot be written to.
        ValueError: If an endpoint allows no method of a name.
        EngineUnavailable: If a request fails.
    """
    for each in only or ():
        if each != METHOD:
            raise ValueError(f"an endpoint allows no method or analysis {each!r}; use {METHOD}")
    with output_folder(folder) as place:
        async with _running(EndpointCaptioner(endpoint, max_failures=1)) as captioner:
            caption, state = await captioner.caption_frame(FrameRequest(image))
            maps = await _explain(captioner, endpoint, image, caption, state.tokens, report)
        contents = Contents(
            image=image,
            card=_Card(captioner.info.name, captioner.info.licence),
            caption=caption,
            words=caption.words,
            tokens=state.tokens,
            methods=(maps,),
            checks={},
            checked_by=None,
            checks_ms=0.0,
        )
        report("Writing the report ...")
        written = list(write_files(contents, Analyses(), name, place))
    return [(folder / file, description) for file, description in written]


@asynccontextmanager
async def _running(captioner: EndpointCaptioner) -> AsyncIterator[EndpointCaptioner]:
    captioner.start()
    try:
        yield captioner
    finally:
        await captioner.stop()


async def _explain(
    captioner: EndpointCaptioner,
    endpoint: Endpoint,
    image: NDArray[np.uint8],
    caption: Caption,
    tokens: tuple[int, ...],
    report: Callable[[str], None],
) -> MethodMaps:
    """Explain the caption and each of its content words, as far as the model repeats them."""
    card, begun = method_card(endpoint.regions), time.perf_counter()
    report(f"Explaining takes {request_count(endpoint.regions)} requests to the endpoint.")
    printer = ProgressPrinter(report, 1)
    printer.begin(card.title)
    targets = [(Target("caption"), "whole caption")] + [
        (Target("word", index), word.text)
        for index, word in enumerate(caption.words)
        if content_words(word.text) or not word.text.isascii()
    ]
    explanations = []
    for target, title in targets:
        try:
            found = await captioner.explain(
                image, tokens, METHOD, target, lambda at: printer.update(at.done, at.doing)
            )
        except ValueError as problem:
            report(f"No map of {title!r}: {problem}")
        else:
            explanations.append(Explanation(target, title, found.map))
    return MethodMaps(card, tuple(explanations), (time.perf_counter() - begun) * 1e3)
