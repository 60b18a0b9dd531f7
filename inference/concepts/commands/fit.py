"""Fit the concept bank of a captioner.

Captions training images, chooses words that enough captions contain, finds concepts of each, keeps
those that are shown to matter for the word, and writes concepts.npz into the captioner's folder
after every word. The file contains no image of the dataset.
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from inference.captioners.opening import open_captioner
from inference.captioning.model import Ability, CaptionModel
from inference.concepts import has_bank
from inference.concepts.bank import FILE, Bank, BankError, BankMetadata, read_bank, write_bank
from inference.concepts.findings import MIN_SCENES
from inference.concepts.fitter import BankFitter, FitSizes
from inference.concepts.patches import FolderCache, MemoryCache
from inference.concepts.survey import CaptionSurvey, caption_dataset, choose_words
from inference.startup import quiet_stderr, use_one_thread
from models.catalogue.options import add_captioner_folder, add_dataset
from models.datasets import Dataset, open_dataset
from models.digests import weights_sha256

_SEED = 0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `fit`."""
    add_dataset(parser)
    add_captioner_folder(parser)
    words = parser.add_mutually_exclusive_group()
    words.add_argument(
        "--words",
        type=int,
        default=30,
        metavar="N",
        help=f"number of words: the most frequent ones, in at least {MIN_SCENES} captions, object "
        "words first (default: 30)",
    )
    words.add_argument("--word", nargs="+", metavar="WORD", help="fit these words instead")
    parser.add_argument(
        "--survey",
        type=int,
        default=2500,
        metavar="N",
        help="training images to caption (default: 2500)",
    )
    parser.add_argument(
        "--pictures",
        type=int,
        default=60,
        metavar="N",
        help="images to test each word on, one scene each (default: 60)",
    )
    parser.add_argument(
        "--cut",
        type=int,
        default=30,
        metavar="N",
        help="images among these to segment (default: 30)",
    )
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="folder to cache captions and activations in"
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue with the existing bank, if it matches"
    )


def run(options: argparse.Namespace) -> None:
    """Run `fit`.

    Raises:
        models.datasets.DatasetError: If the dataset cannot be read.
        models.checkpoint.CheckpointError: If the folder holds no captioner.
        OSError: If the captioner's folder or the cache cannot be written to.
        ValueError: If an option is invalid, the captioner cannot have a bank, or a given word is in
            too few captions.
    """
    use_one_thread()
    _check(options)
    dataset = open_dataset(options.data)
    with quiet_stderr():
        model = open_captioner(options.captioner)
    if not model.can(Ability.CONCEPT_BANK):
        raise ValueError(
            "a concept bank can be fitted only for captioners that Sightline trained; discover "
            "concepts with python -m inference.concepts discover instead"
        )
    weights = weights_sha256(options.captioner)
    survey = _survey(options, model, dataset, weights)
    counts = survey.word_counts()
    words = options.word or choose_words(counts, options.words)
    for word in words:
        if counts[word] < MIN_SCENES:
            raise ValueError(
                f"{word!r} is in {counts[word]} of {len(survey.names)} captions, but at least "
                f"{MIN_SCENES} are needed: increase --survey, or omit the word"
            )
    bank = _initial_bank(options, weights)
    metadata = bank.metadata.model_copy(
        update={"images": len(survey.names), "word_counts": dict(counts)}
    )
    bank = Bank(metadata, bank.concepts)
    cache = FolderCache(options.cache) if options.cache else MemoryCache()
    sizes = FitSizes(segmented=options.cut, tested=options.pictures)
    fitter = BankFitter(model, dataset, survey, words, sizes, cache)
    progress = tqdm([word for word in words if word not in metadata.fitted], unit="word")
    for word in progress:
        progress.set_description(word)
        bank = _add_word(bank, fitter, word)
        write_bank(options.captioner, bank)
    print(f"{options.captioner / FILE}: {'. '.join(_summary(bank))}.")


def _check(options: argparse.Namespace) -> None:
    for name, least in (("words", 1), ("pictures", MIN_SCENES), ("cut", 1), ("survey", 1)):
        value = getattr(options, name)
        if value < least:
            raise ValueError(f"--{name} is {value}, but must be at least {least}")


def _survey(
    options: argparse.Namespace, model: CaptionModel, dataset: Dataset, weights: str
) -> CaptionSurvey:
    examples = dataset.examples("train")
    order = np.random.default_rng(_SEED).permutation(len(examples))[: options.survey]
    names = [examples[index].name for index in order]
    cache = None
    if options.cache:
        options.cache.mkdir(parents=True, exist_ok=True)
        cache = options.cache / f"captions-{weights[:16]}.jsonl"
    captions = caption_dataset(model, dataset, names, cache)
    tokens = tuple(tqdm(captions, desc="captions", total=len(names)))
    return CaptionSurvey(tuple(names), tokens, model.wording.pieces)


def _initial_bank(options: argparse.Namespace, weights: str) -> Bank:
    """Return the bank to continue with, or an empty one."""
    if options.resume and has_bank(options.captioner):
        try:
            return read_bank(options.captioner)
        except BankError as problem:
            print(f"Starting from scratch: {problem}")
    return Bank(BankMetadata(weights_sha256=weights, images=0, word_counts={}, fitted={}), ())


def _add_word(bank: Bank, fitter: BankFitter, word: str) -> Bank:
    work = fitter.fit(word)
    with tqdm(total=100, desc=f"concepts of {word}", unit="%", leave=False) as progress:
        while True:
            try:
                progress.update(round(100 * next(work)) - progress.n)
            except StopIteration as end:
                fitted, concepts = end.value
                break
    metadata = bank.metadata.model_copy(update={"fitted": {**bank.metadata.fitted, word: fitted}})
    return Bank(metadata, (*bank.concepts, *concepts))


def _summary(bank: Bank) -> list[str]:
    fitted = bank.metadata.fitted.values()
    supporting = sum(each.evidence.verdict == "supports" for each in bank.concepts)
    opposing = len(bank.concepts) - supporting
    false_positives = bank.false_positives()
    return [
        f"{supporting} concepts support and {opposing} oppose one of {len(fitted)} words, "
        f"of {sum(word.tests for word in fitted)} that were tested",
        *([false_positives.text()] if false_positives else []),
    ]
