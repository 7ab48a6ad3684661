"""Scores of predicted values of a regression: each a function of values and labels [m], m >= 1; None where it has no value."""
import numpy as np


def explained_variance(values: np.ndarray, labels: np.ndarray) -> float | None:
    """R2 = 1 - mean squared error / variance of the labels; None where the labels do not vary."""
    variance = np.var(labels, dtype=float)
    return float(1 - _squared(values, labels) / variance) if variance > 0 else None


def rmse(values: np.ndarray, labels: np.ndarray) -> float:
    """The root of the mean squared error."""
    return float(np.sqrt(_squared(values, labels)))


def mae(values: np.ndarray, labels: np.ndarray) -> float:
    """The mean absolute error."""
    return float(np.mean(np.abs(np.asarray(values, float) - labels)))


def half_squared(values: np.ndarray, labels: np.ndarray) -> float:
    """Half the mean squared error, which training minimises."""
    return _squared(values, labels) / 2


def _squared(values, labels):
    return float(np.mean((np.asarray(values, float) - labels) ** 2))
