"""Chooses the replica for a request, in the proxies of Ray Serve. Needs Ray."""

import random
import sys
import time
from typing import Any

from ray.serve.request_router import (
    FIFOMixin,
    PendingRequest,
    ReplicaID,
    RequestRouter,
    RunningReplica,
)

_SILENT_S = 1.0
"""A replica accepts a request within milliseconds, however many it has; one that does not for so
long is on a machine that is lost, which Ray notices only later."""
_TRIAL_INTERVAL_S = 5.0
"""Between two requests that try whether such a replica is back."""


class CaptionerRouter(FIFOMixin, RequestRouter):
    """Offers two replicas at random, of which Serve takes the one with fewer requests.

    Serve's own router prefers replicas on the proxy's machine, and leaves those of other machines
    idle as long as the queue there is not full. It also prefers a replica that is lost: that has
    no requests.
    """

    def initialize_state(self, **options: Any) -> None:
        """Start without any silent replica; Serve calls it."""
        self._unanswered: dict[ReplicaID, float] = {}
        """Replicas that have not accepted a request yet, and since when."""

    def on_send_request(self, replica_id: ReplicaID) -> None:
        """Note that a request is sent; Serve calls it."""
        super().on_send_request(replica_id)
        self._unanswered.setdefault(replica_id, time.monotonic())

    def on_new_queue_len_info(self, replica_id: ReplicaID, *arguments: Any, **options: Any) -> None:
        """Note that a replica accepted or rejected a request; Serve calls it."""
        super().on_new_queue_len_info(replica_id, *arguments, **options)
        self._unanswered.pop(replica_id, None)

    def update_replicas(self, replicas: list[RunningReplica]) -> None:
        """Note which replicas are live; Serve calls it."""
        super().update_replicas(replicas)
        # In a replica, which tells its clients. Serve has sent this class by value, and proxies do
        # without the rest of Sightline.
        if directory := sys.modules.get("inference.pool.directory"):
            directory.LIVE_REPLICAS.set(each.replica_metadata for each in replicas)

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """Return two of the candidates that answer, or the one that was the last to do so."""
        now = time.monotonic()
        known = {each.replica_id for each in candidate_replicas}
        self._unanswered = {key: at for key, at in self._unanswered.items() if key in known}
        answering = [each for each in candidate_replicas if not self._is_silent(each, now)]
        if candidate_replicas and not answering:
            since = self._unanswered
            answering = [max(candidate_replicas, key=lambda each: since[each.replica_id])]
        return [random.sample(answering, min(2, len(answering)))]

    def _is_silent(self, replica: RunningReplica, now: float) -> bool:
        silent_s = now - self._unanswered.get(replica.replica_id, now)
        if silent_s > _TRIAL_INTERVAL_S:
            self._unanswered[replica.replica_id] = now - _SILENT_S
            return False
        return silent_s >= _SILENT_S
