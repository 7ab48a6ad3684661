"""Evidence: which of several candidates the losses of held-out rows call for."""
import numpy as np
import scipy.special

DOUBT = 1.0  # standard errors over held-out rows by which a candidate that trusts the sources more must be better
FACTORS = 2.0 ** np.arange(-5, 5.25, 0.25)  # of outputs, among which calibration looks


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
