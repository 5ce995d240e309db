"""gensim, imported when used; the one file that imports it."""

from types import ModuleType

__all__ = ["gensim_models"]


def gensim_models() -> ModuleType:
    """Import ``gensim.models``, or say how to get it.

    Returns
    -------
    module
        ``gensim.models``, with ``Word2Vec`` and ``KeyedVectors``.

    Raises
    ------
    ImportError
        If gensim is not installed, as with Python 3.14, for which it has no wheels.
    """
    try:
        import gensim.models
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "gensim":
            raise
        msg = (
            'gensim is not installed; run: pip install "gensim>=4.4" with Python 3.11 to 3.13 '
            "(there are no wheels for 3.14), or train with ContextSVD, which does without"
        )
        raise ImportError(msg) from error
    return gensim.models
