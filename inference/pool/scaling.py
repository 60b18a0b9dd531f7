"""How many replicas a pool needs, decided in Serve's controller.

Serve sends this module to the controller by value, so it imports nothing of Sightline.
"""

from typing import Any

DIRECT_REQUESTS = "direct_requests"
"""Metric of a replica: requests in flight that did not come through a proxy of Serve."""


def replicas_for_requests(context: Any) -> tuple[float, dict[str, Any]]:
    """Return the number of replicas at which each has its target of requests, and no state.

    Serve's own policy counts the requests that come through its proxies only. Bounds and delays are
    those of the deployment.

    Args:
        context: A `ray.serve.config.AutoscalingContext`.
    """
    direct: dict[Any, float] = (context.aggregated_metrics or {}).get(DIRECT_REQUESTS, {})
    requests = context.total_num_requests + sum(direct.values())
    return requests / context.config.get_target_ongoing_requests(), {}
