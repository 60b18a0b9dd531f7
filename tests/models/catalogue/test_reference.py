import json
from pathlib import Path

import pytest

from models.catalogue import (
    SHIPPED_FOLDER,
    CaptionerError,
    CaptionerReference,
    UnknownArchitecture,
    local_folder,
    read_architecture,
    read_licence,
    reference_of,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "kind", "value", "revision"),
    [
        ("shipped", "shipped", "", None),
        ("./shipped", "folder", "./shipped", None),
        ("/srv/hf:x", "folder", "/srv/hf:x", None),
        ("~/captioner", "folder", "~/captioner", None),
        ("hf:Salesforce/blip-image.base_1", "hf", "Salesforce/blip-image.base_1", None),
        (f"hf:a/b@{COMMIT}", "hf", "a/b", COMMIT),
        ("hf:a/b@refs/pr/1", "hf", "a/b", "refs/pr/1"),
        ("endpoint:ollama-2", "endpoint", "ollama-2", None),
    ],
)
def test_every_form_is_read_and_written(
    text: str, kind: str, value: str, revision: str | None
) -> None:
    found = CaptionerReference.parse(text)

    assert (found.kind, found.value, found.revision) == (kind, value, revision)
    assert str(found) == text
    assert found.pinned == (revision == COMMIT)


def test_a_path_that_exists_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)

    assert CaptionerReference.parse("mine").kind == "folder"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hf:foo", "write hf:OWNER/NAME or hf:OWNER/NAME@REVISION, such as hf:Salesforce/"),
        ("hf:a/b/c", "write hf:OWNER/NAME"),
        ("hf:../b", "write hf:OWNER/NAME"),
        ("hf:a/b c", "write hf:OWNER/NAME"),
        ("hf:a/b@", "after @ write a commit hash, a branch or a tag"),
        ("hf:a/b@../../x", "after @ write a commit hash, a branch or a tag"),
        ("endpoint:", r"write endpoint:NAME, where \[endpoints.NAME\] is in the settings"),
        ("endpoint:A/b", "write endpoint:NAME"),
        ("shiped", "use shipped, a folder, hf:OWNER/NAME, .* or endpoint:NAME"),
        ("", "use shipped, a folder"),
        ("x" * 5000, "use shipped, a folder"),
        ("a\0b", "use shipped, a folder"),
        ("Owner/name", "did you mean hf:Owner/name?"),
        ("https://huggingface.co/Owner/name", "did you mean hf:Owner/name?"),
        ("~nosuchuser/x", "the home folder of ~nosuchuser is unknown"),
    ],
)
def test_an_error_tells_what_to_write(text: str, reason: str) -> None:
    with pytest.raises(CaptionerError, match=reason) as refused:
        CaptionerReference.parse(text)

    assert len(str(refused.value)) < 300


def test_the_folder_of_the_shipped_captioner_and_of_ones_own() -> None:
    own = f"{SHIPPED_FOLDER}/../lite2"

    assert local_folder(CaptionerReference.parse("shipped")) == SHIPPED_FOLDER
    assert local_folder(CaptionerReference.parse(own)) == Path(own)
    assert str(reference_of(SHIPPED_FOLDER)) == "shipped"
    assert str(reference_of(Path(own))) == own
    # These names alone would be read as something else.
    for name in ("shipped", "hf:a/b", "gone"):
        assert CaptionerReference.parse(str(reference_of(Path(name)))).kind == "folder"
    assert read_architecture(SHIPPED_FOLDER) == "sightline"


def test_a_relative_folder_is_found_from_other_working_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "config.json").write_text("{}")
    cached(tmp_path, "config.json", "model.safetensors", "vocab.txt", "preprocessor_config.json")
    monkeypatch.chdir(tmp_path)
    # As a relative HF_HOME sets it.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", ".")

    assert local_folder(CaptionerReference.parse("own")) == tmp_path / "own"
    assert local_folder(CaptionerReference.parse("hf:a/b")).is_relative_to(tmp_path)


