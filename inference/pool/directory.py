"""Addresses of replicas: what each announces of itself, and which ones Ray Serve says are live.

A replica answers with the list of all of them, so that clients connect to each without a proxy.
Needs no Ray.
"""

import functools
import hashlib
import ipaddress
import socket
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MAX_LISTED = 256
"""Replicas to which a client connects; requests reach others through the proxies."""
_MAX_NAME_LENGTH = 100
_MAX_NETWORK_LENGTH = 32


@dataclass(frozen=True, slots=True)
class ReplicaAddress:
    """Where a replica listens."""

    name: str
    """Of the replica."""
    host: str
    """IP address that clients connect to."""
    port: int
    network: str
    """Identity of the network interfaces of its machine, see `loopback_network`."""

    @property
    def url(self) -> str:
        """URL without a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def is_allowed(self, *, insecure: bool) -> bool:
        """Whether frames may be sent there: they stay on this machine, or may go unencrypted.

        The loopback address of another machine would lead to a program of this one.
        """
        if self.network == loopback_network():
            return True
        return insecure and not ipaddress.ip_address(self.host).is_loopback

    def to_json(self) -> dict[str, Any]:
        """Return JSON values, from which `from_json` creates an equal address."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ReplicaAddress":
        """Read an address.

        Raises:
            ValueError: If it is invalid.
        """
        try:
            name, host, port, network = (
                values[each] for each in ("name", "host", "port", "network")
            )
        except (KeyError, TypeError):
            raise ValueError("a replica's address lacks a part") from None
        texts = [(name, _MAX_NAME_LENGTH), (network, _MAX_NETWORK_LENGTH)]
        if not all(isinstance(text, str) and len(text) <= most for text, most in texts):
            raise ValueError("the name of a replica is invalid")
        if type(port) is not int or not 0 < port < 2**16 or not isinstance(host, str):
            raise ValueError("the address of a replica is invalid")
        address = ipaddress.ip_address(host)
        if address.is_unspecified or address.is_multicast:
            raise ValueError("the address of a replica is no address of a machine")
        return cls(name, str(address), port, network)


class LiveReplicas:
    """The replicas that are live, in a process of a replica; set and read by any thread."""

    def __init__(self) -> None:
        """Start without any."""
        self._addresses: tuple[ReplicaAddress, ...] = ()

    def set(self, announced: Iterable[Mapping[str, Any]]) -> None:
        """Replace the list.

        Args:
            announced: What each live replica announces; nothing if it has no port.
        """
        found = [ReplicaAddress.from_json(each) for each in announced if each]
        self._addresses = tuple(found[:MAX_LISTED])

    def list(self) -> tuple[ReplicaAddress, ...]:
        """Return their addresses."""
        return self._addresses


LIVE_REPLICAS = LiveReplicas()
"""Of this process, of which Serve's threads have their own copies of other objects."""


@functools.cache
def loopback_network() -> str:
    """Return what differs between two processes that do not share a loopback interface.

    They run on other machines, or in other network namespaces, as containers do.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        namespace = str(Path("/proc/self/ns/net").readlink())
    except OSError:
        # Not Linux, where a container has another name at least.
        boot, namespace = "", socket.gethostname()
    return hashlib.sha256(f"{boot}{namespace}".encode()).hexdigest()[:_MAX_NETWORK_LENGTH]
