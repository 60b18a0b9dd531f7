"""A model of what many feeds cost: cores, memory, network and database, and what runs out first."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from annotated_types import MaxLen

from stream.publishing import MAX_RECENT_CAPTIONS
from web.settings import ServerSettings

_BITS = 8
_MEGA = 1e6
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Costs:
    """What one of each costs; the defaults are measured unless the comment says otherwise."""

    feed_cores: float = 0.037
    """Of the server, to read, decode and sample a feed of 1280x720 at 15 frames a second."""
    caption_cpu_ms: float = 55.0
    """Of the engine, for a caption with the maps of its words."""
    frame_bytes: int = 260 * 260 * 3
    """Of a frame that is sent to the pool."""
    event_bytes: int = 3930
    """That the database logs (WAL) for a caption."""
    database_ms: float = 1.0
    """CPU time of the database to write a caption."""
    database_read_ms: float = 0.01
    """CPU time of the database for each server that reads a caption."""
    lease_cores: float = 3.1e-6
    """Of the database, for each feed and each server: leases, which are renewed all the time."""
    delivery_ms: float = 0.52
    """CPU time of a server for a caption of another server."""
    server_mb: int = 250
    """Memory of a server without feeds, see the endurance test of `tests/bench/README.md`."""
    replica_mb: int = 1100
    """Memory of a replica, see the README's table of captioners."""
    camera_mbit: float = 2.0
    """Assumed: bit rate of a camera."""
    webhook_ms: float = 10.0
    """Assumed: how long a webhook's receiver takes for a caption; they are sent one by one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many feeds there are, and on what they run."""

    feeds: int = 1000
    interval_s: float = 2.0
    """Seconds between captions of a feed."""
    servers: int = 20
    fill: float = 0.7
    """Share of a core that is planned for; the rest is for peaks and failures."""

    @property
    def captions_per_s(self) -> float:
        """Captions of all feeds."""
        return self.feeds / self.interval_s


@dataclass(frozen=True, slots=True)
class Row:
    """A resource: how much of it is needed, and how much one unit of it can give."""

    what: str
    need: float
    unit: str
    limit: float
    """What there is, without adding anything; infinite if more can be added."""
    remedy: str

    @property
    def use(self) -> float:
        """Share of the limit that is used; beyond 1 it does not suffice."""
        return self.need / self.limit


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plan needs."""

    server_cores: float
    """Of each server: video, and the captions of the others."""
    server_mbit: float
    """Into each server, of its cameras, and out of it to the pool."""
    replicas: int
    pool_mbit: float
    """Into the pool."""
    pool_gb: float
    database_cores: float
    log_mb_per_s: float
    log_gb: float
    """That the database keeps for servers that were away: 15 minutes."""
    deliveries_per_s: float
    captions_per_day: float


def estimate(plan: Plan, costs: Costs) -> Estimate:
    """Compute what a plan needs."""
    rate, others = plan.captions_per_s, plan.servers - 1
    database_ms = costs.database_ms + others * costs.database_read_ms
    per_server = plan.feeds / plan.servers
    video = per_server * costs.feed_cores
    delivered = rate * others / plan.servers * costs.delivery_ms / 1000
    frames_mbit = rate * costs.frame_bytes * _BITS / _MEGA
    replicas = rate * costs.caption_cpu_ms / 1000 / plan.fill
    return Estimate(
        server_cores=video + delivered,
        server_mbit=per_server * costs.camera_mbit + frames_mbit / plan.servers,
        replicas=math.ceil(replicas),
        pool_mbit=frames_mbit,
        pool_gb=replicas * costs.replica_mb / 1000,
        database_cores=rate * database_ms / 1000 + plan.feeds * plan.servers * costs.lease_cores,
        log_mb_per_s=rate * costs.event_bytes / _MEGA,
        log_gb=rate * costs.event_bytes * 15 * 60 / 1e9,
        deliveries_per_s=rate * others,
        captions_per_day=rate * _DAY_S,
    )


def bottlenecks(plan: Plan, costs: Costs, cores: float, link_mbit: float) -> list[Row]:
    """Return what runs out, the tightest first.

    Args:
        plan: The plan.
        costs: What one of each costs.
        cores: Of each machine.
        link_mbit: Of each machine's network.
    """
    needed = estimate(plan, costs)
    rows = [
        Row(
            "feeds in one configuration",
            plan.feeds,
            "feeds",
            _max_feeds(),
            "several clusters, each with a part of the feeds",
        ),
        Row(
            "captions that a client can miss and still get, of all feeds",
            plan.captions_per_s,
            "captions a second",
            MAX_RECENT_CAPTIONS,
            "follow single feeds; read the history",
        ),
        Row(
            "the webhook, which one server sends one by one",
            plan.captions_per_s,
            "captions a second",
            1000 / costs.webhook_ms,
            "fewer feeds in [webhook] feeds; a faster receiver",
        ),
        Row(
            "cores of the database",
            needed.database_cores,
            "cores",
            cores * plan.fill,
            "fewer, larger servers: its work grows with their number",
        ),
        Row(
            "cores of each server",
            needed.server_cores,
            "cores",
            cores * plan.fill,
            "more servers; media_processes for all cores",
        ),
        Row(
            "one core of each server, for captions of the others",
            plan.captions_per_s * costs.delivery_ms / 1000,
            "cores",
            plan.fill,
            "several clusters",
        ),
        Row(
            "network of each server",
            needed.server_mbit,
            "Mbit/s",
            link_mbit * plan.fill,
            "more servers",
        ),
        Row(
            "network of the pool, over its machines",
            needed.pool_mbit / max(1, needed.replicas / (cores * plan.fill)),
            "Mbit/s",
            link_mbit * plan.fill,
            "replicas on more machines",
        ),
    ]
    return sorted(rows, key=lambda row: -row.use)


def describe(plan: Plan, costs: Costs) -> Iterator[tuple[str, str]]:
    """Yield the lines of the estimate: what, and how much."""
    needed = estimate(plan, costs)
    millions = needed.captions_per_day / _MEGA
    yield "captions", f"{plan.captions_per_s:.0f} a second, {millions:.0f} million a day"
    memory_gb = costs.server_mb / 1000
    machine = (
        f"{needed.server_cores:.1f} cores, {memory_gb:.2f} GB, {needed.server_mbit:.0f} Mbit/s"
    )
    yield "each server", machine
    yield "replicas of the pool", f"{needed.replicas} of one core, {needed.pool_gb:.0f} GB together"
    yield "frames to the pool", f"{needed.pool_mbit:.0f} Mbit/s"
    log = f"{needed.log_mb_per_s:.1f} MB/s of log, {needed.log_gb:.1f} GB for 15 minutes"
    yield "database", f"{needed.database_cores:.1f} cores, {log}"
    yield "captions delivered to other servers", f"{needed.deliveries_per_s:.0f} a second"


def _max_feeds() -> int:
    """Return how many feeds the settings allow."""
    rules = ServerSettings.model_fields["feeds"].metadata
    return sum(each.max_length for each in rules if isinstance(each, MaxLen))
