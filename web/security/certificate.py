"""TLS certificates: a self-signed one that the server creates and renews, or a configured one."""

import contextlib
import ipaddress
import logging
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

from stream.settings import (
    UnreadableFile,
    find_secret_file,
    is_ip_address,
    is_loopback,
    read_text_file,
)
from web.settings import HttpsSettings

VALIDITY = timedelta(days=820)
"""Apple's systems reject certificates that are valid for more than 825 days."""

_RENEW_BEFORE = timedelta(days=30)
_CLOCK_SKEW = timedelta(days=1)
_FILE = "https.pem"
_COMMON_NAME = "Sightline"
_MISMATCH = "the key does not belong to the certificate; replace both"
_TLS_ERRORS = {
    "KEY_TYPE_MISMATCH": _MISMATCH,
    "KEY_VALUES_MISMATCH": _MISMATCH,
}

logger = logging.getLogger(__name__)


class CertificateError(ValueError):
    """A certificate cannot be read, used or stored; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate: its files, fingerprint and expiry."""

    certificate: Path
    key: Path
    fingerprint: str
    """SHA-256 in pairs of hexadecimal digits, as browsers show it."""
    expires: datetime


class ServerTls:
    """TLS of the server, whose certificate can be replaced while it serves."""

    def __init__(self, certificate: Certificate) -> None:
        """Start with a certificate.

        Raises:
            CertificateError: If the certificate and its key cannot be used.
        """
        self._fingerprint = certificate.fingerprint
        self.context = self._current = create_server_context(certificate)
        """The context to listen with."""
        # OpenSSL calls it in every handshake, also if the client names no server.
        self.context.sni_callback = self._select

    def replace(self, certificate: Certificate, context: ssl.SSLContext) -> None:
        """Use another certificate, and the context made from it, for new connections."""
        self._current = context
        if certificate.fingerprint != self._fingerprint:
            logger.warning("new certificate: SHA-256 fingerprint %s", certificate.fingerprint)
            self._fingerprint = certificate.fingerprint

    def _select(self, connection: ssl.SSLObject, _name: str | None, _: ssl.SSLContext) -> None:
        connection.context = self._current


def obtain_certificate(settings: HttpsSettings, names: Collection[str]) -> Certificate:
    """Return the configured certificate, or the stored self-signed one, or create one; blocks.

    Args:
        settings: The paths of certificates.
        names: Host names and addresses that a self-signed certificate must cover.

    Raises:
        CertificateError: If the configured one is invalid or expired, or a new one cannot be
            stored.
    """
    if settings.certificate and settings.key:
        configured = _read(settings.certificate)
        if configured.not_valid_after_utc <= datetime.now(UTC):
            raise CertificateError(
                f"{settings.certificate} has expired; replace it, or set the clock if it is wrong"
            )
        return _with_files(configured, settings.certificate, settings.key)
    file = _stored_file(settings.folder)
    with contextlib.suppress(CertificateError):
        stored = _read(file)
        if _is_current(stored) and _covers(stored, set(names)):
            certificate = _with_files(stored, file, file)
            create_server_context(certificate)
            return certificate
    created, key_pem = _create(names)
    _store(file, key_pem + created.public_bytes(serialization.Encoding.PEM))
    return _with_files(created, file, file)


def create_server_context(certificate: Certificate) -> ssl.SSLContext:
    """Create the TLS context of the server: TLS 1.2 or newer, HTTP/1.1.

    Raises:
        CertificateError: If the files cannot be read or the key does not match.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        key = find_secret_file(certificate.key, "the private key")
        # OpenSSL waits for ever at a pipe, and its errors do not say which file cannot be read.
        read_text_file(key)
    except UnreadableFile as error:
        raise CertificateError(f"the private key {key} cannot be read: {error}") from None
    except ValueError as error:
        raise CertificateError(f"[https] key: {error}") from None
    file = certificate.certificate
    try:
        context.load_cert_chain(file, key, password=_reject_passphrase)
    except (OSError, ValueError) as error:
        reason = str(error)
        if isinstance(error, ssl.SSLError):
            # None of an empty file.
            code = error.reason or "no PEM data"
            reason = _TLS_ERRORS.get(code, f"they are damaged or not PEM ({code})")
        raise CertificateError(f"cannot use {file} with {key}: {reason}") from None
    return context


def _create(names: Collection[str]) -> tuple[x509.Certificate, bytes]:
    """Create a P-256 key and a self-signed certificate (RFC 5280); return it and the key as PEM."""
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
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now - _CLOCK_SKEW + VALIDITY)
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


def _store(file: Path, pem: bytes) -> None:
    """Write key and certificate to one file, atomically and readable by the user only."""
    temporary = file.with_name(f".{file.name}-{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
        ) as out:
            out.write(pem)
        temporary.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        message = f"cannot store the certificate in {file.parent}: {error.strerror or error}; "
        message += "set folder in [https] to another folder"
        raise CertificateError(message) from error


def _read(file: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(read_text_file(file).encode())
    except UnreadableFile as error:
        raise CertificateError(f"cannot read a certificate from {file}: {error}") from None
    except ValueError:
        message = f"{file} contains no certificate; write it there with its chain, as PEM"
        raise CertificateError(message) from None


def _stored_file(folder: Path) -> Path:
    """Return the file of the self-signed certificate; the default folder begins with `~`."""
    try:
        return folder.expanduser() / _FILE
    except RuntimeError:
        message = "this user has no home folder to store the certificate in"
        raise CertificateError(f"{message}; set folder in [https]") from None


def _with_files(certificate: x509.Certificate, file: Path, key: Path) -> Certificate:
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
    return Certificate(file, key, fingerprint, certificate.not_valid_after_utc)


def _is_current(certificate: x509.Certificate) -> bool:
    """Whether a certificate is valid for some time; not if it was created by a clock far ahead."""
    now = datetime.now(UTC)
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - _RENEW_BEFORE


def _names(certificate: x509.Certificate) -> set[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in found.value}


def _covers(certificate: x509.Certificate, names: set[str]) -> bool:
    """Whether a certificate covers all host names, and at least one non-loopback address.

    A machine's addresses change often. A new certificate for each change would have to be compared
    by its fingerprint again each time.
    """
    covered = _names(certificate)
    addresses = {name for name in names if is_ip_address(name) and not is_loopback(name)}
    host_names = {name for name in names if not is_ip_address(name)}
    return host_names <= covered and (not addresses or bool(addresses & covered))


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _reject_passphrase() -> bytes:
    """Fail instead of prompting for a passphrase on the terminal."""
    raise ValueError("the key has a passphrase")
