"""Tests of secrets that stand in files of their own."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from stream.settings import SecretInFile

SECRET = "correct horse"


class _Settings(BaseModel):
    secret_file: SecretInFile


def test_the_file_s_text_is_read_once_and_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(f"  {SECRET}\n", encoding="utf-8")

    settings = _Settings.model_validate({"secret_file": str(path)})
    path.unlink()

    assert settings.secret_file.get_secret_value() == SECRET
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff", "cannot be read"),
    ],
)
def test_a_file_that_holds_none_is_told(tmp_path: Path, content: bytes | None, told: str) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ValidationError, match=told):
        _Settings.model_validate({"secret_file": str(path)})


def test_what_is_no_path_is_told() -> None:
    with pytest.raises(ValidationError, match="give the path of a file"):
        _Settings.model_validate({"secret_file": 7})
