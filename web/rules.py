"""The rules of the application: where they and their states are kept, and the sinks of firings."""

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from models.catalogue import state_folder
from stream.history import Firing
from stream.rules import RuleBook, RuleFile, RuleFileError, RuleWatcher, StateFile, States
from web.keys import APPRISE, CLUSTER, HISTORY, MQTT, PUBLICATIONS, RULE_WATCHER, RULES, WEBHOOK
from web.settings import ServerSettings, SettingsError

if TYPE_CHECKING:
    from stream.cluster.connection import DatabaseConnection

_RETRY_S = 1.0
_LOAD = "SELECT cursors FROM cluster_sinks WHERE name = 'rules'"
_STORE = """
INSERT INTO cluster_sinks AS sink (name, token, cursors) VALUES ('rules', %s, %s::jsonb)
ON CONFLICT (name) DO UPDATE SET token = excluded.token, cursors = excluded.cursors
WHERE sink.token <= excluded.token
"""

Work = Callable[[], Awaitable[None]]

logger = logging.getLogger(__name__)


def install_rules(app: web.Application, settings: ServerSettings) -> None:
    """Add the rules to an application; its history, if any, records their firings."""
    history = app.get(HISTORY)
    watcher = RuleWatcher(app[PUBLICATIONS], history.record_firing if history else None)
    app[RULE_WATCHER] = watcher
    read_only = ""
    if settings.cluster.database_url:
        read_only = "the servers of a cluster share no file; edit their configuration files"
    file = RuleFile(settings.rules_file) if settings.rules_file else None
    app[RULES] = RuleBook(settings.rules, file, watcher.configure, read_only)
    app.cleanup_ctx.append(_load_rules)


def state_file(settings: ServerSettings) -> StateFile:
    """Return the file of the rules' states: beside the history, or in the state folder."""
    if path := settings.history.path:
        return StateFile(path.with_name(f"{path.name}.rules.json"))
    # Servers of one user have different rules.
    key = hashlib.sha256(str(settings.rules_file and settings.rules_file.absolute()).encode())
    name = f"states-{key.hexdigest()[:12]}.json"
    return StateFile(Path(state_folder()).expanduser() / "rules" / name)


def sink_works(app: web.Application) -> dict[str, Work]:
    """Return what sends firings, and captions to MQTT, by name; each runs until cancelled."""
    publications, works = app[PUBLICATIONS], dict[str, Work]()
    if webhook := app.get(WEBHOOK):
        works["webhook for rules"] = lambda: webhook.run_firings(publications.rules)
        works["webhook for pictures"] = lambda: webhook.run_pictures(publications.pictures)
    if mqtt := app.get(MQTT):
        works["mqtt"] = lambda: mqtt.run(publications)
    if apprise := app.get(APPRISE):
        works["apprise"] = lambda: apprise.run(publications.rules)
    return works


def share_firings(app: web.Application) -> Callable[[], None]:
    """Publish a firing that one server of a cluster finds on all; return how to end that."""
    cluster, reports = app[CLUSTER], app[PUBLICATIONS].rules
    received = set[int]()

    def on_firing(firing: Firing) -> None:
        if id(firing) not in received:
            cluster.notify({"kind": "rule", "server": cluster.id, "firing": firing.to_json()})

    def on_notice(notice: dict[str, Any]) -> None:
        match notice:
            case {"kind": "rule", "server": str(server), "firing": dict(values)} if (
                server != cluster.id
            ):
                with suppress(KeyError, TypeError):
                    firing = Firing.from_json(values)
                    received.add(id(firing))
                    reports.report(firing)
                    received.discard(id(firing))

    unsubscribe = reports.firings.subscribe(on_firing), cluster.notices.subscribe(on_notice)

    def end() -> None:
        for each in unsubscribe:
            each()

    return end


class ClusterStates:
    """Keeps the states of rules in the database, so that the next server goes on with them.

    A server whose lease has ended changes nothing.
    """

    def __init__(self, connection: "DatabaseConnection", token: int) -> None:
        """Use a connection, with the token of the lease."""
        self._connection, self._token = connection, token

    async def load(self) -> States:
        """Return the states, as soon as the database can be reached."""
        from stream.cluster.connection import DatabaseUnavailable

        while True:
            try:
                rows = await self._connection.fetch(_LOAD)
            except DatabaseUnavailable:
                await asyncio.sleep(_RETRY_S)
            else:
                states = rows[0][0] if rows else {}
                return states if isinstance(states, dict) else {}

    async def store(self, states: States) -> None:
        """Replace the states, unless the database cannot be reached; then the next ones are."""
        from stream.cluster.connection import DatabaseUnavailable

        with suppress(DatabaseUnavailable):
            await self._connection.fetch(_STORE, (self._token, json.dumps(states)))


async def _load_rules(app: web.Application) -> AsyncIterator[None]:
    """Load the rules; raises `SettingsError` on startup if the file of edited ones is damaged."""
    try:
        await app[RULES].load()
    except RuleFileError as error:
        raise SettingsError(str(error)) from None
    yield
