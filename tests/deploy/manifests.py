"""The files in `.deploy`: their YAML, and the settings that they give to servers and pool."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from web.settings import ServerSettings, read_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / ".deploy"
SECRETS = "/run/secrets/"
"""Where containers find secrets."""

_SAMPLES = {
    "admin.token": "admin-token-of-tests",
    "pool.secret": "pool-secret-of-tests",
    "database.url": "postgresql://sightline:secret@database/sightline",
}

Manifest = dict[str, Any]


def read_manifests(*names: str) -> Iterator[Manifest]:
    """Yield the objects of YAML files in `.deploy`."""
    for name in names:
        text = (DEPLOY / name).read_text(encoding="utf-8")
        yield from (each for each in yaml.safe_load_all(text) if each)


def secrets_in_readme() -> set[str]:
    """Return the secrets that the README creates: file names, and NAME/KEY of Kubernetes'."""
    text = (DEPLOY / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    files = set(re.findall(r"> secrets/([\w.]+)", text))
    files |= set(re.findall(r"-(?:keyout|out) secrets/([\w.]+)", text))
    for name, rest in re.findall(r"create secret generic (\S+)(.*)", text):
        keys = dict(re.findall(r"--from-file=(?:([\w.]+)=)?secrets/([\w.]+)", rest))
        assert keys.keys() <= files | {""}, f"the secret {name} is made of files that are missing"
        found = re.findall(r"--from-file=(?:([\w.]+)=)?secrets/([\w.]+)", rest)
        files |= {f"{name}/{key or file}" for key, file in found}
    return files


def secrets_in_settings(toml: str) -> set[str]:
    """Return the names of the secrets that a settings file reads."""
    return set(re.findall(rf'"{SECRETS}([\w.]+)"', toml))


def settings_of(
    toml: str, environment: Mapping[str, str], folder: Path, patch: Any
) -> ServerSettings:
    """Read settings as a container does, with sample secrets.

    Args:
        toml: Text of the file.
        environment: Its environment.
        folder: Where to write the file and the secrets.
        patch: Sets the environment: pytest's `MonkeyPatch`.

    Raises:
        SettingsError: If a setting is wrong.
    """
    for name, value in _SAMPLES.items():
        (folder / name).write_text(value, encoding="utf-8")
        (folder / name).chmod(0o600)
    file = folder / "settings.toml"
    file.write_text(toml.replace(SECRETS, f"{folder}/"), encoding="utf-8")
    for name, value in environment.items():
        patch.setenv(name, value.replace(SECRETS, f"{folder}/"))
    return read_settings(file, {})
