"""All settings of the server, from the command line, the environment and a TOML file."""

import ipaddress
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as PydanticSettingsError

from inference.captioner_config import CaptionerConfig
from inference.captioning import Precision
from inference.endpoints import Endpoint
from models.catalogue import FORMS, CaptionerReference
from stream.cluster import ClusterSettings
from stream.feeds import FeedName, FeedSettings
from stream.history import HistorySettings
from stream.ice import IceSettings
from stream.publishing.sinks import AppriseSettings, MqttSettings, WebhookSettings
from stream.rules import MAX_RULES, Rule, RuleFile, RuleFileError, RuleName
from stream.settings import StreamSettings, UnreadableFile, UserPath, read_text_file
from web.settings.endpoints import EndpointName, EndpointSettings
from web.settings.engine import EngineSettings
from web.settings.errors import describe_errors
from web.settings.sections import (
    AccessSettings,
    HttpsSettings,
    LimitsSettings,
    LogSettings,
    SubscribersSettings,
)


def _read_reference(value: object) -> CaptionerReference:
    if isinstance(value, CaptionerReference):
        return value
    if not isinstance(value, str | Path):
        raise ValueError(f"must be text in quotation marks: {FORMS}")
    return CaptionerReference.parse(str(value))


# NoDecode: the environment contains the text, not JSON.
Captioner = Annotated[CaptionerReference, NoDecode, BeforeValidator(_read_reference)]


class SettingsError(ValueError):
    """A setting is wrong; the message names it, the place, and what is allowed."""


class ServerSettings(BaseSettings):
    """All settings with their defaults.

    The command line overrides the environment (`SIGHTLINE_PORT`, `SIGHTLINE_STREAM__SESSIONS`),
    which overrides the file, where `[stream]` is a table.
    """

    model_config = SettingsConfigDict(
        env_prefix="SIGHTLINE_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        # The URL of a feed may contain a password.
        hide_input_in_errors=True,
    )

    host: str = "127.0.0.1"
    """Address to bind to, for HTTP and for media."""
    port: int = Field(4200, ge=0, le=65535)
    """HTTP port; 0 selects a free port."""
    address_file: UserPath | None = None
    """A file into which the server writes its URL while it listens; the health check of a container
    reads it."""
    endpoints: dict[EndpointName, EndpointSettings] = Field(default_factory=dict, max_length=100)
    """Servers of the OpenAI API that caption images, by name."""
    captioner: Captioner = CaptionerReference()
    """The shipped captioner, a folder, a downloaded repository of the Hugging Face Hub, or an
    endpoint."""
    precision: Precision = "float32"
    """Precision of the encoder, and of the search of BLIP. "int8" is faster; the shipped captioner
    then requires the files and has the cost in quality that `inference.quantize` reports."""
    cross_attention_layer: int | None = Field(None, ge=0, le=99)
    """Index of the text decoder's layer whose cross-attention is explained, from 0; only for
    captioners that have several. By default that of LAVIS's example with BLIP, 7."""
    consensus: bool = True
    """Whether a captioner that has a consensus (see `models.consensus`) chooses by it among the
    captions that its beam search finds."""
    standby: bool | None = None
    """Whether a standby worker stays loaded, to take over at once if the first fails; it needs as
    much memory again. By default only if there are feeds."""
    engine: EngineSettings = EngineSettings()
    stream: StreamSettings = StreamSettings()
    ice: IceSettings = IceSettings()
    feeds: dict[FeedName, FeedSettings] = Field(default_factory=dict, max_length=2000)
    """Cameras that are captioned around the clock, by name."""
    access: AccessSettings = AccessSettings()
    https: HttpsSettings = Field(default_factory=HttpsSettings)
    limits: LimitsSettings = LimitsSettings()
    log: LogSettings = LogSettings()
    subscribers: SubscribersSettings = SubscribersSettings()
    history: HistorySettings = HistorySettings()
    rules: dict[RuleName, Rule] = Field(default_factory=dict, max_length=MAX_RULES)
    """What to be told of, by name."""
    rules_file: UserPath | None = None
    """The file of the rules that are edited on the page; by default `rules.toml` beside the
    configuration file."""
    apprise: AppriseSettings = AppriseSettings()
    webhook: WebhookSettings = WebhookSettings()
    mqtt: MqttSettings = MqttSettings()
    cluster: ClusterSettings = ClusterSettings()

    @property
    def keeps_standby(self) -> bool:
        """Whether a standby worker stays loaded."""
        return bool(self.feeds) if self.standby is None else self.standby

    @property
    def endpoint(self) -> Endpoint | None:
        """The endpoint that captions, if the captioner is one."""
        name = self.captioner.value
        return self.endpoints[name].endpoint(name) if self.captioner.kind == "endpoint" else None

    @property
    def uses_pool(self) -> bool:
        """Whether a captioner pool captions, instead of a process of this server."""
        return self.engine.kind == "ray"

    @property
    def captioner_config(self) -> CaptionerConfig:
        """What captions, on this machine or on those of a pool."""
        return CaptionerConfig(
            reference=self.captioner,
            precision=self.precision,
            layer=self.cross_attention_layer,
            consensus=self.consensus,
            endpoint=self.endpoint,
        )

    @field_validator("host")
    @classmethod
    def _check_host(cls, host: str) -> str:
        # Media is bound to the same address, so a host name is not enough.
        return host if host == "localhost" else str(ipaddress.ip_address(host))

    @field_validator("captioner")
    @classmethod
    def _check_endpoint(
        cls, captioner: CaptionerReference, info: ValidationInfo
    ) -> CaptionerReference:
        # Endpoints that are not valid have an error of their own.
        endpoints = info.data.get("endpoints")
        if captioner.kind == "endpoint" and endpoints is not None:
            name = captioner.value
            if name not in endpoints:
                known = ", ".join(endpoints) or "none; pass the settings file with --config"
                raise ValueError(
                    f"there is no [endpoints.{name}] in the settings; endpoints: {known}"
                )
        return captioner


