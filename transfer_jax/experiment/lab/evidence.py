"""Evidence: what the losses of held-out rows say of several candidates, one of which is the first choice."""
import numpy as np
import scipy.special

DOUBT = 1.0  # standard errors over held-out rows by which another candidate must be better than the first
FACTORS = 2.0 ** np.arange(-5, 5.25, 0.25)  # of outputs, among which calibration looks


def calibrated_losses(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The log-loss [..., n] of rows by beta z, z the outputs [..., n, C] and labels [..., n]: beta of FACTORS has the least mean loss.

    beta is one number for all n rows, the inverse temperature of temperature scaling (Guo et al., ICML 2017). A fit to more samples is pulled
    less by its prior: its outputs are larger, and its log-loss is another even where it ranks the classes alike. beta takes that away.
    """
    own = np.take_along_axis(outputs, np.broadcast_to(labels, outputs.shape[:-1])[..., None], -1)[..., 0]
    losses = np.stack([scipy.special.logsumexp(factor * outputs, -1) - factor * own for factor in FACTORS])
    best = np.argmin(losses.mean(-1), 0)
    return np.take_along_axis(losses, best[None, ..., None], 0)[0]


def clearly_best(losses: np.ndarray) -> np.ndarray:
    """The number [S] of the candidate of losses [T, S, n]: the first, unless another's mean is lower by more than DOUBT standard errors.

    Standard errors are of the row-by-row difference from the first; of several that are, the one whose gain is furthest above its own.
    """
    gains = losses[:1] - losses
    clear = gains.mean(-1) - DOUBT * gains.std(-1, ddof=1) / gains.shape[-1] ** 0.5
    clear[0] = 0
    return np.argmax(clear, 0)
