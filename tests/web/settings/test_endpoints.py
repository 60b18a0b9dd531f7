"""Settings of endpoints."""

import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from web.security import obtain_certificate
from web.service.log import secrets_in
from web.settings.endpoints import EndpointSettings
from web.settings.sections import HttpsSettings
from web.settings.server import ServerSettings, SettingsError, read_settings

KEY = "sk-plugh-0123456789"
LOCAL: dict[str, Any] = {"base_url": "http://127.0.0.1:11434/v1", "model": "llava"}


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    path.chmod(0o600)
    return path


def test_an_endpoint_has_defaults_and_is_chosen_by_the_captioner(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "sightline.toml"
    file.write_text(
        "captioner = 'endpoint:gpu'\n[endpoints.gpu]\nbase_url = 'http://localhost:11434/v1/'\n"
        f"model = 'llava'\nkey_file = '{key_file}'\n"
    )
    monkeypatch.setenv("SIGHTLINE_ENDPOINTS__GPU__MODEL", "qwen")
    settings = read_settings(file, {})
    endpoint = settings.endpoint

    assert endpoint
    assert (endpoint.name, endpoint.model) == ("gpu", "qwen")
    assert endpoint.base_url == "http://localhost:11434/v1"
    assert (endpoint.timeout_s, endpoint.max_tokens) == (30, 100)
    assert (endpoint.requests, endpoint.regions) == (4, 4)
    assert endpoint.key == KEY
    assert "one short sentence" in endpoint.prompt
    assert read_settings(file, {"captioner": "shipped"}).endpoint is None


def test_neither_key_nor_url_is_disclosed(key_file: Path) -> None:
    gpu = {**LOCAL, "key_file": str(key_file)}
    other = {**LOCAL, "base_url": "https://guard:swordfish@gpu.example/v1"}
    settings = ServerSettings.model_validate({"endpoints": {"gpu": gpu, "other": other}})

    assert secrets_in(settings) == {KEY}
    for secret in (KEY, "swordfish"):
        assert secret not in repr(settings) + str(settings)
        assert secret not in repr([each.endpoint("x") for each in settings.endpoints.values()])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"line 1: setting 'captioner': there is no \[endpoints.gpu\].*endpoints: none"),
        ("[endpoints.cpu]\nbase_url = 'http://[::1]/v1'\nmodel = 'm'", "endpoints: cpu"),
        ("[endpoints.gpu]\nmodel = 'm'", "'endpoints.gpu.base_url': Field required"),
        ("[endpoints.gpu]\nbase_url = 'localhost:80/v1'", "line 3: .*'endpoints.gpu.base_url'"),
        ("[endpoints.GPU]\nmodel = 'm'", "'GPU' is not a valid name"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "sightline.toml"
    file.write_text(f"captioner = 'endpoint:gpu'\n{text}\n")

    with pytest.raises(SettingsError, match=message):
        read_settings(file, {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base_url": "ftp://guard:swordfish@gpu.example/v1"}, "must begin with http"),
        ({"base_url": "http://127.0.0.1:swordfish/v1"}, "must begin with http"),
        ({"base_url": "http:///swordfish"}, "must begin with http"),
        ({"base_url": "https://gpu.example/v1?key=swordfish"}, "without . and #"),
        ({"base_url": "https://gpu.example/v1/chat/completions"}, "before /chat/completions"),
        ({"base_url": "http://gpu.example/v1"}, "unencrypted; use https, or set insecure"),
        ({"base_url": "http://guard@127.0.0.1/v1", "key_file": "KEY"}, "not both"),
        ({"key_file": "/nowhere/swordfish"}, "there is no such file"),
        ({"key_file": "swordfish"}, "there is no such file"),
        ({"key_file": "TWO"}, "no valid key"),
        ({"model": ""}, "at least 1 character"),
        ({"timeout_s": 0}, "greater than 0"),
        ({"regions": 9}, "less than or equal to 8"),
        ({"viewer_requests_per_hour": -1}, "greater than or equal to 0"),
        (
            {"viewer_requests_per_hour": 64, "regions": 8},
            "allows no explanation, which takes 65 requests; raise it, or set 0",
        ),
    ],
)
def test_invalid_settings_are_refused_without_their_secrets(
    key_file: Path, changes: dict[str, Any], message: str
) -> None:
    two = key_file.with_name("two")
    two.write_text("swordfish\nplugh\n")
    two.chmod(0o600)
    files = {"KEY": str(key_file), "TWO": str(two)}
    values = {name: files.get(str(value), value) for name, value in changes.items()}

    with pytest.raises(ValidationError, match=message) as caught:
        EndpointSettings.model_validate({**LOCAL, **values})
    assert "swordfish" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "ca.pem cannot be read: no such file or directory"),
        ("", "ca.pem contains no certificate in PEM format"),
        ("a note in Gr\u00fcn", "ca.pem contains no certificate in PEM format"),
        (
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
            "certificate that is damaged",
        ),
        ("\0", "ca.pem cannot be read: it is UTF-16 or binary"),
    ],
)
def test_a_file_without_certificates_is_refused(
    tmp_path: Path, content: str | None, message: str
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)

    with pytest.raises(ValidationError, match=message):
        EndpointSettings.model_validate(
            {"base_url": "https://gpu.example/v1", "model": "llava", "tls_ca": str(file)}
        )


def test_the_certificates_of_a_file_are_read_and_need_https(tmp_path: Path) -> None:
    made = obtain_certificate(HttpsSettings(on=True, folder=tmp_path), {"gpu.example"})
    file = tmp_path / "ca.pem"
    file.write_text(f"# Gr\u00fcn\n{made.certificate.read_text()}")
    remote = {**LOCAL, "base_url": "https://gpu.example/v1", "tls_ca": str(file)}

    read = EndpointSettings.model_validate(remote).endpoint("x").tls_ca
    assert read and read in made.certificate.read_text()
    # The file has both.
    assert "PRIVATE KEY" not in read
    with pytest.raises(ValidationError, match="tls_ca is for a base_url that begins with https"):
        EndpointSettings.model_validate({**remote, "base_url": LOCAL["base_url"]})


@pytest.mark.parametrize(
    "url",
    [
        "https://gpu.example/v1",
        "http://127.0.0.2:8000/v1",
        "http://[::1]:8000/v1",
        "http://localhost",
    ],
)
def test_an_encrypted_or_local_url_is_accepted(url: str) -> None:
    assert EndpointSettings.model_validate({**LOCAL, "base_url": url}).endpoint("x").base_url == url


def test_insecure_allows_plain_http_to_another_machine() -> None:
    remote = {**LOCAL, "base_url": "http://gpu.example/v1", "insecure": True}

    assert EndpointSettings.model_validate(remote).endpoint("x").host == "gpu.example"


def test_a_key_that_every_user_can_read_is_reported(
    key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        EndpointSettings.model_validate({**LOCAL, "key_file": str(key_file)})
        assert not caplog.records
        key_file.chmod(0o644)
        EndpointSettings.model_validate({**LOCAL, "key_file": str(key_file)})

    assert f"every user of this machine can read the key in {key_file}" in caplog.text
    assert KEY not in caplog.text
