"""`python server.py rules`: list rules, and try them on the history."""

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

from stream.history import MAX_SPANS, HistoryQuery, HistorySettings, Span
from stream.history.backend import choose_backend
from stream.history.reader import HistoryReader
from stream.rules.dry_run import DryRun, dry_run
from stream.rules.rule import Rule

_DAY_S = 86_400.0
_MAX_DAYS = 3650.0


class RulesError(ValueError):
    """The command cannot be carried out; the message says why and what to do."""


def add_parser(commands: Any) -> None:
    """Add the command and its options.

    Args:
        commands: What `argparse.ArgumentParser.add_subparsers` returned.
    """
    about = "list rules, and when they would have fired on the captions of the history"
    parser = commands.add_parser("rules", help=about, description=f"{about.capitalize()}.")
    parser.add_argument("name", nargs="?", metavar="NAME", help="only this rule")
    parser.add_argument(
        "--days",
        type=_days,
        default=1.0,
        metavar="N",
        help="days of the history, up to now (default: 1)",
    )


def run(
    options: argparse.Namespace,
    rules: Mapping[str, Rule],
    settings: HistorySettings,
    database: str | None,
) -> None:
    """Print the rules and their dry runs to standard output.

    Args:
        options: The parsed arguments.
        rules: All rules, by name.
        settings: The settings of the history.
        database: URL of the PostgreSQL database, if that has the history.

    Raises:
        RulesError: If there is no such rule.
        HistoryError: If the history cannot be read.
        HistoryBusy: If reading takes too long.
    """
    if options.name is not None and options.name not in rules:
        known = ", ".join(rules) or "none"
        raise RulesError(f"there is no rule {options.name!r}; rules: {known}")
    chosen = [options.name] if options.name is not None else list(rules)
    if not chosen:
        print("There are no rules; write [rules.NAME] into the configuration.")
        return
    reader = _open_history(settings, database)
    try:
        for name in chosen:
            print(f"{name}: {describe(rules[name])}")
            if reader:
                _print_dry_run(name, rules[name], reader, options.days)
    finally:
        if reader:
            reader.close()
    if not reader:
        print("There is no history to try rules on; set path in [history].")


def _open_history(settings: HistorySettings, database: str | None) -> HistoryReader | None:
    """Open the history; None if there is none yet."""
    if database is None and not (settings.path and settings.path.exists()):
        return None
    return choose_backend(settings.path, database).open_reader()


def describe(rule: Rule) -> str:
    """Return in a line what a rule looks for."""
    words = [f"{kind} of {', '.join(terms)}" for kind, terms in _terms(rule) if terms]
    facts = ["; ".join(words), f"feeds: {', '.join(rule.feeds) or 'all'}"]
    facts += [rule.hours] if rule.hours else []
    facts += [", ".join(rule.days)] if rule.days else []
    return " | ".join([*facts, *([] if rule.enabled else ["not in use"])])


def _terms(rule: Rule) -> list[tuple[str, tuple[str, ...]]]:
    return [("any", rule.any), ("all", rule.all), ("none", rule.none)]


def _print_dry_run(name: str, rule: Rule, reader: HistoryReader, days: float) -> None:
    end = time.time()
    query = HistoryQuery(begin=max(0.0, end - days * _DAY_S), end=end)
    found = asyncio.run(dry_run(name, rule, _pages(reader, query), end))
    for line in _lines(found):
        print(f"  {line}")


def _lines(found: DryRun) -> list[str]:
    dates = Counter(f"{datetime.fromtimestamp(each.began):%Y-%m-%d}" for each in found.firings)
    by_day = ", ".join(f"{count} on {day}" for day, count in dates.items())
    times = "once" if found.count == 1 else f"{found.count} times"
    head = f"would have fired {times}" + (f": {by_day}" if by_day else "")
    if found.count > len(found.firings):
        head += f", of the first {len(found.firings)}"
    lines = [head if found.count else "would not have fired"]
    for firing in found.firings:
        began = datetime.fromtimestamp(firing.began)
        lasted = "" if firing.ended is None else f" for {firing.ended - firing.began:.0f} s"
        lines.append(f"{began:%Y-%m-%d %H:%M:%S}  {firing.feed}{lasted}  {firing.message}")
    if found.suppressed:
        lines.append(f"cool-downs left out {found.suppressed} more")
    if found.until is not None:
        until = datetime.fromtimestamp(found.until)
        lines.append(f"read only until {until:%Y-%m-%d %H:%M:%S}: there are too many captions")
    return lines


async def _pages(reader: HistoryReader, query: HistoryQuery) -> AsyncIterator[list[Span]]:
    after: int | None = None
    while page := reader.oldest(query, MAX_SPANS, after):
        yield page
        after = page[-1].id


def _days(text: str) -> float:
    value = float(text)
    if not 0 < value <= _MAX_DAYS:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {_MAX_DAYS:g}")
    return value
