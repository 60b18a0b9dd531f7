"""A captioner pool: a caption service that other processes and machines use over HTTP.

`PoolCaptioner` is its client, `CaptionServer` serves any caption service on a socket, and
`deployment`, which needs Ray, runs replicas on a cluster. Needs no TensorFlow.
"""

from inference.pool.captioner import PoolCaptioner
from inference.pool.directory import ReplicaAddress
from inference.pool.handler import CaptionHandler, Refusal
from inference.pool.replicas import ReplicaCounts
from inference.pool.server import CaptionServer

__all__ = [
    "CaptionHandler",
    "CaptionServer",
    "PoolCaptioner",
    "Refusal",
    "ReplicaAddress",
    "ReplicaCounts",
]
