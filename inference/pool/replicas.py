"""Counts of what the replicas of a pool answered, and how long requests waited for them."""

from collections import OrderedDict
from collections.abc import Mapping

from inference.histogram import Histogram

_WAIT_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_MAX_REPLICAS = 32
"""Whose names are labels of metrics. Each replica has a new name, so those that have not answered
for the longest time are counted together."""
_MAX_NAME_LENGTH = 40

OTHER_REPLICAS = "other"
"""Label of those."""


class ReplicaCounts:
    """Captions and waits by replica, and failed requests by reason; bounded in size."""

    def __init__(self) -> None:
        """Start from zero."""
        self.failures = {"too old": 0, "unavailable": 0, "repeated": 0}
        """Requests without a result: `too old`, or `unavailable`; and those that were `repeated` at
        another replica."""
        self.routes = {"direct": 0, "proxy": 0}
        """Answers of replicas, by whether they came through a proxy."""
        self._waits_s: OrderedDict[str, Histogram] = OrderedDict()
        self._others = Histogram(_WAIT_BOUNDS_S)

    @property
    def waits_s(self) -> Mapping[str, Histogram]:
        """For each replica, the seconds that its captions waited, one value a caption.

        That is for a replica with room, in its queue, and on the way there and back.
        """
        others = {OTHER_REPLICAS: self._others} if self._others.total else {}
        return {**self._waits_s, **others}

    def count_caption(self, replica: str, wait_s: float) -> None:
        """Count a caption that a replica answered with."""
        replica = replica[:_MAX_NAME_LENGTH]
        if replica not in self._waits_s:
            self._waits_s[replica] = Histogram(_WAIT_BOUNDS_S)
        self._waits_s.move_to_end(replica)
        self._waits_s[replica].observe(wait_s)
        while len(self._waits_s) > _MAX_REPLICAS:
            _, oldest = self._waits_s.popitem(last=False)
            self._others += oldest
