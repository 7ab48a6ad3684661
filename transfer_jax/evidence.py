"""Evidence: the weights that are tried on folds of the target, and how probable the losses of held-out rows make each of them.

Weights are decided from G + COMMON_BIAS / N0: F is linear in G, so the weights of least expected F are those of the expected G. G is known
to a part of 1 / N0 at best; a G that happens to be small, or whose biases happen to cancel, would make the sources worth any number of
target samples, and COMMON_BIAS limits that to N0 / COMMON_BIAS.
"""
import numpy as np
import scipy.special

COMMON_BIAS = 0.25  # / N0, added to every entry of G: a bias of all sources that the measurement of G cannot exclude
LESS = 0.25  # a factor on the weights of G that trusts the sources less
MORE = (4.0, 16.0)  # factors that trust them more
ONE_WEIGHT = (0.01, 0.03, 0.1, 0.3, 1.0)  # of a sample of every source
OPTIMAL, ALONE = 'UOWQ', 'target only'
SAFE = 3  # the first candidates: the weights of G, LESS of them, no source
TEMPERATURE = 4.0  # nats of evidence that make a candidate e times as probable: less is mostly chance among fits of so few rows
DOUBT = 1.0  # standard errors over held-out rows by which a candidate that trusts the sources more must be better
FACTORS = 2.0 ** np.arange(-5, 5.25, 0.25)  # of outputs, among which calibration looks


def candidates(optimal: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """(names [T], weights [T, ..., K]) that folds compare: `optimal` [..., K] of G, its multiples, one weight for all."""
    of_factors = {OPTIMAL: 1.0, f'{OPTIMAL} x {LESS:g}': LESS, ALONE: 0.0, **{f'{OPTIMAL} x {factor:g}': factor for factor in MORE}}
    same = {f'one weight of {weight:g}': np.full_like(optimal, weight) for weight in ONE_WEIGHT}
    return (*of_factors, *same), np.stack([*(factor * optimal for factor in of_factors.values()), *same.values()])


def calibrated_losses(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The log-loss [..., n] of rows by beta z, z the outputs [..., n, C] and labels [..., n]: beta of FACTORS has the least mean loss.

    beta is one number for all n rows, the inverse temperature of temperature scaling (Guo et al., ICML 2017). A fit to more samples is
    pulled less by its prior: its outputs are larger, and its log-loss is another even where it ranks the classes alike. beta takes that
    away.
    """
    own = np.take_along_axis(outputs, np.broadcast_to(labels, outputs.shape[:-1])[..., None], -1)[..., 0]
    losses = np.stack([scipy.special.logsumexp(factor * outputs, -1) - factor * own for factor in FACTORS])
    best = np.argmin(losses.mean(-1), 0)
    return np.take_along_axis(losses, best[None, ..., None], 0)[0]


def probabilities(plain: np.ndarray, calibrated: np.ndarray | None, safe: int) -> np.ndarray:
    """The probability [T, S] of each candidate, by the losses [T, S, n] of held-out rows; calibrated is None for a regression.

    The log of a probability is the candidate's evidence in nats over TEMPERATURE, but for a constant. Evidence is minus the sum of the
    calibrated losses; of a regression, whose plain losses are half of squared errors, it is the Gaussian likelihood at its best variance.
    The first `safe` candidates are the expected one, those that trust the sources less, and last none: where none has the least mean plain
    loss of these, it has probability 1, since to trust no source needs no proof.
    """
    mean, count = plain.mean(-1), plain.shape[-1]
    evidence = -calibrated.sum(-1) if calibrated is not None else -count / 2 * np.log(np.maximum(mean, np.finfo(mean.dtype).tiny))
    alone = np.arange(len(mean))[:, None] == safe - 1
    return np.where(np.argmin(mean[:safe], 0) == safe - 1, alone, scipy.special.softmax(evidence / TEMPERATURE, 0))


def averaged(weights: np.ndarray, probability: np.ndarray, target_size: float, sizes: np.ndarray) -> np.ndarray:
    """The weights [S, K] whose fit is the average of the fits at candidates' weights [T, S, K] of probability [T, S].

    A fit is the mean of the domains' own fits by their parts of all effective samples, w_k N_k / (N0 + sum w N); sizes [K] are N. So parts
    are averaged, and not weights, of which the largest would decide alone. Averaged parts are those of the mean of the candidates' weights
    by p v_0, v_0 the target's part. Exact for quadratic fits without a prior where all domains have the same Fisher information; elsewhere
    to first order in the difference of their information.
    """
    share = probability / (target_size + (weights * sizes).sum(-1))  # p v_0 / N0
    return np.einsum('ts,tsk->sk', share, weights) / share.sum(0)[:, None]


def best(plain: np.ndarray, calibrated: np.ndarray, safe: int) -> np.ndarray:
    """The number [S] of the candidate that the losses [T, S, n] of held-out rows call for.

    The first `safe` candidates are the expected one and those that trust the sources less: of these the one of least mean plain loss, since
    to trust less needs no proof. Each of the others must have a calibrated loss that is clearly smaller (clearly_better).
    """
    return clearly_better(calibrated, np.argmin(plain[:safe].mean(-1), 0), safe)


def clearly_better(losses: np.ndarray, base: np.ndarray, others: int) -> np.ndarray:
    """The number [S] of a candidate of losses [T, S, n]: base [S], or one from `others` on whose gain exceeds DOUBT standard errors.

    Gains and their standard errors are of row-by-row differences from base; of several, the one whose gain is furthest above its own.
    """
    gains = losses[base, np.arange(len(base))] - losses[others:]
    clear = gains.mean(-1) - DOUBT * gains.std(-1, ddof=1) / gains.shape[-1] ** 0.5
    return np.where((clear > 0).any(0), others + np.argmax(clear, 0), base) if len(clear) else base
