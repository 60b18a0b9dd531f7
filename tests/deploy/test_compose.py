"""The Compose file: against the Compose Specification, and against Sightline itself."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from tests.deploy.manifests import (
    DEPLOY,
    ROOT,
    Manifest,
    read_manifests,
    secrets_in_readme,
    secrets_in_settings,
    settings_of,
)
from web.settings import ServerSettings

NAME = "captions.test"
SERVERS = ("server-a", "server-b")


@pytest.fixture(scope="module")
def compose() -> Manifest:
    (manifest,) = read_manifests("compose.yaml")
    return manifest


@pytest.fixture
def servers(
    compose: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, ServerSettings]:
    """The settings of each server."""
    toml = (DEPLOY / "sightline.toml").read_text(encoding="utf-8")
    settings = {}
    for name in SERVERS:
        environment = {
            key: re.sub(r"\$\{SIGHTLINE_NAME[^}]*\}", NAME, value)
            for key, value in compose["services"][name]["environment"].items()
        }
        settings[name] = settings_of(toml, environment, tmp_path, monkeypatch)
    return settings


def mounted(service: Manifest, kind: str) -> set[str]:
    return {each if isinstance(each, str) else each["source"] for each in service.get(kind, ())}


def test_it_follows_the_specification(compose: Manifest) -> None:
    # Dumped, as the parser does not know YAML's merge keys.
    parsed = PyCompose.from_yaml(yaml.safe_dump(compose))

    assert parsed.services
    assert set(parsed.services) == {*SERVERS, "balancer", "pool", "database"}


def test_a_misspelt_key_does_not(compose: Manifest) -> None:
    compose = {**compose, "services": {"pool": {"image": "sightline:pool", "red_only": True}}}

    with pytest.raises(ValueError, match="red_only"):
        PyCompose.from_yaml(yaml.safe_dump(compose))


def test_all_that_is_mounted_exists(compose: Manifest) -> None:
    services = compose["services"].values()
    created = secrets_in_readme()

    for kind in ("configs", "secrets"):
        assert set().union(*(mounted(each, kind) for each in services)) == set(compose[kind])
    for config in compose["configs"].values():
        assert (DEPLOY / config["file"]).is_file()
    for secret in compose["secrets"].values():
        assert secret["file"].removeprefix("./secrets/") in created
    volumes = {each.split(":")[0] for service in services for each in service.get("volumes", ())}
    assert volumes == set(compose["volumes"])
    assert {each for service in services for each in service.get("networks", ())} == set(
        compose["networks"]
    )


@pytest.mark.parametrize(
    ("services", "file"), [(SERVERS, "sightline.toml"), (("pool",), "pool.toml")]
)
def test_the_settings_find_their_secrets(
    compose: Manifest, services: tuple[str, ...], file: str
) -> None:
    needed = secrets_in_settings((DEPLOY / file).read_text(encoding="utf-8"))

    assert needed
    for name in services:
        assert needed <= mounted(compose["services"][name], "secrets")
        assert f"/etc/sightline/{file}" in str(compose["services"][name]["command"])


def test_the_servers_share_a_machine(servers: dict[str, ServerSettings]) -> None:
    ranges = [map(int, (settings.ice.ports or "").split("-")) for settings in servers.values()]
    media = [port for first, last in ranges for port in range(first, last + 1)]
    documented = re.search(r"443/tcp and (\d+)-(\d+)/udp", (DEPLOY / "compose.yaml").read_text())

    assert len({settings.port for settings in servers.values()}) == len(servers)
    assert len(media) == len(set(media))
    assert documented
    assert (min(media), max(media)) == (int(documented[1]), int(documented[2]))
    assert {settings.cluster.database_url for settings in servers.values()} == {
        "postgresql://sightline:secret@database/sightline"
    }


def test_the_load_balancer_leads_to_each_server(servers: dict[str, ServerSettings]) -> None:
    nginx = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    upstream = re.search(r"upstream servers \{(.*?)\}", nginx, re.DOTALL)
    assert upstream

    balanced = set(re.findall(r"server 127\.0\.0\.1:(\d+)", upstream[1]))
    assert balanced == {str(settings.port) for settings in servers.values()}
    for settings in servers.values():
        path = settings.cluster.url.removeprefix(f"https://{NAME}")
        location = re.search(rf"location {path}/ \{{(.*?)\}}", nginx, re.DOTALL)
        assert location
        assert f"set $prefix {path};" in location[1]
        assert f"proxy_pass http://127.0.0.1:{settings.port}/;" in location[1]
        assert settings.access.hosts == (NAME,)
        assert [str(each) for each in settings.limits.proxies] == ["127.0.0.1/32"]


def test_the_servers_reach_the_pool_and_the_database_at_the_loopback_address(
    compose: Manifest,
    servers: dict[str, ServerSettings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    toml = (DEPLOY / "pool.toml").read_text(encoding="utf-8")
    for name in compose["services"]["server-a"]["environment"]:
        monkeypatch.delenv(name)
    pool = settings_of(toml, {}, tmp_path, monkeypatch).engine
    port = pool.port

    assert compose["services"]["pool"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    for settings in servers.values():
        assert settings.engine.kind == "ray"
        assert settings.engine.address == (f"http://127.0.0.1:{port}",)
        assert settings.engine.pool_secret == pool.pool_secret
        # The replicas are in a container, and the servers in the network of the machine.
        assert settings.engine.direct and settings.engine.insecure
    assert pool.direct and pool.host == "0.0.0.0"
    readme = (DEPLOY / "README.md").read_text(encoding="utf-8")
    assert "postgresql://sightline:%s@127.0.0.1:5432/sightline" in readme
    assert compose["services"]["database"]["ports"] == ["127.0.0.1:5432:5432"]


def test_images_are_pinned_or_built_from_the_dockerfile(compose: Manifest) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")

    assert "ARG EXTRAS" in dockerfile
    for service in compose["services"].values():
        if "build" not in service:
            assert re.fullmatch(r"[a-z]+:\d+\.\d+(\.\d+)?-bookworm", service["image"])
            continue
        build: dict[str, Any] = service["build"]
        assert build["args"]["EXTRAS"] in extras["optional-dependencies"]
        if "target" in build:
            assert re.search(rf"^FROM \w+ AS {build['target']}$", dockerfile, re.MULTILINE)


def test_containers_have_no_more_rights_than_they_need(compose: Manifest) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert ("cap_add" in service) == (name == "balancer")
