"""A small problem of the scikit-learn face: a target of three classes, a source of its law, one with the classes' names in turn."""
import numpy as np

from transfer_jax.sklearn import MultiSourceClassifier

CLASSES, FEATURES, FEW, MANY, FOLDS = 3, 6, 30, 240, 3
RNG = np.random.default_rng(7)
MEANS = 1.1 * RNG.normal(size=(CLASSES, FEATURES))
NAMES = np.array(['ant', 'bee', 'cow'])
MOST = 1 / (1 + MANY / (4 * FEW))  # the weight of a source without bias but for the common one


def draw(n, seed, turn=0, noise=False):
    """(X, y): n rows of the target's law; turn: classes are named in turn; noise: labels say nothing."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % CLASSES
    x = MEANS[y] + rng.normal(size=(n, FEATURES))
    return x, NAMES[rng.integers(CLASSES, size=n) if noise else (y + turn) % CLASSES]


TARGET, OWN, TURNED, TEST = draw(FEW, 0), draw(MANY, 1), draw(MANY, 2, turn=1), draw(600, 3)
SOURCES = {'own': OWN, 'turned': TURNED}
HOLED = OWN[0].copy()
HOLED[[4, 9], [1, 0]] = np.nan


def classifier(*args, **options):
    return MultiSourceClassifier(*args, folds=FOLDS, **options)


def together(*pairs):
    return np.concatenate([x for x, _ in pairs]), np.concatenate([y for _, y in pairs])
