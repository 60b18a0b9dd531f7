"""The captioners on this machine: the shipped one, and those in Hugging Face's cache."""

from collections.abc import Iterator
from dataclasses import dataclass

from models.catalogue.architecture import CaptionerError, missing_files, read_licence
from models.catalogue.reference import SHIPPED_FOLDER, CaptionerReference


@dataclass(frozen=True, slots=True)
class InstalledCaptioner:
    """A captioner on this machine."""

    reference: CaptionerReference
    """With the commit hash if it was downloaded."""
    names: tuple[str, ...]
    """Branches and tags that name the commit."""
    size: int
    """Size of its files, in bytes."""
    licence: str


def installed() -> Iterator[InstalledCaptioner]:
    """Yield the captioners that Sightline can use, the shipped one first. Needs no network."""
    size = sum(path.stat().st_size for path in SHIPPED_FOLDER.rglob("*") if path.is_file())
    yield InstalledCaptioner(CaptionerReference(), (), size, read_licence(SHIPPED_FOLDER))
    yield from sorted(_cached(), key=lambda each: str(each.reference))


def _cached() -> Iterator[InstalledCaptioner]:
    from huggingface_hub import CacheNotFound, constants, scan_cache_dir

    try:
        repositories = scan_cache_dir(constants.HF_HUB_CACHE).repos
    except CacheNotFound:
        return
    for repository in repositories:
        if repository.repo_type != "model" or "/" not in repository.repo_id:
            continue
        for revision in repository.revisions:
            try:
                if missing_files(revision.snapshot_path):
                    continue
            except (CaptionerError, OSError):
                continue
            yield InstalledCaptioner(
                CaptionerReference("hf", repository.repo_id, revision.commit_hash),
                tuple(sorted(revision.refs)),
                revision.size_on_disk,
                read_licence(revision.snapshot_path),
            )


def format_size(size: int) -> str:
    """Return a number of bytes for people, in decimal units."""
    amount = float(size)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
