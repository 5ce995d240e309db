"""Networks as scikit-learn estimators: what those of formulas, sets of words and graphs have in common.

A kind of network adds its settings and three methods: ``_check()`` raises an error if a setting makes no sense,
``_read(X)`` makes `Materials` of what users pass, and ``_maker(goal)`` returns a function that makes a
`PropertyNetwork` with fresh weights. What a class remembers of its training materials it notes in
``_read_training(X)``.
"""

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from matembed.downstream._property_training import ask_members, check_training, train_members
from matembed.downstream.materials import Column
from matembed.downstream.tasks import LabelledMaterials, Task, read_labelled

if TYPE_CHECKING:
    from sklearn.utils import Tags

__all__ = ["Device", "Loss", "NetworkClassifier", "NetworkRegressor"]

Loss = Literal["laplace", "gaussian"]
Device = Literal["cpu", "cuda", "auto"]


class NetworkRegressor(RegressorMixin, BaseEstimator):
    """Fit networks to numbers, and ask them."""

    def fit(self: Any, X: Any, y: Column) -> Any:
        """Train on materials.

        Parameters
        ----------
        X : materials, length n_materials
            What to learn from, of a kind that the class reads.
        y : sequence of float, length n_materials
            The target, in any unit.

        Returns
        -------
        estimator
            Itself, fitted.

        Raises
        ------
        ImportError
            If a library that the network needs is not installed.
        NotFittedError
            If a model to start from has learned nothing yet.
        OSError
            If there is no model of a name.
        TypeError
            If a setting is of another kind, or `X` is no column.
        ValueError
            If a setting makes no sense, a material cannot be read, materials and targets do not fit each other, or a
            target is missing.
        """
        check_training(self)
        if self.loss not in get_args(Loss):
            msg = f"loss must be one of {', '.join(get_args(Loss))}, got {self.loss!r}"
            raise ValueError(msg)
        self._check()
        target = _labelled(X, y, "regression").y
        self.members_, self.history_ = train_members(self, self._maker(self.loss), self._read_training(X), target)
        return self

    def _read_training(self: Any, X: Any) -> Any:
        """Read what is learned from; a class may remember what it was like."""
        return self._read(X)

    def predict(
        self: Any, X: Any, return_std: bool = False
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict the target of materials.

        Parameters
        ----------
        X : materials, length n_materials
            Of the kind that was learned from.
        return_std : bool, default False
            Tell the standard deviation too.

        Returns
        -------
        float64 array, shape (n_materials,), or two of them
            In the unit of the target: the prediction, the mean y over the members' y_m; and its standard deviation,
            with the variance mean(s_m²) + mean((y_m - y)²), of what each member tells and what they disagree about.
        """
        check_is_fitted(self)
        locations, stds = ask_members(self.members_, self._read(X), self.device)
        predicted = locations.mean(axis=0)
        if not return_std:
            return predicted
        return predicted, np.sqrt((stds**2).mean(axis=0) + locations.var(axis=0))

    def __sklearn_tags__(self) -> "Tags":
        return _column_tags(super().__sklearn_tags__())


class NetworkClassifier(ClassifierMixin, BaseEstimator):
    """Fit networks to two classes, and ask them."""

    def fit(self: Any, X: Any, y: Column) -> Any:
        """Train on materials.

        Parameters
        ----------
        X : materials, length n_materials
            What to learn from, of a kind that the class reads.
        y : sequence of two different values, length n_materials
            The class of each.

        Returns
        -------
        estimator
            Itself, fitted.

        Raises
        ------
        ImportError
            If a library that the network needs is not installed.
        NotFittedError
            If a model to start from has learned nothing yet.
        OSError
            If there is no model of a name.
        TypeError
            If a setting is of another kind, or `X` is no column.
        ValueError
            If a setting makes no sense, a material cannot be read, materials and classes do not fit each other,
            there are not two classes, or each has one formula, so that none can be kept aside.
        """
        check_training(self)
        self._check()
        labelled = _labelled(X, y, "classification")
        target = labelled.y.astype(np.float64)
        make_network, materials = self._maker("logistic"), self._read_training(X)
        self.members_, self.history_ = train_members(self, make_network, materials, target, classes=True)
        self.classes_ = np.array(labelled.classes)
        return self

    def _read_training(self: Any, X: Any) -> Any:
        """Read what is learned from; a class may remember what it was like."""
        return self._read(X)

    def predict_proba(self: Any, X: Any) -> NDArray[np.float64]:
        """Tell the probability of each class.

        Parameters
        ----------
        X : materials, length n_materials
            Of the kind that was learned from.

        Returns
        -------
        float64 array, shape (n_materials, 2)
            Columns in the order of `classes_`: means over the members.
        """
        check_is_fitted(self)
        probabilities, _ = ask_members(self.members_, self._read(X), self.device)
        positive = probabilities.mean(axis=0)
        return np.column_stack([1 - positive, positive])

    def predict(self, X: Any) -> NDArray[Any]:
        """Tell the likelier class.

        Parameters
        ----------
        X : materials, length n_materials
            Of the kind that was learned from.

        Returns
        -------
        array, shape (n_materials,)
            One of `classes_` each.
        """
        check_is_fitted(self)
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def __sklearn_tags__(self) -> "Tags":
        tags = _column_tags(super().__sklearn_tags__())
        tags.classifier_tags.multi_class = False
        return tags


def _labelled(X: Any, y: Column, task: Task) -> LabelledMaterials:
    """Check that materials and targets fit each other, before materials are read."""
    return read_labelled(list(X.formulas) if hasattr(X, "formulas") else X, y, task=task)


def _column_tags(tags: "Tags") -> "Tags":
    tags.input_tags.two_d_array = False
    tags.input_tags.one_d_array = True
    tags.input_tags.string = True
    return tags
