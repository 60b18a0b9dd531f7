"""Tests of the validators that several groups of settings share."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from stream.settings import SecretInFile, is_ip_address, is_loopback

SECRET = "correct horse"


class _Settings(BaseModel):
    secret_file: SecretInFile


def test_a_secret_file_is_read_once_and_its_text_is_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(f"  {SECRET}\n", encoding="utf-8")

    settings = _Settings.model_validate({"secret_file": str(path)})
    path.unlink()

    assert settings.secret_file.get_secret_value() == SECRET
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff", "cannot be read"),
    ],
)
def test_a_file_without_a_secret_is_an_error(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ValidationError, match=message):
        _Settings.model_validate({"secret_file": str(path)})


def test_a_secret_file_must_be_a_path() -> None:
    with pytest.raises(ValidationError, match="must be the path of a file"):
        _Settings.model_validate({"secret_file": 7})


@pytest.mark.parametrize(
    ("host", "loopback", "address"),
    [
        ("127.0.0.1", True, True),
        ("127.8.9.10", True, True),
        ("::1", True, True),
        ("localhost", True, False),
        ("camera.localhost", True, False),
        ("notlocalhost", False, False),
        ("localhost.example.org", False, False),
        ("0.0.0.0", False, True),
        ("192.0.2.7", False, True),
        ("2001:db8::1", False, True),
        ("example.org", False, False),
        ("", False, False),
    ],
)
def test_hosts_are_classified(host: str, loopback: bool, address: bool) -> None:
    assert is_loopback(host) == loopback
    assert is_ip_address(host) == address
