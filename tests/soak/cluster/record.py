"""What happened in a cluster, and whether it kept its promises."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from tests.soak.cluster.servers import INTERVAL_S

MAX_GAP_S = 10.0
"""How long a feed may be captioned by nobody, not counting the time without a database."""

_WINDOW_S = 2.0
_MARGIN_S = 2.0
"""Time around the beginning and the end of a server's life of which nothing is expected."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A caption in the database."""

    id: str
    feed: str
    token: int
    captured: float
    """Seconds since the Unix epoch, as all times here."""


@dataclass(slots=True)
class Follower:
    """What one life of a server has sent to a client that follows all captions."""

    server: int
    """Number of the server."""
    began: float
    ended: float = 0.0
    ids: list[str] = field(default_factory=list)
    captured: dict[str, list[float]] = field(default_factory=dict)
    """Capture times by feed, as they arrived."""
    missed: int = 0
    """Captions that were lost because the client was too slow."""


@dataclass(slots=True)
class Record:
    """Everything that was observed."""

    committed: list[Committed] = field(default_factory=list)
    """In the order of the database's log."""
    followers: list[Follower] = field(default_factory=list)
    outages: list[tuple[float, float]] = field(default_factory=list)
    """When the database was away."""
    logged_out: list[str] = field(default_factory=list)
    """Where a browser that had logged in was not."""
    recoveries_s: dict[str, list[float]] = field(default_factory=dict)
    """Seconds until all feeds were captioned again, by kind of fault."""

    def failures(self) -> list[str]:
        """Return the promises that were broken, as sentences."""
        return [
            *self._captioned_twice(),
            *self._gaps(),
            *self._lost_and_repeated(),
            *self.logged_out,
        ]

    def longest_gaps_s(self) -> dict[str, float]:
        """Return the longest time without a captioner of each feed, without the outages."""
        gaps: dict[str, float] = {}
        for feed, captions in _by_feed(self.committed).items():
            for before, after in pairwise(captions):
                gap_s = after.captured - before.captured
                gap_s -= self._outage_s(before.captured, after.captured)
                gaps[feed] = max(gaps.get(feed, 0.0), gap_s)
        return gaps

    def _captioned_twice(self) -> Iterable[str]:
        for feed, captions in _by_feed(self.committed).items():
            for before, after in pairwise(captions):
                if after.token < before.token or after.captured <= before.captured:
                    yield (
                        f"{feed} was captioned by two servers: token {before.token} at "
                        f"{before.captured:.3f}, token {after.token} at {after.captured:.3f}"
                    )
        # Also what the database has refused, which only viewers of one server saw.
        seen: dict[str, set[float]] = defaultdict(set)
        for follower in self.followers:
            for feed, times in follower.captured.items():
                seen[feed].update(times)
        most = _WINDOW_S / INTERVAL_S + 2
        for feed, captured in seen.items():
            ordered = sorted(captured)
            for index, begin in enumerate(ordered):
                count = sum(time < begin + _WINDOW_S for time in ordered[index : index + 50])
                if count > most:
                    yield f"{feed} had {count} captions within {_WINDOW_S:g} s"
                    break

    def _gaps(self) -> Iterable[str]:
        for feed, gap_s in self.longest_gaps_s().items():
            if gap_s > MAX_GAP_S:
                yield f"{feed} was captioned by nobody for {gap_s:.1f} s"

    def _lost_and_repeated(self) -> Iterable[str]:
        for each in self.followers:
            name = f"server {each.server} (from {each.began:.1f} to {each.ended:.1f})"
            repeated = [id_ for id_, count in Counter(each.ids).items() if count > 1]
            if repeated:
                yield f"{name} sent {len(repeated)} captions twice, such as {repeated[0]}"
            expected = {
                caption.id
                for caption in self.committed
                if each.began + _MARGIN_S < caption.captured < each.ended - _MARGIN_S
            }
            if lost := expected - set(each.ids):
                yield f"{name} did not send {len(lost)} captions, such as {min(lost)}"
            if each.missed:
                yield f"{name}: the client was too slow for {each.missed} captions"
            for feed, times in each.captured.items():
                if times != sorted(times):
                    yield f"{name} sent the captions of {feed} out of order"

    def _outage_s(self, begin: float, end: float) -> float:
        return sum(max(0.0, min(end, last) - max(begin, first)) for first, last in self.outages)


def _by_feed(committed: Iterable[Committed]) -> dict[str, list[Committed]]:
    feeds: dict[str, list[Committed]] = defaultdict(list)
    for each in committed:
        feeds[each.feed].append(each)
    return feeds
