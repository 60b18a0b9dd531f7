"""What of a caption a client wants explained, and by which method."""

from dataclasses import dataclass

from inference.captioning import Caption
from inference.engine import EngineInfo, ExplanationResult
from inference.explanations import MethodCard, Target


class TargetError(ValueError):
    """There is no such word, or no such method; the message is for the client."""


@dataclass(frozen=True, slots=True)
class TargetQuery:
    """What a client wants explained, before the caption is known."""

    word: str | None = None
    """A word of the caption; its first occurrence."""
    index: int | None = None
    """The index of a word in the caption, from 0."""
    instead_of: str | None = None
    """Another word for its place: why the word and not this one."""
    tag: str | None = None
    """An object."""
    method: str | None = None
    """Name of a method; the captioner's first one that can explain the target if None."""

    def target(self, caption: Caption) -> Target:
        """Find the target in a caption; the whole caption if no part of it is named.

        Raises:
            TargetError: If the caption has no such word.
        """
        if self.tag is not None:
            return Target("tag", text=self.tag)
        if self.word is None and self.index is None:
            return Target("caption")
        words = [word.text.lower() for word in caption.words]
        index = self.index
        if self.word is not None:
            index = words.index(self.word.lower()) if self.word.lower() in words else None
        if index is None or index >= len(words):
            known = ", ".join(words) or "none"
            raise TargetError(f"the caption has no such word; its words: {known}")
        if self.instead_of is not None:
            return Target("contrast", index, self.instead_of)
        return Target("word", index)

    def choose_method(self, target: Target, info: EngineInfo) -> MethodCard:
        """Choose the method.

        Raises:
            TargetError: If the captioner has no such method, or none that explains the target.
        """
        able = [each for each in info.methods if target.kind in each.kinds]
        if self.method is None:
            if not able:
                raise TargetError(f"this captioner has no method that explains a {target.kind}")
            return able[0]
        for method in info.methods:
            if method.name == self.method:
                return method
        names = ", ".join(each.name for each in able) or "none"
        raise TargetError(f"there is no method {self.method[:40]!r}; methods for this: {names}")


@dataclass(frozen=True, slots=True)
class Explained:
    """An explanation of a caption."""

    method: MethodCard
    target: Target
    result: ExplanationResult
