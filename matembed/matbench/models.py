"""Models that compete on Matbench by name: from the materials of a task to predictions, with settings that are fixed.

===================== =================================================================================================
name                  model
===================== =================================================================================================
"dummy"               mean of the training targets, or share of the positive class: a baseline
"one_hot_ridge"       ridge regression of the atomic fractions of the elements: a baseline
"composition_forest"  random forest of 300 trees on the formula alone, as `CompositionFeaturizer` describes it: a
                      baseline
"random_forest"       the same trees on these and, of structures, all blocks of `StructureFeaturizer`: a baseline
"ridge",              the models of `matembed.downstream.models` on what "random_forest" reads; or, with a table of
"kernel_ridge",       elements, on mean and standard deviation of its vectors in place of `CompositionFeaturizer`
"extra_trees",
"boosted_trees"
"blend"               `BlendRegressor` or the classifier on what "random_forest" reads and, of structures,
                      `BondNetworkFeaturizer`; needs LightGBM
"transformer"         `TransformerRegressor` or `TransformerClassifier` from random weights, with its own settings
"pretrained"          the same from the weights of "crystals", which come with the package
"composition_network" `CompositionRegressor` or the classifier, from the vectors of the table, else one-hot ones
"atom_motif"          `AtomMotifRegressor` or the classifier, of structures
===================== =================================================================================================

The forest on the formula alone is a baseline of tasks of structures: what it reaches, geometry did not earn.
"kernel_ridge" and "blend", which holds one, take 20,000 training rows at most.

A model is made by a function of a task and a seed. The task that it is given holds the training rows alone, so nothing
can be chosen by a row that is tested. What it returns takes the inputs themselves: formulas or structures.
"""

from collections.abc import Callable
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline

from matembed.downstream.baselines import one_hot_table
from matembed.downstream.blends import BlendClassifier, BlendRegressor
from matembed.downstream.bond_network import BondNetworkFeaturizer
from matembed.downstream.composition_blocks import CompositionFeaturizer
from matembed.downstream.composition_models import CompositionClassifier, CompositionRegressor
from matembed.downstream.features import FormulaFeaturizer, StructureFeaturizer
from matembed.downstream.fine_tuning import TransformerClassifier, TransformerRegressor
from matembed.downstream.materials import Column, as_list
from matembed.downstream.models import ModelName, make_model
from matembed.downstream.motif_blocks import BLOCKS
from matembed.elements import SYMBOLS
from matembed.embeddings import EmbeddingTable
from matembed.graphs.regressor import AtomMotifClassifier, AtomMotifRegressor
from matembed.matbench.tasks import MatbenchTask

__all__ = ["BASELINES", "ModelFactory", "RememberedRows", "baselines_of", "named_models"]

ModelFactory: TypeAlias = Callable[[MatbenchTask, int], Any]

BASELINES = ("dummy", "one_hot_ridge", "random_forest")  # of every run

_MOST_KERNEL_ROWS = 20_000
_N_TREES, _SHARE_TRIED = 300, 0.33  # of the baseline forests: trees, and the share of columns tried at each split


class RememberedRows(TransformerMixin, BaseEstimator):
    """Ask a featurizer that learns nothing for each material once, however many folds and models need its row.

    Parameters
    ----------
    featurizer : scikit-learn transformer
        A row of its must depend on its material alone, as those of `FormulaFeaturizer` and `StructureFeaturizer` do.
    compositions : bool, default False
        Ask it for the composition of a structure, rather than for the structure.

    Examples
    --------
    >>> from matembed.downstream.baselines import one_hot_table
    >>> rows = RememberedRows(FormulaFeaturizer(one_hot_table(["H", "O"])))
    >>> rows.fit_transform(["H2O2", "H2O2", "O2"])
    array([[0.5, 0.5],
           [0.5, 0.5],
           [0. , 1. ]])
    """

    def __init__(self, featurizer: Any, *, compositions: bool = False) -> None:
        self.featurizer = featurizer
        self.compositions = compositions
        # Materials are kept, so that no other object can take the identity of one that is known.
        self._known: dict[int, tuple[Any, NDArray[np.float64]]] = {}

    def fit(self, X: Column, y: object = None) -> Self:  # noqa: ARG002 (scikit-learn's signature)
        """Check the settings of the featurizer.

        Parameters
        ----------
        X : sequence of materials
            Not learned from.
        y : object, optional
            Ignored.

        Returns
        -------
        RememberedRows
            This transformer.
        """
        self.featurizer.fit(X)
        return self

    def transform(self, X: Column) -> NDArray[np.float64]:
        """Look up the rows of materials, and make those that are not known.

        Parameters
        ----------
        X : sequence of materials, length n_materials
            What the featurizer takes; a material is known again as the same object.

        Returns
        -------
        float64 array, shape (n_materials, n_columns)
            One row a material.
        """
        materials = as_list(X, "materials")
        new = list({id(one): one for one in materials if id(one) not in self._known}.values())
        if new:
            asked = [getattr(one, "composition", one) for one in new] if self.compositions else new
            rows = self.featurizer.transform(asked)
            self._known |= {id(one): (one, row) for one, row in zip(new, rows, strict=True)}
        return np.array([self._known[id(one)][1] for one in materials])

    def __sklearn_is_fitted__(self) -> bool:
        return True


