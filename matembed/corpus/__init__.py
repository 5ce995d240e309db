"""Formulas and motif graphs -> Corpus: sentences of tokens on disk, with where each came from."""
