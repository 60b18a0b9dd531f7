"""`python server.py explain`: explain the caption of an image, or those of a folder's images."""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.captioning import Precision
from inference.endpoints import Endpoint
from inference.image_files import read_image
from inference.startup import load_keras, quiet_stderr
from models.catalogue import CaptionerReference, local_folder

_SOME_FAILED = 1


@dataclass(frozen=True, slots=True)
class ExplainSettings:
    """The settings that the command depends on."""

    captioner: CaptionerReference
    endpoint: Endpoint | None
    """In place of a captioner on this machine."""
    precision: Precision
    layer: int | None
    """See `inference.captioners.opening.open_captioner`."""
    consensus: bool
    max_pixels: int
    """Maximum width times height; a larger image is scaled down."""


def add_parser(commands: Any) -> None:
    """Add the command.

    Args:
        commands: What `argparse.ArgumentParser.add_subparsers` returned.
    """
    parser = commands.add_parser(
        "explain",
        help="explain the caption of an image, or those of the images in a folder",
        description="Write a report that explains the caption of an image; or the captions and "
        "maps of every image in a folder: explanations.jsonl, with a line for each image, and for "
        "each a folder with its maps as NPZ and PNG. Images that are explained already are "
        "skipped, so the command continues where it was interrupted. Exit code: 0, 1 if some "
        "images of the folder could not be read, or 2 after any other error.",
    )
    parser.add_argument(
        "image",
        type=Path,
        metavar="IMAGE",
        help="image file: JPEG, PNG, WebP or similar; or a folder of them",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the report"
    )
    parser.add_argument(
        "--only",
        type=lambda names: names.split(","),
        metavar="NAMES",
        help="comma-separated methods (saliency, gradcam, ...) and analyses (adversarial, ace) "
        "to run (default: all; for a folder, the method of the captioner's live maps)",
    )


def run(options: argparse.Namespace, settings: ExplainSettings) -> int:
    """Write the report or the explanations, print what was written; return the exit status.

    Raises:
        ValueError: If an image, a method or the captioner cannot be used.
        inference.engine.EngineUnavailable: If an endpoint fails.
        inference.startup.TensorFlowUnavailable: If TensorFlow cannot be loaded.
        OSError: If the output cannot be written.
    """
    if options.image.is_dir():
        return _explain_folder(options, settings)
    for path, description in _write_report(options, settings):
        print(f"{path}  {description}")
    return 0


def _write_report(
    options: argparse.Namespace, settings: ExplainSettings
) -> Iterator[tuple[Path, str]]:
    image = read_image(options.image, settings.max_pixels)
    name, folder, only = options.image.name, options.out, options.only
    # Imported here, so that the server and earlier errors do not load these modules.
    if settings.endpoint:
        from inference.endpoints.report import write_endpoint_report

        work = write_endpoint_report(settings.endpoint, image, name, folder, only, _report)
        yield from asyncio.run(work)
        return
    with quiet_stderr():
        load_keras()
        from inference.report.writing import write_report
    yield from write_report(
        image,
        name,
        folder,
        only,
        local_folder(settings.captioner),
        settings.precision,
        settings.layer,
        _report,
        consensus=settings.consensus,
    )


def _explain_folder(options: argparse.Namespace, settings: ExplainSettings) -> int:
    if settings.endpoint:
        raise ValueError(
            "an endpoint explains one image at a time, by many requests; name an image, or a "
            "captioner that runs on this machine"
        )
    with quiet_stderr():
        load_keras()
        from inference.report.writing import explain_images
    outcome = explain_images(
        options.image,
        options.out,
        options.only,
        local_folder(settings.captioner),
        settings.precision,
        settings.layer,
        settings.max_pixels,
        _report,
        consensus=settings.consensus,
    )
    lines, count = options.out / "explanations.jsonl", outcome.explained + outcome.skipped
    print(f"{lines}  captions, words and maps of {count} images")
    if not outcome.failed:
        return 0
    print(f"sightline: {len(outcome.failed)} images could not be explained:", file=sys.stderr)
    for problem in outcome.failed:
        print(f"  {problem}", file=sys.stderr)
    return _SOME_FAILED


def _report(step: str) -> None:
    print(step, file=sys.stderr)
