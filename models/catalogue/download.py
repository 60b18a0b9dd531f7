"""Download published captioners from the Hugging Face Hub into Hugging Face's own cache.

Nothing else in Sightline downloads. Only files that a captioner needs or that describe it are
downloaded, and of these only formats that contain no code.
"""

import errno
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.catalogue.architecture import (
    MAX_CONFIG_BYTES,
    WEIGHTS,
    Architecture,
    CaptionerError,
    needed_files,
    parse_architecture,
)
from models.catalogue.installed import format_size
from models.catalogue.reference import CaptionerReference, cached_snapshot
from models.digests import file_sha256

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

_OPTIONAL = (
    "README.md",
    "LICENSE",
    "LICENSE.txt",
    "LICENSE.md",
    "generation_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
"""Files that describe a captioner; downloaded if the repository has them."""

_INDEX, _PICKLED = "model.safetensors.index.json", "pytorch_model.bin"
_DEFAULT_BRANCH = "main"
_CONVERTER = "SFconvertbot"
"""The user of the Hub that offers conversions to safetensors as pull requests."""

_TIMEOUT_S = 10.0
_SPARE_BYTES = 64 * 2**20

Report = Callable[[str], None]
"""Receives lines for people."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository."""

    name: str
    size: int
    """In bytes."""
    sha256: str | None
    """In hexadecimal; None for small files, which the Hub stores without one."""


@dataclass(frozen=True, slots=True)
class RemoteCaptioner:
    """A captioner on the Hub that Sightline can use."""

    reference: CaptionerReference
    """With the commit hash as revision."""
    architecture: Architecture
    licence: str
    files: tuple[RemoteFile, ...]
    """Those to download, and those that are on this machine."""

    @property
    def size(self) -> int:
        """Size of all files, in bytes."""
        return sum(file.size for file in self.files)


def fetch(reference: CaptionerReference, report: Report) -> CaptionerReference:
    """Download a captioner; files that are on this machine are not downloaded again.

    Network errors are retried, and a file continues where it broke off. An interrupted download
    leaves complete files only.

    Args:
        reference: A repository; its default branch unless it has a revision.
        report: Receives what will be downloaded, before anything is.

    Returns:
        The reference with the commit hash as revision.

    Raises:
        CaptionerError: If the Hub cannot be reached or refuses, the repository has no captioner
            that Sightline can use, or the files cannot be written.
    """
    # Read when huggingface_hub is imported: no usage data, and no look for newer versions of it.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_UPDATE_CHECK", "1")
    if reference.kind != "hf":
        raise CaptionerError(f"{reference} cannot be downloaded; only hf:OWNER/NAME can")
    if reference.pinned and _is_complete(reference):
        report(f"{reference} is on this machine.")
        return reference
    import huggingface_hub

    # Its warnings repeat signed URLs, and errors are reported here.
    huggingface_hub.logging.set_verbosity(logging.ERROR)
    with _readable_errors(reference):
        captioner = find(reference)
        cache = Path(huggingface_hub.constants.HF_HUB_CACHE)
        _announce(captioner, report)
        if not _check_space(captioner, cache):
            report("All of it is on this machine.")
        for file in captioner.files:
            _download(captioner.reference, file)
        _write_revision(reference, captioner.reference, cache)
    return captioner.reference


def find(reference: CaptionerReference) -> RemoteCaptioner:
    """Look a captioner up on the Hub; nothing is left on this machine.

    Raises:
        CaptionerError: If the repository has no captioner that Sightline can use.
    """
    info = _read_information(reference)
    remote = {
        each.rfilename: RemoteFile(
            each.rfilename, each.size or 0, each.lfs.sha256 if each.lfs else None
        )
        for each in info.siblings or ()
    }
    if not info.sha:
        raise CaptionerError(f"the Hub states no commit of {reference}; try again later")
    pinned = CaptionerReference("hf", reference.value, info.sha)
    architecture = parse_architecture(_read_config(pinned, remote), f"config.json of {pinned}")
    if architecture == "sightline":
        raise CaptionerError(f"{reference} has no {WEIGHTS}; Sightline downloads no other format")
    needed = needed_files(architecture)
    _check_files(reference, needed, remote)
    files = [remote[name] for name in (*needed, *_OPTIONAL) if name in remote]
    return RemoteCaptioner(pinned, architecture, _licence(info), tuple(files))


def _read_information(reference: CaptionerReference) -> "ModelInfo":
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi()
    try:
        return api.model_info(
            reference.value, revision=reference.revision, timeout=_TIMEOUT_S, files_metadata=True
        )
    except HfHubHTTPError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError):
        raise CaptionerError(
            f"{api.endpoint} does not answer as the Hugging Face Hub; check HF_ENDPOINT, the proxy "
            "and whether the network asks for a login"
        ) from None


