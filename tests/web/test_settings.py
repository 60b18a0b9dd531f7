from pathlib import Path

import pytest

from web.settings import SettingsError, read_settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SIGHTLINE_HOST", "SIGHTLINE_PORT", "SIGHTLINE_STREAM__SESSIONS"):
        monkeypatch.delenv(name, raising=False)


def test_the_defaults_are_safe() -> None:
    settings = read_settings(None, {})

    assert (settings.host, settings.port) == ("127.0.0.1", 4200)
    assert settings.stream.interval_s == 1.0
    assert settings.precision == "float32"


def test_the_command_line_goes_before_the_environment_and_that_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "sightline.toml"
    file.write_text("port = 1001\nhost = '::1'\n[stream]\nsessions = 3\nidle_s = 9\n")
    monkeypatch.setenv("SIGHTLINE_PORT", "1002")
    monkeypatch.setenv("SIGHTLINE_STREAM__SESSIONS", "4")
    settings = read_settings(file, {"port": 1003})

    assert (settings.port, settings.host) == (1003, "::1")
    assert (settings.stream.sessions, settings.stream.idle_s) == (4, 9)
    assert read_settings(file, {}).port == 1002


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("port = 70000", "'port'"),
        ("port = ", "no TOML"),
        ("host = 'camera.example'", "'host': .* IPv4 or IPv6"),
        ("colour = 1", "'colour'"),
        ("precision = 'int4'", "'precision'"),
        ("[stream]\nsessions = 0", "'stream.sessions'"),
        ("[stream]\nsesions = 2", "'stream.sesions'"),
        ("[stream]\nexplanation_share = 1.1", "'stream.explanation_share'"),
        ("[stream]\ninterval_s = 'often'", "'stream.interval_s'"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "sightline.toml"
    file.write_text(text)

    with pytest.raises(SettingsError, match=told):
        read_settings(file, {})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml cannot be read"):
        read_settings(tmp_path / "none.toml", {})
