"""A captioner pool as an application of Ray Serve. Needs Ray.

Batches form in each replica's engine (`inference.engine.batching`), of the frames that arrive while
it is busy, whichever server sent them. `serve.batch` would wait for a batch to fill up, although a
batch hardly saves time over single frames; it knows no priority of live frames over images that
programs send, cannot leave out frames that have become too old, and cannot group frames by their
beam width.
"""

from dataclasses import dataclass
from functools import partial

from ray import serve
from ray.serve import Application
from ray.serve.config import RequestRouterConfig

from inference.captioner_config import CaptionerConfig
from inference.pool.replica import MAX_REQUESTS, CaptionerReplica, ReplicaPorts
from inference.pool.routing import CaptionerRouter
from inference.pool.scaling import replicas_for_requests

APPLICATION = "sightline"
"""Name of the application on the cluster."""
DEPLOYMENT = "captioner"

_MAX_QUEUED = 1024
"""Requests at a proxy for which no replica has room; more are refused."""
_REQUESTS_PER_REPLICA = 2.0
"""On average, above which replicas are added: one is captioned, and one waits."""
_POLICY = replicas_for_requests
_STARTS = 3
"""Of a replica that cannot load its captioner, after which deploying has failed."""


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """A pool: its captioner, and the number and the resources of its replicas."""

    captioner: CaptionerConfig
    secret: str | None
    min_replicas: int
    max_replicas: int
    """More than `min_replicas` to add and remove replicas by the number of requests."""
    gpus: float
    """Of each replica."""
    cpus: float
    """Of each replica."""
    ports: ReplicaPorts | None
    """Where replicas listen; None for clients that use proxies only."""


def application(config: PoolConfig) -> Application:
    """Return the application, for `serve.run`."""
    scales = config.max_replicas > config.min_replicas
    number = None if scales else config.min_replicas
    scaling = {
        "min_replicas": config.min_replicas,
        "max_replicas": config.max_replicas,
        "target_ongoing_requests": _REQUESTS_PER_REPLICA,
        "upscale_delay_s": 10.0,
        "policy": {"policy_function": f"{_POLICY.__module__}:{_POLICY.__name__}"},
    }
    deployment = serve.deployment(
        name=DEPLOYMENT,
        num_replicas=number,
        autoscaling_config=scaling if scales else None,
        ray_actor_options={"num_cpus": config.cpus, "num_gpus": config.gpus},
        max_ongoing_requests=MAX_REQUESTS,
        max_queued_requests=_MAX_QUEUED,
        max_constructor_retry_count=_STARTS,
        health_check_period_s=1.0,
        health_check_timeout_s=10.0,
        graceful_shutdown_wait_loop_s=0.5,
        graceful_shutdown_timeout_s=10.0,
        request_router_config=RequestRouterConfig(
            request_router_class=f"{CaptionerRouter.__module__}.{CaptionerRouter.__name__}"  # type: ignore[arg-type]
        ),
        logging_config={"enable_access_log": False},
    )(CaptionerReplica)
    create = partial(config.captioner.create, max_failures=1)
    lasts = config.captioner.endpoint is None
    return deployment.bind(create, config.secret, config.ports, lasts=lasts)
