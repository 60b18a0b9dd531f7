"""`python server.py history`: copy the history into PostgreSQL."""

import sys
import time
from typing import Any

from stream.history.copying import copy_history
from stream.history.settings import HistorySettings

_REPORT_S = 1.0


def add_parser(commands: Any) -> None:
    """Add the command and its subcommands.

    Args:
        commands: What `argparse.ArgumentParser.add_subparsers` returned.
    """
    parser = commands.add_parser("history", help="copy the history into PostgreSQL")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    about = "copy the history from the SQLite file to the database of the settings"
    actions.add_parser(
        "copy",
        help=about,
        description=f"{about.capitalize()}: from [history] path to [cluster] database. Servers may "
        "run meanwhile. Run it again to add what is missing.",
    )


def run(settings: HistorySettings, database: str | None) -> None:
    """Copy the history; print progress to standard error and the result to standard output.

    Args:
        settings: The settings of the history.
        database: URL of the PostgreSQL database.

    Raises:
        HistoryError: If it cannot be copied; the message says why.
    """
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
