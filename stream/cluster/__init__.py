"""A cluster of servers that share a PostgreSQL database: leases of feeds, and all captions.

Only the settings are exported: the other modules load psycopg, which a server on its own need not
have installed.
"""

from stream.cluster.settings import ClusterSettings

__all__ = ["ClusterSettings"]
