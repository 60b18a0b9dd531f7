"""STUN and TURN servers: settings, credentials and formats."""

import base64
import hashlib
import hmac
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from stream.ice.servers import IceSettings, ice_servers, ice_servers_to_json, ice_servers_to_links

STUN = "stun:stun.example.org"
TURN = "turn:turn.example.org:3478"
TURNS = ("turn:turn.example.org:3478?transport=tcp", "turns:turn.example.org")


def test_without_settings_there_are_no_servers() -> None:
    assert ice_servers(IceSettings()) == []
    assert ice_servers_to_json([]) == []
    assert ice_servers_to_links([]) == []


def test_fixed_credentials_are_passed_on() -> None:
    settings = IceSettings(stun=(STUN,), turn=(TURN,), turn_username="me", turn_password='a"b')
    servers = ice_servers(settings)

    assert ice_servers_to_json(servers) == [
        {"urls": [STUN]},
        {"urls": [TURN], "username": "me", "credential": 'a"b'},
    ]
    # As in the example of RFC 9725, section 4.6.
    assert ice_servers_to_links(servers) == [
        f'<{STUN}>; rel="ice-server"',
        f'<{TURN}>; rel="ice-server"; username="me"; credential="a\\"b"; '
        'credential-type="password"',
    ]


def test_a_shared_secret_gives_temporary_credentials() -> None:
    settings = IceSettings(turn=(TURN,), turn_secret="north", turn_credential_s=600)
    (server,) = ice_servers_to_json(ice_servers(settings))

    expiry, _, user = server["username"].partition(":")
    assert 590 < int(expiry) - time.time() <= 600
    assert user
    expected = hmac.new(b"north", server["username"].encode(), hashlib.sha1).digest()
    assert server["credential"] == base64.b64encode(expected).decode()


def test_a_user_name_cannot_inject_headers() -> None:
    settings = IceSettings(turn=(TURN,), turn_username="me\r\nSet-Cookie: a", turn_password="p")

    assert not any(
        "\n" in link or "\r" in link for link in ice_servers_to_links(ice_servers(settings))
    )


def error_of(**settings: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        IceSettings(**settings)
    return str(caught.value.errors()[0]["msg"])


def test_by_default_no_server_is_used() -> None:
    settings = IceSettings()

    assert (settings.stun, settings.turn, settings.port_range) == ((), (), None)


def test_servers_credentials_and_ports_can_be_set() -> None:
    settings = IceSettings(
        stun=("stun:stun.example.org",), turn=TURNS, turn_secret="s3cret", ports="50000-50099"
    )

    assert settings.secret == "s3cret"
    assert settings.port_range == range(50_000, 50_100)
    assert "s3cret" not in repr(settings)


def test_secrets_are_read_from_files(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cret\n")

    assert IceSettings(turn=TURNS, turn_secret_file=file).secret == "s3cret"
    settings = IceSettings(turn=TURNS, turn_username="me", turn_password_file=str(file))
    assert (settings.turn_username, settings.password) == ("me", "s3cret")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stun": ["stun.example.org"]}, "stun:HOST"),
        ({"stun": ["stun:a?transport=udp"]}, "stun:HOST"),
        ({"turn": ["https://turn.example.org"], "turn_secret": "s"}, "turn:HOST:PORT"),
        ({"stun": ["stun:a:70000"]}, "stun:HOST"),
        ({"turn": ["turn:a b"], "turn_secret": "s"}, "turn:HOST:PORT"),
        ({"turn": TURNS}, "requires turn_secret"),
        ({"turn": TURNS, "turn_username": "me"}, "requires turn_password"),
        ({"turn": TURNS, "turn_password": "p"}, "requires turn_password"),
        ({"turn_secret": "s", "turn_username": "me", "turn_password": "p"}, "not both"),
        ({"turn_secret": "s", "turn_secret_file": __file__}, "not both"),
        ({"turn_secret_file": "/nowhere/at/all"}, "there is no such file"),
        ({"ports": "50000"}, "FIRST-LAST"),
        ({"ports": "50100-50000"}, "FIRST-LAST"),
        ({"ports": "80-90"}, "1024-65535"),
        ({"ports": "50000-70000"}, "1024-65535"),
        ({"ports": 50_000}, "FIRST-LAST"),
    ],
)
def test_an_invalid_setting_is_refused_with_a_reason(
    settings: dict[str, Any], message: str
) -> None:
    assert message in error_of(**settings)


def test_an_empty_secret_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.touch()

    assert "is empty" in error_of(turn_secret_file=file)
