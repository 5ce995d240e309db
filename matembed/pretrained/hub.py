"""Pretrained things on the Hugging Face hub: ``hf:owner/name@revision``."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from matembed._http import is_offline
from matembed._hub import upload
from matembed.pretrained.artefacts import check_artefact, kind_in
from matembed.pretrained.entries import KINDS

if TYPE_CHECKING:
    from matembed.embeddings import EmbeddingTable
    from matembed.encoders.masked_lm import MaskedLM

__all__ = ["fetch_repository", "push_to_hub"]

PREFIX = "hf:"

_OURS = {name for kind in KINDS.values() for name in kind.files}

_NAME = re.compile(r"hf:([A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?:@(\w[\w./-]{0,200}))?", re.ASCII)


def fetch_repository(name: str, *, update: bool, max_bytes: int) -> Path:
    """Fetch a repository into the cache of huggingface_hub, if it is not there.

    Parameters
    ----------
    name : str
        Such as ``"hf:owner/name"``; after ``@`` a branch, a tag or the hash of a commit, else the main branch.
    update : bool
        Ask the hub where the branch or tag is now, whatever is cached.
    max_bytes : int
        Largest size of what is fetched.

    Returns
    -------
    Path
        The folder; its name is the hash of the commit.

    Raises
    ------
    OSError
        If the hub or the repository cannot be reached.
    ValueError
        If the name is none, what is there is nothing of ours, or it is too large.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    match = _NAME.fullmatch(name)
    if not match or ".." in name:
        msg = f"a name on the Hugging Face hub is hf:owner/name or hf:owner/name@revision, got {name!r:.80}"
        raise ValueError(msg)
    repository, revision = match.groups()

    def snapshot(revision: str | None, *names: str, local: bool = False) -> Path:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=[*names], local_files_only=local))

    if not update:
        try:
            folder = snapshot(revision, "config.json", local=True)
            folder = snapshot(folder.name, *KINDS[kind_in(folder)].files, local=True)
            check_artefact(folder)
        except (LocalEntryNotFoundError, ValueError):
            pass  # not cached, or not all of it
        else:
            return folder
    with _told_what_to_do(name):
        if is_offline():
            msg = "MATEMBED_OFFLINE forbids the network"
            raise LocalEntryNotFoundError(msg)
        found = HfApi().model_info(repository, revision=revision, files_metadata=True).siblings or []
        size = sum(each.size or 0 for each in found if each.rfilename in _OURS)
        if size > max_bytes:
            msg = f"{name} has {size:,} bytes, more than {max_bytes:,}; pass max_bytes={size} (--max-bytes)"
            raise ValueError(msg)
        folder = snapshot(revision, "config.json")
        folder = snapshot(folder.name, *KINDS[kind_in(folder, called=name)].files)
    check_artefact(folder, called=name)
    return folder


def push_to_hub(
    trained: "EmbeddingTable | MaskedLM", repo_id: str, *, half: bool = False, private: bool | None = None
) -> str:
    """Upload a table or a transformer to the Hugging Face hub, in one commit, with its card as the model card.

    Parameters
    ----------
    trained : EmbeddingTable or MaskedLM
        What to upload.
    repo_id : str
        Such as ``"someone/oxide-elements"``; made if it is not there. `matembed.load` finds it as
        ``hf:someone/oxide-elements``.
    half : bool, default False
        Upload 16-bit numbers.
    private : bool, optional
        Whether a repository that is made is private; by default as the hub has it.

    Returns
    -------
    str
        Address of the commit.

    Raises
    ------
    NotFittedError
        If the transformer has no network yet.
    OSError
        If the hub refuses, as it does without a token that may write (``HF_TOKEN``, or ``hf auth login``).
    TypeError
        If it is no table, and no transformer.
    """
    from matembed.embeddings import EmbeddingTable

    if not hasattr(trained, "push_to_hub") and not isinstance(trained, EmbeddingTable):
        msg = f"an EmbeddingTable or a MaskedLM can be uploaded, got {type(trained).__name__}"
        raise TypeError(msg)
    with _told_what_to_do(f"hf:{repo_id}"):
        if not isinstance(trained, EmbeddingTable):
            return trained.push_to_hub(repo_id, half=half, private=private)
        with tempfile.TemporaryDirectory() as parent:
            folder = trained.write(Path(parent) / "table", half=half)
            return upload(folder, repo_id, what="EmbeddingTable", private=private)


@contextmanager
def _told_what_to_do(name: str) -> Iterator[None]:
    """Say in one line what the hub refuses, and what to do."""
    from huggingface_hub import errors

    try:
        yield
    except (OSError, errors.HTTPError) as error:  # type: ignore[attr-defined]  # of whichever client the hub uses
        status = getattr(getattr(error, "response", None), "status_code", None)
        remedy = "try again later"
        if isinstance(error, errors.RevisionNotFoundError):
            why, remedy = "has no such revision", "look at its branches, tags and commits on the hub"
        elif isinstance(error, errors.RepositoryNotFoundError):
            why, remedy = "is not there, or is private", "check the name, or set HF_TOKEN (hf auth login)"
        elif isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
            why = "is not cached, and the hub is not reached"
            remedy = "check the network, and whether MATEMBED_OFFLINE or HF_HUB_OFFLINE is set"
        elif status in (401, 403):
            why, remedy = f"is refused ({status})", "set HF_TOKEN to a token that gives access (hf auth login)"
        elif status is not None:
            why = f"is not served ({status})"
        elif isinstance(error, errors.HTTPError):  # type: ignore[attr-defined]
            why = "is not reached"
        else:
            raise
        msg = f"{name} {why}; {remedy}. {(str(error).strip() or type(error).__name__).splitlines()[0][:200]}"
        raise OSError(msg) from error
