"""The Kubernetes manifests: against the schemas of Kubernetes and Ray, and against Sightline."""

import importlib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml
from ray.serve.schema import ServeApplicationSchema, ServeDeploySchema

from inference.pool.codec import PATH
from inference.pool.deployment import APPLICATION
from tests.deploy.manifests import (
    DEPLOY,
    SECRETS,
    Manifest,
    read_manifests,
    secrets_in_readme,
    secrets_in_settings,
    settings_of,
)
from web.settings import ServerSettings, SettingsError

FILES = ("settings", "database", "pool", "servers", "network")
MANIFESTS = list(read_manifests(*(f"kubernetes/{name}.yaml" for name in FILES)))
OLDEST = "1.30"
PLACEHOLDERS = {
    "REPLACE_WITH_INGRESS_NETWORK": "10.1.0.0/16",
    "REPLACE_WITH_NODE_NETWORK": "10.0.0.0/16",
}
RAY_SERVICE = {"serveConfigV2", "rayClusterConfig"}
RAY_CLUSTER = {"headGroupSpec", "workerGroupSpecs"}
RAY_GROUP = {"rayStartParams", "template"}
RAY_WORKERS = {*RAY_GROUP, "groupName", "replicas", "minReplicas", "maxReplicas"}


def find(kind: str, name: str) -> Manifest:
    (found,) = (
        each for each in MANIFESTS if each["kind"] == kind and each["metadata"]["name"] == name
    )
    return found


def of_kind(kind: str) -> list[Manifest]:
    return [each for each in MANIFESTS if each["kind"] == kind]


def groups() -> list[Manifest]:
    cluster = find("RayService", "captioner")["spec"]["rayClusterConfig"]
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def templates() -> Iterator[Manifest]:
    """Yield the templates of all pods."""
    yield from (each["spec"]["template"] for each in of_kind("StatefulSet"))
    yield from (each["template"] for each in groups())


def containers() -> Iterator[tuple[Manifest, Manifest]]:
    """Yield each container with its pod."""
    for template in templates():
        yield from ((each, template["spec"]) for each in template["spec"]["containers"])


def settings(
    name: str,
    folder: Path,
    patch: pytest.MonkeyPatch,
    environment: dict[str, str] | None = None,
    *,
    replace: bool = True,
) -> ServerSettings:
    toml = find("ConfigMap", "sightline")["data"][name]
    for placeholder, value in PLACEHOLDERS.items() if replace else ():
        toml = toml.replace(placeholder, value)
    return settings_of(toml, environment or {}, folder, patch)


def serve_config() -> Manifest:
    config: Manifest = yaml.safe_load(find("RayService", "captioner")["spec"]["serveConfigV2"])
    return config


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
def test_they_follow_the_schemas(version: str) -> None:
    for each in MANIFESTS:
        if each["kind"] != "RayService":
            kubernetes_validate.validate(each, version, strict=True)
    for template in templates():
        pod = {"apiVersion": "v1", "kind": "PodTemplate", "template": template}
        kubernetes_validate.validate(pod, version, strict=True)


def test_a_misspelt_key_does_not() -> None:
    service = find("Service", "sightline")

    with pytest.raises(kubernetes_validate.ValidationError, match="selecter"):
        wrong = {**service, "spec": {**service["spec"], "selecter": {}}}
        kubernetes_validate.validate(wrong, OLDEST, strict=True)


