"""TLS certificates: self-signed and configured ones."""

import asyncio
import hashlib
import os
import shutil
import ssl
import stat
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, NoReturn

import pytest
from aiohttp import ClientSession, Fingerprint, ServerFingerprintMismatch
from cryptography import x509

from tests.support.servers.in_process_server import in_process_server
from web.security import certificate as module
from web.security.certificate import CertificateError, create_server_context, obtain_certificate
from web.service import reload
from web.settings.sections import HttpsSettings

NAMES = {"localhost", "127.0.0.1", "camera.example", "192.0.2.7"}


def read_certificate(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def test_a_self_signed_certificate_is_created_once_and_readable_by_the_user_only(
    tmp_path: Path,
) -> None:
    settings = HttpsSettings(on=True, folder=tmp_path / "state")
    made = obtain_certificate(settings, NAMES)
    again = obtain_certificate(settings, NAMES)

    assert made == again
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["https.pem"]
    found = read_certificate(made.certificate)
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(name.value) for name in names} == NAMES
    assert found.not_valid_after_utc - found.not_valid_before_utc <= timedelta(days=825)


def test_a_new_certificate_is_created_before_expiry_and_for_new_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = HttpsSettings(on=True, folder=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(module, "VALIDITY", timedelta(days=20))
        short = obtain_certificate(settings, NAMES)
    assert short.expires - datetime.now(UTC) < timedelta(days=20)

    lasting = obtain_certificate(settings, NAMES)
    assert lasting.fingerprint != short.fingerprint
    assert obtain_certificate(settings, NAMES | {"192.0.2.8"}) == lasting
    moved = obtain_certificate(settings, NAMES - {"192.0.2.7"} | {"198.51.100.1"})
    assert moved.fingerprint != lasting.fingerprint
    renamed = obtain_certificate(settings, NAMES | {"198.51.100.1", "door.example"})
    assert renamed.fingerprint != moved.fingerprint


def test_a_certificate_that_a_clock_far_ahead_has_dated_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class YearAhead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "YearAhead":
            return cls.fromtimestamp(datetime.now(tz).timestamp() + 365 * 86_400, tz)

    settings = HttpsSettings(on=True, folder=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(module, "datetime", YearAhead)
        ahead = obtain_certificate(settings, NAMES)
        assert obtain_certificate(settings, NAMES) == ahead

    now = obtain_certificate(settings, NAMES)
    assert read_certificate(now.certificate).not_valid_before_utc <= datetime.now(UTC)
    assert now.fingerprint != ahead.fingerprint


def test_a_broken_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "https.pem").write_text("nonsense")

    create_server_context(obtain_certificate(HttpsSettings(on=True, folder=tmp_path), NAMES))


def test_a_stored_certificate_without_its_key_is_replaced(tmp_path: Path) -> None:
    settings = HttpsSettings(on=True, folder=tmp_path)
    made = obtain_certificate(settings, NAMES)
    pem = made.certificate.read_text()
    made.certificate.write_text(pem[pem.index("-----BEGIN CERTIFICATE") :])

    create_server_context(obtain_certificate(settings, NAMES))


def test_a_user_without_a_home_folder_has_to_name_a_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HOME", "STATE_DIRECTORY", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", raise_key_error)

    with pytest.raises(CertificateError, match=r"no home folder .*; set folder in \[https\]"):
        obtain_certificate(HttpsSettings(on=True), NAMES)


def raise_key_error(_: int) -> NoReturn:
    raise KeyError("no such user")


