"""The certificate of https: one that the server makes itself, or one that it is given."""

import contextlib
import ipaddress
import os
import secrets
import ssl
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from stream.settings import is_address, is_loopback
from web.settings import HttpsSettings

VALID = timedelta(days=820)
"""More than 825 days makes Apple's systems refuse a certificate."""


_RENEWED_BEFORE = timedelta(days=30)


_CLOCKS_DIFFER = timedelta(days=1)


_FILE = "https.pem"


_COMMON_NAME = "Sightline"


class CertificateError(ValueError):
    """There is no certificate that can be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate, and the files that hold it and its key."""

    certificate: Path
    key: Path
    fingerprint: str
    """SHA-256 of the certificate, in pairs of hexadecimal digits, as browsers show it."""
    until: datetime

    def load(self, context: ssl.SSLContext) -> None:
        """Show it to who connects from now on.

        Raises:
            CertificateError: If the files cannot be read or do not belong together.
        """
        try:
            context.load_cert_chain(self.certificate, self.key, password=_no_passphrase)
        except (OSError, ValueError) as problem:
            told = f"{self.certificate} and {self.key} cannot be used: {problem}"
            raise CertificateError(told) from problem


def certificate_of(settings: HttpsSettings, names: Collection[str]) -> Certificate:
    """Take the certificate that was given, or the one made before, or make one; it blocks.

    Args:
        settings: Where certificates are.
        names: Host names and addresses that one made here has to be for.

    Raises:
        CertificateError: If the one given is none or has expired, or none can be kept.
    """
    if settings.certificate and settings.key:
        given = _read(settings.certificate.expanduser())
        key = settings.key.expanduser()
        if given.not_valid_after_utc <= datetime.now(UTC):
            raise CertificateError(f"{settings.certificate} has expired: give a new one")
        return _described(given, settings.certificate.expanduser(), key)
    file = settings.folder.expanduser() / _FILE
    with contextlib.suppress(CertificateError):
        kept = _read(file)
        if _lasts(kept) and _serves(kept, set(names)):
            return _described(kept, file, file)
    made, key_pem = _make(names)
    _keep(file, key_pem + made.public_bytes(serialization.Encoding.PEM))
    return _described(made, file, file)


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """Make what TLS connections are accepted with.

    Raises:
        CertificateError: If the certificate and its key cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    certificate.load(context)
    return context


def _make(names: Collection[str]) -> tuple[x509.Certificate, bytes]:
    """Make a key on P-256, and a certificate that it signs itself (RFC 5280)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _COMMON_NAME)])
    now = datetime.now(UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now - _CLOCKS_DIFFER + VALID)
        .add_extension(x509.SubjectAlternativeName(map(_general_name, sorted(names))), False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(usage, True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .add_extension(identifier, False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False
        )
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return certificate, pem


def _keep(file: Path, pem: bytes) -> None:
    """Write the key and its certificate as one file, whole or not at all, for the user only."""
    aside = file.with_name(f".{file.name}-{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(pem)
        aside.replace(file)
    except OSError as problem:
        with contextlib.suppress(OSError):
            aside.unlink()
        told = f"the certificate cannot be kept: {problem}; choose a folder in [https] folder"
        raise CertificateError(told) from problem


def _read(file: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError) as problem:
        raise CertificateError(f"{file} holds no certificate: {problem}") from problem


def _described(certificate: x509.Certificate, file: Path, key: Path) -> Certificate:
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
    return Certificate(file, key, fingerprint, certificate.not_valid_after_utc)


def _lasts(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_after_utc - datetime.now(UTC) > _RENEWED_BEFORE


def _names(certificate: x509.Certificate) -> set[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in found.value}


def _serves(certificate: x509.Certificate, names: set[str]) -> bool:
    """Whether it will do for these names: for all of them, and one of the addresses.

    A machine's addresses come and go; a certificate that was made anew each time would have to be
    compared anew each time.
    """
    known = _names(certificate)
    elsewhere = {name for name in names if is_address(name) and not is_loopback(name)}
    wanted = {name for name in names if not is_address(name)}
    return wanted <= known and (not elsewhere or bool(elsewhere & known))


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _no_passphrase() -> bytes:
    """Refuse a key with a passphrase, rather than ask for it on the terminal."""
    raise ValueError("the key has a passphrase")
