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
                      `BondNetworkFeaturizer`; what it chooses, it chooses with polymorphs left out together; needs
                      LightGBM
"transformer"         `TransformerRegressor` or `TransformerClassifier` from random weights, with its own settings
"pretrained"          the same from the weights of "crystals", which come with the package
"composition_network" `CompositionRegressor` or the classifier, from the vectors of the table, else one-hot ones
"atom_motif"          `AtomMotifRegressor` or the classifier, of structures; with a table, its elements have vectors
===================== =================================================================================================

The forest on the formula alone is a baseline of tasks of structures: what it reaches, geometry did not earn.
"kernel_ridge" and "blend", which holds one, take 20,000 training rows at most.

A model is made by a function of a task and a seed. The task that it is given holds the training rows alone, so nothing
can be chosen by a row that is tested. What it returns takes the inputs themselves: formulas or structures. A function
that has a method ``read``, as that of `RememberedMaterials`, is asked by it for what is to stand in their place.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline

from matembed._lock import held
from matembed._optional import import_extra
from matembed.cards import package_versions
from matembed.corpus.formulas import FormulaError, amounts_of
from matembed.corpus.material_sets import MaterialSets
from matembed.downstream._network_estimators import Device
from matembed.downstream.baselines import one_hot_table
from matembed.downstream.blends import BlendClassifier, BlendRegressor
from matembed.downstream.bond_network import BondNetworkFeaturizer
from matembed.downstream.composition_blocks import CompositionFeaturizer
from matembed.downstream.composition_models import CompositionClassifier, CompositionRegressor
from matembed.downstream.features import FormulaFeaturizer, StructureFeaturizer
from matembed.downstream.fine_tuning import TransformerClassifier, TransformerRegressor, read_sets
from matembed.downstream.materials import Column, as_list
from matembed.downstream.models import ModelName, make_model
from matembed.downstream.motif_blocks import BLOCKS
from matembed.downstream.polymorphs import proportion_labels
from matembed.elements import SYMBOLS
from matembed.embeddings import EmbeddingTable
from matembed.encoders._training import choose_device
from matembed.graphs.atom_motif import AtomMotifGraphs
from matembed.graphs.building import atom_motif_graphs
from matembed.graphs.regressor import AtomMotifClassifier, AtomMotifRegressor
from matembed.matbench.tasks import MatbenchTask
from matembed.motifs import Crystal, MotifError

__all__ = [
    "BASELINES",
    "COMPOSITION_MODELS",
    "AtomMotifModels",
    "FormulaGroups",
    "Looked",
    "ModelFactory",
    "RememberedMaterials",
    "RememberedRows",
    "TransformerModels",
    "baselines_of",
    "find_unreadable",
    "looks_at",
    "named_models",
]

ModelFactory: TypeAlias = Callable[[MatbenchTask, int], Any]
Looked: TypeAlias = Literal["nothing", "compositions", "structures"]

BASELINES = ("dummy", "one_hot_ridge", "random_forest")  # of every run
COMPOSITION_MODELS = ("one_hot_ridge", "composition_forest", "composition_network")  # which read no more of structures

