"""`python server.py captioner`: download, list, show and test captioners."""

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

from inference.startup import load_keras, quiet_stderr, use_one_thread
from models.catalogue import CaptionerError, CaptionerReference, local_folder, reference_of
from models.catalogue.download import fetch
from models.catalogue.installed import format_size, installed

_RULER = "-" * 72


def add_parser(commands: Any) -> None:
    """Add the command and its subcommands.

    Args:
        commands: What `argparse.ArgumentParser.add_subparsers` returned.
    """
    parser = commands.add_parser("captioner", help="download, list and test captioners")
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
    about = "show what a captioner can do, and test it"
    show = actions.add_parser("show", help=about, description=about.capitalize())
    show.add_argument(
        "name",
        nargs="?",
        metavar="CAPTIONER",
        help="shipped, a folder, hf:OWNER/NAME[@REVISION] or endpoint:NAME "
        "(default: that of the settings)",
    )


def run(
    options: argparse.Namespace, chosen: CaptionerReference, endpoints: Mapping[str, str]
) -> int:
    """Run a subcommand, which prints to standard output; return the exit status.

    Args:
        options: The parsed command line.
        chosen: The captioner of the settings.
        endpoints: The model of each endpoint in the settings, by the endpoint's name.

    Raises:
        ValueError: If a captioner does not exist or cannot be used.
        inference.startup.TensorFlowUnavailable: If TensorFlow cannot be loaded.
        OSError: If a captioner's files cannot be read.
    """
    if options.action == "fetch":
        _fetch(CaptionerReference.parse(options.name))
    elif options.action == "list":
        _list(endpoints)
    else:
        reference = CaptionerReference.parse(options.name) if options.name else chosen
        if reference.kind == "endpoint":
            _show_endpoint(reference, endpoints)
        else:
            return _show(reference)
    return 0


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


def _show_endpoint(reference: CaptionerReference, endpoints: Mapping[str, str]) -> None:
    if reference.value not in endpoints:
        known = ", ".join(endpoints) or "none; pass the settings file with --config"
        raise CaptionerError(
            f"there is no [endpoints.{reference.value}] in the settings; endpoints: {known}"
        )
    print(f"captioner     {reference}")
    print(f"model         {endpoints[reference.value]}, on another server")
    print("confidence    not calibrated")
    print("explanations  occlusion, by captioning again")
    print("analyses      none")


def _show(reference: CaptionerReference) -> int:
    folder = local_folder(reference)
    use_one_thread()
    # Imported here, as they load TensorFlow.
    with quiet_stderr():
        load_keras()
        from inference.captioners.opening import open_captioner
        from inference.captioners.self_test import describe, report, self_test

        model = open_captioner(folder)
    found = reference_of(folder)
    reference = found if found.kind == "hf" else reference
    print("\n".join(describe(model, reference)), flush=True)
    print("\nSelf-test. You can send what is between the lines to Sightline's maintainers: it")
    print("contains nothing about you.\n")
    print(_RULER, flush=True)
    results = list(self_test(model))
    print("\n".join(report(model, reference, results)))
    print(_RULER)
    return int(any(each.faults for each in results))
