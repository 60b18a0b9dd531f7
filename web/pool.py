"""The captioner pool of the settings: `python server.py pool`, and the application for KubeRay.

A `RayService` of KubeRay, or `serve run`, imports `web.pool:app` and passes `config`, the path of
the settings file on its machines.
"""

import argparse
import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.engine import EngineUnavailable
from stream.settings import is_loopback
from web.background import create_captioner
from web.settings import ServerSettings, read_settings

if TYPE_CHECKING:
    from ray.serve import Application

    from inference.pool.deployment import PoolConfig

_ANSWER_TIMEOUT_S = 15.0


class PoolError(RuntimeError):
    """The pool cannot be deployed; the message says why and what to do."""


def add_parser(commands: Any) -> None:
    """Add the command.

    Args:
        commands: What `argparse.ArgumentParser.add_subparsers` returned.
    """
    about = "deploy a captioner pool on a Ray cluster"
    parser = commands.add_parser("pool", help=about, description=about.capitalize())
    # Also here, as all settings of the command come from it.
    parser.add_argument(
        "--config", type=Path, metavar="FILE.toml", default=argparse.SUPPRESS, help="settings file"
    )


def app(arguments: dict[str, Any]) -> "Application":
    """Build the application of Ray Serve from the settings.

    Args:
        arguments: `config`, the path of the settings file; without it only the environment counts.

    Raises:
        SettingsError: If a setting is wrong.
        PoolError: If other machines could use the pool without a secret.
    """
    config = arguments.get("config")
    settings = read_settings(Path(config) if config else None, {})
    # The proxies of KubeRay are for other machines.
    if not settings.engine.pool_secret:
        raise PoolError(_NO_SECRET.format(reason="the pool of a RayService has no secret"))
    # Imported here: nothing but a pool needs Ray.
    from inference.pool.deployment import application

    return application(pool_config(settings))


def deploy(settings: ServerSettings, report: Callable[[str], None]) -> None:
    """Deploy the pool on the Ray cluster of the settings, or update it, and check that it answers.

    Args:
        settings: With kind = "ray" or not: a machine may deploy a pool without using it.
        report: Called with what happens, a line at a time.

    Raises:
        PoolError: If it cannot be deployed, or does not answer.
    """
    engine = settings.engine
    if not is_loopback(engine.host) and not engine.pool_secret:
        reason = f"other machines can use the pool on {engine.host}, and it has no secret"
        raise PoolError(_NO_SECRET.format(reason=reason))
    try:
        from inference.pool import cluster
    except ImportError:
        raise PoolError("Ray is not installed; run: pip install 'sightline[ray]'") from None
    try:
        cluster.connect(engine.cluster)
        cluster.deploy(pool_config(settings), engine.host, engine.port, report)
    except cluster.DeployError as problem:
        raise PoolError(str(problem)) from None
    asyncio.run(_check(settings, report))


_NO_SECRET = (
    "{reason}.\n"
    "Create one, and copy it to all servers:\n"
    "    umask 077; openssl rand -hex 24 > pool.secret\n"
    'Then set secret_file = "pool.secret" in the table [engine] of the configuration file'
)


def pool_config(settings: ServerSettings) -> "PoolConfig":
    """Return the pool that the settings describe; needs Ray."""
    from inference.pool.deployment import PoolConfig
    from inference.pool.replica import ReplicaPorts

    engine, captioner = settings.engine, settings.captioner_config
    if captioner.reference.kind == "folder":
        # Replicas run in other folders than this process.
        folder = str(Path(captioner.reference.value).expanduser().absolute())
        captioner = replace(captioner, reference=replace(captioner.reference, value=folder))
    return PoolConfig(
        captioner=captioner,
        secret=engine.pool_secret,
        min_replicas=engine.replicas.min,
        max_replicas=engine.replicas.max,
        gpus=engine.gpus,
        cpus=engine.cpus,
        ports=ReplicaPorts(engine.host, engine.replica_port_range) if engine.direct else None,
    )


async def _check(settings: ServerSettings, report: Callable[[str], None]) -> None:
    """Ask the pool for its captioner, as a server does."""
    engine = settings.engine.model_copy(update={"kind": "ray"})
    pool = create_captioner(settings.model_copy(update={"engine": engine}))
    pool.start()
    try:
        async with asyncio.timeout(_ANSWER_TIMEOUT_S):
            await pool.wait_loaded()
    except (TimeoutError, EngineUnavailable):
        where = ", ".join(engine.address)
        raise PoolError(
            f"the replicas run, but not at {where}: {pool.message} Set address in the table "
            "[engine] to where this machine reaches a proxy. If Serve ran before with another "
            "host or port, run: serve shutdown"
        ) from None
    finally:
        await pool.stop()
    assert pool.info
    report(f"captioner {pool.info.name} answers at {', '.join(engine.address)}")
