"""Encoders: from the sentences of a corpus to an EmbeddingTable."""

from typing import Protocol, Self

from matembed.embeddings import EmbeddingTable
from matembed.encoders._training import Sentences
from matembed.encoders.context_svd import ContextSVD
from matembed.encoders.masked_lm import MaskedLM
from matembed.encoders.masked_set import MaskedSet
from matembed.encoders.presets import PRESETS, Preset, preset
from matembed.encoders.word2vec import Word2Vec

__all__ = ["PRESETS", "ContextSVD", "Encoder", "MaskedLM", "MaskedSet", "Preset", "Word2Vec", "preset"]


class Encoder(Protocol):
    """What every encoder offers; settings are keyword-only arguments, stored untouched.

    See Also
    --------
    MaskedSet : A small transformer on multisets, by PyTorch.
    ContextSVD : Counts and a singular value decomposition.
    Word2Vec : A shallow network, by gensim.

    Examples
    --------
    >>> def neighbours(encoder: Encoder, sentences, token):
    ...     return encoder.fit(sentences).embeddings().nearest(token)
    """

    def fit(self, sentences: Sentences) -> Self:
        """Learn from sentences.

        Parameters
        ----------
        sentences : Corpus, or re-iterable of sequence of str
            Token lists.

        Returns
        -------
        Encoder
            Itself, fitted.
        """
        ...

    def embeddings(self) -> EmbeddingTable:
        """Hand out what was learned.

        Returns
        -------
        EmbeddingTable
            Most frequent token first.
        """
        ...