def test_a_configured_certificate_is_used(tmp_path: Path) -> None:
    made = obtain_certificate(HttpsSettings(on=True, folder=tmp_path), NAMES)
    given = HttpsSettings(certificate=made.certificate, key=made.key)

    assert given.enabled
    assert obtain_certificate(given, {"other.example"}).fingerprint == made.fingerprint


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"certificate": "{folder}/none", "key": "{folder}/none"},
            "cannot read .*none",
        ),
        (
            {"certificate": "{folder}/a/https.pem", "key": "{folder}/b/https.pem"},
            "cannot use .*a/https.pem with .*b/https.pem: the key does not belong",
        ),
        (
            {"certificate": "{folder}/a/https.pem", "key": "{folder}/none"},
            r"\[https\] key: there is no such file; write the path",
        ),
        (
            {"certificate": "{folder}/a/https.pem", "key": "{folder}"},
            "cannot be read: it is a folder",
        ),
        ({"certificate": "{folder}/pipe", "key": "{folder}/a/https.pem"}, "pipe: it is a pipe"),
        ({"certificate": "{folder}/a/https.pem", "key": "{folder}/pipe"}, "it is a pipe"),
        (
            {"certificate": "{folder}/a/https.pem", "key": "{folder}/empty"},
            r"they are damaged or not PEM \(no PEM data\)",
        ),
        ({"on": True, "folder": "{folder}/a/https.pem"}, r"folder in \[https\]"),
    ],
)
def test_an_unusable_certificate_is_named(
    tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    for name in ("a", "b"):
        obtain_certificate(HttpsSettings(on=True, folder=tmp_path / name), NAMES)
    settings = HttpsSettings.model_validate(
        {
            key: value.format(folder=tmp_path) if isinstance(value, str) else value
            for key, value in wrong.items()
        }
    )

    with pytest.raises(CertificateError, match=message):
        create_server_context(obtain_certificate(settings, NAMES))


async def test_the_printed_fingerprint_is_the_certificates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"[https]\non = true\nfolder = '{tmp_path}'\n"
    async with in_process_server(tmp_path, text, tls=True) as server:
        output = capsys.readouterr().out
        url = f"https://127.0.0.1:{server.port}"
        assert url in output
        printed = output.partition("fingerprint: ")[2].splitlines()[0]
        own = Fingerprint(bytes.fromhex(printed.replace(":", "")))
        other = Fingerprint(hashlib.sha256(b"another").digest())

        async with ClientSession() as client:
            async with client.get(f"{url}/healthz", ssl=own) as response:
                assert response.status == 200
                assert "Strict-Transport-Security" not in response.headers
            with pytest.raises(ServerFingerprintMismatch):
                await client.get(f"{url}/healthz", ssl=other)

        trusting = ssl.create_default_context(cafile=str(tmp_path / "https.pem"))
        trusting.verify_flags |= ssl.VERIFY_X509_STRICT
        for name in ("localhost", "127.0.0.1"):
            _, writer = await asyncio.open_connection(
                "127.0.0.1", server.port, ssl=trusting, server_hostname=name
            )
            writer.close()


async def test_the_cookie_is_restricted_to_https(tmp_path: Path) -> None:
    text = f"[https]\non = true\nfolder = '{tmp_path}'\n[access]\nadmin_token = '{'a' * 20}'\n"
    async with in_process_server(tmp_path, text, tls=True) as server, ClientSession() as client:
        url, own = f"https://127.0.0.1:{server.port}", _fingerprint(tmp_path)
        async with client.post(f"{url}/login", json={"token": "a" * 20}, ssl=own) as response:
            (cookie,) = response.cookies.values()
            assert cookie.key.startswith("__Host-sightline-")
            assert cookie["secure"]
            assert cookie["path"] == "/"


async def test_a_configured_certificate_is_renewed_without_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "given"
    obtain_certificate(HttpsSettings(on=True, folder=folder), NAMES)
    given = f"certificate = '{folder}/https.pem'\nkey = '{folder}/https.pem'"
    async with in_process_server(tmp_path, f"[https]\n{given}\n", tls=True) as server:
        before = await _peer_certificate(server.port)
        async with ClientSession() as client:
            url = f"https://127.0.0.1:{server.port}/healthz"
            async with client.get(url, ssl=_fingerprint(folder)) as response:
                assert response.headers["Strict-Transport-Security"].startswith("max-age=")
        (folder / "https.pem").unlink()
        obtain_certificate(HttpsSettings(on=True, folder=folder), NAMES)
        server.reload(f"[https]\n{given}\n")
        async with asyncio.timeout(5):
            while await _peer_certificate(server.port) == before:
                await asyncio.sleep(0.02)


async def test_a_half_renewed_certificate_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "_RENEWAL_INTERVAL_S", 0.2)
    for name in ("old", "new"):
        obtain_certificate(HttpsSettings(on=True, folder=tmp_path / name), NAMES)
    given, key = tmp_path / "given.pem", tmp_path / "given.key"
    shutil.copy(tmp_path / "old" / "https.pem", given)
    shutil.copy(tmp_path / "old" / "https.pem", key)
    text = f"[https]\ncertificate = '{given}'\nkey = '{key}'\n"
    async with in_process_server(tmp_path, text, tls=True) as server:
        before = await _peer_certificate(server.port)
        shutil.copy(tmp_path / "new" / "https.pem", given)
        server.reload(f"{text}[stream]\nsessions = 3\n")
        for failure in ("settings not reloaded", "the certificate was not renewed"):
            async with asyncio.timeout(10):
                while f"{failure}: cannot use {given} with {key}" not in caplog.text:
                    await asyncio.sleep(0.02)
            assert await _peer_certificate(server.port) == before

        shutil.copy(tmp_path / "new" / "https.pem", key)
        async with asyncio.timeout(10):
            while await _peer_certificate(server.port) == before:
                await asyncio.sleep(0.02)


async def test_the_renewal_uses_the_reloaded_settings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "_RENEWAL_INTERVAL_S", 0.2)
    for name in ("old", "new"):
        obtain_certificate(HttpsSettings(on=True, folder=tmp_path / name), NAMES)
    texts = [
        f"[https]\ncertificate = '{file}'\nkey = '{file}'\n"
        for file in (tmp_path / "old" / "https.pem", tmp_path / "new" / "https.pem")
    ]
    async with in_process_server(tmp_path, texts[0], tls=True) as server:
        before = await _peer_certificate(server.port)
        server.reload(texts[1])
        async with asyncio.timeout(10):
            while (after := await _peer_certificate(server.port)) == before:
                await asyncio.sleep(0.02)
        # A renewal with the old settings would fail.
        (tmp_path / "old" / "https.pem").unlink()
        await asyncio.sleep(0.5)
        assert await _peer_certificate(server.port) == after
        assert "not renewed" not in caplog.text


def _fingerprint(folder: Path) -> Fingerprint:
    digits = obtain_certificate(HttpsSettings(on=True, folder=folder), set()).fingerprint
    return Fingerprint(bytes.fromhex(digits.replace(":", "")))


async def _peer_certificate(port: int) -> bytes:
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=unverified)
    certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await asyncio.wait([asyncio.ensure_future(writer.wait_closed())])
    return certificate