def test_the_pool_is_deployed_as_by_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = serve_config()
    deployed = ServeDeploySchema.model_validate(config)
    (application,) = deployed.applications
    module, _, function = application.import_path.partition(":")
    workers = groups()[1]

    # The schema ignores keys that it does not know.
    assert set(config) <= set(ServeDeploySchema.model_fields)
    assert set(config["applications"][0]) <= set(ServeApplicationSchema.model_fields)
    assert callable(getattr(importlib.import_module(module), function))
    assert (application.name, application.route_prefix) == (APPLICATION, PATH)
    assert application.args == {"config": "/etc/sightline/pool.toml"}
    # As its pods have room for.
    engine = settings("pool.toml", tmp_path, monkeypatch).engine
    limits = workers["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert engine.replicas.max * engine.cpus <= int(limits["cpu"]) * workers["replicas"]
    assert engine.pool_secret


def test_the_ray_service_has_the_fields_of_kuberay() -> None:
    service = find("RayService", "captioner")
    cluster = service["spec"]["rayClusterConfig"]

    assert service["apiVersion"] == "ray.io/v1"
    assert set(service["spec"]) <= RAY_SERVICE
    assert set(cluster) <= RAY_CLUSTER
    assert set(cluster["headGroupSpec"]) <= RAY_GROUP
    for group in cluster["workerGroupSpecs"]:
        assert set(group) <= RAY_WORKERS
    for group in groups():
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


def test_the_servers_reach_the_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = settings("sightline.toml", tmp_path, monkeypatch).engine
    (address,) = map(urlsplit, engine.address)
    service = find("RayService", "captioner")["metadata"]

    # KubeRay's name of the Service of a RayService.
    assert address.hostname == f"{service['name']}-serve-svc.{service['namespace']}.svc"
    assert address.port == serve_config()["http_options"]["port"]
    assert engine.kind == "ray"
    for group in groups():
        ports = group["template"]["spec"]["containers"][0]["ports"]
        assert {"name": "serve", "containerPort": address.port} in ports


def test_the_servers_reach_the_replicas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = settings("pool.toml", tmp_path, monkeypatch).engine
    servers = settings("sightline.toml", tmp_path, monkeypatch).engine
    ports = pool.replica_port_range
    (policy,) = (
        each for each in of_kind("NetworkPolicy") if each["metadata"]["name"] == "captioner"
    )
    admitted = [port for rule in policy["spec"]["ingress"] for port in rule.get("ports", ())]

    assert pool.direct and servers.direct
    # At the addresses of pods.
    assert pool.host == "0.0.0.0" and servers.insecure
    assert ports
    assert {"protocol": "TCP", "port": ports[0], "endPort": ports[-1]} in admitted
    # All replicas on one worker, twice during an update.
    assert len(ports) >= 2 * pool.replicas.max


def test_each_server_is_reached_at_its_own_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = find("StatefulSet", "sightline")
    (container,) = servers["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each.get("value", "") for each in container["env"]}
    rules = {each["host"]: each for each in find("Ingress", "sightline")["spec"]["rules"]}
    names = find("Ingress", "sightline")["spec"]["tls"][0]["hosts"]

    urls = set()
    for number in range(servers["spec"]["replicas"]):
        pod = f"{servers['metadata']['name']}-{number}"
        environment = {name: value.replace("$(POD_NAME)", pod) for name, value in variables.items()}
        read = settings("sightline.toml", tmp_path, monkeypatch, environment)
        url = urlsplit(read.cluster.url)
        urls.add(url.hostname)
        (path,) = rules[str(url.hostname)]["http"]["paths"]
        selected = find("Service", path["backend"]["service"]["name"])["spec"]["selector"]
        assert selected["statefulset.kubernetes.io/pod-name"] == pod
        assert url.scheme == "https"
        assert str(url.hostname).split(".", 1)[1] == names[1].removeprefix("*.")
        (port,) = container["ports"]
        assert port["containerPort"] == port["hostPort"] == read.port
    (public,) = rules.keys() - urls
    assert read.access.hosts == (public,)
    assert read.cluster.database_url
    assert variables["POD_NAME"] == ""


def test_what_is_left_of_placeholders_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "".join(path.read_text() for path in (DEPLOY / "kubernetes").iterdir())

    with pytest.raises(SettingsError, match=r"limits\.proxies"):
        settings("sightline.toml", tmp_path, monkeypatch, replace=False)
    # Kubernetes accepts networks only.
    assert "cidr: REPLACE_WITH_NODE_NETWORK" in text


def test_all_that_is_mounted_exists() -> None:
    created, config = secrets_in_readme(), find("ConfigMap", "sightline")["data"]

    for container, pod in containers():
        # The volumes of claims are named like the claims.
        claims = {"data"} if container["name"] == "postgres" else set()
        volumes = {each["name"]: each for each in pod["volumes"]}
        mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
        assert set(mounts) == {*volumes, *claims}
        for volume in volumes.values():
            for item in volume.get("configMap", {}).get("items", ()):
                needed = secrets_in_settings(config[item["key"]])
                secret = volumes["secrets"]["secret"]["secretName"]
                assert {f"{secret}/{each}" for each in needed} <= created
        if "secrets" in mounts:
            assert mounts["secrets"] == SECRETS.rstrip("/")
        for argument in container.get("args", ()):
            if argument.startswith("/etc/sightline/"):
                assert argument.removeprefix("/etc/sightline/") in config
        for variable in container.get("env", ()):
            if variable.get("value", "").startswith(SECRETS):
                secret = volumes["secrets"]["secret"]["secretName"]
                assert f"{secret}/{variable['value'].removeprefix(SECRETS)}" in created


def test_selectors_find_pods_and_their_ports() -> None:
    labels = [each["metadata"]["labels"] for each in templates()]
    # KubeRay's and Kubernetes' own.
    labels[-1] = {**labels[-1], "ray.io/node-type": "worker"}
    pods = list(zip(labels, templates(), strict=True))

    def select(selector: Manifest) -> list[Manifest]:
        own = {
            key: value
            for key, value in selector.items()
            if key != "statefulset.kubernetes.io/pod-name"
        }
        return [template for label, template in pods if own.items() <= label.items()]

    for service in of_kind("Service"):
        (pod,) = select(service["spec"]["selector"])
        named = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named
    for budget in of_kind("PodDisruptionBudget"):
        assert select(budget["spec"]["selector"]["matchLabels"])
    for policy in of_kind("NetworkPolicy"):
        selected = select(policy["spec"]["podSelector"].get("matchLabels", {}))
        numbers = {
            port["containerPort"]
            for pod in selected
            for port in pod["spec"]["containers"][0]["ports"]
        }
        for rule in policy["spec"].get("ingress", ()):
            assert {port["port"] for port in rule.get("ports", ())} <= numbers
    (rule,) = {
        path["backend"]["service"]["port"]["name"]
        for each in find("Ingress", "sightline")["spec"]["rules"]
        for path in each["http"]["paths"]
    }
    assert rule == "http"


def test_containers_have_no_more_rights_than_they_need() -> None:
    for container, pod in containers():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["automountServiceAccountToken"] is False
        assert container["resources"]["limits"]["memory"]
        assert ("hostNetwork" in pod) == (container["name"] == "server")


def test_the_files_of_both_deployments_agree() -> None:
    config = find("ConfigMap", "sightline")["data"]
    sql = (DEPLOY / "database.sql").read_text(encoding="utf-8")

    assert [line for line in sql.splitlines() if not line.startswith("--")] == config[
        "database.sql"
    ].splitlines()
    for name in ("sightline.toml", "pool.toml"):
        other = tomllib.loads((DEPLOY / name).read_text(encoding="utf-8"))
        assert set(other) <= set(tomllib.loads(config[name]))
