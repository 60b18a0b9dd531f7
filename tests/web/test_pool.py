"""A server whose captions come from a pool, and the command that deploys one."""

import asyncio
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiortc import RTCSessionDescription
from prometheus_client.parser import text_string_to_metric_families

from inference.pool import CaptionServer
from inference.pool.replica import ReplicaPorts
from stream.settings import StreamSettings
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.peer import Peer
from web.app import create_app
from web.pool import PoolError, app, deploy, pool_config
from web.settings import EngineSettings, ServerSettings

ROOT = Path(__file__).parents[2]


def engine(**values: object) -> ServerSettings:
    return ServerSettings(engine=EngineSettings.model_validate(values))


def test_a_pool_for_other_machines_needs_a_secret() -> None:
    with pytest.raises(PoolError, match="has no secret") as refused:
        deploy(engine(host="0.0.0.0"), print)
    assert "openssl rand -hex 24 > pool.secret" in str(refused.value)
    assert "secret_file" in str(refused.value)


def test_the_application_of_a_rayservice_needs_a_secret(tmp_path: Path) -> None:
    config = tmp_path / "sightline.toml"
    config.write_text("[engine]\nreplicas = 2\n")
    with pytest.raises(PoolError, match="has no secret"):
        app({"config": str(config)})


def test_replicas_listen_where_the_settings_say() -> None:
    settings = engine(host="0.0.0.0", replica_ports="9000-9001")
    assert pool_config(settings).ports == ReplicaPorts("0.0.0.0", range(9000, 9002))
    assert pool_config(engine()).ports == ReplicaPorts("127.0.0.1", None)
    assert pool_config(engine(direct=False)).ports is None


def test_ray_is_imported_only_to_deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
import sys, server
from web.pool import app
print("ray" in sys.modules)
print(type(app({"config": sys.argv[1]})).__name__)
"""
    config = tmp_path / "sightline.toml"
    config.write_text('[engine]\nreplicas = 2\nsecret = "plugh-0123456789abc"\n')
    command = [sys.executable, "-c", script, str(config)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "Application"]

    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "inference.pool.cluster", raising=False)
    monkeypatch.delattr("inference.pool.cluster", raising=False)
    with pytest.raises(PoolError, match=r"pip install 'sightline\[ray\]'"):
        deploy(engine(), print)


def test_a_machine_without_a_cluster_is_told_how_to_start_one(tmp_path: Path) -> None:
    # Ray also looks for its processes, and another test may run a cluster.
    script = """
import functools, sys
from ray._private import services
services.find_gcs_addresses = functools.cache(set)
import server
sys.exit(server.main(["pool"]))
"""
    command = [sys.executable, "-c", script]
    # Where Ray looks for a cluster of this machine.
    environment = {"PATH": "/usr/bin:/bin", "RAY_TMPDIR": str(tmp_path)}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    assert result.returncode == 2
    assert result.stderr.startswith("sightline: there is no Ray cluster on this machine.")
    assert "ray start --head" in result.stderr


async def test_captions_and_metrics_name_the_replica(tmp_path: Path) -> None:
    socket = tmp_path / "captions"
    pool = CaptionServer(ScriptedCaptions(confident_caption("A cup")), replica="one")
    await pool.listen_unix(socket)
    settings = ServerSettings(
        stream=StreamSettings(interval_s=0.25),
        engine=EngineSettings.model_validate({"kind": "ray", "address": f"unix:{socket}"}),
    )
    async with TestClient(TestServer(create_app(settings))) as client:
        async with Peer(None) as peer:
            offer = {"sdp": (await peer.offer()).sdp, "type": "offer", "source": "demo"}
            answer = await (await client.post("/offer", json=offer)).json()
            await peer.accept(RTCSessionDescription(answer["sdp"], answer["type"]))
            await peer.until(lambda: peer.received("caption"))
            caption = peer.received("caption")[0]
        image = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
        said = await (await client.post("/api/caption", data=image)).json()
        explained = await (await client.post("/api/explain?index=1", data=image)).json()
        metrics = await (await client.get("/metrics")).text()
        await pool.close()
        async with asyncio.timeout(20):
            while (response := await client.get("/readyz")).status == 200:
                await asyncio.sleep(0.05)
        problem = (await response.json())["error"]["message"]

    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
    }
    assert caption["replica"] == said["replica"] == "one"
    assert said["said"] == "A cup" and explained["explanation"]["map"]["shape"] == [9, 9]
    assert samples["sightline_pool_wait_seconds_count", "one"] >= 1
    assert samples["sightline_pool_failures_total", "too_old"] == 0
    assert samples["sightline_pool_answers_total", "proxy"] >= 1
    assert samples["sightline_pool_answers_total", "direct"] == 0
    assert problem.startswith("No captioner of the pool answers: it cannot be reached")
