"""Measure the database's part of a cluster: leases, and the captions of all feeds to all servers.

    python -m tests.bench.thousand_feeds.cluster_log [--servers 20] [--feeds 1000] [--seconds 20]

Members of a cluster, without video, write captions of real size into a real PostgreSQL, and read
those of all others. Prints what was offered and delivered, the lag from publishing a caption at
one server to publishing it at another, and the CPU time of the database and of a server. On too few
cores captions come late; then only the CPU time for a caption counts.
"""

import argparse
import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack
from typing import Any

import numpy as np
import psutil
import psycopg

from tests.bench.machine import load_average
from tests.bench.thousand_feeds.cluster_servers import DATABASE
from tests.support.child_process import Child, Message
from tests.support.postgres import PostgresServer

_MODULE = "tests.bench.thousand_feeds.cluster_servers"
_START_TIMEOUT_S = 120.0


def _database_cpu_s(postgres: PostgresServer) -> float:
    main = psutil.Process(postgres.pid)
    times = [each.cpu_times() for each in (main, *main.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


def _wal_bytes(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()
    assert row
    return int(row[0])


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run the servers, wait until all feeds are captioned, and measure for some seconds."""
    postgres = PostgresServer()
    try:
        url = postgres.url(postgres.create_database())
        os.environ[DATABASE] = url
        each = options.servers // options.processes
        arguments = [str(each), str(options.feeds), str(options.interval)]
        async with AsyncExitStack() as stack:
            children = [
                await stack.enter_async_context(Child.start(_MODULE, *arguments))
                for _ in range(options.processes)
            ]
            for child in children:
                await child.receive()
            began = asyncio.get_running_loop().time()
            while (held := await _held(children)) < options.feeds:
                if asyncio.get_running_loop().time() - began > _START_TIMEOUT_S:
                    raise RuntimeError(f"only {held} of {options.feeds} feeds are captioned")
                await asyncio.sleep(1)
            started_s = asyncio.get_running_loop().time() - began
            await asyncio.sleep(options.warm_up)
            database, wal = _database_cpu_s(postgres), _wal_bytes(url)
            before = await _figures(children)
            start = asyncio.get_running_loop().time()
            await asyncio.sleep(options.seconds)
            after = await _figures(children)
            seconds = asyncio.get_running_loop().time() - start
            used = _database_cpu_s(postgres) - database
            written = _wal_bytes(url) - wal
    finally:
        postgres.stop()
    published = sum(each["published"] for each in after)
    received = sum(each["received"] for each in after)
    lags = np.array([lag for each in after for lag in each["lags_s"]])
    cpu = sum(b["cpu_s"] - a["cpu_s"] for a, b in zip(before, after, strict=True))
    others = options.servers - 1
    return {
        "servers": options.servers,
        "feeds": options.feeds,
        "seconds between captions": options.interval,
        "all feeds held after, s": round(started_s, 1),
        "captions offered per second": round(options.feeds / options.interval, 1),
        "captions written per second": round(published / seconds, 1),
        "captions delivered, share": round(received / (published * others), 3),
        "captions not written in the end": sum(each["waiting"] for each in after),
        "lag p50, p95, s": [round(float(each), 3) for each in np.percentile(lags, [50, 95])],
        "database, cores": round(used / seconds, 3),
        "database, CPU ms per caption": round(1000 * used / published, 3),
        "database, WAL bytes per caption": round(written / published),
        "server, cores": round(cpu / options.servers / seconds, 3),
        "server, CPU ms per caption delivered": round(1000 * cpu / received, 3),
        "load average": load_average(),
    }


async def _held(children: list[Child]) -> int:
    return sum([(await child.request(get="held"))["held"] for child in children])


async def _figures(children: list[Child]) -> list[Message]:
    return [await child.request(get="figures") for child in children]


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=20)
    parser.add_argument("--feeds", type=int, default=1000)
    parser.add_argument("--interval", type=float, default=2.0, help="seconds between captions")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--warm-up", type=float, default=3)
    parser.add_argument("--processes", type=int, default=4, help="that share the servers")
    options = parser.parse_args()
    if options.servers % options.processes:
        parser.error("--servers must be a multiple of --processes")
    print(json.dumps(asyncio.run(measure(options)), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
