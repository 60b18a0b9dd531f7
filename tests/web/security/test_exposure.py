"""A server that other machines can reach does not start without a token, unless open."""

from pathlib import Path
from typing import Any

import pytest

from web.security import exposure
from web.security.exposure import check_exposure, listen_addresses, warn_if_world_readable
from web.settings.server import ServerSettings, SettingsError

TOKEN = "a" * 20


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"host": "localhost"},
        {"host": "::1"},
        {"host": "0.0.0.0", "access": {"admin_token": TOKEN}},
        {"host": "192.0.2.1", "access": {"viewer_token": TOKEN}},
        {"host": "192.0.2.1", "access": {"caption_token": TOKEN}},
        {"host": "::", "access": {"open": True}},
        {"access": {"hosts": ["camera.example"], "admin_token": TOKEN}},
    ],
)
def test_a_local_protected_or_open_server_may_start(settings: dict[str, Any]) -> None:
    check_exposure(ServerSettings.model_validate(settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"host": "0.0.0.0"}, "can reach the server on 0.0.0.0"),
        ({"host": "192.0.2.1"}, "can reach the server on 192.0.2.1"),
        ({"host": "::"}, "can reach the server on ::"),
        ({"access": {"hosts": ["camera.example"]}}, "under the names in"),
    ],
)
def test_an_exposed_server_without_a_token_is_refused_with_advice(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as refused:
        check_exposure(ServerSettings.model_validate(settings))

    assert "openssl rand" in str(refused.value)
    assert "--open" in str(refused.value)


@pytest.mark.parametrize(
    ("host", "both", "addresses"),
    [
        ("0.0.0.0", True, ["127.0.0.1", "192.0.2.1"]),
        ("::", True, ["127.0.0.1", "192.0.2.1", "2001:db8::1"]),
        ("::", False, ["::1", "2001:db8::1"]),
        ("::1", True, ["::1"]),
        ("localhost", True, ["127.0.0.1"]),
    ],
)
def test_only_addresses_that_the_server_listens_on_are_announced(
    host: str, both: bool, addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = ["192.0.2.1", "2001:db8::1", "fe80::1%eth0"]
    monkeypatch.setattr(exposure, "host_addresses", lambda: machine)
    monkeypatch.setattr("socket.has_dualstack_ipv6", lambda: both)

    assert listen_addresses(ServerSettings(host=host)) == addresses


@pytest.mark.parametrize("role", ["admin", "viewer", "caption"])
def test_a_token_that_every_user_can_read_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, role: str
) -> None:
    config = tmp_path / "sightline.toml"
    config.touch()
    settings = ServerSettings.model_validate({"access": {f"{role}_token": "t" * 20}})
    for mode, warnings in ((0o600, 0), (0o644, 1)):
        config.chmod(mode)
        warn_if_world_readable(config, settings)
        assert caplog.text.count(f"run chmod 600 {config}") == warnings
