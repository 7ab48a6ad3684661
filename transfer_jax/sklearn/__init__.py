"""Estimators of scikit-learn that learn from a target and from sources: MultiSourceClassifier and MultiSourceRegressor."""
from transfer_jax.runtime.public import public

__getattr__, __dir__, __all__ = public(__name__, {
    'classifier': ('MultiSourceClassifier',),
    'regressor': ('MultiSourceRegressor',),
})
