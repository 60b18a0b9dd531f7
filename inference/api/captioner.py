"""A captioner for programs: it runs in their process."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from inference.api.images import ImageInput, to_array
from inference.api.results import HeatMap, ImageCaption
from inference.captioning import Precision
from inference.explanations import MethodCard, Target
from inference.progress import Progress, ProgressCallback, finish, map_progress
from inference.startup import load_keras_for_program, quiet_stderr
from models.catalogue import CaptionerReference, local_folder

if TYPE_CHECKING:
    from inference.captioning.model import CaptionModel


class Captioner:
    """Captions images, and explains the captions.

    Threads may share it: their calls run one after another. It starts no process and needs no
    closing. Other processes need their own; load it after a fork, since TensorFlow does not survive
    one.
    """

    def __init__(self, model: "CaptionModel") -> None:
        """Wrap a captioner that is loaded; see `load`."""
        from inference.explanations.explainer import Explainer

        self.model = model
        """What everything is computed with. Not for use by threads while others use this object."""
        self._explainer = Explainer(model)
        self._lock = threading.Lock()

    @classmethod
    def load(
        cls,
        captioner: str | Path = "shipped",
        *,
        precision: Precision = "float32",
        layer: int | None = None,
        consensus: bool = True,
    ) -> Self:
        """Load a captioner that is on this machine, which takes some seconds. Never downloads.

        The first one loads TensorFlow. If the program has not done so before, TensorFlow runs in
        one thread, which is fastest here, unless TF_NUM_INTRAOP_THREADS sets another number; and
        what it writes to standard error is held back.

        Args:
            captioner: `shipped`, a folder, or `hf:OWNER/NAME[@REVISION]`.
            precision: Numeric precision of the encoder; `int8` takes half the time if the captioner
                has such an encoder.
            layer: Index of the cross-attention layer that is explained, for captioners that have
                several; by default the captioner's own choice.
            consensus: Whether a captioner that has a consensus chooses by it.

        Raises:
            models.catalogue.CaptionerError: If there is no such captioner on this machine; of a
                repository, the message has the command that downloads it.
            models.checkpoint.CheckpointError: If its files cannot be used.
            inference.captioning.QuantizedError: If it has no encoder of that precision.
            inference.startup.TensorFlowUnavailable: If TensorFlow cannot be loaded.
        """
        folder = captioner
        if not isinstance(folder, Path):
            folder = local_folder(CaptionerReference.parse(folder))
        else:
            folder = local_folder(CaptionerReference("folder", str(folder)))
        return cls(_open(folder, precision, layer, consensus=consensus))

    @property
    def name(self) -> str:
        """Name in the captioner's card."""
        return self.model.card.name

    @property
    def methods(self) -> dict[str, MethodCard]:
        """The methods of `explain` by name, the default one first."""
        found = self._explainer.methods
        return {name: method.card_for(self.model) for name, method in found.items()}

    @overload
    def caption(self, image: ImageInput) -> ImageCaption: ...

    @overload
    def caption(self, image: list[Any] | tuple[Any, ...]) -> list[ImageCaption]: ...

    def caption(self, image: Any) -> ImageCaption | list[ImageCaption]:
        """Caption an image, or a list of images.

        Args:
            image: An array RGB, uint8 [H, W, 3], an image of Pillow or a path; or a list or tuple
                of these, which are captioned a few at a time.

        Returns:
            The caption; for a list, a list of them in its order. Each image has the same caption as
            if it were captioned alone. A caption keeps its image, so give large collections in
            parts.

        Raises:
            ValueError: If it is no image, or a file cannot be read.
        """
        if isinstance(image, (list, tuple)):
            return self._caption([to_array(each) for each in image])
        return self._caption([to_array(image)])[0]

    def explain(
        self,
        image: ImageInput | ImageCaption,
        word: str | int | None = None,
        *,
        instead_of: str | None = None,
        tag: str | None = None,
        method: str | None = None,
        progress: ProgressCallback | None = None,
    ) -> HeatMap:
        """Compute where in an image a word of its caption came from.

        Args:
            image: As in `caption`; or what `caption` returned, which is then not captioned again.
            word: A word of the caption, the first one if it has several of that text, or its index
                from 0; None for the whole caption.
            instead_of: Another word: the map shows why the caption has `word` instead of it.
            tag: In place of a word: an object, such as one of the caption's tags.
            method: Name of one of `methods`, as it is or as captum, pytorch-grad-cam and xplique
                write it (`IntegratedGradients`, `GradCAM`); the captioner's live one by default.
            progress: Called about every 50 ms while a slow method runs.

        Raises:
            ValueError: If it is no image, the caption has no such word, there is no such method or
                tag, or the method cannot explain this target.
        """
        name = self._method_name(method)
        captioned = image if isinstance(image, ImageCaption) else self.caption(image)
        if captioned.folder != self.model.folder:
            raise ValueError(f"this caption is of another captioner, {captioned.captioner}")
        target, title = _target(captioned, word, instead_of, tag)
        with self._lock:
            work = self._explainer.explain(captioned.image, captioned.tokens, name, target)
            found = finish(map_progress(work, _reporting(progress)))
        return HeatMap(
            values=found.values,
            image=captioned.image,
            caption=captioned.text,
            target=target,
            title=title,
            method=self._explainer.methods[name].card_for(self.model),
            captioner=self.name,
            note=found.note,
        )

    def __repr__(self) -> str:
        return f"<Captioner {self.name}>"

    def _caption(self, images: list[NDArray[np.uint8]]) -> list[ImageCaption]:
        from inference.captioning.still_image import caption_images

        captions: list[ImageCaption] = []
        for start in range(0, len(images), self.model.max_batch):
            batch = images[start : start + self.model.max_batch]
            with self._lock:
                found = caption_images(self.model, batch)
            captions += [
                ImageCaption(
                    image=image,
                    text=each.whole.text,
                    words=each.whole.words,
                    details=each.caption,
                    captioner=self.name,
                    tokens=each.tokens,
                    folder=self.model.folder,
                )
                for image, each in zip(batch, found, strict=True)
            ]
        return captions

    def _method_name(self, given: str | None) -> str:
        names = list(self._explainer.methods)
        if given is None:
            return names[0]
        found = next((name for name in names if _plain(name) == _plain(given)), None)
        if found is None:
            raise ValueError(f"there is no method {given!r}; the methods are {', '.join(names)}")
        return found


