"""Command-line options that name captioners and datasets, the same in all commands."""

import argparse
from pathlib import Path

from models.catalogue.reference import SHIPPED_FOLDER


def add_captioner(parser: argparse.ArgumentParser) -> None:
    """Add `--captioner`, a text for `CaptionerReference.parse`: any captioner will do."""
    parser.add_argument(
        "--captioner",
        default="shipped",
        metavar="CAPTIONER",
        help="a folder, or hf:OWNER/NAME[@REVISION] (default: the shipped one)",
    )


def add_captioner_folder(parser: argparse.ArgumentParser) -> None:
    """Add `--captioner`, the folder of a captioner that the command trains or changes."""
    parser.add_argument(
        "--captioner",
        type=Path,
        default=SHIPPED_FOLDER,
        metavar="DIR",
        help="folder of the captioner (default: the shipped one)",
    )


def add_datasets(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add `--data`, the folders of one dataset or several."""
    parser.add_argument(
        "--data",
        type=Path,
        action="append",
        default=None if required else [],
        required=required,
        metavar="DIR",
        help="folder of a dataset; repeatable",
    )


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Add `--data`, the folder of one dataset, which the command measures or learns from alone."""
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder of the dataset"
    )
