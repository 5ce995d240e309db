"""Import an extra, or name the pip line that installs it."""

import importlib
from types import ModuleType

__all__ = ["import_extra"]


def import_extra(module: str, *, extra: str) -> ModuleType:
    """Import a module that only an optional extra installs.

    Parameters
    ----------
    module : str
        Module to import, such as ``"umap"``.
    extra : str
        The extra of matembed that brings it, such as ``"viz"``.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    ImportError
        If it is not installed; the message is the pip line to run.

    Examples
    --------
    >>> import_extra("json", extra="viz").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        msg = f'{module!r} is not installed; run: pip install "matembed[{extra}]"'
        raise ImportError(msg) from error
