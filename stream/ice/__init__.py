"""ICE for WebRTC: local addresses and ports, STUN and TURN servers, and trickled candidates."""

from stream.ice.addresses import MediaAddresses, NoPortFree, host_addresses
from stream.ice.servers import IceSettings, ice_servers, ice_servers_to_json, ice_servers_to_links
from stream.ice.trickle import (
    MAX_CANDIDATES,
    FragmentError,
    IceRestart,
    SdpFragment,
    parse_ice_credentials,
    parse_named_candidates,
)

__all__ = [
    "MAX_CANDIDATES",
    "FragmentError",
    "IceRestart",
    "IceSettings",
    "MediaAddresses",
    "NoPortFree",
    "SdpFragment",
    "host_addresses",
    "ice_servers",
    "ice_servers_to_json",
    "ice_servers_to_links",
    "parse_ice_credentials",
    "parse_named_candidates",
]
