"""TODO."""

from web.security.access import (
    ACCESS,
    ANALYSES_NEED,
    ROLE,
    Access,
    Role,
    TooManyFailures,
    access_middleware,
    admin_only,
    public,
    too_many_failures,
)
from web.security.certificate import Certificate, CertificateError, certificate_of, server_context
from web.security.client_address import address_of, is_within, party
from web.security.exposure import addresses, certificate_names, check_exposure, warn_of_readers
from web.security.limits import (
    LIMITS,
    Connections,
    Limits,
    TooMuch,
    body_middleware,
    limits_middleware,
    too_much,
)
from web.security.origin import HOSTS, Hosts, cors_headers, origin_middleware

__all__ = [
    "ACCESS",
    "ANALYSES_NEED",
    "HOSTS",
    "LIMITS",
    "ROLE",
    "Access",
    "Certificate",
    "CertificateError",
    "Connections",
    "Hosts",
    "Limits",
    "Role",
    "TooManyFailures",
    "TooMuch",
    "access_middleware",
    "address_of",
    "addresses",
    "admin_only",
    "body_middleware",
    "certificate_names",
    "certificate_of",
    "check_exposure",
    "cors_headers",
    "is_within",
    "limits_middleware",
    "origin_middleware",
    "party",
    "public",
    "server_context",
    "too_many_failures",
    "too_much",
    "warn_of_readers",
]
