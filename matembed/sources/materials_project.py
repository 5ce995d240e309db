"""Fetch crystals and properties from the Materials Project."""

import inspect
import os
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from matembed._http import HttpError, PassingError, get_json, network_faults, open_session, refuse_status, retried
from matembed._optional import import_extra
from matembed.sources._partial import partial_of
from matembed.sources.downloads import Page, make_download, with_properties
from matembed.sources.rows import shortened

if TYPE_CHECKING:
    import requests

__all__ = ["fetch_materials_project"]

Found = TypeVar("Found")

_FIELDS = (
    *("formula_pretty", "band_gap", "formation_energy_per_atom", "energy_above_hull"),
    *("is_stable", "is_metal", "theoretical"),
)
_ENDPOINT = "https://api.materialsproject.org/"
_KEYS = "get one at https://materialsproject.org/api, and set MP_API_KEY to it"
_KEY_LENGTH = 32
_OLD_KEY_LENGTH = 16
_IDS_PER_REQUEST = 1000
# mp-api splits a request that is too long when it is told so.
_LEFT_TO_CLIENT = (414, 422)
_COLOURS = re.compile(r"\x1b\[\d+m")
_PAPERS = (
    "A. Jain et al., Commentary: The Materials Project: A materials genome approach to accelerating materials "
    "innovation, APL Mater. 1, 011002 (2013), doi:10.1063/1.4812323",
)
_LICENCES = {False: "CC-BY-4.0", True: "CC-BY-4.0; materials of GNoME CC-BY-NC-4.0"}


