"""TODO."""

from web.service.log import log_to_stderr, secrets_in

__all__ = [
    "log_to_stderr",
    "secrets_in",
]
