from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from stream.ice.servers import IceSettings

TURN = ("turn:turn.example.org:3478?transport=tcp", "turns:turn.example.org")


def refusal(**settings: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        IceSettings(**settings)
    return str(caught.value.errors()[0]["msg"])


def test_nothing_outside_is_asked_by_default() -> None:
    settings = IceSettings()

    assert (settings.stun, settings.turn, settings.port_range) == ((), (), None)


def test_takes_servers_credentials_and_ports() -> None:
    settings = IceSettings(
        stun=("stun:stun.example.org",), turn=TURN, turn_secret="s3cret", ports="50000-50099"
    )

    assert settings.secret == "s3cret"
    assert settings.port_range == range(50_000, 50_100)
    assert "s3cret" not in repr(settings)


def test_secrets_may_lie_in_files(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cret\n")

    assert IceSettings(turn=TURN, turn_secret_file=file).secret == "s3cret"
    settings = IceSettings(turn=TURN, turn_username="me", turn_password_file=str(file))
    assert (settings.turn_username, settings.password) == ("me", "s3cret")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"stun": ["stun.example.org"]}, "stun:HOST"),
        ({"stun": ["stun:a?transport=udp"]}, "stun:HOST"),
        ({"turn": ["https://turn.example.org"], "turn_secret": "s"}, "turn:HOST:PORT"),
        ({"stun": ["stun:a:70000"]}, "stun:HOST"),
        ({"turn": ["turn:a b"], "turn_secret": "s"}, "turn:HOST:PORT"),
        ({"turn": TURN}, "need turn_secret"),
        ({"turn": TURN, "turn_username": "me"}, "needs turn_password"),
        ({"turn": TURN, "turn_password": "p"}, "needs turn_password"),
        ({"turn_secret": "s", "turn_username": "me", "turn_password": "p"}, "not both"),
        ({"turn_secret": "s", "turn_secret_file": __file__}, "not both"),
        ({"turn_secret_file": "/nowhere/at/all"}, "cannot be read"),
        ({"ports": "50000"}, "FIRST-LAST"),
        ({"ports": "50100-50000"}, "FIRST-LAST"),
        ({"ports": "80-90"}, "1024-65535"),
        ({"ports": "50000-70000"}, "1024-65535"),
        ({"ports": 50_000}, "FIRST-LAST"),
    ],
)
def test_says_what_a_setting_should_be(settings: dict[str, Any], told: str) -> None:
    assert told in refusal(**settings)


def test_an_empty_file_holds_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.touch()

    assert "is empty" in refusal(turn_secret_file=file)
