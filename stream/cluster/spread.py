"""Which server captions which feed: about the same number each, and few feeds move."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """A server that is alive."""

    id: str
    feeds: frozenset[str]
    """The feeds of its configuration."""
    alive_s: float
    """How long it has been a member, in seconds."""


_SETTLED_S = 3.0
"""How long a server is a member before others give it feeds: so one that fails at once gets none.
"""

_GENTLE_SHARE = 1 / 4
"""Share of the feeds that a server has to give that it gives at a time, since each is interrupted
until its camera is connected again."""


def assign(
    free: Iterable[str], members: Sequence[Member], holders: Mapping[str, str]
) -> dict[str, str]:
    """Return the server that is to take each feed that nobody has: the one with the fewest feeds.

    All servers compute the same from the same state of the database.

    Args:
        free: Feeds that nobody has; one that no member has in its configuration is left out.
        members: The servers that are alive.
        holders: The server of each feed that has one.
    """
    counts = _counts(members, holders)
    assigned: dict[str, str] = {}
    for feed in sorted(free):
        able = [member.id for member in members if feed in member.feeds]
        if able:
            assigned[feed] = min(able, key=lambda id_: (counts[id_], id_))
            counts[assigned[feed]] += 1
    return assigned


def surplus(own_id: str, members: Sequence[Member], holders: Mapping[str, str]) -> list[str]:
    """Return the feeds that a server is to give up now, for others that have fewer.

    The numbers may differ by one for ever; beyond that, feeds move a few at a time.

    Args:
        own_id: The server's id.
        members: The servers that are alive, this one among them.
        holders: The server of each feed that has one.
    """
    counts = _counts(members, holders)
    able = [each for each in members if each.id != own_id and each.alive_s >= _SETTLED_S]
    mean = sum(counts.values()) / max(1, len(members))
    most = max(1, math.floor((counts[own_id] - mean) * _GENTLE_SHARE))
    given: list[str] = []
    for feed in sorted((name for name, id_ in holders.items() if id_ == own_id), reverse=True):
        targets = [each.id for each in able if feed in each.feeds]
        if len(given) >= most or not targets:
            continue
        target = min(targets, key=lambda id_: (counts[id_], id_))
        if counts[own_id] - counts[target] < 2 or not _may_give(own_id, counts, mean):
            continue
        counts[own_id] -= 1
        counts[target] += 1
        given.append(feed)
    return given


def _may_give(own_id: str, counts: Mapping[str, int], mean: float) -> bool:
    """Whether it is this server's turn: several that give one feed each could be too many."""
    if counts[own_id] > math.ceil(mean):
        return True
    return own_id == min(id_ for id_, count in counts.items() if count == counts[own_id])


def _counts(members: Collection[Member], holders: Mapping[str, str]) -> dict[str, int]:
    counts = {member.id: 0 for member in members}
    for id_ in holders.values():
        if id_ in counts:
            counts[id_] += 1
    return counts
