"""The server process: start-up, signals, settings reload, systemd and logging.

`web.service.serving` is left out of the re-exports because it imports the whole application.
"""

from web.service.log import log_to_stderr, secrets_in

__all__ = [
    "log_to_stderr",
    "secrets_in",
]