_MOST_KERNEL_ROWS = 20_000
_GRAPH_SETTINGS: Any = {"bonds": "shells", "merge": True, "strategy": "simplest"}  # the networks' own
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
        self._remembered = RememberedMaterials(self._describe, np.concatenate)

    def _describe(self, materials: list[Any]) -> NDArray[np.float64]:
        rows: NDArray[np.float64] = self.featurizer.transform(
            _compositions(materials) if self.compositions else materials
        )
        return rows

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

        Raises
        ------
        ValueError
            If a material cannot be described, or there are none.
        """
        rows: NDArray[np.float64] = self._remembered.read(as_list(X, "materials"))
        return rows

    def __sklearn_is_fitted__(self) -> bool:
        return True


class FormulaGroups(Pipeline):
    """A pipeline whose last step is told which rows are of one formula, to leave them out together.

    Parameters
    ----------
    steps : list of (str, estimator)
        The first takes formulas or structures, and ``fit`` of the last takes `groups`, as that of `BlendRegressor`.

    Examples
    --------
    >>> from matembed.downstream.baselines import one_hot_table
    >>> blend = BlendRegressor(models=["ridge"], n_splits=2)
    >>> model = FormulaGroups([("rows", FormulaFeaturizer(one_hot_table(["H", "O"]))), ("blend", blend)])
    >>> model.fit(["H2O", "H4O2", "H2O2", "HO"], [1, 1, 2, 2]).predict(["H2O"]).shape
    (1,)
    """

    def fit(self, X: Column, y: Any = None, **params: Any) -> Self:
        """Fit all steps, the last with the formulas as groups.

        Parameters
        ----------
        X : sequence of formulas or structures, length n_materials
            Training materials.
        y : sequence, length n_materials
            Their targets.
        **params : object
            As for `sklearn.pipeline.Pipeline`.

        Returns
        -------
        FormulaGroups
            This pipeline.
        """
        labels = proportion_labels(_compositions(as_list(X, "materials")))
        super().fit(X, y, **params, **{f"{self.steps[-1][0]}__groups": labels})
        return self


class RememberedMaterials:
    """Write each material as a network reads it once, however many folds and models read it.

    Parameters
    ----------
    write : callable
        Turns a list of materials into a collection of one of each, such as `atom_motif_graphs` and `read_sets`.
    concat : callable
        Puts a list of two such collections together.

    Examples
    --------
    >>> from matembed.corpus.material_sets import MaterialSets
    >>> remembered = RememberedMaterials(read_sets, MaterialSets.concat)
    >>> remembered.read(["NaCl", "LiF", "NaCl"]).formulas
    ('NaCl', 'LiF', 'NaCl')
    """

    def __init__(self, write: Callable[[list[Any]], Any], concat: Callable[[list[Any]], Any]) -> None:
        self.write, self.concat = write, concat
        # Materials are kept, so that no other object can take the identity of one that is known.
        self._known: dict[int, tuple[Any, int]] = {}
        self._written: Any = None

    def read(self, materials: Sequence[Any]) -> Any:
        """Look up materials, and write those that are not known.

        Parameters
        ----------
        materials : sequence, length n_materials
            One or more; a material is known again as the same object.

        Returns
        -------
        collection of length n_materials
            What `write` makes of them, in the order given.

        Raises
        ------
        ValueError
            If a material cannot be read, or there are none.
        """
        if not len(materials):
            msg = "wanted one material or more, got none"
            raise ValueError(msg)
        new = list({id(one): one for one in materials if id(one) not in self._known}.values())
        if new:
            written, n_known = self.write(new), len(self._known)
            self._written = written if self._written is None else self.concat([self._written, written])
            self._known |= {id(one): (one, row) for row, one in enumerate(new, start=n_known)}
        return self._written[[self._known[id(one)][1] for one in materials]]


class TransformerModels:
    """Make the networks of "transformer" and "pretrained".

    Parameters
    ----------
    model : str, optional
        What `TransformerRegressor` starts from; by default random weights.
    sets : RememberedMaterials
        Of the sets that it reads.
    device : {"cpu", "cuda", "auto"}
        Where networks compute.
    """

    def __init__(self, model: str | None, sets: RememberedMaterials, *, device: Device = "cpu") -> None:
        self.model, self.read, self.device = model, sets.read, device

    def __call__(self, task: MatbenchTask, seed: int) -> TransformerRegressor | TransformerClassifier:
        """Make a network, not fitted.

        Parameters
        ----------
        task : MatbenchTask
            Of formulas or structures.
        seed : int
            Of the network.

        Returns
        -------
        TransformerRegressor or TransformerClassifier
            Takes what ``read`` returns, or materials.
        """
        kind = TransformerRegressor if task.task == "regression" else TransformerClassifier
        return kind(self.model, device=self.device, seed=seed)


class AtomMotifModels:
    """Make the networks of "atom_motif".

    Parameters
    ----------
    elements : EmbeddingTable, optional
        Vectors of elements or species, which networks know beside what they learn of each element.
    device : {"cpu", "cuda", "auto"}
        Where networks compute.
    graphs : Path, optional
        Folder to keep graphs in, for others that read the same crystals; made if need be, and made anew where other
        versions of packages have made it. By default graphs are kept in memory alone.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> salt = Structure(Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> AtomMotifModels().read([salt, salt]).formulas
    ('CsCl', 'CsCl')
    """

    def __init__(
        self, elements: EmbeddingTable | None = None, *, device: Device = "cpu", graphs: Path | None = None
    ) -> None:
        self.elements, self.device, self.graphs = elements, device, graphs
        self.read = RememberedMaterials(self._graphs, AtomMotifGraphs.concat).read

    def _graphs(self, structures: list[Any]) -> AtomMotifGraphs:
        if self.graphs is None:
            return atom_motif_graphs(structures, **_GRAPH_SETTINGS)
        with held(self.graphs, work="benchmark", wait=True):
            return _kept_graphs(structures, self.graphs)

    def __call__(self, task: MatbenchTask, seed: int) -> AtomMotifRegressor | AtomMotifClassifier:
        """Make a network, not fitted.

        Parameters
        ----------
        task : MatbenchTask
            Of structures.
        seed : int
            Of the network.

        Returns
        -------
        AtomMotifRegressor or AtomMotifClassifier
            Takes what ``read`` returns, or structures.

        Raises
        ------
        ValueError
            If the task has formulas, or the table neither elements nor species.
        """
        if not task.crystals:
            msg = f"atom_motif reads structures, and {task.name} has formulas; leave it out, or use composition_network"
            raise ValueError(msg)
        if self.elements is not None and not {"element", "species"} & set(self.elements.kinds):
            msg = f"atom_motif takes vectors of elements, and {self.elements!r} has none; leave the table or it out"
            raise ValueError(msg)
        kind = AtomMotifRegressor if task.task == "regression" else AtomMotifClassifier
        return kind(elements=self.elements, device=self.device, seed=seed)


def _kept_graphs(structures: Sequence[Any], folder: Path) -> AtomMotifGraphs:
    """Read the graphs of crystals from a folder; make those that it lacks, and keep them there."""
    digests = [_digest(one) for one in structures]
    kept = [AtomMotifGraphs.read(folder)] if folder.exists() else []
    if any(one.card.settings != _GRAPH_SETTINGS or one.card.versions != package_versions() for one in kept):
        kept = []
    known = {digest for one in kept for digest in one.ids}
    new = {digest: one for digest, one in zip(digests, structures, strict=True) if digest not in known}
    if new:
        kept = [AtomMotifGraphs.concat([*kept, atom_motif_graphs(new, **_GRAPH_SETTINGS)])]
        kept[0].write(folder, overwrite=True)
    (graphs,) = kept
    places = {digest: row for row, digest in enumerate(graphs.ids)}
    chosen: AtomMotifGraphs = graphs[[places[digest] for digest in digests]]
    return chosen


def _digest(structure: Any) -> str:
    """Digest all of a structure that its graph depends on, to the last bit."""
    crystal = Crystal.from_structure(structure)
    arrays = (crystal.lattice, crystal.frac_coords, crystal.numbers, crystal.valences)
    text = b"".join(b"-" if one is None else one.tobytes() for one in arrays)
    return hashlib.sha256(text).hexdigest()


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


def named_models(
    table: EmbeddingTable | None = None, *, device: Device = "cpu", graphs: Path | None = None
) -> dict[str, ModelFactory]:
    """Make the models that go by name.

    Parameters
    ----------
    table : EmbeddingTable, optional
        Vectors of elements for "composition_network" and "atom_motif", and for "ridge", "kernel_ridge", "extra_trees"
        and "boosted_trees" in place of `CompositionFeaturizer`. Elements that it lacks get the vector of their
        neighbours.
    device : {"cpu", "cuda", "auto"}
        Where networks compute; "auto" is an accelerator if PyTorch can see one, else the CPU.
    graphs : Path, optional
        Folder in which the graphs of "atom_motif" are kept for later.

    Returns
    -------
    dict of str to callable
        Each takes a task with its training rows alone and a seed, and returns an estimator, not fitted, that takes
        formulas or structures. Rows of features are made once for all that one dict returns, and so are sets and
        graphs, of which ``read`` of the functions is asked. "kernel_ridge" and "blend" raise ValueError where training
        rows are too many, "blend" where formulas are too few, "atom_motif" where there are no structures or the table
        has no elements.

    Raises
    ------
    ImportError
        If an accelerator is looked for, and PyTorch is not installed.
    ValueError
        If there is no such device.

    Examples
    --------
    >>> task = MatbenchTask("demo", ("LiF", "NaF"), ("a", "b"), [1.0, 2.0], [0, 1])
    >>> named_models()["ridge"](task, 0).fit(task.inputs, task.target).predict(["KF"]).shape
    (1,)
    """
    where: Device = "cpu"
    if device != "cpu":  # settings name what "auto" comes to
        where = choose_device(device, import_extra("torch", extra="transformer")).type

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
        model = (BlendRegressor if task.task == "regression" else BlendClassifier)(seed=seed)
        n_formulas = len(set(proportion_labels(_compositions(task.inputs))))
        if n_formulas < model.n_splits:
            msg = (
                f"blend on {task.name}: {model.n_splits} inner folds that keep formulas together need as many of them, "
                f"got {n_formulas} in {len(task):,} training rows; leave blend out, or train on more"
            )
            raise ValueError(msg)
        return FormulaGroups([("rows", rows), ("blend", model)])

    def forest(*, structures: bool) -> ModelFactory:
        return lambda task, seed: make_pipeline(
            beside(composition, blocks) if structures and task.crystals else composition,
            make_model("random_forest", task.task, seed=seed).set_params(
                n_estimators=_N_TREES, max_features=_SHARE_TRIED
            ),
        )

    def of_vectors(task: MatbenchTask, seed: int) -> CompositionRegressor | CompositionClassifier:
        kind = CompositionRegressor if task.task == "regression" else CompositionClassifier
        return kind(one_hot_table(SYMBOLS[1:]) if table is None else table, device=where, seed=seed)

    sets = RememberedMaterials(read_sets, MaterialSets.concat)
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
        "transformer": TransformerModels(None, sets, device=where),
        "pretrained": TransformerModels("crystals", sets, device=where),
        "composition_network": of_vectors,
        "atom_motif": AtomMotifModels(table, device=where, graphs=graphs),
    }


def looks_at(model: str, task: MatbenchTask) -> Looked:
    """Tell what a model by name reads of the materials of a task.

    Parameters
    ----------
    model : str
        One of `named_models`.
    task : MatbenchTask
        Of formulas or structures.

    Returns
    -------
    {"nothing", "compositions", "structures"}
        Structures only where the task has them.

    Examples
    --------
    >>> looks_at("random_forest", MatbenchTask("demo", ("LiF", "NaF"), ("a", "b"), [1.0, 2.0], [0, 1]))
    'compositions'
    """
    if model == "dummy":
        return "nothing"
    return "structures" if task.crystals and model not in COMPOSITION_MODELS else "compositions"


def find_unreadable(task: MatbenchTask, what: Looked) -> dict[int, str]:
    """Find the materials of a task that models cannot read.

    Parameters
    ----------
    task : MatbenchTask
        Of formulas or structures.
    what : {"nothing", "compositions", "structures"}
        What models look at.

    Returns
    -------
    dict of int to str
        Why, by position, in order: a structure is disordered, or has atoms on top of each other; a formula names no
        elements.

    Examples
    --------
    >>> find_unreadable(MatbenchTask("demo", ("LiF", "Qx2"), ("a", "b"), [1.0, 2.0], [0, 1]), "compositions")
    {1: "'Qx2': 'Qx' is not a chemical element"}
    """
    found: dict[int, str] = {}
    for row, material in enumerate(() if what == "nothing" else task.inputs):
        try:
            if what == "structures":
                Crystal.from_structure(material)
            else:
                amounts_of(getattr(material, "composition", material))
        except (MotifError, FormulaError, TypeError) as error:
            found[row] = str(error)
    return found


def _compositions(materials: Sequence[Any]) -> list[Any]:
    return [getattr(one, "composition", one) for one in materials]


def _refuse_large_kernel(name: str, task: MatbenchTask) -> None:
    n_rows = len(task)
    if n_rows > _MOST_KERNEL_ROWS:
        size = 16e-9 * n_rows**2  # the kernel and one like it, 8 bytes a number
        msg = (
            f"{name} on {task.name}: kernel ridge of {n_rows:,} rows needs about {size:.0f} GB of memory; "
            f"leave {name} out, or train on {_MOST_KERNEL_ROWS:,} rows or fewer"
        )
        raise ValueError(msg)
