"""`python server.py captioner`: download captioners, and list those on this machine."""

import argparse
from collections.abc import Iterable
from typing import Any

from models.catalogue import CaptionerReference
from models.catalogue.download import fetch
from models.catalogue.installed import format_size, installed


def add_parser(commands: Any) -> None:
    """Add the command and its subcommands.

    Args:
        commands: What `argparse.ArgumentParser.add_subparsers` returned.
    """
    parser = commands.add_parser("captioner", help="download and list captioners")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    about = "download a captioner from the Hugging Face Hub"
    get = actions.add_parser(
        "fetch",
        help=about,
        description=f"{about.capitalize()} into Hugging Face's cache; HF_HOME moves the cache. "
        "Only safetensors and text are downloaded, never code.",
    )
    get.add_argument("name", metavar="hf:OWNER/NAME[@REVISION]", help="the repository")
    about = "list the captioners that can be used"
    actions.add_parser("list", help=about, description=about.capitalize())


def run(options: argparse.Namespace, endpoints: Iterable[str]) -> None:
    """Run a subcommand, which prints to standard output.

    Args:
        options: The parsed command line.
        endpoints: Names of the endpoints in the settings.

    Raises:
        models.catalogue.CaptionerError: If a captioner does not exist or cannot be used.
    """
    if options.action == "fetch":
        _fetch(CaptionerReference.parse(options.name))
    else:
        _list(endpoints)


def _fetch(reference: CaptionerReference) -> None:
    pinned = fetch(reference, lambda line: print(line, flush=True))
    print(f"\nTo use it: python server.py --captioner {pinned}")
    print(f'or in the settings file: captioner = "{pinned}"')


def _list(endpoints: Iterable[str]) -> None:
    rows = [
        (format_size(each.size), each.licence, f"{each.reference}", ", ".join(each.names))
        for each in installed()
    ]
    rows += [("", "", f"endpoint:{name}", "") for name in endpoints]
    width = max(len(licence) for _, licence, *_ in rows)
    for size, licence, reference, names in rows:
        print(f"{size:>8}  {licence:{width}}  {reference}" + (f"  ({names})" if names else ""))
