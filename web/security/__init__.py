"""Security of the HTTP interface: access control, origins, limits, and the TLS certificate."""

from web.security.access import (
    ACCESS,
    ANALYSIS_ROLE,
    ROLE,
    AccessControl,
    Role,
    TooManyFailures,
    access_middleware,
    admin_only,
    owner_of,
    public,
    too_many_failures_response,
)
from web.security.certificate import (
    Certificate,
    CertificateError,
    ServerTls,
    create_server_context,
    obtain_certificate,
)
from web.security.client_address import address_of, client_network, is_within
from web.security.connections import Connections
from web.security.exposure import (
    certificate_names,
    check_exposure,
    listen_addresses,
    listens_on_both,
    warn_if_world_readable,
)
from web.security.limits import (
    LIMITS,
    LimitExceeded,
    Limits,
    body_middleware,
    close_unread_connection,
    limit_exceeded_response,
    limits_middleware,
    quota_exceeded_response,
)
from web.security.origin import (
    ALLOWED_HOSTS,
    AllowedHosts,
    add_cross_origin_headers,
    embeddable,
    origin_middleware,
)
from web.security.public_url import public_url_of

__all__ = [
    "ACCESS",
    "ALLOWED_HOSTS",
    "ANALYSIS_ROLE",
    "LIMITS",
    "ROLE",
    "AccessControl",
    "AllowedHosts",
    "Certificate",
    "CertificateError",
    "Connections",
    "LimitExceeded",
    "Limits",
    "Role",
    "ServerTls",
    "TooManyFailures",
    "access_middleware",
    "add_cross_origin_headers",
    "address_of",
    "admin_only",
    "body_middleware",
    "certificate_names",
    "check_exposure",
    "client_network",
    "close_unread_connection",
    "create_server_context",
    "embeddable",
    "is_within",
    "limit_exceeded_response",
    "limits_middleware",
    "listen_addresses",
    "listens_on_both",
    "obtain_certificate",
    "origin_middleware",
    "owner_of",
    "public",
    "public_url_of",
    "quota_exceeded_response",
    "too_many_failures_response",
    "warn_if_world_readable",
]