def baselines_of(task: MatbenchTask) -> tuple[str, ...]:
    """Name the models that stand beside on a task, unless others are asked for.

    Parameters
    ----------
    task : MatbenchTask
        Of formulas or structures.

    Returns
    -------
    tuple of str
        `BASELINES`; of structures, also "composition_forest".

    Examples
    --------
    >>> baselines_of(MatbenchTask("demo", ("LiF", "NaF"), ("a", "b"), [1.0, 2.0], [0, 1]))
    ('dummy', 'one_hot_ridge', 'random_forest')
    """
    return (*BASELINES[:-1], "composition_forest", BASELINES[-1]) if task.crystals else BASELINES


def named_models(table: EmbeddingTable | None = None) -> dict[str, ModelFactory]:
    """Make the models that go by name.

    Parameters
    ----------
    table : EmbeddingTable, optional
        Vectors of elements for "composition_network", and for "ridge", "kernel_ridge", "extra_trees" and
        "boosted_trees" in place of `CompositionFeaturizer`. Elements that it lacks get the vector of their neighbours.

    Returns
    -------
    dict of str to callable
        Each takes a task with its training rows alone and a seed, and returns an estimator, not fitted, that takes
        formulas or structures. Rows of features are made once for all that one dict returns. "kernel_ridge" and
        "blend" raise ValueError where training rows are too many, "atom_motif" where there are no structures.

    Examples
    --------
    >>> task = MatbenchTask("demo", ("LiF", "NaF"), ("a", "b"), [1.0, 2.0], [0, 1])
    >>> named_models()["ridge"](task, 0).fit(task.inputs, task.target).predict(["KF"]).shape
    (1,)
    """

    def of_formulas(featurizer: FormulaFeaturizer) -> RememberedRows:
        return RememberedRows(featurizer, compositions=True)

    fractions = of_formulas(FormulaFeaturizer(one_hot_table(SYMBOLS[1:])))
    composition = of_formulas(CompositionFeaturizer())
    chosen = composition
    if table is not None:
        chosen = of_formulas(FormulaFeaturizer(table, pooling=["mean", "std"], on_missing="neighbours"))
    blocks = RememberedRows(StructureFeaturizer(blocks=BLOCKS))

    def beside(of_formula: RememberedRows, of_structure: RememberedRows) -> FeatureUnion:
        return FeatureUnion([("composition", of_formula), ("blocks", of_structure)])

    def learn(name: ModelName) -> ModelFactory:
        def make(task: MatbenchTask, seed: int) -> Any:
            if name == "kernel_ridge":
                _refuse_large_kernel(name, task)
            rows = beside(chosen, blocks) if task.crystals else chosen
            n_columns = rows.fit_transform(list(task.inputs[:1])).shape[1]
            return make_pipeline(rows, make_model(name, task.task, n_columns=n_columns, seed=seed))

        return make

    springs = RememberedRows(BondNetworkFeaturizer())

    def blend(task: MatbenchTask, seed: int) -> Any:
        _refuse_large_kernel("blend", task)
        rows = (
            FeatureUnion([("rows", beside(composition, blocks)), ("springs", springs)])
            if task.crystals
            else composition
        )
        kind = BlendRegressor if task.task == "regression" else BlendClassifier
        return make_pipeline(rows, kind(seed=seed))

    def forest(*, structures: bool) -> ModelFactory:
        return lambda task, seed: make_pipeline(
            beside(composition, blocks) if structures and task.crystals else composition,
            make_model("random_forest", task.task, seed=seed).set_params(
                n_estimators=_N_TREES, max_features=_SHARE_TRIED
            ),
        )

    def of_vectors(task: MatbenchTask, seed: int) -> CompositionRegressor | CompositionClassifier:
        kind = CompositionRegressor if task.task == "regression" else CompositionClassifier
        return kind(one_hot_table(SYMBOLS[1:]) if table is None else table, seed=seed)

    return {
        "dummy": lambda task, _: DummyRegressor() if task.task == "regression" else DummyClassifier(),
        "one_hot_ridge": lambda task, seed: make_pipeline(fractions, make_model("ridge", task.task, seed=seed)),
        "composition_forest": forest(structures=False),
        "random_forest": forest(structures=True),
        "ridge": learn("ridge"),
        "kernel_ridge": learn("kernel_ridge"),
        "extra_trees": learn("extra_trees"),
        "boosted_trees": learn("boosted_trees"),
        "blend": blend,
        "transformer": lambda task, seed: _transformer(None, task, seed),
        "pretrained": lambda task, seed: _transformer("crystals", task, seed),
        "composition_network": of_vectors,
        "atom_motif": _atom_motif,
    }


def _refuse_large_kernel(name: str, task: MatbenchTask) -> None:
    n_rows = len(task)
    if n_rows > _MOST_KERNEL_ROWS:
        size = 16e-9 * n_rows**2  # the kernel and one like it, 8 bytes a number
        msg = (
            f"{name} on {task.name}: kernel ridge of {n_rows:,} rows needs about {size:.0f} GB of memory; "
            f"leave {name} out, or train on {_MOST_KERNEL_ROWS:,} rows or fewer"
        )
        raise ValueError(msg)


def _transformer(model: str | None, task: MatbenchTask, seed: int) -> TransformerRegressor | TransformerClassifier:
    return (TransformerRegressor if task.task == "regression" else TransformerClassifier)(model, seed=seed)


def _atom_motif(task: MatbenchTask, seed: int) -> AtomMotifRegressor | AtomMotifClassifier:
    if not task.crystals:
        msg = f"atom_motif reads structures, and {task.name} has formulas; leave it out, or use composition_network"
        raise ValueError(msg)
    return AtomMotifRegressor(seed=seed) if task.task == "regression" else AtomMotifClassifier(seed=seed)
