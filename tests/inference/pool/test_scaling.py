"""The number of replicas that a pool asks Serve for, by the requests that reach them either way."""

from typing import Any

import pytest
from ray.serve.config import AutoscalingConfig, AutoscalingContext

from inference.captioner_config import CaptionerConfig
from inference.pool.deployment import PoolConfig, application
from inference.pool.scaling import DIRECT_REQUESTS, replicas_for_requests
from models.catalogue import CaptionerReference


def scaling_of(least: int, most: int) -> Any:
    """Return the autoscaling of the application that is deployed."""
    config = PoolConfig(
        captioner=CaptionerConfig(CaptionerReference()),
        secret=None,
        min_replicas=least,
        max_replicas=most,
        gpus=0,
        cpus=1,
        ports=None,
    )
    return application(config)._bound_deployment._deployment_config.autoscaling_config


def context(config: AutoscalingConfig, through_serve: float, *direct: float) -> AutoscalingContext:
    """Return what Serve's controller knows, with the direct requests of each replica."""
    names: Any = [f"replica {number}" for number in range(len(direct))]
    known: dict[str, Any] = dict.fromkeys(
        ("deployment_id", "deployment_name", "app_name", "total_queued_requests", "raw_metrics")
    )
    known |= dict.fromkeys(("last_scale_up_time", "last_scale_down_time", "current_time"))
    return AutoscalingContext(
        **known,
        current_num_replicas=len(direct),
        target_num_replicas=len(direct),
        running_replicas=names,
        total_num_requests=through_serve,
        aggregated_metrics={DIRECT_REQUESTS: dict(zip(names, direct, strict=True))},
        capacity_adjusted_min_replicas=1,
        capacity_adjusted_max_replicas=8,
        policy_state={},
        config=config,
    )


@pytest.mark.parametrize(
    ("through_serve", "direct", "replicas"),
    [(0, (0, 0), 0), (6, (0, 0), 3), (0, (5, 3), 4), (3, (4, 1), 4), (1, (0,), 0.5)],
)
def test_requests_of_both_ways_count(
    through_serve: float, direct: tuple[float, ...], replicas: float
) -> None:
    policy = scaling_of(1, 8).policy.get_policy()
    # As the controller gets it, which may lack the rest of Sightline.
    assert policy is not replicas_for_requests
    assert policy(context(scaling_of(1, 8), through_serve, *direct)) == (replicas, {})


def test_before_a_replica_has_reported_those_through_serve_count() -> None:
    known = context(scaling_of(1, 8), 4)
    known._aggregated_metrics_value = None
    assert replicas_for_requests(known) == (2, {})


def test_a_fixed_number_of_replicas_is_not_scaled() -> None:
    assert scaling_of(3, 3) is None
