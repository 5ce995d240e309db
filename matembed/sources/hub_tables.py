"""Fetch the Parquet files of a data set of the Hugging Face hub, such as LeMat-Bulk."""

import importlib.metadata
import os
import shutil
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeVar

from matembed._atomic import refuse_occupied, sha256_of, whole_folder
from matembed._http import HashMismatchError, HttpError, OfflineError, PassingError, is_offline, is_passing, retried
from matembed._lock import held
from matembed.cards import Card
from matembed.sources._partial import MANIFEST, STATE, is_made_of, partial_of, read_json, take_up, write_json
from matembed.sources.rows import shortened

__all__ = ["HubTable", "fetch_hub_table", "is_hub_table", "open_hub_table"]

Found = TypeVar("Found")

_TYPE = "HubTable"
_SCHEMA = 1
_FILES = "files"


class HubTable(NamedTuple):
    """A data set that was fetched.

    Attributes
    ----------
    files : Path
        The folder of its Parquet files.
    card : Card
        Repository, commit, date, licence.
    """

    files: Path
    card: Card


def fetch_hub_table(
    repo: str,
    out: str | os.PathLike[str],
    *,
    pattern: str = "*.parquet",
    revision: str = "main",
    endpoint: str | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Fetch Parquet files of a data set of the Hugging Face hub to a folder, which is read offline from then on.

    The revision is resolved to a commit once; a download that was given up or killed goes on at that commit when
    the same call is made again. Files that the hub knows the SHA-256 of are checked against it.

    Parameters
    ----------
    repo : str
        Owner and name, such as ``"LeMaterial/LeMat-Bulk"``.
    out : path-like
        Where the folder belongs. If it holds this very data set, nothing is fetched.
    pattern : str, default "*.parquet"
        Which files, as in a shell, where ``*`` also crosses folders: ``"compatible_pbe/*.parquet"``.
    revision : str, default "main"
        A branch, a tag or, to be the same for ever, a commit.
    endpoint : str, optional
        Address of a hub; by default that of huggingface_hub, ``HF_ENDPOINT``. A token is taken from ``HF_TOKEN``.
    overwrite : bool, default False
        Fetch anew and replace the data set in `out`, and begin anew where another was begun.
    progress : bool, default True
        Show progress bars.

    Returns
    -------
    Path
        A folder that `read_rows` and ``matembed build`` read as one source, with ``manifest.json`` (repository,
        revision, commit, date, licence, size and SHA-256 of each file).

    Raises
    ------
    FileExistsError
        If `out` holds something else, or another download was begun there.
    HashMismatchError
        If a file is not the one that the hub lists.
    HttpError
        If the hub refuses, or fails for minutes on end; what came is kept.
    OfflineError
        If ``HF_HUB_OFFLINE`` or ``MATEMBED_OFFLINE`` is set, and the data set is not there.
    ValueError
        If no file has such a name, or `repo` is no name of a repository.

    Examples
    --------
    >>> fetch_hub_table("LeMat-Bulk", "lemat")
    Traceback (most recent call last):
        ...
    ValueError: a repository is written owner/name, such as 'LeMaterial/LeMat-Bulk'; got 'LeMat-Bulk'
    """
    if repo.count("/") != 1 or not all(repo.split("/")):
        msg = f"a repository is written owner/name, such as 'LeMaterial/LeMat-Bulk'; got {repo!r}"
        raise ValueError(msg)
    request = {"source": "Hugging Face hub", "repo": repo, "query": pattern, "revision": revision}
    folder = Path(out).resolve()
    with held(folder, work="download"):
        if not overwrite and is_made_of(folder, _TYPE, request):
            return folder
        refuse_occupied(folder, kind=_TYPE, overwrite=overwrite)
        work = partial_of(folder)
        state = take_up(work, request, overwrite)
        try:
            if "commit" not in state:
                state |= _listed(repo, revision, pattern, endpoint)
                write_json(work / STATE, state)
            files = _fetch(repo, state, work / _FILES, endpoint, progress)
        except BaseException as error:
            if not (work / _FILES).exists():
                shutil.rmtree(work)
            elif isinstance(error, HttpError):
                msg = f"{error}. What came is kept in {work}, and the same call goes on from there"
                raise type(error)(msg, status=error.status, answer=error.answer) from error
            raise
        with whole_folder(folder, kind=_TYPE, overwrite=overwrite) as made:
            write_json(made / MANIFEST, {"type": _TYPE, "schema": _SCHEMA, **_described(state), "files": files})
            (work / _FILES).rename(made / _FILES)
        shutil.rmtree(work)
    return folder


def is_hub_table(folder: Path) -> bool:
    """Tell whether a folder is one that `fetch_hub_table` made.

    Parameters
    ----------
    folder : Path
        A folder, there or not.

    Returns
    -------
    bool
        True if its ``manifest.json`` says so.
    """
    return is_made_of(folder, _TYPE, {})


def open_hub_table(folder: str | os.PathLike[str]) -> HubTable:
    """Check the files of a data set that was fetched.

    Parameters
    ----------
    folder : path-like
        The folder that `fetch_hub_table` returned.

    Returns
    -------
    HubTable
        The folder of the files, and their card.

    Raises
    ------
    FileNotFoundError
        If there is no such data set.
    ValueError
        If a file is not the one that was fetched, or a newer matembed made the folder.
    """
    folder = Path(folder).resolve()
    if not is_hub_table(folder):
        msg = f"{folder} holds no data set of the hub: there is no {MANIFEST} that says so"
        raise FileNotFoundError(msg)
    manifest = read_json(folder / MANIFEST)
    if manifest.get("schema") != _SCHEMA:
        msg = f"{folder} has schema {manifest.get('schema')!r}, this matembed reads {_SCHEMA}; upgrade matembed"
        raise ValueError(msg)
    files = folder / _FILES
    found = {path.relative_to(files).as_posix() for path in files.rglob("*") if path.is_file()}
    for name in sorted(found | set(manifest["files"])):
        if name not in found or manifest["files"].get(name, {}).get("sha256") != sha256_of(files / name):
            msg = (
                f"{files / name} is not as it was fetched: {MANIFEST} says otherwise; fetch the data set again with "
                "overwrite=True (command line: --overwrite)"
            )
            raise ValueError(msg)
    source = f"{manifest['url']}, revision {manifest['revision']}, {manifest['query']}; fetched {manifest['date']}"
    return HubTable(
        files,
        Card(
            name=folder.name,
            what=f"Crystals of {manifest['repo']}.",
            source=source,
            licence=manifest["licence"],
            citation=(manifest["url"],),
        ),
    )


def _listed(repo: str, revision: str, pattern: str, endpoint: str | None) -> dict[str, Any]:
    """Resolve the revision, and list the files that are wanted: name, size and, where the hub has it, SHA-256."""
    from huggingface_hub import HfApi

    api = HfApi(endpoint=endpoint)
    about = _asked(repo, lambda: api.dataset_info(repo, revision=revision, files_metadata=True))
    files = {
        one.rfilename: {"size": one.size, "sha256": one.lfs.sha256 if one.lfs else None}
        for one in about.siblings or ()
        if fnmatchcase(one.rfilename, pattern)
    }
    if not files:
        names = ", ".join(one.rfilename for one in (about.siblings or ())[:5]) or "none"
        msg = f"no file of {repo} is named {pattern!r}; there are {shortened(names)}"
        raise ValueError(msg)
    for name in files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or path.suffix != ".parquet":
            msg = f"{repo} lists {shortened(name)!r}, which is not fetched: wanted names of Parquet files within it"
            raise ValueError(msg)
    licence = about.card_data.get("license") if about.card_data else None
    return {
        "commit": about.sha,
        "url": f"{api.endpoint}/datasets/{repo}/tree/{about.sha}",
        "listed": dict(sorted(files.items())),
        "licence": ", ".join(licence) if isinstance(licence, list) else str(licence or ""),
    }


def _described(state: Mapping[str, Any]) -> dict[str, Any]:
    about = {name: state[name] for name in ("url", "commit", "date", "licence")}
    return {**state["request"], **about, "matembed": importlib.metadata.version("matembed")}


def _fetch(
    repo: str, state: Mapping[str, Any], folder: Path, endpoint: str | None, progress: bool
) -> dict[str, dict[str, Any]]:
    """Fetch the files that are missing, and check them; size and SHA-256 of each."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub import utils as hub

    was_quiet = hub.are_progress_bars_disabled()  # type: ignore[attr-defined]
    if not progress:
        hub.disable_progress_bars()  # type: ignore[attr-defined]
    try:
        for name in state["listed"]:
            _asked(
                repo,
                lambda name=name: hf_hub_download(  # type: ignore[misc]
                    repo, name, repo_type="dataset", revision=state["commit"], local_dir=folder, endpoint=endpoint
                ),
            )
    finally:
        if not was_quiet:
            hub.enable_progress_bars()  # type: ignore[attr-defined]
    found = {}
    for name, listed in state["listed"].items():
        path = folder / name
        found[name] = {"size": path.stat().st_size, "sha256": sha256_of(path)}
        if any(listed[key] not in (None, found[name][key]) for key in ("size", "sha256")):
            path.unlink()
            msg = f"{name} of {repo} is not the file that the hub lists; it was not kept: try again"
            raise HashMismatchError(msg)
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    return found


def _asked(repo: str, ask: Callable[[], Found]) -> Found:
    """Ask the hub, again where a fault may pass; what it says against it is one line."""
    if is_offline():
        msg = f"{repo} is wanted of the Hugging Face hub, and MATEMBED_OFFLINE forbids the network; unset it"
        raise OfflineError(msg)
    from huggingface_hub import errors

    def attempt() -> Found:
        try:
            return ask()
        except errors.OfflineModeIsEnabled as error:
            msg = f"{repo} is wanted of the Hugging Face hub, and HF_HUB_OFFLINE forbids the network; unset it"
            raise OfflineError(msg) from error
        except errors.HFValidationError:
            raise
        except (errors.HTTPError, OSError) as error:  # type: ignore[attr-defined]
            if getattr(error, "errno", None) is not None and not isinstance(error, ConnectionError):
                raise  # of the disk
            raise _translated(repo, error) from error

    return retried(f"{repo} of the Hugging Face hub", attempt)


def _translated(repo: str, error: BaseException) -> HttpError | PassingError:
    """Say in one line what the hub has against a request; a fault that may pass, where it may."""
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ is not None:
        return _translated(repo, error.__cause__)
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        remedy = "accept its conditions on its page, and set HF_TOKEN"
    elif isinstance(error, errors.RevisionNotFoundError):
        remedy = "there is no such revision; give a branch, a tag or a commit"
    elif isinstance(error, errors.RepositoryNotFoundError):
        remedy = "there is no such data set, or it is private: check the name, or set HF_TOKEN"
    elif status is None or is_passing(status):
        said = "the hub cannot be reached" if status is None else f"the hub answers {status}"
        return PassingError(said, None if status is None else HttpError(said, status=status))
    else:
        remedy = shortened(error, 200)
    return HttpError(f"{repo}: the hub answers {status}: {remedy}", status=status)
