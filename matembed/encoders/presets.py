"""Presets: encoders with the settings of published methods, and what is not the same here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from matembed.encoders.context_svd import ContextSVD
from matembed.encoders.word2vec import Word2Vec

__all__ = ["PRESETS", "Preset", "preset"]


@dataclass(frozen=True, eq=False)
class Preset:
    """An encoder as a paper describes it, named by method and year.

    Attributes
    ----------
    name : str
        Such as ``"atom2vec-2018"``.
    encoder : ContextSVD or Word2Vec
        With the settings of the paper; not fitted.
    view : str
        What it learns from: a view of a `Corpus`, such as ``"environments"``, or of `count_contexts`, such as
        ``"pairs"``.
    citation : str
        The paper.
    differences : str
        What is not as in the paper.

    See Also
    --------
    preset : Makes one by name.
    """

    name: str
    encoder: ContextSVD | Word2Vec
    view: str
    citation: str
    differences: str


def preset(name: str) -> Preset:
    """Set an encoder up as a published method does.

    =============== =================================================================================================
    "atom2vec-2018" Counts of elements in environments of formulas, each row scaled to unit length, cut down to 20
                    dimensions by a singular value decomposition [1]_
    "mat2vec-2019"  Skip-gram in 200 dimensions with the settings of the paper [2]_ and its code [3]_, but on the
                    elements of formulas: the abstracts it was made for are no corpus of this package
    "skipatom-2022" Predict the elements that an element is bonded to [4]_, here by factoring the counts of bonded
                    pairs
    =============== =================================================================================================

    Each is the method, not the published vectors: those came from other data.

    Parameters
    ----------
    name : {"atom2vec-2018", "mat2vec-2019", "skipatom-2022"}
        Method and year.

    Returns
    -------
    Preset
        With an encoder of its own, not fitted.

    Raises
    ------
    ValueError
        If the name is unknown.

    See Also
    --------
    matembed.ContextSVD, matembed.Word2Vec : The encoders, with settings that suit formulas and crystals better.

    References
    ----------
    .. [1] Q. Zhou et al., Proc. Natl. Acad. Sci. 115, E6411 (2018).
    .. [2] V. Tshitoyan et al., Nature 571, 95 (2019).
    .. [3] github.com/materialsintelligence/mat2vec, mat2vec/training/phrase2vec.py.
    .. [4] L. M. Antunes, R. Grau-Crespo, K. T. Butler, npj Comput. Mater. 8, 44 (2022).

    Examples
    --------
    >>> from matembed import formula_sentences
    >>> atom2vec = preset("atom2vec-2018")
    >>> formulas = ["NaCl", "KCl", "NaBr", "KBr", "MgO", "CaO"]
    >>> sentences = [sentence for formula in formulas for sentence in formula_sentences(formula, atom2vec.view)]
    >>> atom2vec.encoder.fit(sentences).embeddings().nearest("Na", n=1)
    [Neighbour(token='K', similarity=1.00)]
    """
    if name not in PRESETS:
        msg = f"preset must be one of {', '.join(map(repr, PRESETS))}, got {name!r}"
        raise ValueError(msg)
    return PRESETS[name]()


def _atom2vec() -> Preset:
    return Preset(
        name="atom2vec-2018",
        encoder=ContextSVD(dim=20, weighting="frequency"),
        view="environments",
        citation="Q. Zhou et al., Proc. Natl. Acad. Sci. 115, E6411 (2018).",
        differences=(
            "The method is the same. The paper learned from binary and ternary compounds of the Materials Project; "
            "here formulas of any number of elements count, and one that is listed twice counts twice."
        ),
    )


def _mat2vec() -> Preset:
    return Preset(
        name="mat2vec-2019",
        encoder=Word2Vec(dim=200, window=8, algorithm="skip-gram", epochs=30, negative=15, alpha=0.01, subsample=1e-4),
        view="elements",
        citation="V. Tshitoyan et al., Nature 571, 95 (2019).",
        differences=(
            "The settings are the same, the text is not: the paper learned from 3.3 million abstracts with phrases, "
            "here a sentence is the elements of a formula, each once. Elements are far more frequent than words, so "
            "that subsampling skips most of them; small corpora hardly leave the random start. All tokens of the "
            "window count alike, where gensim's default draws its width anew for each token. No element is left out as "
            "rare, as words seen fewer than five times are there."
        ),
    )


def _skipatom() -> Preset:
    return Preset(
        name="skipatom-2022",
        encoder=ContextSVD(dim=200, weighting="ppmi", smoothing=1.0, power=0.5),
        view="pairs",
        citation="L. M. Antunes, R. Grau-Crespo, K. T. Butler, npj Comput. Mater. 8, 44 (2022).",
        differences=(
            "Bonded pairs are the data in both. The paper trained a softmax over all elements by gradient descent, "
            "which fits log P(partner | element); here the positive part of log P(partner | element) / P(partner), "
            "rows of unit length, is factored, and each factor takes half of the singular values. There are at most "
            "as many dimensions as elements. Bonds are those of the motif search instead of CrystalNN, periodic "
            "images of a neighbour count, and each formula counts once. Rare elements are not averaged with similar "
            "ones, as the induced vectors of the paper are."
        ),
    )


PRESETS: Mapping[str, Callable[[], Preset]] = {
    "atom2vec-2018": _atom2vec,
    "mat2vec-2019": _mat2vec,
    "skipatom-2022": _skipatom,
}
