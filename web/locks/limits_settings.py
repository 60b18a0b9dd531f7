"""How much any one address may take of the server, and all of them together."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _network(value: object) -> IPv4Network | IPv6Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str):
        raise ValueError("give addresses or networks as text, such as '10.0.0.0/8'")
    return ip_network(value)


Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]


class LimitsSettings(BaseModel):
    """Limits of the HTTP interface, with their defaults; an IPv6 network of 64 bits is one address.

    A page asks for about a hundred files when it is first opened: rates allow ten seconds' worth
    at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    connections: int = Field(100, ge=1)
    """Open HTTP connections of one address."""
    all_connections: int = Field(1000, ge=1)
    """Open HTTP connections in all."""
    requests_per_s: float = Field(100, gt=0)
    """Requests of one address, on average."""
    all_requests_per_s: float = Field(1000, gt=0)
    """Requests in all, on average."""
    body_bytes_per_s: float = Field(100_000, ge=1000)
    """Bytes in the bodies of one address's requests, on average."""
    all_body_bytes_per_s: float = Field(1_000_000, ge=1000)
    """Bytes in the bodies of all requests, on average."""
    sessions: int = Field(32, ge=1)
    """Live sessions of one address, its own and those that it watches."""
    headers_s: float = Field(20, ge=1, le=3600)
    """How long the headers of a request may take, and a connection be open without a request; a
    change takes effect at the next start."""
    body_s: float = Field(20, ge=1, le=3600)
    """How long the body of a request may take."""
    unread_s: float = Field(30, ge=1, le=3600)
    """How long a connection may take nothing of what is sent to it."""
    proxies: tuple[Network, ...] = Field((), max_length=100)
    """Addresses or networks of reverse proxies, whose X-Forwarded-For is believed."""
