"""Tests of the validators that several groups of settings share."""

import os
import threading
import time
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError

from stream.settings import SecretInFile, UserPath, is_ip_address, is_loopback, read_text_file

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
        (None, "there is no such file; write the path of a file that contains the secret"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xef\xbb\xbf\r\n", "is empty"),
        (b"\xff", "cannot be read: it is not UTF-8 text"),
        (SECRET.encode("utf-16"), "it is UTF-16 or binary; save it as UTF-8"),
        (SECRET.encode("utf-16-le"), "it is UTF-16 or binary; save it as UTF-8"),
        (b"a" * 1_000_001, "it is larger than 1 MB"),
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


@pytest.mark.parametrize("path", ["/dev/zero", "/proc/self/mem"])
def test_a_file_without_an_end_is_an_error(path: str) -> None:
    with pytest.raises(ValidationError, match=r"cannot be read|is empty"):
        _Settings.model_validate({"secret_file": path})


@pytest.mark.parametrize("path", [SECRET, f"~{SECRET}/x", f"{SECRET}\0", SECRET * 1000])
def test_a_secret_in_place_of_its_path_is_not_repeated(path: str) -> None:
    with pytest.raises(ValidationError) as refused:
        _Settings.model_validate({"secret_file": path})

    (error,) = refused.value.errors(include_input=False)
    assert "there is no such file; write the path of a file" in error["msg"]
    assert SECRET not in error["msg"]


def test_text_files_may_have_a_byte_order_mark_and_windows_line_endings(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"\xef\xbb\xbf" + SECRET.encode() + b"\r\n")

    assert _Settings.model_validate({"secret_file": path}).secret_file == SecretStr(SECRET)


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    """As the shell's `<(command)`, whose command may take a while."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)

    def write() -> None:
        for part in SECRET.split(" "):
            time.sleep(0.05)
            os.write(writer, f" {part}".encode())
        os.close(writer)

    writing = threading.Thread(target=write)
    writing.start()
    assert read_text_file(pipe) == f" {SECRET}"
    writing.join()


def test_a_path_may_begin_with_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    adapter = TypeAdapter(UserPath)

    assert adapter.validate_python("~/x") == Path("/home/anna/x")
    with pytest.raises(ValidationError, match="home folder of ~nosuchuser is unknown"):
        adapter.validate_python("~nosuchuser/x")
    for content in ("-----BEGIN PRIVATE KEY-----\nAAAA", "a\0b"):
        with pytest.raises(ValidationError, match="must be the path of a file, not what"):
            adapter.validate_python(content)


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
