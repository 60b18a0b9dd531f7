"""Settings of the engine and of a captioner pool."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from inference.engine import Engine
from inference.pool import PoolCaptioner
from web.background import create_captioner
from web.service.log import secrets_in
from web.settings import EngineSettings, ServerSettings, SettingsError, read_settings

SECRET = "plugh-0123456789abc"


def test_by_default_the_engine_is_a_process_of_the_server() -> None:
    settings = ServerSettings()

    assert not settings.uses_pool
    assert isinstance(create_captioner(settings), Engine)


def test_a_pool_is_chosen_with_its_address_and_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    file = tmp_path / "sightline.toml"
    file.write_text(
        "[engine]\nkind = 'ray'\naddress = 'https://pool.example/'\n"
        f"secret_file = '{tmp_path / 'secret'}'\n"
    )
    monkeypatch.setenv("SIGHTLINE_ENGINE__MAX_WAIT_S", "3")
    settings = read_settings(file, {})

    assert settings.engine.address == ("https://pool.example",)
    assert settings.engine.pool_secret == SECRET
    assert settings.engine.max_wait_s == 3
    assert isinstance(create_captioner(settings), PoolCaptioner)
    assert secrets_in(settings) == {SECRET}
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("value", "bounds"),
    [(3, (3, 3)), ("3", (3, 3)), ({"min": 1, "max": 8}, (1, 8))],
)
def test_replicas_are_a_number_or_bounds(value: Any, bounds: tuple[int, int]) -> None:
    assert EngineSettings.model_validate({"replicas": value}).replicas == bounds


@pytest.mark.parametrize("value", [0, 1.5, True, "many", {"min": 3, "max": 2}, {"min": 1}, [1, 2]])
def test_other_replicas_are_refused(value: Any) -> None:
    with pytest.raises(ValidationError, match=r"replicas\n.*must be"):
        EngineSettings.model_validate({"replicas": value})


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:8000", "http://localhost:1", "https://pool.example", "unix:/run/captions"],
)
def test_addresses_of_pools(address: str) -> None:
    settings = EngineSettings.model_validate({"kind": "ray", "address": address})
    assert settings.address == (address,)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("pool.example:8000", "begin with http"),
        ("ftp://pool.example", "begin with http"),
        ("http://", "begin with http"),
        ("http://pool.example:99999", "begin with http"),
        ("http://guard:swordfish@127.0.0.1:8000", "secret_file"),
        ("http://127.0.0.1:8000/captioner", "end with the port"),
        ("http://10.0.0.1:8000", "insecure = true"),
        ([], "at least 1 item"),
    ],
)
def test_other_addresses_are_refused(address: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=reason) as refused:
        read_settings(None, {"engine": {"kind": "ray", "address": address}})
    assert "swordfish" not in str(refused.value)


def test_a_private_network_may_be_unencrypted() -> None:
    values = {"kind": "ray", "address": ["http://10.0.0.1:8000", "http://10.0.0.2:8000"]}
    assert len(EngineSettings.model_validate({**values, "insecure": True}).address) == 2


@pytest.mark.parametrize(
    ("value", "ports"),
    [("", None), ("9000-9063", range(9000, 9064)), ("9000-9000", range(9000, 9001))],
)
def test_replicas_listen_on_ports_of_a_range_or_any(value: str, ports: range | None) -> None:
    settings = EngineSettings.model_validate({"replica_ports": value})
    assert settings.direct and settings.replica_port_range == ports


@pytest.mark.parametrize("value", ["9000", "9001-9000", "80-90", "9000-99999", "any", 9000])
def test_other_ports_of_replicas_are_refused(value: Any) -> None:
    with pytest.raises(ValidationError, match=r"replica_ports\n.*(such as 9000-9063|string)"):
        EngineSettings.model_validate({"replica_ports": value})


def test_one_secret_is_enough(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    with pytest.raises(ValidationError, match="not both"):
        EngineSettings.model_validate({"secret": SECRET, "secret_file": str(tmp_path / "secret")})
    with pytest.raises(ValidationError, match="16 to 256"):
        EngineSettings.model_validate({"secret": "short"})