def _is_complete(reference: CaptionerReference) -> bool:
    try:
        cached_snapshot(reference)
    except CaptionerError:
        return False
    return True


def _read_config(reference: CaptionerReference, remote: dict[str, RemoteFile]) -> bytes:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if "config.json" not in remote:
        raise CaptionerError(f"{reference} has no config.json, so it is no captioner")
    if remote["config.json"].size > MAX_CONFIG_BYTES:
        return b""
    with tempfile.TemporaryDirectory() as folder, disable_progress_bars():
        path = hf_hub_download(
            reference.value, "config.json", revision=reference.revision, cache_dir=folder
        )
        return Path(path).read_bytes()


def _check_files(
    reference: CaptionerReference, needed: tuple[str, ...], remote: dict[str, RemoteFile]
) -> None:
    if WEIGHTS not in remote:
        if _INDEX in remote:
            raise CaptionerError(
                f"{reference} has its weights in several files; Sightline reads a single {WEIGHTS}"
            )
        if _PICKLED in remote:
            conversion = _find_conversion(reference)
            remedy = (
                f"fetch Hugging Face's conversion of them, {conversion}"
                if conversion
                else f"use a repository that has {WEIGHTS}, or a revision such as refs/pr/N"
            )
            raise CaptionerError(
                f"{reference} has its weights only as {_PICKLED}, a format that can run code when "
                f"it is loaded; {remedy}"
            )
    if missing := [name for name in needed if name not in remote]:
        raise CaptionerError(f"{reference} lacks {', '.join(missing)}; use another repository")


def _find_conversion(reference: CaptionerReference) -> CaptionerReference | None:
    """Return the pull request in which Hugging Face converted the weights to safetensors."""
    import httpx2
    from huggingface_hub import constants
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        get_session,
    )

    try:
        response = get_session().get(
            f"{constants.ENDPOINT}/api/models/{reference.value}/discussions",
            params={"type": "pull_request", "author": _CONVERTER},
            headers=build_hf_headers(),
            timeout=_TIMEOUT_S,
        )
        for each in response.json()["discussions"]:
            if each["isPullRequest"] and each["author"]["name"] == _CONVERTER:
                revision = f"refs/pr/{int(each['num'])}"
                found = CaptionerReference("hf", reference.value, revision)
                if any(
                    file.rfilename == WEIGHTS for file in _read_information(found).siblings or ()
                ):
                    return found
    except (httpx2.HTTPError, ValueError, LookupError, TypeError):
        # It is only advice.
        pass
    return None