def fetch_materials_project(
    out: str | os.PathLike[str],
    *,
    query: Mapping[str, Any] | None = None,
    fields: Sequence[str] = _FIELDS,
    limit: int | None = None,
    page_limit: int = 400,
    api_key: str | None = None,
    endpoint: str | None = None,
    timeout: float = 60.0,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Fetch crystals from the Materials Project [1]_ to a folder, which is read offline from then on.

    The ids that match are asked for first, then their documents, in order of id. Throttling, server errors and cut
    connections are waited out; a download that was given up or killed goes on where it was when the same call is
    made again, and ends with the same bytes.

    Parameters
    ----------
    out : path-like
        Where the folder belongs. If it holds this very download, nothing is fetched.
    query : mapping, optional
        Arguments of ``MPRester.materials.summary.search``, in plain values, such as
        ``{"elements": ["Ti", "O"], "energy_above_hull": (0, 0.05)}`` (eV/atom); without it, every material. Deprecated
        materials and those of GNoME, whose licence forbids commercial use, are left out unless it says
        ``{"deprecated": None}`` or ``{"include_gnome": True}``.
    fields : sequence of str
        Fields of the summary documents to keep as properties: numbers, booleans and short text are kept. Energies
        in eV/atom, band gaps in eV.
    limit : int, optional
        Only the first materials, in order of id.
    page_limit : int, default 400
        Documents a request.
    api_key : str, optional
        By default that in the environment, ``MP_API_KEY``. It is sent to `endpoint` alone, and written nowhere.
    endpoint : str, optional
        Address of the interface; by default ``MP_API_ENDPOINT``, or that of the Materials Project.
    timeout : float
        Longest wait for the next bytes, in seconds.
    overwrite : bool, default False
        Fetch anew and replace the download in `out`, and begin anew where another was begun.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    Path
        A folder that `read_rows` and ``matembed build`` read, with ``manifest.json`` (version of the database,
        query, date, counts, licence, hashes) and ``dropped.jsonl.gz``.

    Raises
    ------
    FileExistsError
        If `out` holds something else, or another download was begun there.
    HttpError
        If the server refuses the key or the query, or fails for minutes on end; what came is kept.
    ImportError
        If the extra ``mp`` is not installed.
    RuntimeError
        If no material matches, or the database changed since the download was begun.
    ValueError
        If there is no key of today's form, or the query or a field is unknown.

    References
    ----------
    .. [1] A. Jain et al., APL Mater. 1, 011002 (2013).

    Examples
    --------
    >>> fetch_materials_project("titanates", api_key="0123456789abcdef")
    Traceback (most recent call last):
        ...
    ValueError: the key has 16 characters and is one of the retired interface, those of today have 32; get one at ...
    """
    if page_limit < 1:
        msg = f"page_limit must be 1 or more, got {page_limit}"
        raise ValueError(msg)
    key = _checked_key(api_key or os.environ.get("MP_API_KEY", ""))
    url = (endpoint or os.environ.get("MP_API_ENDPOINT") or _ENDPOINT).rstrip("/") + "/"
    asked = {"deprecated": False, "include_gnome": False} | dict(query or {})
    wanted = list(dict.fromkeys(fields))

    def pages(then: Any) -> Generator[Page]:
        with _strict_session(key, timeout) as session:
            version = str(get_json(f"{url}heartbeat", silence=timeout).get("db_version", "unknown"))
            if then is not None and then["version"] != version:
                msg = (
                    f"the database is {version} now and was {then['version']} when the download was begun; "
                    f"remove {partial_of(out)} to begin anew"
                )
                raise RuntimeError(msg)
            search = _searcher(key, url, session)
            _check_query(asked, search)
            found = _documents(search, url, asked | {"fields": ["material_id"], "chunk_size": _IDS_PER_REQUEST})
            ids = sorted({str(one["material_id"]) for one in found})[:limit]
            facts = {
                "url": url,
                "version": version,
                "licence": _LICENCES[bool(asked.get("include_gnome"))],
                "citation": list(_PAPERS),
            }
            left = [one for one in ids if then is None or one > then["after"]]
            for start in range(0, len(left), page_limit):
                some = left[start : start + page_limit]
                terms = {"material_ids": some, "fields": ["material_id", "structure", *wanted], "chunk_size": len(some)}
                documents = {str(one["material_id"]): one for one in _documents(search, url, terms)}
                yield Page(
                    [_entry(one, documents.get(one), wanted) for one in some],
                    {"after": some[-1], "version": version} if start + page_limit < len(left) else None,
                    facts,
                    len(ids),
                )

    request = {"source": "Materials Project", "query": asked, "fields": wanted}
    return make_download(out, request, pages, limit=limit, overwrite=overwrite, progress=progress)


def _checked_key(key: str) -> str:
    if len(key) == _KEY_LENGTH:
        return key
    found = (
        "the Materials Project asks for a key"
        if not key
        else f"the key has {len(key)} characters and is one of the retired interface, those of today have {_KEY_LENGTH}"
        if len(key) == _OLD_KEY_LENGTH
        else f"the key has {len(key)} characters, wanted {_KEY_LENGTH}"
    )
    msg = f"{found}; {_KEYS}"
    raise ValueError(msg)


def _strict_session(key: str, timeout: float) -> "requests.Session":
    """Open a session whose answers are whole and no errors, and which takes the key nowhere else."""
    session = open_session()
    session.headers["x-api-key"] = key
    session.max_redirects = 0
    send = session.send

    def checked(request: Any, **options: Any) -> "requests.Response":
        with network_faults(request.url, timeout):
            response = send(request, **options | {"timeout": timeout, "stream": False})
        if response.status_code not in _LEFT_TO_CLIENT:
            refuse_status(response, request.url.partition("?")[0])
        return response

    session.send = checked  # type: ignore[method-assign]
    return session


def _searcher(key: str, url: str, session: "requests.Session") -> Callable[..., list[dict[str, Any]]]:
    """Open the client, and take its search for summaries."""
    client = import_extra("mp_api.client", extra="mp")
    faults = (OSError, ValueError, LookupError, client.core.MPRestError)

    def opened() -> Any:
        try:
            return client.MPRester(
                key, endpoint=url, session=session, use_document_model=False, mute_progress_bars=True
            )
        except faults as error:  # it looks at the heartbeat, and does not try again
            msg = f"the client cannot be opened: {shortened(error)}"
            raise PassingError(msg) from error

    search: Callable[..., list[dict[str, Any]]] = retried(url, opened).materials.summary.search
    return search


def _check_query(query: Mapping[str, Any], search: Callable[..., Any]) -> None:
    known = {name for name in inspect.signature(search).parameters if not name.startswith("_")}
    known -= {"num_chunks", "chunk_size", "all_fields", "fields", "kwargs"}
    if unknown := [name for name in query if name not in known]:
        msg = f"the query asks for {', '.join(map(repr, unknown))}; known are {', '.join(sorted(known))}"
        raise ValueError(msg)


def _documents(search: Callable[..., Any], url: str, terms: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Search, again where a fault may pass; what the client says against the query is one line."""
    client = import_extra("mp_api.client.core", extra="mp")

    def attempt() -> list[dict[str, Any]]:
        try:
            return list(search(**terms))
        except client.MPRestError as error:
            msg = f"the Materials Project cannot be asked this: {shortened(_COLOURS.sub('', str(error)), 400)}"
            raise ValueError(msg) from error
        except ValueError as error:  # of orjson
            msg = f"{url} answers no JSON; check the endpoint"
            raise HttpError(msg) from error

    try:
        return retried(url, attempt)
    except HttpError as error:
        if error.status not in (401, 403):
            raise
        msg = f"{url} refuses the key ({error.status}); {_KEYS}"
        raise HttpError(msg, status=error.status, answer=error.answer) from error


def _entry(material_id: str, document: Mapping[str, Any] | None, fields: Sequence[str]) -> dict[str, Any]:
    """Make a record of a document, or say why it is none."""
    if document is None:
        return {"id": material_id, "reason": "the server sent no document"}
    try:
        cell = _cell(document["structure"])
    except (LookupError, TypeError) as error:
        return {"id": material_id, "reason": f"the document holds no structure that can be read: {shortened(error)}"}
    return with_properties({"id": material_id, **cell}, {name: document.get(name) for name in fields})


def _cell(structure: Mapping[str, Any]) -> dict[str, Any]:
    """Take lattice, species and coordinates out of pymatgen's dictionary; of a disordered crystal all its sites."""
    lattice, sites = structure["lattice"]["matrix"], structure["sites"]
    if all(len(site["species"]) == 1 and site["species"][0]["occu"] == 1 for site in sites):
        species = [site["species"][0]["element"] for site in sites]
        return {"lattice": lattice, "species": species, "frac_coords": [site["abc"] for site in sites]}
    plain = [{"species": site["species"], "abc": site["abc"]} for site in sites]
    return {"structure": {"lattice": {"matrix": lattice}, "sites": plain}}
