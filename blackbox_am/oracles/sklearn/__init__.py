"""A fitted estimator of scikit-learn, or of a library that follows its conventions."""

from blackbox_am.oracles.sklearn._oracle import Sklearn

__all__ = ["Sklearn"]