def _licence(info: "ModelInfo") -> str:
    tags = [tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")]
    return tags[0] if tags else "not stated"


def _announce(captioner: RemoteCaptioner, report: Report) -> None:
    report(f"{captioner.reference}")
    report(f"  architecture  {captioner.architecture}")
    report(f"  licence       {captioner.licence}")
    report(f"  size          {format_size(captioner.size)} in {len(captioner.files)} files")
    for file in captioner.files:
        report(f"    {format_size(file.size):>8}  {file.name}")


def _check_space(captioner: RemoteCaptioner, cache: Path) -> int:
    """Return how many bytes will be downloaded, which the disk has room for."""
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    missing = sum(
        file.size for file in captioner.files if not _is_cached(captioner.reference, file.name)
    )
    if missing and free < missing + _SPARE_BYTES:
        raise CaptionerError(
            f"{captioner.reference} needs {format_size(missing)} and {format_size(_SPARE_BYTES)} "
            f"to spare, but only {format_size(free)} are free in {cache}; free some, or set "
            "HF_HOME to a folder on another disk"
        )
    return missing


def _is_cached(reference: CaptionerReference, name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(reference.value, name, revision=reference.revision)
    return isinstance(found, str)


def _download(reference: CaptionerReference, file: RemoteFile) -> None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils.tqdm import tqdm

    def progress_bar(**options: Any) -> Any:
        """Show the file's name instead of the end of its URL, and nothing outside a terminal."""
        make: Any = tqdm
        return make(**options | {"desc": file.name, "disable": None})

    bar: Any = progress_bar
    path = Path(
        hf_hub_download(reference.value, file.name, revision=reference.revision, tqdm_class=bar)
    )
    # Downloads over HTTP check the size only.
    if file.sha256 and file_sha256(path) != file.sha256:
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise CaptionerError(
            f"{file.name} of {reference} was damaged on the way and has been deleted; "
            "download it again"
        )


def _write_revision(reference: CaptionerReference, pinned: CaptionerReference, cache: Path) -> None:
    """Let the branch or tag name the downloaded commit, as huggingface_hub does.

    Only at the end, so that the name keeps its previous commit if the download is interrupted.
    """
    revision = reference.revision or _DEFAULT_BRANCH
    if revision == pinned.revision or not pinned.revision:
        return
    path = cache / f"models--{reference.value.replace('/', '--')}" / "refs" / revision
    if path.is_file() and path.read_text(encoding="ascii", errors="replace") == pinned.revision:
        # The cache may be read-only.
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(pinned.revision, encoding="ascii")
    temporary.replace(path)


@contextmanager
def _readable_errors(reference: CaptionerReference) -> Iterator[None]:
    """Raise errors of the Hub, the network and the disk as one sentence."""
    import httpx2
    from huggingface_hub import constants, errors

    hub, page = constants.ENDPOINT, f"{constants.ENDPOINT}/{reference.value}"
    try:
        yield
    except CaptionerError:
        raise
    except errors.GatedRepoError:
        message = (
            f"{reference} is gated: accept its terms at {page}, then log in with hf auth login, or "
            "set HF_TOKEN to an access token"
        )
    except errors.RepositoryNotFoundError:
        message = (
            f"{hub} has no public repository {reference.value}; check the name, and if it is "
            "private, log in with hf auth login"
        )
    except errors.RevisionNotFoundError:
        message = f"{reference.value} has no revision {reference.revision}; see {page}/commits"
    except errors.OfflineModeIsEnabled:
        message = f"HF_HUB_OFFLINE is set, so {reference} cannot be downloaded; unset it"
    except errors.HfHubHTTPError as error:
        message = _describe_status(error.response.status_code, reference, hub)
    except httpx2.TimeoutException:
        message = f"{hub} does not respond; check the network, or try again later"
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        message = f"{hub} cannot be reached: {_first_line(error)}; check the network"
    except errors.LocalEntryNotFoundError as error:
        message = f"{reference} cannot be downloaded: {_cause(error)}; try again later"
    except errors.XetDownloadError as error:
        message = f"{reference} cannot be downloaded: {_first_line(error)}; try again later"
    except OSError as error:
        message = _describe_os_error(error, reference)
    else:
        return
    raise CaptionerError(message) from None


def _describe_status(status: int, reference: CaptionerReference, hub: str) -> str:
    reasons = {
        401: "log in again with hf auth login, or correct HF_TOKEN",
        403: "the access token does not allow it; use one that may read the repository",
        429: "too many requests; try again in a few minutes",
    }
    reason = reasons.get(status, "try again later")
    return f"{hub} refuses {reference} with status {status}: {reason}"


def _describe_os_error(error: OSError, reference: CaptionerReference) -> str:
    if error.errno == errno.ENOSPC:
        return (
            f"the disk is full, so {reference} cannot be downloaded; free some space, or set "
            "HF_HOME to a folder on another disk"
        )
    if error.errno is None:
        # huggingface_hub's check of the size.
        return f"{reference} arrived incomplete; download it again"
    where = error.filename or "the cache"
    return f"cannot write {where}: {error.strerror}; set HF_HOME to a folder that can be written"


def _cause(error: BaseException) -> str:
    return _first_line(error.__cause__ or error)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
