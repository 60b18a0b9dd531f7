"""`python -m web.translations`: bring the catalogues up to date with the page's sources.

New messages are added without a translation, and those that are gone are removed. With `--check`,
nothing is written; the exit status is 1 if a catalogue is out of date or incomplete.
"""

import argparse
import sys

from web.translations.catalogue import ENGLISH, LANGUAGES
from web.translations.maintenance import faults_of, updated_catalogue, write_catalogue


def main() -> int:
    """Update or check all catalogues; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m web.translations", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    languages = [language for language in LANGUAGES if language != ENGLISH]
    if not check:
        for language in languages:
            write_catalogue(language, updated_catalogue(language))
    faults = [f"{language}.po: {fault}" for language in languages for fault in faults_of(language)]
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
