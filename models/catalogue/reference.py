"""References to captioners: what the setting `captioner` and `--captioner` accept."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from models.catalogue.architecture import CaptionerError, missing_files

SHIPPED_FOLDER = Path(__file__).parents[1] / "weights" / "lite2"
"""Folder of the captioner that is included in Sightline."""

FORMS = "shipped, a folder, hf:OWNER/NAME, hf:OWNER/NAME@REVISION or endpoint:NAME"

_EXAMPLE = "hf:Salesforce/blip-image-captioning-large"
_SHIPPED, _HF, _ENDPOINT = "shipped", "hf:", "endpoint:"
_COMMIT = re.compile(r"[0-9a-f]{40}")
# As the Hub validates repository names and git validates references, which also keeps both from
# leaving the cache's folder.
_PART = r"(?!.*(?:--|\.\.))[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_REPOSITORY = re.compile(rf"{_PART}/{_PART}")
_REVISION = re.compile(r"(?!.*(?:\.\.|//))[A-Za-z0-9_](?:[A-Za-z0-9._/-]{0,198}[A-Za-z0-9_])?")
_ENDPOINT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class CaptionerReference:
    """Where a captioner is; `str` returns the text that `parse` reads."""

    kind: Literal["shipped", "folder", "hf", "endpoint"] = "shipped"
    value: str = ""
    """The folder, the repository OWNER/NAME on the Hugging Face Hub, or the endpoint's name."""
    revision: str | None = None
    """Commit hash, branch or tag of the repository; None for its default branch."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reference.

        A folder is recognised by `/`, `./`, `../` or `~` at its beginning, or because it exists.

        Raises:
            CaptionerError: If the text has none of the forms; the message names them.
        """
        if text == _SHIPPED:
            return cls()
        if text.startswith(_HF):
            return cls("hf", *_split_repository(text))
        if text.startswith(_ENDPOINT):
            name = text.removeprefix(_ENDPOINT)
            if not _ENDPOINT_NAME.fullmatch(name):
                raise CaptionerError(
                    f"{text[:100]!r} names no endpoint; write endpoint:NAME, where "
                    "[endpoints.NAME] is in the settings"
                )
            return cls("endpoint", name)
        if _is_folder(text):
            return cls("folder", text)
        raise CaptionerError(
            f"{text[:100]!r} is no captioner and no folder{_hint(text)}; use {FORMS}"
        )

    def __str__(self) -> str:
        if self.kind == "shipped":
            return _SHIPPED
        prefix = {"folder": "", "hf": _HF, "endpoint": _ENDPOINT}[self.kind]
        return f"{prefix}{self.value}" + (f"@{self.revision}" if self.revision else "")

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit hash, which always names the same files."""
        return bool(self.revision and _COMMIT.fullmatch(self.revision))


def local_folder(reference: CaptionerReference) -> Path:
    """Return the folder of a captioner that is on this machine. Never downloads.

    Raises:
        CaptionerError: If there is none; for a repository, the message has the command that
            downloads it.
    """
    match reference.kind:
        case "shipped":
            return SHIPPED_FOLDER
        case "hf":
            return cached_snapshot(reference)
        case "endpoint":
            raise CaptionerError(f"{reference} runs on another server and has no folder here")
    # Absolute, as the worker process has another working directory.
    folder = Path(reference.value).expanduser().absolute()
    try:
        found = (folder / "config.json").is_file()
    except OSError as error:
        raise CaptionerError(f"{reference} cannot be read: {error.strerror}") from None
    if not found and not folder.is_dir():
        raise CaptionerError(f"there is no folder {reference}; check the path")
    if not found:
        raise CaptionerError(
            f"{reference} contains no captioner, as it has no config.json; use a folder that does"
        )
    return folder


def cached_snapshot(reference: CaptionerReference) -> Path:
    """Return the folder of a repository's revision in Hugging Face's cache.

    Raises:
        CaptionerError: If it is not there or incomplete; the message has the command that
            downloads it.
    """
    # Imported here, as it takes a fifth of a second and other captioners do not need it.
    from huggingface_hub import try_to_load_from_cache

    command = f"python server.py captioner fetch {reference}"
    try:
        found = try_to_load_from_cache(reference.value, "config.json", revision=reference.revision)
        if not isinstance(found, str):
            raise CaptionerError(f"{reference} is not on this machine; download it with: {command}")
        missing = missing_files(Path(found).parent)
    except OSError as error:
        raise CaptionerError(f"{error.filename} cannot be read: {error.strerror}") from None
    if missing:
        raise CaptionerError(
            f"{reference} is not complete on this machine, it lacks {', '.join(missing)}; "
            f"download the rest with: {command}"
        )
    return Path(found).parent.absolute()


def reference_of(folder: Path) -> CaptionerReference:
    """Return the reference of a captioner's folder, pinned if it is in Hugging Face's cache.

    Other folders have their absolute path, which is read as a folder whatever it is called.
    """
    if folder == SHIPPED_FOLDER:
        return CaptionerReference()
    snapshots, repository = folder.parent, folder.parent.parent.name
    kind, *parts = repository.split("--")
    if snapshots.name == "snapshots" and kind == "models" and _COMMIT.fullmatch(folder.name):
        return CaptionerReference("hf", "/".join(parts), folder.name)
    return CaptionerReference("folder", str(folder.absolute()))


def _split_repository(text: str) -> tuple[str, str | None]:
    name, at, revision = text.removeprefix(_HF).partition("@")
    if not _REPOSITORY.fullmatch(name):
        raise CaptionerError(
            f"{text[:100]!r} names no repository; write hf:OWNER/NAME or hf:OWNER/NAME@REVISION, "
            f"such as {_EXAMPLE}"
        )
    if at and not _REVISION.fullmatch(revision):
        raise CaptionerError(
            f"{text[:100]!r} names no revision; after @ write a commit hash, a branch or a tag"
        )
    return name, revision if at else None


def _is_folder(text: str) -> bool:
    if not text or re.search(r"[\0\n]", text):
        return False
    try:
        path = Path(text).expanduser()
        return text.startswith(("/", "./", "../", "~")) or text in (".", "..") or path.exists()
    except RuntimeError:
        user = Path(text).parts[0][:40]
        raise CaptionerError(
            f"the home folder of {user} is unknown; write the whole path"
        ) from None
    except OSError:
        # Such as a name that is too long.
        return False


def _hint(text: str) -> str:
    address = re.sub(r"^(https?://)?(www\.)?(huggingface\.co|hf\.co)/|^HF:", "", text)
    if _REPOSITORY.fullmatch(address):
        return f" (did you mean hf:{address}?)"
    return ""
