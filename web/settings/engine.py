"""Settings of the engine: where captions are computed, here or by a pool of replicas."""

import re
from typing import Annotated, Any, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from stream.settings import is_loopback
from web.settings.sections import Token, TokenInFile

_MAX_REPLICAS = 1000
_REPLICAS_RULE = "must be a number, or a table such as { min = 1, max = 8 }"
_PORTS = re.compile(r"([0-9]{4,5})-([0-9]{4,5})")
_MIN_PORT, _MAX_PORT = 1024, 65535
_EXAMPLE = "http://127.0.0.1:8000"


class Replicas(NamedTuple):
    """Bounds of the number of replicas of a pool; a fixed number if they are equal."""

    min: int
    max: int


def _read_replicas(value: Any) -> Replicas:
    if isinstance(value, Replicas):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = {"min": value, "max": value}
    if not isinstance(value, dict) or set(value) != {"min", "max"}:
        raise ValueError(_REPLICAS_RULE)
    least, most = value["min"], value["max"]
    if type(least) is not int or type(most) is not int:
        raise ValueError(_REPLICAS_RULE)
    if not 1 <= least <= most <= _MAX_REPLICAS:
        raise ValueError(f"must be from 1 to {_MAX_REPLICAS}, and min at most max")
    return Replicas(least, most)


def _read_addresses(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _check_address(address: str) -> str:
    """Return the address of a pool without a slash at its end."""
    address = address.strip().rstrip("/")
    if address.startswith("unix:/"):
        return address
    parts = urlsplit(address)
    try:
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if parts.scheme not in ("http", "https") or not host or not address.isprintable():
        raise ValueError(f"must begin with http:// or https:// and name a host, such as {_EXAMPLE}")
    if parts.username is not None:
        raise ValueError("must contain no user and no password; set secret_file instead")
    if parts.path or parts.query or parts.fragment or " " in address:
        raise ValueError(f"must end with the port, such as {_EXAMPLE}")
    return address


def _check_ports(value: str) -> str:
    found = _PORTS.fullmatch(value)
    if value and (not found or not _MIN_PORT <= int(found[1]) <= int(found[2]) <= _MAX_PORT):
        raise ValueError(
            f"must be a range FIRST-LAST within {_MIN_PORT}-{_MAX_PORT}, such as 9000-9063"
        )
    return value


PoolAddresses = Annotated[
    tuple[Annotated[str, AfterValidator(_check_address)], ...],
    BeforeValidator(_read_addresses),
    Field(min_length=1, max_length=64),
]


class EngineSettings(BaseModel):
    """Where captions are computed.

    A server uses `address` to `direct`; `python server.py pool`, which deploys the pool, `direct`,
    the others, and the secret.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["local", "ray"] = "local"
    """`local`: a process of this server. `ray`: a captioner pool."""
    address: PoolAddresses = (_EXAMPLE,)
    """URL of the pool, or of several of its proxies; each leads to all replicas."""
    secret: Token | None = None
    """Admits servers to the pool."""
    secret_file: TokenInFile | None = None
    """File that contains the secret instead."""
    max_wait_s: float = Field(2, ge=0.1, le=60)
    """Seconds that a frame may wait for a replica, then it is dropped as too old."""
    insecure: bool = False
    """Whether to allow unencrypted http to other machines."""
    direct: bool = True
    """Whether replicas listen on ports of their own, where servers reach them without a proxy."""
    replica_ports: Annotated[str, AfterValidator(_check_ports)] = ""
    """TCP ports of the replicas, such as "9000-9063", for a firewall to open; any free ones when
    empty."""
    cluster: str = Field("auto", min_length=1, max_length=200)
    """Address of the Ray cluster; `auto` is the one to which this machine belongs."""
    host: str = Field("127.0.0.1", min_length=1, max_length=253)
    """Address that the pool's proxies and replicas bind to, on each machine of the cluster."""
    port: int = Field(8000, ge=1, le=65535)
    """Port of the proxies."""
    replicas: Annotated[Replicas, BeforeValidator(_read_replicas)] = Replicas(1, 1)
    """Number of replicas, or its bounds: then they are added and removed with the load."""
    gpus: float = Field(0, ge=0, le=64)
    """GPUs of each replica."""
    cpus: float = Field(1, gt=0, le=1024)
    """CPU cores that Ray sets aside for each replica."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.secret and self.secret_file:
            raise ValueError("set secret or secret_file, not both")
        if self.kind == "local":
            return self
        for each in self.address:
            parts = urlsplit(each)
            if (
                parts.scheme == "http"
                and not self.insecure
                and not is_loopback(parts.hostname or "")
            ):
                raise ValueError(
                    f"address {each} would send images unencrypted; use https, or set "
                    "insecure = true if the network between the machines is private"
                )
        return self

    @property
    def replica_port_range(self) -> range | None:
        """The ports of the replicas; None for any."""
        if not self.replica_ports:
            return None
        first, last = map(int, self.replica_ports.split("-"))
        return range(first, last + 1)

    @property
    def pool_secret(self) -> str | None:
        """The secret, from either setting."""
        secret = self.secret or self.secret_file
        return secret.get_secret_value() if secret else None
