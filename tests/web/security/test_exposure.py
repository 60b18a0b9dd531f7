"""A server that others can reach is not started without a lock, but by who says so."""

from typing import Any

import pytest

from web.security.exposure import check_exposure
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
        {"host": "::", "access": {"open": True}},
        {"access": {"hosts": ["camera.example"], "admin_token": TOKEN}},
    ],
)
def test_what_is_locked_may_start(settings: dict[str, Any]) -> None:
    check_exposure(ServerSettings.model_validate(settings))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"host": "0.0.0.0"}, "on 0.0.0.0 others can reach"),
        ({"host": "192.0.2.1"}, "on 192.0.2.1 others can reach"),
        ({"host": "::"}, "on :: others can reach"),
        ({"access": {"hosts": ["camera.example"]}}, "under the names in"),
    ],
)
def test_what_is_not_may_not_and_it_is_told_what_to_do(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match=told) as refused:
        check_exposure(ServerSettings.model_validate(settings))

    assert "openssl rand" in str(refused.value)
    assert "--open" in str(refused.value)
