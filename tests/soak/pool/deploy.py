"""Deploy a pool of timed captioners: python -m tests.soak.pool.deploy CLUSTER ADDRESS PORT."""

import sys

import ray

from inference.pool.cluster import deploy
from inference.pool.deployment import PoolConfig
from inference.pool.replica import ReplicaPorts
from models.catalogue import CaptionerReference
from tests.support.pool.ray_cluster import SECRET
from tests.support.pool.timed_captioner import TimedCaptioner


def main(cluster: str, address: str, port: int) -> None:
    """Deploy, from the machine with this address."""
    ray.init(cluster, log_to_driver=False, _node_ip_address=address)
    config = PoolConfig(
        captioner=TimedCaptioner(CaptionerReference()),
        secret=SECRET,
        min_replicas=1,
        max_replicas=2,
        gpus=0,
        # One on each machine.
        cpus=1,
        ports=ReplicaPorts("0.0.0.0", range(9000, 9010)),
    )
    deploy(config, "0.0.0.0", port, print)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
