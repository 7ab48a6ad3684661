"""Writes the studies' pages and pictures again from the JSON files beside them: nothing is trained.

    python -m benchmarks.studies.pages [--results=docs/results] [--images=docs/images]

The sheets of samples stay as they are, since the JSON files hold no clips.
"""
import argparse
import pathlib
import sys

from benchmarks.studies.pages import alignment, learned, tqd
from benchmarks.studies.theory import results as theory


def main(argv):
    """Rewrites every page and prints its path."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--results', type=pathlib.Path, default=pathlib.Path('docs/results'))
    parser.add_argument('--images', type=pathlib.Path, default=pathlib.Path('docs/images'))
    folders = parser.parse_args(argv)
    for study in (tqd, alignment, learned):
        print(study.rewrite(folders.results))
    print(theory.rewrite(folders.results, folders.images))


if __name__ == '__main__':
    main(sys.argv[1:])
