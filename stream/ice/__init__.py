"""TODO."""

from stream.ice.addresses import MediaAddresses, NoPortFree, machine_addresses
from stream.ice.servers import IceSettings, as_json, as_links, ice_servers
from stream.ice.trickle import (
    MOST_CANDIDATES,
    FragmentError,
    IceRestart,
    SdpFragment,
    ice_credentials,
)

__all__ = [
    "MOST_CANDIDATES",
    "FragmentError",
    "IceRestart",
    "IceSettings",
    "MediaAddresses",
    "NoPortFree",
    "SdpFragment",
    "as_json",
    "as_links",
    "ice_credentials",
    "ice_servers",
    "machine_addresses",
]
