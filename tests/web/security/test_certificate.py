"""https: the certificate that the server makes, keeps and renews, and the one that it is given."""

import asyncio
import hashlib
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, Fingerprint, ServerFingerprintMismatch
from cryptography import x509

from tests.web.served import served
from web.security import certificate as module
from web.security.certificate import CertificateError, certificate_of, server_context
from web.settings.sections import HttpsSettings

NAMES = {"localhost", "127.0.0.1", "camera.example", "192.0.2.7"}


def shown(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def test_it_is_made_once_for_the_user_alone(tmp_path: Path) -> None:
    settings = HttpsSettings(on=True, folder=tmp_path / "state")
    made = certificate_of(settings, NAMES)
    again = certificate_of(settings, NAMES)

    assert made == again
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["https.pem"]
    found = shown(made.certificate)
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(name.value) for name in names} == NAMES
    assert found.not_valid_after_utc - found.not_valid_before_utc <= timedelta(days=825)


def test_it_is_made_anew_before_its_end_and_for_new_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = HttpsSettings(on=True, folder=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(module, "VALID", timedelta(days=20))
        short = certificate_of(settings, NAMES)
    assert short.until - datetime.now(UTC) < timedelta(days=20)

    lasting = certificate_of(settings, NAMES)
    assert lasting.fingerprint != short.fingerprint
    assert certificate_of(settings, NAMES | {"192.0.2.8"}) == lasting
    moved = certificate_of(settings, NAMES - {"192.0.2.7"} | {"198.51.100.1"})
    assert moved.fingerprint != lasting.fingerprint
    renamed = certificate_of(settings, NAMES | {"198.51.100.1", "door.example"})
    assert renamed.fingerprint != moved.fingerprint


def test_a_file_that_is_broken_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "https.pem").write_text("nonsense")

    server_context(certificate_of(HttpsSettings(on=True, folder=tmp_path), NAMES))


def test_one_that_is_given_is_taken(tmp_path: Path) -> None:
    made = certificate_of(HttpsSettings(on=True, folder=tmp_path), NAMES)
    given = HttpsSettings(certificate=made.certificate, key=made.key)

    assert given.wanted
    assert certificate_of(given, {"other.example"}).fingerprint == made.fingerprint


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"certificate": "{here}/none", "key": "{here}/none"}, "none holds no certificate"),
        ({"certificate": "{here}/a/https.pem", "key": "{here}/b/https.pem"}, "cannot be used"),
        ({"certificate": "{here}/a/https.pem", "key": "{here}/none"}, "cannot be used"),
        ({"on": True, "folder": "{here}/a/https.pem"}, r"folder in \[https\]"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, wrong: dict[str, Any], told: str) -> None:
    for name in ("a", "b"):
        certificate_of(HttpsSettings(on=True, folder=tmp_path / name), NAMES)
    settings = HttpsSettings.model_validate(
        {
            key: value.format(here=tmp_path) if isinstance(value, str) else value
            for key, value in wrong.items()
        }
    )

    with pytest.raises(CertificateError, match=told):
        server_context(certificate_of(settings, NAMES))


async def test_who_compares_the_fingerprint_is_safe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"[https]\non = true\nfolder = '{tmp_path}'\n"
    async with served(tmp_path, text, tls=True) as here:
        said = capsys.readouterr().out
        url = f"https://127.0.0.1:{here.port}"
        assert url in said
        told = said.partition("fingerprint: ")[2].splitlines()[0]
        own = Fingerprint(bytes.fromhex(told.replace(":", "")))
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
                "127.0.0.1", here.port, ssl=trusting, server_hostname=name
            )
            writer.close()


async def test_the_cookie_goes_by_https_alone(tmp_path: Path) -> None:
    text = f"[https]\non = true\nfolder = '{tmp_path}'\n[access]\nadmin_token = '{'a' * 20}'\n"
    async with served(tmp_path, text, tls=True) as here, ClientSession() as client:
        url, own = f"https://127.0.0.1:{here.port}", _fingerprint(tmp_path)
        async with client.post(f"{url}/login", json={"token": "a" * 20}, ssl=own) as response:
            cookie = response.cookies["__Host-sightline"]
            assert cookie["secure"]
            assert cookie["path"] == "/"


async def test_one_that_is_given_is_renewed_without_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "given"
    certificate_of(HttpsSettings(on=True, folder=folder), NAMES)
    given = f"certificate = '{folder}/https.pem'\nkey = '{folder}/https.pem'"
    async with served(tmp_path, f"[https]\n{given}\n", tls=True) as here:
        before = await _seen(here.port)
        async with ClientSession() as client:
            url = f"https://127.0.0.1:{here.port}/healthz"
            async with client.get(url, ssl=_fingerprint(folder)) as response:
                assert response.headers["Strict-Transport-Security"].startswith("max-age=")
        (folder / "https.pem").unlink()
        certificate_of(HttpsSettings(on=True, folder=folder), NAMES)
        here.reload(f"[https]\n{given}\n")
        async with asyncio.timeout(5):
            while await _seen(here.port) == before:
                await asyncio.sleep(0.02)


def _fingerprint(folder: Path) -> Fingerprint:
    told = certificate_of(HttpsSettings(on=True, folder=folder), set()).fingerprint
    return Fingerprint(bytes.fromhex(told.replace(":", "")))


async def _seen(port: int) -> bytes:
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=unchecked)
    certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await asyncio.wait([asyncio.ensure_future(writer.wait_closed())])
    return certificate
