"""Whether the server may be started as it is set: nobody is let in by mistake."""

import logging
import stat
from pathlib import Path

from web.locks.names import is_exposed
from web.settings import ServerSettings, SettingsError

logger = logging.getLogger(__name__)


def warn_of_readers(config: Path, settings: ServerSettings) -> None:
    """Say so if other users of the machine can read a token that stands in the configuration."""
    access = settings.access
    others = config.stat().st_mode & stat.S_IROTH
    if others and (access.admin_token or access.viewer_token):
        logger.warning("every user of this machine can read the token in %s: chmod 600", config)


def check_exposure(settings: ServerSettings) -> None:
    """Refuse to be reached from elsewhere without a lock.

    Raises:
        SettingsError: If others could reach the server and nothing was said of who may.
    """
    access = settings.access
    if access.tokens or access.open or not is_exposed(settings):
        return
    place = "under the names in [access] hosts" if settings.access.hosts else f"on {settings.host}"
    raise SettingsError(
        f"{place} others can reach the server, and it has no token to ask for.\n"
        "Make one and start again:\n"
        "    umask 077; openssl rand -hex 24 > admin.token\n"
        "    SIGHTLINE_ACCESS__ADMIN_TOKEN_FILE=admin.token python server.py ...\n"
        "or write it into the configuration: admin_token_file, in the table [access].\n"
        "To let everyone in who can reach it, say so: --open"
    )
