"""`python server.py history`: summarize past captions, or copy them into PostgreSQL."""

import argparse
import json
import sys
import time
from datetime import datetime
from typing import Any

from stream.history.backend import choose_backend
from stream.history.copying import copy_history
from stream.history.errors import HistoryBusy, HistoryError
from stream.history.query import HistoryQuery
from stream.history.reader import MAX_SUMMARY_S
from stream.history.settings import HistorySettings
from stream.history.summaries import summary_text
from stream.settings import validate_stream_name

_REPORT_S = 1.0
_HOUR_S = 3600.0


def add_parser(commands: Any) -> None:
    """Add the command and its subcommands.

    Args:
        commands: What `argparse.ArgumentParser.add_subparsers` returned.
    """
    parser = commands.add_parser("history", help="summarize past captions, or copy them")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    about = "copy the history from the SQLite file to the database of the settings"
    actions.add_parser(
        "copy",
        help=about,
        description=f"{about.capitalize()}: from [history] path to [cluster] database. Servers may "
        "run meanwhile. Run it again to add what is missing.",
    )
    about = "print which objects the captions of the last hours stated, and what changed"
    summary = actions.add_parser("summary", help=about, description=f"{about.capitalize()}.")
    summary.add_argument("--feed", type=_feed, metavar="NAME", help="only this feed")
    summary.add_argument(
        "--hours", type=_hours, default=1.0, metavar="N", help="how many (default: 1)"
    )
    summary.add_argument("--jsonl", action="store_true", help="print JSON Lines, one a feed")


def run(options: argparse.Namespace, settings: HistorySettings, database: str | None) -> None:
    """Run the command; print its result to standard output, and progress to standard error.

    Args:
        options: The command line's.
        settings: The settings of the history.
        database: URL of the PostgreSQL database.

    Raises:
        HistoryError: If it fails; the message says why.
    """
    if options.action == "summary":
        _summarize(settings, database, options.feed, options.hours, as_json=options.jsonl)
    else:
        _copy(settings, database)


def _feed(text: str) -> str:
    try:
        return validate_stream_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= MAX_SUMMARY_S / _HOUR_S:
        limit = MAX_SUMMARY_S / _HOUR_S
        raise argparse.ArgumentTypeError(f"must be a number above 0, up to {limit:.0f}")
    return hours


def _summarize(
    settings: HistorySettings,
    database: str | None,
    feed: str | None,
    hours: float,
    *,
    as_json: bool,
) -> None:
    backend = choose_backend(settings.path, database)
    if database is None and settings.path and not settings.path.exists():
        raise HistoryError(f"there is no history at {settings.path} yet; start the server first")
    end = time.time()
    reader = backend.open_reader()
    try:
        body = reader.summary(HistoryQuery(feed, end - hours * _HOUR_S, end))
    except HistoryBusy as error:
        raise HistoryError(str(error)) from error
    finally:
        reader.close()
    for summary in body["feeds"]:
        if as_json:
            del summary["hours"]
            print(json.dumps({**summary, "text": summary_text(summary)}))
            continue
        print(f"{summary['feed']}: {summary_text(summary)}")
        for change in summary["changes"]:
            at = datetime.fromtimestamp(change["at"]).strftime("%Y-%m-%d %H:%M:%S")
            for what in ("appeared", "gone"):
                if change[what]:
                    print(f"  {at} {what}: {', '.join(change[what])}")
    if not body["feeds"]:
        print("no captions in this time", file=sys.stderr)


def _copy(settings: HistorySettings, database: str | None) -> None:
    count, size = copy_history(settings, database, _Progress().report)
    print(f"{count:,} spans are in the database; its history takes {size / 1e6:,.1f} MB")
    if size > settings.megabytes * 1e6:
        print(
            f"This is more than megabytes = {settings.megabytes:g} in [history]: raise it, or the "
            "oldest captions will be deleted.",
            file=sys.stderr,
        )


class _Progress:
    """Prints how far the work is, at most once a second."""

    def __init__(self) -> None:
        self._printed_at = time.monotonic()

    def report(self, what: str, done: int, total: int) -> None:
        """Print how much is done."""
        now = time.monotonic()
        if now - self._printed_at >= _REPORT_S:
            self._printed_at = now
            of_all = f" of {total:,}" if total != done else ""
            print(f"{what} {done:,}{of_all} spans", file=sys.stderr)
