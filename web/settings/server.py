"""Every setting of the server, from a TOML file and the environment."""

import ipaddress
import tomllib
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as PydanticSettingsError

from inference.captioning import Precision
from stream.feeds import FeedName, FeedSettings
from stream.history import HistorySettings
from stream.ice import IceSettings
from stream.publishing.sinks import MqttSettings, WebhookSettings
from stream.settings import StreamSettings
from web.settings.errors import describe
from web.settings.sections import (
    AccessSettings,
    DoorsSettings,
    HttpsSettings,
    LimitsSettings,
    LogSettings,
)

DEFAULT_CAPTIONER = Path(__file__).parents[2] / "models" / "weights" / "lite2"


class SettingsError(ValueError):
    """A setting is wrong; the message names it and says what it may be."""


class ServerSettings(BaseSettings):
    """Settings with their defaults.

    The command line goes before the environment (`SIGHTLINE_PORT`, `SIGHTLINE_STREAM__SESSIONS`),
    and that before the file, whose keys have the fields' names, `[stream]` a table.
    """

    model_config = SettingsConfigDict(
        env_prefix="SIGHTLINE_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        # The address of a feed may hold a password.
        hide_input_in_errors=True,
    )

    host: str = "127.0.0.1"
    """Address to bind to; media uses it too."""
    port: int = Field(4200, ge=0, le=65535)
    """Port of the page; 0 takes any free one."""
    captioner: Path = DEFAULT_CAPTIONER
    """Folder of the captioner, as `models.train` writes it."""
    precision: Precision = "float32"
    """What the encoder computes in. "int8" is faster, needs what `inference.quantize` makes, and
    costs what is told there."""
    standby: bool | None = None
    """Whether a second captioner is kept loaded, to take over at once should the first fail; it
    takes as much memory again. By default where there are feeds."""
    stream: StreamSettings = StreamSettings()
    ice: IceSettings = IceSettings()
    feeds: dict[FeedName, FeedSettings] = Field(default_factory=dict, max_length=100)
    """Cameras that are captioned by themselves, each by the name under which it is watched."""
    access: AccessSettings = AccessSettings()
    https: HttpsSettings = Field(default_factory=HttpsSettings)
    limits: LimitsSettings = LimitsSettings()
    log: LogSettings = LogSettings()
    doors: DoorsSettings = DoorsSettings()
    history: HistorySettings = HistorySettings()
    webhook: WebhookSettings = WebhookSettings()
    mqtt: MqttSettings = MqttSettings()

    @property
    def keeps_standby(self) -> bool:
        """Whether a second captioner is kept loaded."""
        return bool(self.feeds) if self.standby is None else self.standby

    @field_validator("host")
    @classmethod
    def _is_address(cls, host: str) -> str:
        """Media is bound to the same address, so that a name will not do."""
        if host != "localhost":
            ipaddress.ip_address(host)
        return host


def read_settings(config: Path | None, overrides: dict[str, Any]) -> ServerSettings:
    """Read the settings.

    Args:
        config: A TOML file, or None.
        overrides: Fields given on the command line, which go before everything.

    Raises:
        SettingsError: If the file cannot be read, or a setting is wrong.
    """
    text, values = _read_file(config)

    class Layered(ServerSettings):
        """The settings, their sources in order: command line, environment, file."""

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, values)

    try:
        return Layered(**overrides)
    except ValidationError as problem:
        told = describe(problem, ServerSettings, config, text, overrides)
        # Not the cause: it repeats the values, which may be secrets.
        raise SettingsError(told) from None
    except PydanticSettingsError as problem:
        told = 'lists are written as JSON, such as ["camera.example"]'
        raise SettingsError(f"environment: {problem}; {told}") from problem


def _read_file(config: Path | None) -> tuple[str, dict[str, Any]]:
    if config is None:
        return "", {}
    try:
        text = config.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as problem:
        raise SettingsError(f"{config} cannot be read: {problem}") from problem
    except tomllib.TOMLDecodeError as problem:
        # It names line and column, but not those of the end.
        told = str(problem).replace("end of document", f"line {len(text.splitlines())}, its end")
        raise SettingsError(f"{config} is no TOML: {told}") from problem
