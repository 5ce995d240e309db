"""Formulas and crystals in; element and motif embeddings, predictions and pictures out.

Every public name below is imported when first used, so ``import matembed`` costs next to nothing:

>>> import matembed as me
>>> me.formula_sentences("SrTiO3", "environments")
[['Sr', '(1)O3Ti'], ['Ti', '(1)O3Sr'], ['O', '(3)SrTi']]
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matembed.cards import Card
    from matembed.corpus.build import TooManyRejectedError, build_corpus
    from matembed.corpus.contexts import formula_sentences
    from matembed.corpus.corpus import Corpus
    from matembed.corpus.formulas import FormulaError, parse_formula
    from matembed.corpus.motif_tables import MotifTables, build_motif_tables
    from matembed.corpus.walks import motif_sentences
    from matembed.downstream import plots
    from matembed.downstream.benchmark import Evaluation, evaluate
    from matembed.downstream.features import FormulaFeaturizer, StructureFeaturizer
    from matembed.embeddings import EmbeddingTable, UnknownTokenError
    from matembed.encoders.ppmi import PPMI
    from matembed.encoders.word2vec import Word2Vec
    from matembed.interchange import from_keyed_vectors, read_table, to_keyed_vectors, write_table
    from matembed.motifs import Connection, Crystal, Motif, MotifError, MotifGraph, find_motifs
    from matembed.sources.prototypes import read_prototypes
    from matembed.tokens import Token, parse_token
    from matembed.vocabulary import Vocabulary

__version__ = "0.1.0"

_HOMES = {
    "Card": "matembed.cards",
    "Connection": "matembed.motifs",
    "Corpus": "matembed.corpus.corpus",
    "Crystal": "matembed.motifs",
    "EmbeddingTable": "matembed.embeddings",
    "Evaluation": "matembed.downstream.benchmark",
    "FormulaError": "matembed.corpus.formulas",
    "FormulaFeaturizer": "matembed.downstream.features",
    "Motif": "matembed.motifs",
    "MotifError": "matembed.motifs",
    "MotifGraph": "matembed.motifs",
    "MotifTables": "matembed.corpus.motif_tables",
    "PPMI": "matembed.encoders.ppmi",
    "StructureFeaturizer": "matembed.downstream.features",
    "Token": "matembed.tokens",
    "TooManyRejectedError": "matembed.corpus.build",
    "UnknownTokenError": "matembed.embeddings",
    "Vocabulary": "matembed.vocabulary",
    "Word2Vec": "matembed.encoders.word2vec",
    "build_corpus": "matembed.corpus.build",
    "build_motif_tables": "matembed.corpus.motif_tables",
    "evaluate": "matembed.downstream.benchmark",
    "find_motifs": "matembed.motifs",
    "formula_sentences": "matembed.corpus.contexts",
    "from_keyed_vectors": "matembed.interchange",
    "motif_sentences": "matembed.corpus.walks",
    "parse_formula": "matembed.corpus.formulas",
    "parse_token": "matembed.tokens",
    "plots": "matembed.downstream",
    "read_prototypes": "matembed.sources.prototypes",
    "read_table": "matembed.interchange",
    "to_keyed_vectors": "matembed.interchange",
    "write_table": "matembed.interchange",
}

__all__ = [
    "PPMI",
    "Card",
    "Connection",
    "Corpus",
    "Crystal",
    "EmbeddingTable",
    "Evaluation",
    "FormulaError",
    "FormulaFeaturizer",
    "Motif",
    "MotifError",
    "MotifGraph",
    "MotifTables",
    "StructureFeaturizer",
    "Token",
    "TooManyRejectedError",
    "UnknownTokenError",
    "Vocabulary",
    "Word2Vec",
    "build_corpus",
    "build_motif_tables",
    "evaluate",
    "find_motifs",
    "formula_sentences",
    "from_keyed_vectors",
    "motif_sentences",
    "parse_formula",
    "parse_token",
    "plots",
    "read_prototypes",
    "read_table",
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
    return sorted({*globals(), *__all__})
