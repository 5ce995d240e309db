"""Formulas and crystals in; element and motif embeddings, predictions and pictures out.

Every public name below is imported when first used, so ``import matembed`` costs next to nothing:

>>> import matembed as me
>>> me.formula_sentences("SrTiO3", "environments")
[['Sr', '(1)O3Ti'], ['Ti', '(1)O3Sr'], ['O', '(3)SrTi']]
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matembed.backoff import back_off, back_off_error
    from matembed.cards import Card
    from matembed.corpus.build import TooManyRejectedError, build_corpus
    from matembed.corpus.context_counts import ContextCounts
    from matembed.corpus.contexts import formula_sentences
    from matembed.corpus.corpus import Corpus
    from matembed.corpus.formula_contexts import count_formula_contexts
    from matembed.corpus.formulas import FormulaError, parse_formula
    from matembed.corpus.material_sets import MaterialSets
    from matembed.corpus.motif_contexts import count_contexts
    from matembed.corpus.motif_tables import MotifTables, build_motif_tables
    from matembed.corpus.set_building import formula_sets, graph_sets, structure_sets, table_sets
    from matembed.corpus.site_statistics import SiteStatistics, count_sites
    from matembed.corpus.symmetry import find_symmetry, symmetry_table
    from matembed.corpus.walks import motif_sentences
    from matembed.downstream import plots
    from matembed.downstream.benchmark import Evaluation, evaluate
    from matembed.downstream.blends import BlendClassifier, BlendRegressor
    from matembed.downstream.bond_network import BondNetworkFeaturizer
    from matembed.downstream.composition_blocks import CompositionFeaturizer
    from matembed.downstream.composition_models import CompositionClassifier, CompositionRegressor
    from matembed.downstream.explorer import explore
    from matembed.downstream.features import FormulaFeaturizer, StructureFeaturizer
    from matembed.downstream.fine_tuning import TransformerClassifier, TransformerRegressor
    from matembed.downstream.learning_curves import LearningCurve, learning_curve
    from matembed.downstream.models import make_model
    from matembed.downstream.motif_network import MotifNetwork, motif_network
    from matembed.downstream.network_embedding import MotifNetworkFeaturizer, NetworkEmbedding
    from matembed.downstream.polymorphs import polymorph_order
    from matembed.downstream.probes import probe
    from matembed.downstream.retrieval import retrieval
    from matembed.embeddings import EmbeddingTable, UnknownTokenError
    from matembed.encoders.context_svd import ContextSVD
    from matembed.encoders.masked_lm import MaskedLM
    from matembed.encoders.masked_set import MaskedSet
    from matembed.encoders.site_net import SiteNet
    from matembed.encoders.word2vec import Word2Vec
    from matembed.graphs.atom_motif import AtomMotifGraph, AtomMotifGraphs
    from matembed.graphs.building import atom_motif_graphs, build_graphs
    from matembed.graphs.regressor import AtomMotifClassifier, AtomMotifRegressor
    from matembed.graphs.tensors import TensorRegressor
    from matembed.interchange import from_keyed_vectors, read_table, to_keyed_vectors, write_table
    from matembed.matbench.results import BenchmarkResults
    from matembed.matbench.runs import run_benchmark
    from matembed.matbench.task_files import read_matbench
    from matembed.matbench.tasks import MatbenchTask
    from matembed.motifs import Connection, Crystal, Motif, MotifError, MotifGraph, find_motifs
    from matembed.pretrained import available, build_registry, fetch, load, push_to_hub
    from matembed.recipes import fit_elements, fit_formula_elements, fit_motifs, fit_species
    from matembed.sources.hub_tables import fetch_hub_table
    from matembed.sources.materials_project import fetch_materials_project
    from matembed.sources.optimade import fetch_optimade
    from matembed.sources.prototypes import read_prototypes
    from matembed.tokens import Token, parse_token
    from matembed.vocabulary import Vocabulary

__version__ = "0.1.0"

_HOMES = {
    "AtomMotifClassifier": "matembed.graphs.regressor",
    "AtomMotifGraph": "matembed.graphs.atom_motif",
    "AtomMotifGraphs": "matembed.graphs.atom_motif",
    "AtomMotifRegressor": "matembed.graphs.regressor",
    "BenchmarkResults": "matembed.matbench.results",
    "BlendClassifier": "matembed.downstream.blends",
    "BlendRegressor": "matembed.downstream.blends",
    "BondNetworkFeaturizer": "matembed.downstream.bond_network",
    "Card": "matembed.cards",
    "CompositionClassifier": "matembed.downstream.composition_models",
    "CompositionFeaturizer": "matembed.downstream.composition_blocks",
    "CompositionRegressor": "matembed.downstream.composition_models",
    "Connection": "matembed.motifs",
    "ContextCounts": "matembed.corpus.context_counts",
    "ContextSVD": "matembed.encoders.context_svd",
    "Corpus": "matembed.corpus.corpus",
    "Crystal": "matembed.motifs",
    "EmbeddingTable": "matembed.embeddings",
    "Evaluation": "matembed.downstream.benchmark",
    "FormulaError": "matembed.corpus.formulas",
    "FormulaFeaturizer": "matembed.downstream.features",
    "LearningCurve": "matembed.downstream.learning_curves",
    "MaskedLM": "matembed.encoders.masked_lm",
    "MaskedSet": "matembed.encoders.masked_set",
    "MaterialSets": "matembed.corpus.material_sets",
    "Motif": "matembed.motifs",
    "MotifError": "matembed.motifs",
    "MotifGraph": "matembed.motifs",
    "MatbenchTask": "matembed.matbench.tasks",
    "MotifNetwork": "matembed.downstream.motif_network",
    "MotifNetworkFeaturizer": "matembed.downstream.network_embedding",
    "MotifTables": "matembed.corpus.motif_tables",
    "NetworkEmbedding": "matembed.downstream.network_embedding",
    "SiteNet": "matembed.encoders.site_net",
    "TransformerClassifier": "matembed.downstream.fine_tuning",
    "TransformerRegressor": "matembed.downstream.fine_tuning",
    "SiteStatistics": "matembed.corpus.site_statistics",
    "StructureFeaturizer": "matembed.downstream.features",
    "TensorRegressor": "matembed.graphs.tensors",
    "Token": "matembed.tokens",
    "TooManyRejectedError": "matembed.corpus.build",
    "UnknownTokenError": "matembed.embeddings",
    "Vocabulary": "matembed.vocabulary",
    "Word2Vec": "matembed.encoders.word2vec",
    "atom_motif_graphs": "matembed.graphs.building",
    "available": "matembed.pretrained",
    "back_off": "matembed.backoff",
    "back_off_error": "matembed.backoff",
    "build_corpus": "matembed.corpus.build",
    "build_graphs": "matembed.graphs.building",
    "build_motif_tables": "matembed.corpus.motif_tables",
    "build_registry": "matembed.pretrained",
    "count_contexts": "matembed.corpus.motif_contexts",
    "count_formula_contexts": "matembed.corpus.formula_contexts",
    "count_sites": "matembed.corpus.site_statistics",
    "evaluate": "matembed.downstream.benchmark",
    "explore": "matembed.downstream.explorer",
    "fetch": "matembed.pretrained",
    "fetch_hub_table": "matembed.sources.hub_tables",
    "fetch_materials_project": "matembed.sources.materials_project",
    "fetch_optimade": "matembed.sources.optimade",
    "find_motifs": "matembed.motifs",
    "find_symmetry": "matembed.corpus.symmetry",
    "fit_elements": "matembed.recipes",
    "fit_formula_elements": "matembed.recipes",
    "fit_motifs": "matembed.recipes",
    "fit_species": "matembed.recipes",
    "formula_sentences": "matembed.corpus.contexts",
    "formula_sets": "matembed.corpus.set_building",
    "from_keyed_vectors": "matembed.interchange",
    "graph_sets": "matembed.corpus.set_building",
    "learning_curve": "matembed.downstream.learning_curves",
    "load": "matembed.pretrained",
    "make_model": "matembed.downstream.models",
    "motif_network": "matembed.downstream.motif_network",
    "motif_sentences": "matembed.corpus.walks",
    "parse_formula": "matembed.corpus.formulas",
    "parse_token": "matembed.tokens",
    "plots": "matembed.downstream",
    "polymorph_order": "matembed.downstream.polymorphs",
    "probe": "matembed.downstream.probes",
    "push_to_hub": "matembed.pretrained",
    "read_matbench": "matembed.matbench.task_files",
    "read_prototypes": "matembed.sources.prototypes",
    "read_table": "matembed.interchange",
    "retrieval": "matembed.downstream.retrieval",
    "run_benchmark": "matembed.matbench.runs",
    "structure_sets": "matembed.corpus.set_building",
    "symmetry_table": "matembed.corpus.symmetry",
    "table_sets": "matembed.corpus.set_building",
    "to_keyed_vectors": "matembed.interchange",
    "write_table": "matembed.interchange",
}

__all__ = [
    "AtomMotifClassifier",
    "AtomMotifGraph",
    "AtomMotifGraphs",
    "AtomMotifRegressor",
    "BenchmarkResults",
    "BlendClassifier",
    "BlendRegressor",
    "BondNetworkFeaturizer",
    "Card",
    "CompositionClassifier",
    "CompositionFeaturizer",
    "CompositionRegressor",
    "Connection",
    "ContextCounts",
    "ContextSVD",
    "Corpus",
    "Crystal",
    "EmbeddingTable",
    "Evaluation",
    "FormulaError",
    "FormulaFeaturizer",
    "LearningCurve",
    "MaskedLM",
    "MaskedSet",
    "MatbenchTask",
    "MaterialSets",
    "Motif",
    "MotifError",
    "MotifGraph",
    "MotifNetwork",
    "MotifNetworkFeaturizer",
    "MotifTables",
    "NetworkEmbedding",
    "SiteNet",
    "SiteStatistics",
    "StructureFeaturizer",
    "TensorRegressor",
    "Token",
    "TooManyRejectedError",
    "TransformerClassifier",
    "TransformerRegressor",
    "UnknownTokenError",
    "Vocabulary",
    "Word2Vec",
    "atom_motif_graphs",
    "available",
    "back_off",
    "back_off_error",
    "build_corpus",
    "build_graphs",
    "build_motif_tables",
    "build_registry",
    "count_contexts",
    "count_formula_contexts",
    "count_sites",
    "evaluate",
    "explore",
    "fetch",
    "fetch_hub_table",
    "fetch_materials_project",
    "fetch_optimade",
    "find_motifs",
    "find_symmetry",
    "fit_elements",
    "fit_formula_elements",
    "fit_motifs",
    "fit_species",
    "formula_sentences",
    "formula_sets",
    "from_keyed_vectors",
    "graph_sets",
    "learning_curve",
    "load",
    "make_model",
    "motif_network",
    "motif_sentences",
    "parse_formula",
    "parse_token",
    "plots",
    "polymorph_order",
    "probe",
    "push_to_hub",
    "read_matbench",
    "read_prototypes",
    "read_table",
    "retrieval",
    "run_benchmark",
    "structure_sets",
    "symmetry_table",
    "table_sets",
    "to_keyed_vectors",
    "write_table",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        msg = f"module 'matembed' has no attribute {name!r}"
        raise AttributeError(msg)
    if name == "plots":
        return importlib.import_module("matembed.downstream.plots")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"Any", "TYPE_CHECKING", "importlib"})
