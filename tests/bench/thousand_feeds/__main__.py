"""Compute what 1,000 feeds need, and what runs out first.

    python -m tests.bench.thousand_feeds [--feeds 1000] [--servers 20] [--feed-cores 0.03] ...

Prints two tables in Markdown. Each cost is an option, whose default was measured by
`tests.bench.thousand_feeds.feed_cost` and `tests.bench.thousand_feeds.cluster_log`.
"""

import argparse
import sys
from dataclasses import fields

from tests.bench.thousand_feeds.model import Costs, Plan, bottlenecks, describe


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.thousand_feeds")
    for kind in (Plan, Costs):
        for field in fields(kind):
            option, default = f"--{field.name.replace('_', '-')}", field.default
            parser.add_argument(option, type=type(default), default=default, help=f"{default}")
    parser.add_argument("--cores", type=float, default=16, help="of each machine")
    parser.add_argument("--link-mbit", type=float, default=1000, help="of each machine's network")
    options = vars(parser.parse_args())
    plan = Plan(**{each.name: options[each.name] for each in fields(Plan)})
    costs = Costs(**{each.name: options[each.name] for each in fields(Costs)})
    if plan.feeds < 1 or plan.servers < 1 or plan.interval_s <= 0 or not 0 < plan.fill <= 1:
        parser.error("--feeds, --servers and --interval-s must be positive, --fill from 0 to 1")
    print("| part | needs |\n|---|---|")
    for what, needed in describe(plan, costs):
        print(f"| {what} | {needed} |")
    print("\n| runs out | needed | there is | used | then |\n|---|---|---|---|---|")
    for row in bottlenecks(plan, costs, options["cores"], options["link_mbit"]):
        amounts = f"{row.need:.4g} {row.unit} | {row.limit:.4g}"
        print(f"| {row.what} | {amounts} | {row.use:.0%} | {row.remedy} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
