"""Deploys a captioner pool on a Ray cluster, and waits until it runs. Needs Ray."""

import time
from collections.abc import Callable

import ray
from ray import serve
from ray.serve.schema import ApplicationStatus

from inference.pool.codec import PATH
from inference.pool.deployment import APPLICATION, DEPLOYMENT, PoolConfig, application

_POLL_S = 0.25
_HINTS = {
    "ModuleNotFoundError": "install the same version of Sightline on all machines of the cluster, "
    "and start Ray there from the environment that it is installed in",
    "CaptionerError": "put the captioner on all machines of the cluster",
}
"""What to do about an error at a replica, by the name of the error."""
_MAX_REASON_LENGTH = 600


class DeployError(RuntimeError):
    """The pool does not run; the message says why and what to do."""


def connect(cluster: str) -> None:
    """Connect this process to a Ray cluster.

    Args:
        cluster: Its address, or `auto` for the one to which this machine belongs.

    Raises:
        DeployError: If there is none.
    """
    try:
        ray.init(address=cluster, log_to_driver=False, configure_logging=False)
    except ConnectionError:
        where = "on this machine" if cluster == "auto" else f"at {cluster}"
        raise DeployError(
            f"there is no Ray cluster {where}. Start one:\n"
            "    RAY_USAGE_STATS_ENABLED=0 ray start --head\n"
            "and add machines to it as that command prints"
        ) from None
    except (RuntimeError, ValueError) as problem:
        raise DeployError(f"the Ray cluster cannot be used: {_shorten(str(problem))}") from None


def deploy(config: PoolConfig, host: str, port: int, report: Callable[[str], None]) -> None:
    """Deploy a pool, or update the one that runs; returns when its replicas are ready.

    An update starts new replicas before old ones end.

    Args:
        config: The pool.
        host: Address that the proxies bind to, on each machine with a replica.
        port: Their port.
        report: Called with what happens, a line at a time.

    Raises:
        DeployError: If its replicas do not start.
    """
    serve.start(proxy_location="EveryNode", http_options={"host": host, "port": port})
    target = serve.RunTarget(application(config), APPLICATION, PATH)
    serve.run_many([target], wait_for_applications_running=False)
    reported = ""
    while True:
        status = serve.status().applications[APPLICATION]
        captioner = status.deployments.get(DEPLOYMENT)
        states = captioner.replica_states if captioner else {}
        message = captioner.message if captioner else ""
        if status.status is ApplicationStatus.RUNNING:
            ready = sum(count for state, count in states.items() if state == "RUNNING")
            report("1 replica is ready" if ready == 1 else f"{ready} replicas are ready")
            return
        if status.status in (ApplicationStatus.DEPLOY_FAILED, ApplicationStatus.UNHEALTHY):
            raise DeployError(f"the replicas do not start: {_explain(message or status.message)}")
        counts = ", ".join(f"{count} {state.lower()}" for state, count in states.items() if count)
        line = "; ".join(filter(None, (f"replicas: {counts}" if counts else "", message)))
        if line and line != reported:
            report(_shorten(line))
            reported = line
        time.sleep(_POLL_S)


def _explain(message: str) -> str:
    """Return the last line of a traceback, and what to do."""
    hint = next((hint for name, hint in _HINTS.items() if name in message), "")
    return "; ".join(filter(None, (_shorten(message), hint)))


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MAX_REASON_LENGTH else "… " + text[-_MAX_REASON_LENGTH:]
