"""A scikit-learn face: MultiSourceClassifier and MultiSourceRegressor learn from a target and from sources, each at its own weight."""
from transfer_jax.sklearn.classifier import MultiSourceClassifier
from transfer_jax.sklearn.regressor import MultiSourceRegressor

__all__ = ['MultiSourceClassifier', 'MultiSourceRegressor']
