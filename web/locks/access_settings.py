"""Who may use the server: what is set of it."""

import re
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from stream.secret_file import read_secret

_TOKEN = re.compile(r"[!-~]{16,256}")
_FORM = "16 to 256 printable ASCII characters without spaces; make one with: openssl rand -hex 24"
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def _token(value: object) -> SecretStr:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str) or not _TOKEN.fullmatch(text):
        raise ValueError(f"a token has {_FORM}")
    return SecretStr(text)


def _token_read(value: object) -> SecretStr:
    token = read_secret(value)
    if not _TOKEN.fullmatch(token.get_secret_value()):
        raise ValueError(f"{value} holds no token: it has {_FORM}")
    return token


def _host_name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value.lower()):
        raise ValueError("give names as in a browser's address bar, without port and https://")
    return value.lower()


Token = Annotated[SecretStr, BeforeValidator(_token)]
TokenInFile = Annotated[SecretStr, BeforeValidator(_token_read)]
"""Set as a path; its value is what the file held when the settings were read."""


class AccessSettings(BaseModel):
    """Tokens, and the names by which the server may be called.

    There is no option for a token on the command line: other users of a machine see those.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    admin_token: Token | None = None
    """Who knows it may do everything."""
    admin_token_file: TokenInFile | None = None
    """A file that holds it instead."""
    viewer_token: Token | None = None
    """Who knows it may watch feeds and read their captions."""
    viewer_token_file: TokenInFile | None = None
    """A file that holds it instead."""
    open: bool = False
    """Let in who has no token: to watch where there is an admin's token, to all where there is
    none."""
    hosts: tuple[Annotated[str, BeforeValidator(_host_name)], ...] = Field((), max_length=100)
    """Names by which browsers reach the server, beyond addresses and the machine's own names."""
    login_s: float = Field(7 * 24 * 3600, ge=60, le=366 * 24 * 3600)
    """How long a browser stays logged in."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        for role in ("admin", "viewer"):
            if getattr(self, f"{role}_token") and getattr(self, f"{role}_token_file"):
                raise ValueError(f"give {role}_token or {role}_token_file, not both")
        if self.admin and self.admin == self.viewer:
            raise ValueError("the admin's and the viewers' tokens must differ")
        return self

    @property
    def admin(self) -> str | None:
        """The admin's token, wherever it came from."""
        return _revealed(self.admin_token or self.admin_token_file)

    @property
    def viewer(self) -> str | None:
        """The viewers' token, wherever it came from."""
        return _revealed(self.viewer_token or self.viewer_token_file)

    @property
    def tokens(self) -> bool:
        """Whether there is any token."""
        return bool(self.admin or self.viewer)


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
