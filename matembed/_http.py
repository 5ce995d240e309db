"""Speak HTTP: JSON pages and files, asked for again where a fault may pass, and never more than was promised."""

import errno
import importlib.metadata
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin, urlsplit, urlunsplit

from matembed._atomic import sha256_of
from matembed._lock import held

if TYPE_CHECKING:
    import requests

__all__ = [
    "HashMismatchError",
    "HttpError",
    "OfflineError",
    "PassingError",
    "download",
    "get_json",
    "is_offline",
    "is_passing",
    "network_faults",
    "open_session",
    "refuse_status",
    "retried",
    "shown",
]

Answer = TypeVar("Answer")

_SECONDS_TO_CONNECT = 10.0
_SECONDS_OF_SILENCE = 30.0
_TRIES = 6
# Waits between tries: 0.5, 1, 2, 4, 8 seconds, or what the server asks for.
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 300.0
_PASSING_STATUS = {408, 425, 429, 500, 502, 503, 504}
_CHUNK = 1 << 16
_LEAST = 1 << 12  # bytes; fewer from a try are no progress
_SLOWEST = 100  # bytes a second; a server that sends fewer is waited for no longer
_LARGEST_PAGE = 1 << 29
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class HttpError(OSError):
    """A server that could not be reached, or did not answer as wanted.

    Attributes
    ----------
    status : int or None
        The status of the answer, such as 404; None where there was none.
    answer : str
        The beginning of the text of the answer.
    """

    def __init__(self, message: str, *, status: int | None = None, answer: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.answer = answer


class OfflineError(HttpError):
    """The network is needed, and ``MATEMBED_OFFLINE`` says to do without."""


class HashMismatchError(ValueError):
    """A file is not the one that was promised: its SHA-256 is another."""


class PassingError(Exception):
    """A fault that may pass: what it was, and how long the server asks to wait."""

    def __init__(self, reason: str, error: HttpError | None = None, *, wait: float | None = None) -> None:
        super().__init__(reason)
        self.error = error
        self.wait = wait


def is_offline() -> bool:
    """Tell whether ``MATEMBED_OFFLINE`` forbids the network.

    Returns
    -------
    bool
        True where the variable is set to anything but nothing, ``0``, ``false``, ``no`` or ``off``.

    Examples
    --------
    >>> is_offline()
    False
    """
    return os.environ.get("MATEMBED_OFFLINE", "").strip().lower() not in ("", "0", "false", "no", "off")


def is_passing(status: int) -> bool:
    """Tell whether an answer of this status may be another one later: 408, 425, 429, 500, 502, 503, 504."""
    return status in _PASSING_STATUS


def open_session() -> "requests.Session":
    """Open a session: connections are kept from one page to the next, and matembed says who asks.

    Returns
    -------
    requests.Session
        Close it, or use it in a ``with`` block. It follows redirects to http and https only, never from https to
        http.

    Examples
    --------
    >>> with open_session() as session:
    ...     session.headers["User-Agent"].startswith("matembed/")
    True
    """
    import requests

    session = requests.Session()
    session.headers["User-Agent"] = f"matembed/{importlib.metadata.version('matembed')}"
    session.hooks["response"].append(_refuse_redirect)
    return session


def get_json(
    url: str,
    *,
    params: Mapping[str, Any] | None = None,
    session: "requests.Session | None" = None,
    silence: float = _SECONDS_OF_SILENCE,
    max_bytes: int = _LARGEST_PAGE,
) -> Any:
    """Ask for a page of JSON.

    An answer 408, 425, 429 or 5xx, a connection refused or cut, and silence are tried again, up to six times with
    growing waits; a ``Retry-After`` is honoured as long as all waits together stay under five minutes.

    Parameters
    ----------
    url : str
        An http or https address.
    params : mapping, optional
        Added to the query of the address.
    session : requests.Session, optional
        From `open_session`; without one, a session for this page alone.
    silence : float
        Longest wait for the next bytes, in seconds.
    max_bytes : int
        Most bytes to accept, once decompressed.

    Returns
    -------
    object
        What the JSON says.

    Raises
    ------
    HttpError
        If there is no answer, or it is none of JSON; one line says what came and what to do.
    OfflineError
        If ``MATEMBED_OFFLINE`` is set.
    ValueError
        If the address is not http or https.
    """
    _check_address(url)
    own = open_session() if session is None else None
    try:
        return retried(url, lambda: _json_page(session or own, url, params, silence, max_bytes))
    finally:
        if own is not None:
            own.close()


def download(
    url: str,
    path: str | os.PathLike[str],
    *,
    size: int | None = None,
    sha256: str | None = None,
    progress: bool = False,
    max_bytes: int | None = None,
    silence: float = _SECONDS_OF_SILENCE,
) -> Path:
    """Download a file, which appears whole and verified or not at all.

    Faults are tried again as by `get_json`, going on from the bytes that came. What came of a file with a known
    SHA-256 is kept beside it when the download is given up, and the next call goes on from there. Of several
    processes that download to the same path, one does, and the others wait for it.

    Parameters
    ----------
    url : str
        An http or https address.
    path : path-like
        Where the file belongs. A file that is there is kept if it has the `sha256`, else replaced.
    size : int, optional
        Its exact size in bytes.
    sha256 : str, optional
        Its hexadecimal SHA-256.
    progress : bool, default False
        Show a progress bar.
    max_bytes : int, optional
        Most bytes to accept where `size` is not known.
    silence : float
        Longest wait for the next bytes, in seconds.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    HashMismatchError
        If the file has another SHA-256; nothing is kept of it.
    ValueError
        If it has another size, or more than `max_bytes`, or the address is not http or https.
    HttpError
        If there is no answer, or it is an error such as 404.
    OfflineError
        If ``MATEMBED_OFFLINE`` is set, and the file is not there.
    OSError
        If the disk is full; what came is removed.
    """
    path = Path(path)
    wanted = None if sha256 is None else sha256.lower()
    with held(path, work="download", wait=True):
        if wanted is not None and path.is_file() and sha256_of(path) == wanted:
            return path
        _check_address(url)
        part = _part_of(path, wanted)
        if wanted is None:
            part.unlink(missing_ok=True)  # of which file it is part, nothing tells
        most = size if size is not None else max_bytes
        transfer = _Transfer(url, part, size, most, silence, is_verified=wanted is not None)
        with open_session() as session, _bar(path.name, size, progress) as bar:
            try:
                retried(url, lambda: transfer.go_on(session, bar), n_done=transfer.n_bytes)
                if wanted is not None and (found := sha256_of(part)) != wanted:
                    msg = (
                        f"{shown(url)} has the SHA-256 {found}, wanted {wanted}: the file was changed or damaged; "
                        "it was not kept. Try again, or ask whoever published it"
                    )
                    raise HashMismatchError(msg)
                part.replace(path)
            except ValueError:
                part.unlink(missing_ok=True)
                raise
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                part.unlink(missing_ok=True)
                msg = f"no space left for {path} ({shown(url)}); what came was removed: make room and try again"
                raise OSError(error.errno, msg) from error
            finally:
                if wanted is None:
                    part.unlink(missing_ok=True)
    return path


@dataclass
class _Transfer:
    """One file on its way into its part, over as many connections as it takes."""

    url: str
    part: Path
    size: int | None
    most: int | None
    silence: float
    is_verified: bool
    validator: str | None = None

    def n_bytes(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def go_on(self, session: "requests.Session", bar: Any) -> None:
        """Ask for what is missing, and append it."""
        n_have = self.n_bytes() if self.is_verified or self.validator else 0
        if self.size is not None and n_have > self.size:
            n_have = 0
        if n_have and n_have == self.size:
            return
        headers = {"Accept-Encoding": "identity"}
        if n_have:
            headers["Range"] = f"bytes={n_have}-"
            if self.validator:
                headers["If-Range"] = self.validator
        with closing(_answer(session, self.url, None, headers, self.silence)) as response:
            if n_have and not _goes_on(response, n_have):
                self.part.unlink()  # the next try starts anew
                raise PassingError("the server answers another part of the file than was asked for")
            refuse_status(response, self.url)
            n_have = n_have if response.status_code == 206 else 0
            self._refuse_length(response, n_have)
            self.validator = _validator(response)
            if bar.total is None and (length := _length(response)) is not None:
                bar.reset(n_have + length)
            bar.n = n_have
            bar.refresh()
            with self.part.open("ab" if n_have else "wb") as file:
                for chunk in _raw_chunks(response, self.silence):
                    n_have += len(chunk)
                    self._refuse_more(n_have)
                    file.write(chunk)
                    bar.update(len(chunk))
                file.flush()
                os.fsync(file.fileno())
        if self.size is not None and n_have < self.size:
            msg = f"the connection ended after {n_have:,} of {self.size:,} bytes"
            raise PassingError(msg)

    def _refuse_length(self, response: "requests.Response", n_have: int) -> None:
        length = _length(response)
        if length is not None:
            if self.size is not None and n_have + length != self.size:
                msg = (
                    f"{shown(self.url)} has {n_have + length:,} bytes, wanted {self.size:,}: the file was changed "
                    "or damaged; ask whoever published it"
                )
                raise ValueError(msg)
            self._refuse_more(n_have + length)

    def _refuse_more(self, n_bytes: int) -> None:
        if self.most is not None and n_bytes > self.most:
            msg = f"{shown(self.url)} sends more than the {self.most:,} bytes that are allowed; it was not kept"
            raise ValueError(msg)


def _part_of(path: Path, sha256: str | None) -> Path:
    """Name the unfinished file; with the hash in it, so that parts of another version are not gone on with."""
    return path.with_name(f".{path.name}.{(sha256 or 'unverified')[:16]}.part")


def retried(url: str, attempt: Callable[[], Answer], *, n_done: Callable[[], int] = lambda: 0) -> Answer:
    """Try until it works, up to `_TRIES` times in a row without getting further."""
    n_failures, waited, n_before = 0, 0.0, n_done()
    while True:
        try:
            return attempt()
        except PassingError as fault:
            n_failures = 1 if n_done() - n_before >= _LEAST else n_failures + 1
            n_before = n_done()
            wait = _FIRST_WAIT * 2 ** (n_failures - 1) if fault.wait is None else fault.wait
            if n_failures == _TRIES or waited + wait > _LONGEST_WAIT:
                asked = "" if fault.wait is None else f" and asks to wait {fault.wait:g} s"
                status, answer = (fault.error.status, fault.error.answer) if fault.error else (None, "")
                msg = f"{shown(url)}: {fault}{asked}; given up after try {n_failures}. Try again later"
                raise HttpError(msg, status=status, answer=answer) from fault.__cause__
            time.sleep(wait)
            waited += wait


def _json_page(
    session: Any,
    url: str,
    params: Mapping[str, Any] | None,
    silence: float,
    max_bytes: int,
) -> Any:
    with closing(_answer(session, url, params, {}, silence)) as response:
        refuse_status(response, url)
        body = bytearray()
        for chunk in _chunks(response, silence, decode=True):
            body += chunk
            if len(body) > max_bytes:
                msg = f"{shown(url)} sends more than {max_bytes:,} bytes; ask for fewer records a page"
                raise HttpError(msg, status=response.status_code)
        kind = response.headers.get("Content-Type", "")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        if "json" in kind:
            msg = "the JSON breaks off or is damaged"
            raise PassingError(msg) from error
        found = kind.split(";")[0] or "something else"
        msg = f"{shown(url)} answers no JSON but {found}; check the address"
        raise HttpError(msg, status=response.status_code, answer=body[:2000].decode(errors="replace")) from None


def _answer(
    session: "requests.Session",
    url: str,
    params: Mapping[str, Any] | None,
    headers: Mapping[str, str],
    silence: float,
) -> "requests.Response":
    with network_faults(url, silence):
        return session.get(
            url, params=params, headers=dict(headers), timeout=(min(_SECONDS_TO_CONNECT, silence), silence), stream=True
        )


def _raw_chunks(response: "requests.Response", silence: float) -> Iterator[bytes]:
    """Yield the bytes of the file as they are: a ``.gz`` stays one whatever encoding the server calls it."""
    yield from _chunks(response, silence, decode=False)


def _chunks(response: "requests.Response", silence: float, *, decode: bool) -> Iterator[bytes]:
    """Yield bytes as they come, of a server that neither is silent nor drips."""
    n_bytes, since = 0, time.monotonic()
    with network_faults(response.url, silence):
        while chunk := response.raw.read1(_CHUNK, decode_content=decode):
            yield chunk
            n_bytes += len(chunk)
            waited = time.monotonic() - since
            if waited > silence:
                if n_bytes < _SLOWEST * waited:
                    msg = (
                        f"{shown(response.url)} sent no more than {n_bytes:,} bytes in {waited:.0f} s; try again later"
                    )
                    raise HttpError(msg, status=response.status_code)
                n_bytes, since = 0, time.monotonic()


@contextmanager
def network_faults(url: str, silence: float) -> Iterator[None]:
    """Tell faults that may pass from those that will not."""
    import requests
    import urllib3.exceptions

    try:
        yield
    except HttpError:
        raise
    except (requests.exceptions.SSLError, urllib3.exceptions.SSLError) as error:
        msg = f"{shown(url)}: its certificate is not trusted; check the address, the clock and the proxy"
        raise HttpError(msg) from error
    except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
        msg = f"no answer within {silence:g} s"
        raise PassingError(msg) from error
    except (
        requests.ConnectionError,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.ContentDecodingError,
        urllib3.exceptions.HTTPError,
    ) as error:
        if any(isinstance(one, urllib3.exceptions.NameResolutionError) for one in _causes(error)):
            msg = f"{urlsplit(url).hostname} is not found; check the address and the network connection"
            raise HttpError(msg) from error
        silent = any(isinstance(one, urllib3.exceptions.ReadTimeoutError) for one in _causes(error))
        refused = any(isinstance(one, ConnectionRefusedError) for one in _causes(error))
        what = "refused" if refused else "cut"
        reason = f"no answer within {silence:g} s" if silent else f"the connection was {what}"
        raise PassingError(reason) from error
    except requests.RequestException as error:
        msg = f"{shown(url)} cannot be asked: {' '.join(str(error).split())[:200]}; check the address"
        raise HttpError(msg) from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield what is wrapped in an error of requests and urllib3."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        wrapped = [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
        waiting += [each for each in wrapped if isinstance(each, BaseException)]


def refuse_status(response: "requests.Response", url: str) -> None:
    """Raise for an answer that is an error; a fault that may pass, where it may."""
    status = response.status_code
    if status in (200, 206):  # 206 to one who asked for a range
        return
    with network_faults(url, 0):
        answer = next(response.iter_content(2000), b"").decode(errors="replace")
    plain = "html" not in response.headers.get("Content-Type", "html")
    text = "".join(one for one in " ".join(answer.split()) if one.isprintable())
    said = f": {text[:200]}" if plain and text else ""
    reason = f"the server answers {status} {response.reason or ''}".rstrip() + said
    remedy = {401: "check the key", 403: "check the key, and what it gives access to", 404: "check the address"}
    error = HttpError(
        f"{shown(url)}: {reason}; {remedy.get(status, 'check what was asked for')}", status=status, answer=answer
    )
    if is_passing(status):
        raise PassingError(reason, error, wait=_retry_after(response))
    raise error


def _retry_after(response: "requests.Response") -> float | None:
    """Read the seconds to wait, which may be written as a date."""
    import urllib3

    value = response.headers.get("Retry-After")
    if value is None:
        return None
    try:
        return max(0.0, urllib3.Retry().parse_retry_after(value))
    except urllib3.exceptions.InvalidHeader:
        return None


def _refuse_redirect(response: "requests.Response", *_args: Any, **_kwargs: Any) -> None:
    """Refuse, before it is followed, a redirect out of http and https, or from https to http."""
    if not response.is_redirect:
        return
    try:
        target = urljoin(response.url, response.headers["Location"])
        scheme = urlsplit(target).scheme.lower()
    except ValueError as error:
        msg = f"{shown(response.url)} redirects to what is no address ({error}); check the address"
        raise HttpError(msg, status=response.status_code) from error
    if scheme not in ("http", "https") or (scheme == "http" and response.url.startswith("https:")):
        msg = f"{shown(response.url)} redirects to {shown(target)}, which is not followed; check the address"
        raise HttpError(msg, status=response.status_code)


def _goes_on(response: "requests.Response", n_have: int) -> bool:
    """Tell whether an answer is what follows the bytes that are there, or no part at all."""
    if response.status_code == 206:
        return response.headers.get("Content-Range", "").startswith(f"bytes {n_have}-")
    return response.status_code != 416


def _length(response: "requests.Response") -> int | None:
    value = response.headers.get("Content-Length", "")
    return int(value) if value.isdecimal() else None


def _validator(response: "requests.Response") -> str | None:
    """Take what tells one version of a file from the next."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        msg = f"an address begins with http:// or https:// and a host, got {shown(url)!r}"
        raise ValueError(msg)
    if is_offline():
        msg = f"{shown(url)} is wanted, and MATEMBED_OFFLINE forbids the network; unset it, or fetch once elsewhere"
        raise OfflineError(msg)


def shown(url: str) -> str:
    """Shorten an address for a message, without the password it may hold."""
    parts = urlsplit(url)
    shown = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return shown if len(shown) <= 200 else shown[:199] + "…"


def _bar(name: str, size: int | None, progress: bool) -> Any:
    from tqdm import tqdm

    return tqdm(desc=name, total=size, unit="B", unit_scale=True, unit_divisor=1024, disable=not progress)
