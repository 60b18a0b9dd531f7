"""Settings of an endpoint: a table `[endpoints.NAME]` of the configuration."""

import logging
import re
import ssl
import stat
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from inference.endpoints import Endpoint, request_count
from stream.settings import (
    UnreadableFile,
    is_loopback,
    read_secret,
    read_text_file,
    validate_stream_name,
)

DEFAULT_PROMPT = (
    "Describe what this image shows in one short sentence, as a caption. Answer with the caption "
    "only."
)

_MAX_SECRET_LENGTH = 4096
_PEM_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)

logger = logging.getLogger(__name__)


def _read_key(value: object) -> SecretStr:
    secret = read_secret(value)
    key = secret.get_secret_value()
    if not (
        key.isascii() and key.isprintable() and " " not in key and len(key) <= _MAX_SECRET_LENGTH
    ):
        raise ValueError(f"{value} contains no valid key: it must have one line, without spaces")
    path = Path(str(value)).expanduser()
    if path.stat().st_mode & stat.S_IROTH:
        logger.warning(
            "every user of this machine can read the key in %s; run chmod 600 %s", path, path
        )
    return secret


def _read_certificates(value: object) -> str:
    """Return the certificates in a file, as PEM."""
    if not isinstance(value, str | Path) or "\n" in str(value):
        raise ValueError("must be the path of a file of certificates")
    try:
        text = read_text_file(Path(value).expanduser())
    except (UnreadableFile, RuntimeError) as error:
        raise ValueError(f"{value} cannot be read: {error}") from None
    # The file may also contain a private key, which is nobody's business here.
    pem = "\n".join(_PEM_CERTIFICATE.findall(text))
    if not pem:
        raise ValueError(f"{value} contains no certificate in PEM format")
    try:
        ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise ValueError(f"{value} contains a certificate that is damaged") from None
    return pem


def _check_url(secret: SecretStr) -> SecretStr:
    """Return the URL without a slash at its end; a ValueError does not repeat the URL."""
    url = secret.get_secret_value().strip().rstrip("/")
    parts = urlsplit(url)
    try:
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if parts.scheme not in ("http", "https") or not host or not url.isprintable() or " " in url:
        raise ValueError(
            "must begin with http:// or https:// and name a host, such as http://127.0.0.1:11434/v1"
        )
    if parts.query or parts.fragment:
        raise ValueError("must end with the path, such as /v1, without ? and #")
    if parts.path.endswith("/chat/completions"):
        raise ValueError("must be the part before /chat/completions, such as https://HOST/v1")
    return SecretStr(url)


EndpointName = Annotated[str, AfterValidator(validate_stream_name)]
"""Name of an endpoint in the configuration."""


class EndpointSettings(BaseModel):
    """A server of the OpenAI chat completions API that captions images."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base_url: Annotated[SecretStr, AfterValidator(_check_url)]
    """URL of the API, up to and including `/v1`; may contain a user and a password. Never shown."""
    model: str = Field(min_length=1, max_length=200)
    """Name of the model at the server."""
    prompt: str = Field(DEFAULT_PROMPT, min_length=1, max_length=4000)
    """What the model is told to do with an image."""
    key_file: Annotated[SecretStr, BeforeValidator(_read_key)] | None = None
    """A file that contains the API key."""
    timeout_s: float = Field(30, gt=0, le=600)
    """Timeout for a request, in seconds."""
    max_tokens: int = Field(100, ge=1, le=10_000)
    """Maximum length of an answer, in tokens; models that reason first need more."""
    requests: int = Field(4, ge=1, le=64)
    """Requests at once, for all streams and explanations together."""
    regions: int = Field(4, ge=2, le=8)
    """Regions on a side of the image that are hidden in turn to explain a caption."""
    viewer_requests_per_hour: int = Field(600, ge=0, le=1_000_000)
    """Requests per hour for explanations that viewers request, on average; 0 for none."""
    tls_ca: Annotated[str, BeforeValidator(_read_certificates)] | None = Field(None, repr=False)
    """A file of certificates (PEM) that are trusted instead of the system's: the endpoint's own, or
    of the authority that signed it."""
    insecure: bool = False
    """Whether to allow unencrypted http to another machine."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        parts = urlsplit(self.base_url.get_secret_value())
        if self.key_file and parts.username is not None:
            raise ValueError("set either key_file or a user in base_url, not both")
        if parts.scheme == "http" and not self.insecure and not is_loopback(parts.hostname or ""):
            raise ValueError(
                "base_url would send images unencrypted; use https, or set insecure = true"
            )
        if self.tls_ca and parts.scheme != "https":
            raise ValueError("tls_ca is for a base_url that begins with https://")
        least = request_count(self.regions)
        if 0 < self.viewer_requests_per_hour < least:
            raise ValueError(
                f"viewer_requests_per_hour allows no explanation, which takes {least} requests; "
                "raise it, or set 0 for none"
            )
        return self

    def endpoint(self, name: str) -> Endpoint:
        """Return the endpoint; `name` is the name of its table."""
        return Endpoint(
            name=name,
            base_url=self.base_url.get_secret_value(),
            model=self.model,
            prompt=self.prompt,
            key=self.key_file.get_secret_value() if self.key_file else None,
            tls_ca=self.tls_ca,
            timeout_s=self.timeout_s,
            max_tokens=self.max_tokens,
            requests=self.requests,
            regions=self.regions,
            viewer_requests_per_hour=self.viewer_requests_per_hour,
        )