def _open(
    folder: Path, precision: Precision, layer: int | None, *, consensus: bool
) -> "CaptionModel":
    load_keras_for_program()
    with quiet_stderr(), _quiet_absl():
        from inference.captioners.opening import open_captioner

        return open_captioner(folder, precision, layer, consensus=consensus)


@contextmanager
def _quiet_absl() -> Iterator[None]:
    """Hold back the warnings of TensorFlow's converter, which notebooks show in any case."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _plain(name: str) -> str:
    """Return the name of a method without case and separators."""
    return name.lower().replace("-", "").replace("_", "")


def _target(
    captioned: ImageCaption, word: str | int | None, instead_of: str | None, tag: str | None
) -> tuple[Target, str]:
    """Resolve what is to be explained; return it with its title.

    Raises:
        ValueError: If the caption has no such word, or the arguments exclude each other.
    """
    if tag is not None:
        if word is not None or instead_of is not None:
            raise ValueError("a tag is explained in place of a word: give one of them")
        return Target("tag", text=tag), tag
    if word is None:
        if instead_of is not None:
            raise ValueError(f"name the word of the caption that is there instead of {instead_of}")
        return Target("caption"), "whole caption"
    index = _index(captioned, word)
    text = captioned.words[index].text
    if instead_of is None:
        return Target("word", index), text
    return Target("contrast", index, instead_of.lower()), f"{text} instead of {instead_of}"


def _index(captioned: ImageCaption, word: str | int) -> int:
    words = [each.text for each in captioned.words]
    if isinstance(word, str) and word.lower() in words:
        return words.index(word.lower())
    if not isinstance(word, str) and 0 <= word < len(words):
        return int(word)
    if not words:
        raise ValueError("the caption has no words")
    numbered = ", ".join(f"{each} ({index})" for index, each in enumerate(words))
    raise ValueError(f"there is no word {word!r} in {captioned.text!r}; its words are {numbered}")


def _reporting(progress: ProgressCallback | None) -> Callable[[float | Progress], None]:
    def report(step: float | Progress) -> None:
        if progress:
            progress(step if isinstance(step, Progress) else Progress(step, ""))

    return report