def test_what_has_no_captioner_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaptionerError, match=f"{tmp_path} contains no captioner, .*no config.json"):
        local_folder(CaptionerReference.parse(str(tmp_path)))
    with pytest.raises(CaptionerError, match=f"there is no folder {tmp_path}/gone; check the path"):
        local_folder(CaptionerReference.parse(f"{tmp_path}/gone"))
    with pytest.raises(CaptionerError, match="endpoint:x runs on another server"):
        local_folder(CaptionerReference.parse("endpoint:x"))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ('{"model_type": "git"}', r"architecture git, .* can use: blip \(BlipForCond"),
        ('{"model_type": null}', "architecture None, which Sightline cannot use"),
        (
            '{"model_type": "blip", "architectures": ["BlipForQuestionAnswering"]}',
            r"architecture blip \(BlipForQuestionAnswering\)",
        ),
        ('{"model_type": "blip", "architectures": 1}', r"architecture blip \(1\)"),
        ('{"model_type": ', "config.json is damaged"),
        ("[]", "config.json is damaged"),
        ("[" * 100_000, "config.json is damaged"),
        (" " * 2_000_000 + "{}", "config.json is damaged"),
    ],
)
def test_an_unknown_architecture_names_those_that_are_known(
    tmp_path: Path, config: str, reason: str
) -> None:
    (tmp_path / "config.json").write_text(config)

    with pytest.raises(UnknownArchitecture, match=reason):
        read_architecture(tmp_path)


def test_blip_is_recognised(tmp_path: Path) -> None:
    config = {"model_type": "blip", "architectures": ["BlipForConditionalGeneration"]}
    (tmp_path / "config.json").write_text(json.dumps(config))

    assert read_architecture(tmp_path) == "blip"


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("---\npipeline_tag: image-to-text\nlicense: bsd-3-clause\n---\n# BLIP\n", "bsd-3-clause"),
        ("---\r\nlicense: 'mit'\r\n---\r\n", "mit"),
        ("---\nlicense: other\nlicense_name: research\n---\n", "research"),
        ("---\ntags: [x]\n---\nlicense: mit\n", "not stated"),
        ("license: mit\n", "not stated"),
        (None, "not stated"),
    ],
)
def test_the_licence_is_what_the_publisher_states(
    tmp_path: Path, text: str | None, licence: str
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "blip"}')
    if text is not None:
        (tmp_path / "README.md").write_text(text)

    assert read_licence(tmp_path) == licence
    assert read_licence(SHIPPED_FOLDER) == "non-commercial research and education"


def cached(cache: Path, *names: str, ref: str = "main") -> Path:
    """Lay out a cached repository as huggingface_hub does; return the snapshot's folder."""
    repository = cache / "models--a--b"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / ref).write_text(COMMIT)
    for name in names:
        (snapshot / name).write_text('{"model_type": "blip"}')
    return snapshot


@pytest.mark.parametrize("text", ["hf:a/b", "hf:a/b@main", f"hf:a/b@{COMMIT}"])
def test_a_repository_is_found_in_the_cache(cache: Path, text: str) -> None:
    snapshot = cached(
        cache, "config.json", "model.safetensors", "vocab.txt", "preprocessor_config.json"
    )

    found = local_folder(CaptionerReference.parse(text))

    assert found == snapshot
    assert str(reference_of(found)) == f"hf:a/b@{COMMIT}"


@pytest.mark.parametrize("text", ["hf:a/b", "hf:a/c", "hf:a/b@v2", f"hf:a/b@{COMMIT[::-1]}"])
def test_a_repository_that_is_missing_names_the_command(cache: Path, text: str) -> None:
    if text != "hf:a/b":
        cached(cache, "config.json", "model.safetensors", "vocab.txt", "preprocessor_config.json")

    with pytest.raises(CaptionerError) as refused:
        local_folder(CaptionerReference.parse(text))

    assert str(refused.value) == (
        f"{text} is not on this machine; download it with: python server.py captioner fetch {text}"
    )


def test_an_interrupted_download_names_what_is_missing(cache: Path) -> None:
    cached(cache, "config.json", "vocab.txt", "preprocessor_config.json")

    with pytest.raises(CaptionerError, match=r"it lacks model.safetensors; .*captioner fetch hf:a"):
        local_folder(CaptionerReference.parse("hf:a/b"))


def test_a_folder_that_cannot_be_read_is_named() -> None:
    with pytest.raises(CaptionerError, match="cannot be read: File name too long"):
        local_folder(CaptionerReference.parse(f"/{'x' * 300}"))
