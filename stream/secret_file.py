"""A secret that stands in a file of its own, and not in the configuration."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, SecretStr


def read_secret(value: object) -> SecretStr:
    """Read the secret that a setting names the file of.

    Args:
        value: The file's path.

    Raises:
        ValueError: If it is no path, or the file cannot be read or is empty.
    """
    if not isinstance(value, str | Path):
        raise ValueError("give the path of a file that holds the secret and nothing else")
    try:
        text = Path(value).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise ValueError(f"the secret cannot be read: {problem}") from problem
    if not text:
        raise ValueError(f"{value} is empty: write the secret into it")
    return SecretStr(text)


SecretInFile = Annotated[SecretStr, BeforeValidator(read_secret)]
"""Set as a path; its value is what the file held when the settings were read."""