def read_settings(config: Path | None, overrides: dict[str, Any]) -> ServerSettings:
    """Read the settings.

    Args:
        config: A TOML file, or None.
        overrides: Fields from the command line, which override all other sources.

    Raises:
        SettingsError: If the file cannot be read, or a setting is wrong.
    """
    text, values = _read_file(config)

    class Layered(ServerSettings):
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
        settings: ServerSettings = Layered(**overrides)
        if config and settings.rules_file is None:
            settings = settings.model_copy(update={"rules_file": config.parent / "rules.toml"})
        # So that the server does not start with a part of the rules, and a check finds faults.
        if settings.rules_file:
            RuleFile(settings.rules_file).read()
        return settings
    except RuleFileError as error:
        raise SettingsError(str(error)) from None
    except RecursionError:
        raise SettingsError("a setting in the environment is nested too deeply") from None
    except ValidationError as error:
        message = describe_errors(error, ServerSettings, config, text, overrides)
        # Without the cause, which repeats the values: they may be secrets.
        raise SettingsError(message) from None
    except PydanticSettingsError as error:
        hint = 'write lists as JSON, such as ["camera.example"]'
        raise SettingsError(f"environment: {error}; {hint}") from error


def _read_file(config: Path | None) -> tuple[str, dict[str, Any]]:
    if config is None:
        return "", {}
    try:
        text = read_text_file(config)
        return text, tomllib.loads(text)
    except UnreadableFile as error:
        raise SettingsError(f"{config} cannot be read: {error}") from error
    except RecursionError:
        message = "arrays or tables are nested too deeply"
        raise SettingsError(f"{config} cannot be read: {message}") from None
    except tomllib.TOMLDecodeError as error:
        # Python's message gives line and column, except at the end of the file.
        end = f"line {len(text.splitlines())}, the end of the file"
        message = str(error).replace("end of document", end)
        raise SettingsError(f"{config} is not valid TOML: {message}") from error
    except ValueError as error:
        # Such as an integer of thousands of digits.
        raise SettingsError(f"{config} cannot be read: {error}") from error
