import traceback
from pathlib import Path

import pytest

from web.settings.server import SettingsError, read_settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SIGHTLINE_HOST", "SIGHTLINE_PORT", "SIGHTLINE_STREAM__SESSIONS"):
        monkeypatch.delenv(name, raising=False)


def test_the_defaults_are_safe() -> None:
    settings = read_settings(None, {})

    assert (settings.host, settings.port) == ("127.0.0.1", 4200)
    assert settings.stream.interval_s == 1.0
    assert settings.precision == "float32"


def test_the_command_line_overrides_the_environment_which_overrides_the_file(
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
    ("text", "message"),
    [
        ("port = 70000", "'port'"),
        ("port = ", "not valid TOML"),
        ("host = 'camera.example'", "'host': .* IPv4 or IPv6"),
        ("colour = 1", "'colour'"),
        ("precision = 'int4'", "'precision'"),
        ("[stream]\nsessions = 0", "'stream.sessions'"),
        ("[stream]\nsesions = 2", "'stream.sesions'"),
        ("[stream]\nexplanation_share = 1.1", "'stream.explanation_share'"),
        ("[stream]\ninterval_s = 'often'", "'stream.interval_s'"),
        ("[access]\nhosts = 'camera.example'", "'access.hosts': must be a list, such as"),
        ("captioner = 1", "'captioner': must be text in quotation marks: shipped, a folder"),
        ("captioner = 'hf:blip'", "'captioner': 'hf:blip' names no repository; write hf:OWNER"),
        ("feeds = 1", "'feeds': must be a table"),
        ("[feeds]\nyard = 'demo'", "'feeds.yard': must be a table"),
        ("[limits]\nproxies = ['10.0.0.1/8']", "did you mean '10.0.0.0/8'?"),
        ("[limits]\nproxies = ['*']", "use addresses or networks with their mask"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "sightline.toml"
    file.write_text(text)

    with pytest.raises(SettingsError, match=message):
        read_settings(file, {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: no such file"),
        ("port = 1".encode("utf-16"), "cannot be read: it is UTF-16 or binary; save it as UTF-8"),
        (b"port = 1 # \xe9", "cannot be read: it is not UTF-8 text; save it as UTF-8"),
        (b"feeds = " + b"[" * 5000 + b"]" * 5000, "cannot be read: .* nested too deeply"),
        (b"port = " + b"9" * 5000, "cannot be read: Exceeds the limit"),
    ],
)
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "sightline.toml"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(SettingsError, match=rf"sightline\.toml {message}"):
        read_settings(file, {})


def test_a_byte_order_mark_is_no_part_of_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "sightline.toml"
    file.write_bytes(b"\xef\xbb\xbfport = 1\r\nhost = '0::0'\r\n")

    settings = read_settings(file, {})
    assert (settings.port, settings.host) == (1, "::")


def test_a_nested_value_of_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_FEEDS", "[" * 30_000)

    with pytest.raises(SettingsError, match="in the environment is nested too deeply"):
        read_settings(None, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "port = 1\n\n[stream]\nsessions = 0",
            r"sightline.toml, line 4: setting 'stream.sessions'",
        ),
        ("[stream]\nsesions = 2", r"line 2: .*unknown setting; did you mean 'sessions'\?"),
        ("# nothing\n[strem]\nsessions = 2", r"line 2: setting 'strem': .*'stream'"),
        ("port = 1\nport = 2", r"sightline.toml is not valid TOML: .*line 2"),
        (
            "[access]\n\nadmin_token = 'short'",
            r"line 3: setting 'access.admin_token': a token must",
        ),
        ("[limits]\nproxies = [\n '10.0.0.1',\n 'x']", r"line 2: setting 'limits.proxies.1'"),
        ("[https]\ncertificate = 'c.pem'", r"line 1: setting 'https': set both"),
    ],
)
def test_the_line_of_a_wrong_setting_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "sightline.toml"
    file.write_text(text)

    with pytest.raises(SettingsError, match=message):
        read_settings(file, {})


def test_every_wrong_setting_is_named_with_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "sightline.toml"
    file.write_text("colour = 1\n[stream]\nsessions = 3\nidle_s = -1\n")
    monkeypatch.setenv("SIGHTLINE_STREAM__SESSIONS", "0")

    with pytest.raises(SettingsError) as refused:
        read_settings(file, {"port": 99999})

    message = str(refused.value)
    assert "command line: setting 'port'" in message
    assert "environment, SIGHTLINE_STREAM__SESSIONS: setting 'stream.sessions'" in message
    assert f"{file}, line 1: setting 'colour'" in message
    assert f"{file}, line 4: setting 'stream.idle_s'" in message
    assert len(message.splitlines()) == 4


def test_a_secret_is_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "sightline.toml"
    file.write_text("[access]\nadmin_token = 'my secret token with spaces'\n")

    with pytest.raises(SettingsError) as refused:
        read_settings(file, {})

    assert "my secret" not in str(refused.value)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    "feed",
    [
        "[feeds.door]\nsource = 'rtps://anna:secret42@camera'",
        "[feeds.door]\nsorce = 'rtsp://anna:secret42@camera'",
        "[feeds]\ndoor = 'rtsp://anna:secret42@camera'",
        "[feeds.door]\nsource = ['rtsp://anna:secret42@camera']",
    ],
)
def test_a_wrong_feed_is_refused_without_its_password_even_in_a_trace(
    tmp_path: Path, feed: str
) -> None:
    file = tmp_path / "sightline.toml"
    file.write_text(feed)
    with pytest.raises(SettingsError, match=r"line [12].*feeds\.door") as refusal:
        read_settings(file, {})
    assert "secret42" not in "".join(traceback.format_exception(refusal.value))


def test_a_feed_may_get_its_address_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "sightline.toml"
    file.write_text("[feeds.door]\ntitle = 'Front door'\n")
    monkeypatch.setenv("SIGHTLINE_FEEDS__DOOR__SOURCE", "rtsp://anna:secret42@camera")
    door = read_settings(file, {}).feeds["door"]
    assert (door.title, door.read_source()) == ("Front door", "rtsp://anna:secret42@camera")
