"""`python -m inference.concepts fit`: fit the concept bank of a captioner.

Captions training pictures, chooses the words that it says of enough of them, finds concepts for
each and writes `concepts.npz` into the captioner's folder after every word. No picture of the data
set goes into it.
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from inference.captioning.model import CaptionModel
from inference.concepts.bank import (
    ENOUGH_SCENES,
    FILE,
    About,
    Bank,
    BankError,
    has_bank,
    read_bank,
    write_bank,
)
from inference.concepts.fit import Fitting, Sizes, Survey, choose_words, survey
from inference.concepts.patches import FolderCache, MemoryCache
from inference.startup import quiet, use_one_thread
from models.checkpoint import DEFAULT
from models.datasets import Dataset, open_dataset
from models.digests import weights_sha256

_SEED = 0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `fit`."""
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--captioner", type=Path, default=DEFAULT, help="folder of the captioner")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "--words",
        type=int,
        default=30,
        metavar="N",
        help=f"how many: those said most often, of {ENOUGH_SCENES} pictures at least, words for "
        "things before others (default: 30)",
    )
    chosen.add_argument("--word", nargs="+", metavar="WORD", help="these words instead")
    parser.add_argument(
        "--survey",
        type=int,
        default=2500,
        metavar="N",
        help="training pictures that are captioned to choose from (default: 2500)",
    )
    parser.add_argument(
        "--pictures",
        type=int,
        default=60,
        metavar="N",
        help="pictures over which a word is tested, a scene each (default: 60)",
    )
    parser.add_argument(
        "--cut",
        type=int,
        default=30,
        metavar="N",
        help="of these, pictures that are cut into segments (default: 30)",
    )
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="folder to keep captions and activations in"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with the bank that is there, if it is its own"
    )


def fit(options: argparse.Namespace) -> None:
    """Fit the bank.

    Raises:
        models.datasets.DatasetError: If the data set cannot be read.
        models.checkpoint.ReleaseError: If the folder holds no captioner.
        OSError: If the folder, or that of the cache, cannot be written.
        ValueError: If there are too few pictures, or the captioner does not say a word that is
            asked for.
    """
    use_one_thread()
    _check(options)
    dataset = open_dataset(options.data)
    with quiet():
        model = CaptionModel(options.captioner)
    weights = weights_sha256(options.captioner)
    surveyed = _survey(options, model, dataset, weights)
    counts = surveyed.counts()
    words = options.word or choose_words(counts, options.words)
    for word in words:
        if counts[word] < ENOUGH_SCENES:
            raise ValueError(
                f"the captioner says {word!r} of {counts[word]} of {len(surveyed.names)} pictures; "
                f"{ENOUGH_SCENES} are needed: raise --survey, or leave the word out"
            )
    bank = _begun(options, weights)
    about = bank.about.model_copy(update={"captioned": len(surveyed.names), "said": dict(counts)})
    bank = Bank(about, bank.concepts)
    cache = FolderCache(options.cache) if options.cache else MemoryCache()
    fitting = Fitting(model, dataset, surveyed, words, Sizes(options.cut, options.pictures), cache)
    progress = tqdm([word for word in words if word not in about.fitted], unit="word")
    for word in progress:
        progress.set_description(word)
        bank = _with_word(bank, fitting, word)
        write_bank(options.captioner, bank)
    print(
        f"{options.captioner / FILE}: {len(bank.concepts)} concepts of "
        f"{len(bank.about.fitted)} words"
    )


def _check(options: argparse.Namespace) -> None:
    for name, least in (("words", 1), ("pictures", ENOUGH_SCENES), ("cut", 1), ("survey", 1)):
        if getattr(options, name) < least:
            raise ValueError(f"--{name} is {getattr(options, name)}: {least} at least are needed")


def _survey(
    options: argparse.Namespace, model: CaptionModel, dataset: Dataset, weights: str
) -> Survey:
    examples = dataset.examples("train")
    order = np.random.default_rng(_SEED).permutation(len(examples))[: options.survey]
    names = [examples[place].name for place in order]
    kept = None
    if options.cache:
        options.cache.mkdir(parents=True, exist_ok=True)
        kept = options.cache / f"captions-{weights[:16]}.jsonl"
    said = tqdm(survey(model, dataset, names, kept), desc="captions", total=len(names))
    return Survey(tuple(names), tuple(said), model.captioner.vocabulary.words)


def _begun(options: argparse.Namespace, weights: str) -> Bank:
    """The bank to go on with, or an empty one."""
    if options.resume and has_bank(options.captioner):
        try:
            return read_bank(options.captioner)
        except BankError as problem:
            print(f"Beginning anew: {problem}")
    return Bank(About(weights_sha256=weights, captioned=0, said={}, fitted={}), ())


def _with_word(bank: Bank, fitting: Fitting, word: str) -> Bank:
    work = fitting.fit(word)
    with tqdm(total=100, desc=f"concepts of {word}", unit="%", leave=False) as progress:
        while True:
            try:
                progress.update(round(100 * next(work)) - progress.n)
            except StopIteration as end:
                fitted, concepts = end.value
                break
    about = bank.about.model_copy(update={"fitted": {**bank.about.fitted, word: fitted}})
    return Bank(about, (*bank.concepts, *concepts))
