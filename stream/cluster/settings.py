"""Settings of a cluster: servers that share a PostgreSQL database."""

import re
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from stream.settings import SecretInFile

_SCHEMES = ("postgresql", "postgres")
_PREFIX = re.compile(r"(/[\w.~-]{1,100}){0,10}", re.ASCII)


class ClusterSettings(BaseModel):
    """Settings of a cluster; a server is on its own without a database."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    database: SecretStr | None = None
    """URL of the PostgreSQL database that all servers share; it may contain a password."""
    database_file: SecretInFile | None = None
    """A file that contains the URL."""
    url: str = Field("", max_length=300)
    """URL at which the other servers and browsers reach this server, past the load balancer."""

    @property
    def database_url(self) -> str | None:
        """The database's URL, from the configuration or from its file."""
        secret = self.database or self.database_file
        return secret.get_secret_value() if secret else None

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        if not url:
            return url
        message = "must be the http or https URL of this server, such as https://a.example:4200"
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise ValueError(message) from None
        path = parts.path.rstrip("/")
        extra = parts.query or parts.fragment or "@" in parts.netloc
        if parts.scheme not in ("http", "https") or not host or extra:
            raise ValueError(message)
        if not _PREFIX.fullmatch(path):
            raise ValueError(f"{message}; a path may contain letters, digits and - . _ ~ only")
        return f"{parts.scheme}://{parts.netloc}{path}"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.database and self.database_file:
            raise ValueError("set either database or database_file, not both")
        url = self.database_url
        if url is None:
            if self.url:
                raise ValueError("url needs a database, which the servers share")
        elif urlsplit(url).scheme not in _SCHEMES:
            # The value may be a password, so it is not repeated.
            raise ValueError(
                "database must be a URL such as postgresql://user@db.example/sightline"
            )
        return self
