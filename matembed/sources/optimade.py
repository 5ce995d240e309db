"""Fetch crystals from a database that speaks OPTIMADE."""

import json
import os
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

from matembed._http import HttpError, get_json, open_session, shown
from matembed._optional import import_extra
from matembed.sources.downloads import Page, make_download, with_properties
from matembed.sources.optimade_records import OPTIMADE_KEYS, record_of
from matembed.sources.rows import shortened

if TYPE_CHECKING:
    import requests

__all__ = ["fetch_optimade"]

_LABELS = ("chemical_formula_reduced", "chemical_formula_descriptive")
_VERSION = re.compile(r"/v\d+(\.\d+){0,2}$")
_PAPERS = (
    "C. W. Andersen et al., OPTIMADE, an API for exchanging materials data, "
    "Sci. Data 8, 217 (2021), doi:10.1038/s41597-021-00974-z",
)


def fetch_optimade(
    provider: str,
    out: str | os.PathLike[str],
    *,
    filter: str = "",  # noqa: A002
    response_fields: Sequence[str] = (),
    limit: int | None = None,
    page_limit: int = 100,
    timeout: float = 30.0,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Fetch crystals from a database that speaks OPTIMADE [1]_ to a folder, which is read offline from then on.

    Throttling, server errors and cut connections are waited out; a download that was given up or killed goes on
    where it was when the same call is made again, and ends with the same bytes.

    Parameters
    ----------
    provider : str
        The base address of a database, such as ``"https://optimade.materialsproject.org"``; or the id of a provider,
        such as ``"odbx"``, or of one of its databases, such as ``"alexandria/alexandria-pbe"``, which is looked up
        in the list that comes with the extra ``optimade``, and at the provider's own index.
    out : path-like
        Where the folder belongs. If it holds this very download, nothing is fetched.
    filter : str
        In the language of OPTIMADE, such as ``'elements HAS ALL "Ti","O" AND nsites < 40'``; without it, all.
    response_fields : sequence of str
        Names of properties to keep; numbers, booleans and short text are kept.
    limit : int, optional
        Only the first structures that the server sends.
    page_limit : int, default 100
        Structures a request. Servers refuse more than they allow. A download that goes on keeps that of its beginning.
    timeout : float
        Longest wait for the next bytes, in seconds.
    overwrite : bool, default False
        Fetch anew and replace the download in `out`, and begin anew where another was begun.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    Path
        A folder that `read_rows` and ``matembed build`` read, with ``manifest.json`` (source, versions, filter,
        date, counts, licence, hashes) and ``dropped.jsonl.gz`` (what is no crystal of known atoms, and why).

    Raises
    ------
    FileExistsError
        If `out` holds something else, or another download was begun there.
    HttpError
        If the server refuses, or fails for minutes on end; what came is kept.
    ImportError
        If a provider is named by id, and the extra is not installed.
    ValueError
        If the provider is unknown or has several databases, or a number is not positive.

    Notes
    -----
    Links to the next page are followed on the same host alone; one of http is asked for by https where the base
    address is https, which servers behind a proxy often mistake.

    References
    ----------
    .. [1] C. W. Andersen et al., Sci. Data 8, 217 (2021), https://www.optimade.org/specification.

    Examples
    --------
    >>> fetch_optimade("https://optimade.materialsproject.org", "titanates", page_limit=0)
    Traceback (most recent call last):
        ...
    ValueError: page_limit must be 1 or more, got 0
    """
    if page_limit < 1:
        msg = f"page_limit must be 1 or more, got {page_limit}"
        raise ValueError(msg)
    wanted = list(dict.fromkeys(response_fields))
    known = None if "://" in provider else _provider_index(provider)

    def pages(then: Any) -> Generator[Page]:
        with open_session() as session:
            facts: dict[str, Any] = {}
            if then is None:
                base = _versioned(provider if known is None else _database(known, provider, session, timeout))
                facts = _facts(base, session, timeout)
                asked = {
                    "filter": filter,
                    "response_fields": ",".join(dict.fromkeys((*OPTIMADE_KEYS, *_LABELS, *wanted))),
                    "page_limit": page_limit,
                    "response_format": "json",
                }
                then = f"{base}/structures?{urlencode({name: value for name, value in asked.items() if value})}"
            seen = set[str]()
            while then is not None:
                seen.add(then)
                answer = _ask(then, session, timeout)
                following = _next_address(answer, then)
                if following in seen:
                    msg = f"{shown(then)} gives a link to a page that was read before; tell the provider"
                    raise HttpError(msg)
                n_expected = answer["meta"].get("data_returned")
                yield Page(
                    [_entry(item, (*_LABELS, *wanted)) for item in answer["data"]],
                    following,
                    facts | _versions(answer["meta"]),
                    n_expected if isinstance(n_expected, int) else None,
                )
                then = following

    request = {"source": "OPTIMADE", "provider": provider, "query": filter, "fields": wanted}
    return make_download(out, request, pages, limit=limit, overwrite=overwrite, progress=progress)


def _entry(item: Any, names: Sequence[str]) -> dict[str, Any]:
    """Make a record of an entry of the server, or say why it is none."""
    attributes = item.get("attributes") if isinstance(item, Mapping) else None
    if not isinstance(attributes, Mapping) or not isinstance(item.get("id"), str):
        return {"id": shortened(item, 40), "reason": "is no entry with an id and attributes"}
    try:
        record = record_of(attributes, item["id"])
    except ValueError as error:
        return {"id": item["id"], "reason": str(error)}
    return with_properties(record, {name: attributes.get(name) for name in names})


def _ask(url: str, session: "requests.Session", timeout: float, *, holds: type = list) -> dict[str, Any]:
    """Ask for a page; what the server says is wrong becomes one line."""
    place = shown(url).partition("?")[0]  # the question is long, and known to who asks
    try:
        answer = get_json(url, session=session, silence=timeout)
    except HttpError as error:
        said = _said(error.answer)
        if error.status is None or not said:
            raise
        msg = f"{place}: the server answers {error.status}: {said}; check the filter, the fields and page_limit"
        raise HttpError(msg, status=error.status, answer=error.answer) from error
    if isinstance(answer, Mapping) and answer.get("errors"):
        msg = f"{place}: the server says: {_details(answer['errors'])}; check the filter, the fields and page_limit"
        raise HttpError(msg)
    if not isinstance(answer, dict) or not isinstance(answer.get("meta"), Mapping) or "data" not in answer:
        msg = f"{place} answers JSON that is not OPTIMADE's, without data and meta; check the base address"
        raise HttpError(msg)
    if not isinstance(answer["data"], holds):
        found = type(answer["data"]).__name__
        msg = f"{place} answers {found} as data where {holds.__name__} was wanted; check the base address"
        raise HttpError(msg)
    return answer


def _said(text: str) -> str:
    try:
        return _details(json.loads(text)["errors"])
    except (ValueError, LookupError, TypeError):
        return ""


def _details(errors: Any) -> str:
    each = errors if isinstance(errors, list) else [errors]
    return "; ".join(
        shortened((one.get("detail") or one.get("title") or one) if isinstance(one, Mapping) else one, 200)
        for one in each[:3]
    )


def _next_address(answer: Mapping[str, Any], current: str) -> str | None:
    """Take the address of the next page, on the same host; None where this is the last."""
    links = answer.get("links")
    following = links.get("next") if isinstance(links, Mapping) else None
    if isinstance(following, Mapping):
        following = following.get("href")
    if not following:
        if answer["meta"].get("more_data_available") and answer["data"]:
            msg = f"{shown(current)} says that more data is available and gives no link to it; tell the provider"
            raise HttpError(msg)
        return None
    if not isinstance(following, str):
        msg = f"{shown(current)} gives {shortened(following, 60)!r} as link to the next page; tell the provider"
        raise HttpError(msg)
    here, there = urlsplit(current), urlsplit(urljoin(current, following))
    if here.scheme == "https" and there.scheme == "http":
        there = there._replace(scheme="https", netloc=there.netloc.removesuffix(":80"))
    if (there.scheme, there.netloc) != (here.scheme, here.netloc):
        msg = (
            f"{shown(current)} gives a link to another place, {shown(urlunsplit(there))}, which is not followed; "
            "if that is where the database is, give it as the base address"
        )
        raise HttpError(msg)
    return urlunsplit(there)


def _versioned(base: str) -> str:
    base = base.rstrip("/")
    return base if _VERSION.search(base) else f"{base}/v1"


def _facts(base: str, session: "requests.Session", timeout: float) -> dict[str, Any]:
    """Ask the database what it is, and for its licence."""
    about = _ask(f"{base}/info", session, timeout, holds=dict)["data"]
    attributes = about.get("attributes")
    attributes = attributes if isinstance(attributes, Mapping) else {}
    named = attributes.get("available_licenses_for_entries") or attributes.get("available_licenses")
    licence = attributes.get("license")
    href = licence.get("href") if isinstance(licence, Mapping) else licence
    text = ", ".join(map(str, named)) if isinstance(named, list) else str(href or "")
    return {"url": base, "licence": shortened(text), "citation": list(_PAPERS)}


def _versions(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Tell the versions of the database, its software and the protocol."""
    software = meta.get("implementation")
    made_by = meta.get("provider")
    parts = [f"API {meta.get('api_version', 'unknown')}"]
    if isinstance(software, Mapping):
        parts.append(shortened(f"{software.get('name', 'software')} {software.get('version', 'unknown')}"))
    name = made_by.get("name") if isinstance(made_by, Mapping) else None
    return {"version": ", ".join(parts), "database": shortened(name or "not stated")}


def _provider_index(provider: str) -> str:
    """Look up the address of a provider's index of databases."""
    known = _listed()
    name = provider.partition("/")[0]
    if name not in known:
        names = ", ".join(map(repr, sorted(known)))
        msg = f"{provider!r} is no known OPTIMADE provider ({names}); give the base address, https://..."
        raise ValueError(msg)
    return known[name]


def _listed() -> dict[str, str]:
    """Read the list of providers that comes with the extra: the address of the index of each."""
    package = import_extra("optimade", extra="optimade")
    path = Path(package.__path__[0]) / "server" / "data" / "providers.json"
    listed = json.loads(path.read_text(encoding="utf-8"))["data"] if path.is_file() else []
    return {item["id"]: url for item in listed if (url := item["attributes"]["base_url"])}


def _database(index: str, provider: str, session: "requests.Session", timeout: float) -> str:
    """Ask a provider's index for the address of its database."""
    try:
        links = _ask(f"{_versioned(index)}/links", session, timeout)["data"]
    except HttpError as error:
        msg = f"the provider's index is needed to find {provider!r}: {error}; or give the base address, https://..."
        raise type(error)(msg, status=error.status, answer=error.answer) from error
    databases = dict(_databases(links))
    name, _, wanted = provider.partition("/")
    if wanted in databases:
        return databases[wanted]
    if not wanted and len(databases) == 1:
        return next(iter(databases.values()))
    listed = ", ".join(f"'{name}/{one}'" for one in sorted(databases)) or "none that can be asked"
    msg = f"{provider!r} is not one database; the provider has {listed}"
    raise ValueError(msg)


def _databases(links: Any) -> Iterator[tuple[str, str]]:
    for item in links:
        attributes = item.get("attributes") if isinstance(item, Mapping) else None
        if not isinstance(attributes, Mapping) or attributes.get("link_type") != "child":
            continue
        url = attributes.get("base_url")
        url = url.get("href") if isinstance(url, Mapping) else url
        if isinstance(url, str) and isinstance(item.get("id"), str):
            yield item["id"], url
