"""Whether the server speaks https, and with which certificate."""

import os
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


def _state_folder() -> Path:
    """Where the state of a user's programs belongs (XDG Base Directory Specification)."""
    folder = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if folder:
        # systemd's StateDirectory= names the service's own.
        return Path(folder)
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state") / "sightline"


class HttpsSettings(BaseModel):
    """Settings of https, with their defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on: bool = False
    """Speak https and nothing else, with a certificate that the server makes itself."""
    certificate: Path | None = None
    """A certificate of yours instead, and those that lead to its issuer, as PEM."""
    key: Path | None = None
    """Its private key, as PEM without a passphrase."""
    folder: Path = Field(default_factory=_state_folder)
    """Where the certificate that the server makes is kept, with its key."""

    @model_validator(mode="after")
    def _key_belongs_to_certificate(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("give both, certificate and key, or neither")
        return self

    @property
    def wanted(self) -> bool:
        """Whether the server speaks https."""
        return self.on or self.certificate is not None
