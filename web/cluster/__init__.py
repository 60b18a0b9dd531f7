"""The application's part in a cluster of servers: logins, sinks, and what other servers have."""

from web.cluster.membership import install_cluster, run_cluster
from web.cluster.peers import PEERS, elsewhere_response, peer_middleware, peer_origins

__all__ = [
    "PEERS",
    "elsewhere_response",
    "install_cluster",
    "peer_middleware",
    "peer_origins",
    "run_cluster",
]
