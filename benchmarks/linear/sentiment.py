"""Reviews that no one wrote: svmlight files of word counts in four domains and two classes, shaped like a sentiment corpus.

    python -m benchmarks.linear.sentiment FOLDER

Words have Zipf frequencies. Every domain has words of its own, shared words tell the classes apart, and each domain has such words
that no other has, some with the opposite sign: so a source helps, and misleads a little.
"""
import pathlib
import sys

import numpy as np
import scipy.sparse
from sklearn.datasets import dump_svmlight_file

NAMES = ('books', 'dvd', 'electronics', 'kitchen')
WORDS, ROWS, TOKENS = 5000, 2000, 125
RELATED = 0.7  # correlation of the words of books with those of dvd, and of electronics with those of kitchen


def main(folder, rows=ROWS):
    """Writes the four files to the folder."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for name, frequencies in zip(NAMES, word_frequencies(rng), strict=True):
        x, y = reviews(rng, frequencies, int(rows))
        dump_svmlight_file(x, y, str(folder / f'{name}.svmlight'), zero_based=False)


def word_frequencies(rng):
    """[4, 2, WORDS]: probabilities of the words in each domain and class."""
    zipf = 1 / (np.arange(WORDS) + 10.0)
    pairs = np.repeat(rng.normal(size=(2, WORDS)), 2, 0)
    topics = np.sqrt(RELATED) * pairs + np.sqrt(1 - RELATED) * rng.normal(size=(4, WORDS))
    shared = rng.normal(size=WORDS) * (rng.random(WORDS) < 0.15)
    own = rng.normal(size=(4, WORDS)) * (rng.random((4, WORDS)) < 0.08)
    tone = 0.3 * shared + 0.25 * own
    weights = zipf * np.exp(0.8 * topics[:, None] + tone[:, None] * np.array([-1, 1])[None, :, None])
    return weights / weights.sum(-1, keepdims=True)


def reviews(rng, frequencies, rows):
    """(word counts [rows, WORDS] CSR, labels [rows] 0 or 1), classes in turn, lengths lognormal."""
    labels = np.arange(rows) % 2
    lengths = np.maximum(20, (TOKENS * rng.lognormal(-0.125, 0.5, rows)).astype(int))
    words = [rng.choice(WORDS, length, p=frequencies[label]) for length, label in zip(lengths, labels, strict=True)]
    index = np.concatenate(words)
    x = scipy.sparse.csr_matrix((np.ones(len(index)), (np.repeat(np.arange(rows), lengths), index)), (rows, WORDS))
    return x, labels


if __name__ == '__main__':
    main(*sys.argv[1:])
