"""Interchange: embedding tables in the formats of other programs."""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from matembed._atomic import sha256_of, whole_file
from matembed._gensim import gensim_models
from matembed.cards import Card
from matembed.elements import SYMBOLS
from matembed.embeddings import EmbeddingTable
from matembed.tokens import kind_of

__all__ = ["Format", "from_keyed_vectors", "read_table", "to_keyed_vectors", "write_table"]

Format = Literal["matembed", "safetensors", "word2vec", "word2vec-binary", "csv", "json"]
OnMissing = Literal["error", "drop", "mean"]

_FORMATS: tuple[Format, ...] = get_args(Format)
_SUFFIXES: dict[str, Format] = {
    ".safetensors": "safetensors",
    ".txt": "word2vec",
    ".vec": "word2vec",
    ".bin": "word2vec-binary",
    ".csv": "csv",
    ".json": "json",
}
_LABELS = ("element", "species", "token", "symbol")
_ROW_NUMBERS = ("", "index", "unnamed: 0")  # headers of a column that counts the rows, as pandas writes them
_OTHER_SPELLINGS = {"aluminium": "Al", "caesium": "Cs", "sulphur": "S"}
_LARGEST_HEADER = 100_000_000  # bytes; the safetensors library reads no more
_SCHEMA = "1"  # of the metadata of a safetensors file
_EMPTY_CELLS = ("", "na", "n/a", "nan", "none", "null")
_PICKLES = (".ckpt", ".joblib", ".kv", ".model", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".pth")
_PICKLE_STARTS = (b"\x80", b"\x93NUMPY", b"PK\x03\x04")


class _Rows(NamedTuple):
    """What a file holds: float64 vectors, NaN where a number is missing."""

    tokens: list[str]
    columns: Sequence[str]
    vectors: NDArray[np.float64]


def read_table(
    path: str | os.PathLike[str],
    *,
    format: Format | None = None,  # noqa: A002
    on_missing: OnMissing = "error",
) -> EmbeddingTable:
    r"""Read an embedding table, of matembed or of another program.

    ================= ======================== =================================================================
    format            usual name               what it is
    ================= ======================== =================================================================
    matembed          a folder                 what `EmbeddingTable.write` makes, with its card
    safetensors       ``.safetensors``         one file: the tensor ``vectors``; in the metadata ``tokens`` and
                                               ``card`` as JSON
    word2vec          ``.txt``, ``.vec``       "n_tokens dim", then a line "token number number ..." for each
    word2vec-binary   ``.bin``                 the same with float32 numbers, as word2vec and gensim write it
    csv               ``.csv``                 a header, a column ``element`` (or ``species``, ``token``, ``symbol``;
                                               else the first), numbers: ElementEmbeddings, SkipAtom, CBFV, CrabNet
    json              ``.json``                ``{"H": [number, ...], ...}``, or a single number: ElementEmbeddings,
                                               MEGNet, aviary (Roost, Wren); by atomic number ``{"1": ...}``: CGCNN
    ================= ======================== =================================================================

    In CSV and JSON, a table whose tokens are all names of elements (Sodium, sodium) is read by their symbols, and a
    nameless column that counts the rows from 0 or 1 is left out. The JSON forms of MEGNet and aviary are those that
    their documentation and data files show: both load an object of lists of one length by element symbol, and aviary
    takes elements alone.

    Parameters
    ----------
    path : path-like
        File or folder.
    format : {"matembed", "safetensors", "word2vec", "word2vec-binary", "csv", "json"}, optional
        By default, what the suffix says.
    on_missing : {"error", "drop", "mean"}
        What to do where a CSV or JSON file has no number: refuse, leave the token out, or take the mean of the
        column.

    Returns
    -------
    EmbeddingTable
        Rows in the order of the file. The card of a file without one tells its name and SHA-256.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If the format is unknown, the file is a pickle (reading one runs what is in it) or not of its format, a token
        comes twice, or a number is missing and `on_missing` is "error".

    See Also
    --------
    write_table : The inverse.
    from_keyed_vectors : The vectors of a gensim model in memory.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "demo.csv")
    ...     _ = path.write_text("element,0,1\nLi,0.5,1\nNa,0.25,2\n")
    ...     read_table(path)
    EmbeddingTable('demo', 2 tokens, dim 2)
    """
    path = Path(path)
    if not path.exists():
        msg = f"no file or folder {path}; tables that come with the package: matembed list"
        raise FileNotFoundError(msg)
    if on_missing not in get_args(OnMissing):
        msg = f'on_missing must be "error", "drop" or "mean", got {on_missing!r}'
        raise ValueError(msg)
    chosen = _format_of(path, format)
    if path.is_dir() != (chosen == "matembed"):
        msg = f"{path}: format {chosen!r} is a {'folder' if chosen == 'matembed' else 'file'}, and this is not"
        raise ValueError(msg)
    if chosen == "matembed":
        return EmbeddingTable.read(path)
    if chosen == "safetensors":
        return _read_safetensors(path)
    _refuse_pickle(path)
    read = {"word2vec": _read_text, "word2vec-binary": _read_binary, "csv": _read_csv, "json": _read_json}[chosen]
    try:
        rows = read(path)
    except UnicodeDecodeError as error:
        msg = f"{path} is not UTF-8 text: {error}"
        raise ValueError(msg) from error
    if not rows.tokens or not rows.vectors.size:
        msg = f"{path} holds no vectors"
        raise ValueError(msg)
    rows, remark = _without_gaps(path, rows, on_missing)
    what = f"Vectors read from {path.name}{remark}."
    card = Card(name=path.stem, what=what, source=f"{path.name}, SHA-256 {sha256_of(path)}")
    try:
        return EmbeddingTable(tuple(rows.tokens), rows.vectors.astype(np.float32), card)
    except ValueError as error:
        msg = f"{path}: {error}"
        raise ValueError(msg) from error


def write_table(
    table: EmbeddingTable,
    path: str | os.PathLike[str],
    *,
    format: Format | None = None,  # noqa: A002
    overwrite: bool = False,
) -> Path:
    """Write an embedding table for matembed or for another program.

    Every format gives the float32 numbers back exactly; the folder and safetensors keep the card too.

    Parameters
    ----------
    table : EmbeddingTable
        What to write. ElementEmbeddings takes tables of elements alone or of species alone, and aviary of elements:
        ``table.subset(kind="element")``.
    path : path-like
        File to make, or folder for "matembed". It appears whole or not at all.
    format : {"matembed", "safetensors", "word2vec", "word2vec-binary", "csv", "json"}, optional
        By default, what the suffix says; a folder where there is no suffix. See `read_table`.
    overwrite : bool, default False
        Replace what is there.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    FileExistsError
        If something is there and `overwrite` is false.
    ValueError
        If the format is unknown, the suffix promises a pickle, tokens and card are too long for safetensors, or tokens
        are all numbers or names of elements, which CSV and JSON files would be read as.

    See Also
    --------
    read_table : The inverse.
    to_keyed_vectors : For gensim, without a file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> table = EmbeddingTable(("Li", "Na"), [[0.5, 1.0], [0.25, 2.0]], Card("demo"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(write_table(table, Path(folder, "demo.vec")).read_text())
    2 2
    Li 0.5 1
    Na 0.25 2
    """
    path = Path(path)
    chosen = _format_of(path, format)
    if chosen == "matembed":
        return table.write(path, overwrite=overwrite)
    if path.is_dir() or (path.exists() and not overwrite):
        msg = f"{path} already exists; choose another path or pass overwrite=True"
        raise FileExistsError(msg)
    numbers = bool(len(table)) and all(token.isdecimal() for token in table.tokens)
    if chosen in ("csv", "json") and (numbers or _by_symbol(list(table.tokens)) != list(table.tokens)):
        what = "atomic numbers" if numbers else "symbols of elements"
        msg = f"tokens such as {table.tokens[0]!r} would be read from {chosen} as {what}; write a folder or safetensors"
        raise ValueError(msg)
    write = {
        "safetensors": _write_safetensors,
        "word2vec": _write_text,
        "word2vec-binary": _write_binary,
        "csv": _write_csv,
        "json": _write_json,
    }[chosen]
    with whole_file(path) as partial, partial.open("wb") as file:
        write(table, file)
    return path


def to_keyed_vectors(table: EmbeddingTable) -> Any:
    """Turn a table into gensim's KeyedVectors.

    Parameters
    ----------
    table : EmbeddingTable
        Any table.

    Returns
    -------
    gensim.models.KeyedVectors
        The same tokens and numbers, in the same order; no card.

    Raises
    ------
    ImportError
        If gensim is not installed.

    Examples
    --------
    >>> table = EmbeddingTable(("Li", "Na"), [[0.5, 1.0], [0.25, 2.0]], Card("demo"))
    >>> to_keyed_vectors(table).most_similar("Li")[0][0]
    'Na'
    """
    keyed = gensim_models().KeyedVectors(table.dim)
    keyed.add_vectors(list(table.tokens), table.vectors)
    return keyed


def from_keyed_vectors(keyed: Any, *, name: str = "keyed-vectors") -> EmbeddingTable:
    """Make a table of gensim's KeyedVectors, such as ``model.wv``.

    Parameters
    ----------
    keyed : gensim.models.KeyedVectors
        Vectors keyed by token.
    name : str, default "keyed-vectors"
        Name for the card, which says nothing else.

    Returns
    -------
    EmbeddingTable
        The same tokens and numbers, in the same order.

    Raises
    ------
    ValueError
        If a key holds white space, or a number is not finite.

    Examples
    --------
    >>> table = EmbeddingTable(("Li", "Na"), [[0.5, 1.0], [0.25, 2.0]], Card("demo"))
    >>> from_keyed_vectors(to_keyed_vectors(table), name="again")
    EmbeddingTable('again', 2 tokens, dim 2)
    """
    card = Card(name=name, what="Vectors taken from gensim's KeyedVectors.")
    return EmbeddingTable(tuple(map(str, keyed.index_to_key)), keyed.vectors, card)


def _format_of(path: Path, asked: str | None) -> Format:
    chosen = asked
    if asked is None:
        if path.suffix.lower() in _PICKLES:
            raise _pickle_error(path)
        chosen = "matembed" if path.is_dir() or not path.suffix else _SUFFIXES.get(path.suffix.lower())
    for known in _FORMATS:
        if chosen == known:
            return known
    why = f"cannot tell the format of {path}" if asked is None else f"unknown format {asked!r}"
    msg = f"{why}; pass format= one of: {', '.join(_FORMATS)}"
    raise ValueError(msg)


def _refuse_pickle(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(8).startswith(_PICKLE_STARTS):
            raise _pickle_error(path)


def _pickle_error(path: Path) -> ValueError:
    return ValueError(
        f"{path} is, or would be, a pickle or an archive of arrays, and reading those can run code; use word2vec "
        "text instead (in gensim: model.wv.save_word2vec_format('vectors.vec'))"
    )


def _without_gaps(path: Path, rows: _Rows, on_missing: OnMissing) -> tuple[_Rows, str]:
    """Deal with missing numbers; return the rows, and a remark for the card."""
    missing = np.isnan(rows.vectors)
    n_missing = int(missing.sum())
    if not n_missing:
        return rows, ""
    row, column = (int(idx[0]) for idx in np.nonzero(missing))
    where = f"{path}: {rows.tokens[row]!r} has no number in column {rows.columns[column]!r}"
    if on_missing == "error":
        msg = f'{where} ({n_missing} numbers are missing in all); pass on_missing="drop" or "mean"'
        raise ValueError(msg)
    if on_missing == "drop":
        kept = np.logical_not(missing.any(axis=1))
        if not kept.any():
            msg = f'{path}: every token misses a number, so none is left; pass on_missing="mean"'
            raise ValueError(msg)
        tokens = [rows.tokens[row] for row in np.flatnonzero(kept)]
        n_dropped = len(rows.tokens) - len(tokens)
        return _Rows(tokens, rows.columns, rows.vectors[kept]), f", without {n_dropped} tokens that miss a number"
    if missing.all(axis=0).any():
        msg = f"{where}, nor has any other token, so there is no mean; leave that column out"
        raise ValueError(msg)
    filled = np.where(missing, np.nanmean(rows.vectors, axis=0), rows.vectors)
    return _Rows(rows.tokens, rows.columns, filled), f", {n_missing} missing numbers set to the mean of their column"


def _read_header(path: Path, line: bytes) -> tuple[int, int]:
    """Read the first line of a word2vec file: how many vectors, and their length."""
    try:
        n_tokens, dim = (int(word) for word in line.split())
    except ValueError:
        msg = f'{path}: a word2vec file starts with a line "n_tokens dim", got {line[:40]!r}'
        raise ValueError(msg) from None
    if n_tokens < 1 or dim < 1:
        msg = f"{path} says it holds {n_tokens} vectors of length {dim}"
        raise ValueError(msg)
    return n_tokens, dim


def _read_text(path: Path) -> _Rows:
    tokens, vectors = [], []
    with path.open("rb") as file:
        n_tokens, dim = _read_header(path, file.readline().removeprefix(b"\xef\xbb\xbf"))
        for number, line in enumerate(file, start=2):
            words = line.decode("utf-8").split()
            if not words:
                continue
            try:
                vector = [float(word) for word in words[1:]]
            except ValueError as error:
                msg = f"{path}, line {number}: {error}"
                raise ValueError(msg) from None
            if len(vector) != dim:
                msg = f"{path}, line {number}: wanted a token and {dim} numbers, got {len(words)} words"
                raise ValueError(msg)
            tokens.append(words[0])
            vectors.append(vector)
    if len(tokens) != n_tokens:
        msg = f"{path} says it holds {n_tokens} vectors, and holds {len(tokens)}"
        raise ValueError(msg)
    return _Rows(tokens, [str(idx) for idx in range(dim)], np.array(vectors))


def _read_binary(path: Path) -> _Rows:
    header, _, data = path.read_bytes().partition(b"\n")
    n_tokens, dim = _read_header(path, header)
    tokens: list[str] = []
    vectors = []
    start = 0
    for _ in range(n_tokens):
        end = data.find(b" ", start)
        following = end + 1 + 4 * dim
        if end < 0 or following > len(data):
            msg = f"{path} is cut short: it says it holds {n_tokens} vectors, and holds {len(tokens)}"
            raise ValueError(msg)
        tokens.append(data[start:end].decode("utf-8").removeprefix("\n"))
        vectors.append(np.frombuffer(data, dtype="<f4", count=dim, offset=end + 1))
        start = following
    if data[start:].strip():
        msg = f"{path} says it holds {n_tokens} vectors of length {dim}, and holds more"
        raise ValueError(msg)
    return _Rows(tokens, [str(idx) for idx in range(dim)], np.array(vectors, dtype=np.float64))


def _read_csv(path: Path) -> _Rows:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file)
        header = [name.strip() for name in next(lines, [])]
        names = [name.lower() for name in header]
        label = next((names.index(name) for name in _LABELS if name in names), 0)
        if len(header) < 2 or kind_of(header[label]) is not None:
            msg = f"{path}: the first line must be a header such as element,0,1,..., got {','.join(header)[:60]!r}"
            raise ValueError(msg)
        columns = header[:label] + header[label + 1 :]
        tokens, vectors = [], []
        for cells in lines:
            if not any(cells):
                continue
            if len(cells) != len(header):
                msg = f"{path}, line {lines.line_num}: wanted {len(header)} cells as in the header, got {len(cells)}"
                raise ValueError(msg)
            tokens.append(cells.pop(label).strip())
            vectors.append([_number(path, tokens[-1], *pair) for pair in zip(columns, cells, strict=True)])
    if tokens and all(token.isdecimal() for token in tokens):
        msg = f"{path}: column {header[label]!r} holds numbers; name the column that holds the tokens 'element'"
        raise ValueError(msg)
    numbers = np.array(vectors, dtype=np.float64).reshape(len(tokens), len(columns))
    kept = [idx for idx, name in enumerate(columns) if not _counts_rows(name, numbers[:, idx])]
    return _Rows(_by_symbol(tokens), [columns[idx] for idx in kept], numbers[:, kept])


def _counts_rows(column: str, numbers: NDArray[np.float64]) -> bool:
    """Tell whether a column holds no more than the position of each row, counted from 0 or from 1."""
    positions = np.arange(len(numbers))
    return column.lower() in _ROW_NUMBERS and any(np.array_equal(numbers, positions + start) for start in (0, 1))


def _by_symbol(tokens: list[str]) -> list[str]:
    """Write symbols for the names of elements, if the tokens are all such names."""
    if any(token in SYMBOLS or not token.isalpha() for token in tokens):
        return tokens
    from pymatgen.core.periodic_table import Element

    symbols = _OTHER_SPELLINGS | {Element(symbol).long_name.lower(): symbol for symbol in SYMBOLS[1:]}
    return [symbols[token.lower()] for token in tokens] if all(token.lower() in symbols for token in tokens) else tokens


def _number(path: Path, token: str, column: str, cell: str) -> float:
    if cell.strip().lower() in _EMPTY_CELLS:
        return np.nan
    try:
        return float(cell)
    except ValueError:
        msg = f"{path}: {token!r} has {cell!r} in column {column!r}, which is no number"
        raise ValueError(msg) from None


def _read_json(path: Path) -> _Rows:
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"), parse_int=float, object_pairs_hook=_once_each)
    except UnicodeDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        what = "is not JSON" if isinstance(error, json.JSONDecodeError) else "cannot be read"
        msg = f"{path} {what}: {error}"
        raise ValueError(msg) from error
    if not isinstance(values, dict):
        msg = f'{path}: wanted a JSON object such as {{"H": [0.1, 0.2], ...}}, got a {type(values).__name__}'
        raise ValueError(msg)
    tokens, vectors = list(values), []
    for token, value in values.items():
        numbers = value if isinstance(value, list) else [value]
        if not all(number is None or isinstance(number, float) for number in numbers):
            msg = f"{path}: {token!r} must have a list of numbers, got {value!r:.60}"
            raise ValueError(msg)
        vectors.append([np.nan if number is None else number for number in numbers])
    dims = {len(vector) for vector in vectors}
    if len(dims) > 1:
        odd = next(token for token, vector in zip(tokens, vectors, strict=True) if len(vector) != len(vectors[0]))
        msg = (
            f"{path}: all vectors must be as long as that of {tokens[0]!r} ({len(vectors[0])}); that of {odd!r} is not"
        )
        raise ValueError(msg)
    if tokens and all(token.isdecimal() for token in tokens):
        tokens = [_symbol(path, token) for token in tokens]
    columns = [str(idx) for idx in range(max(dims, default=0))]
    return _Rows(_by_symbol(tokens), columns, np.array(vectors, dtype=np.float64))


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object, or raise ValueError where a key comes twice, of which the last would count."""
    twice = [key for key, n_times in Counter(key for key, _ in pairs).items() if n_times > 1]
    if twice:
        msg = f"keys must be unique, got {twice[0]!r} twice"
        raise ValueError(msg)
    return dict(pairs)


def _symbol(path: Path, number: str) -> str:
    if not 0 < int(number) < len(SYMBOLS):
        msg = f"{path}: keys that are all numbers are atomic numbers, 1 to {len(SYMBOLS) - 1}; got {number!r}"
        raise ValueError(msg)
    return SYMBOLS[int(number)]


def _read_safetensors(path: Path) -> EmbeddingTable:
    from safetensors import SafetensorError, safe_open

    with path.open("rb") as file:
        n_bytes = int.from_bytes(file.read(8), "little")
    size = path.stat().st_size
    if not 0 < n_bytes <= min(_LARGEST_HEADER, size - 8):
        msg = f"{path} is no safetensors file: {size:,} bytes, of which the header would take {n_bytes:,}"
        raise ValueError(msg)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata, names = file.metadata() or {}, list(file.keys())
            if names != ["vectors"] or not {"tokens", "card"} <= metadata.keys():
                msg = f"wanted one tensor 'vectors', and 'tokens' and 'card' in the metadata; got {names!r:.60}"
                raise ValueError(msg)
            if metadata.get("matembed") != _SCHEMA:
                msg = f"its format is {metadata.get('matembed')!r:.20}, and {_SCHEMA!r} is read here: upgrade matembed"
                raise ValueError(msg)
            vectors = file.get_tensor("vectors")
            if vectors.dtype.kind != "f":
                msg = f"'vectors' must be floating-point numbers of 16, 32 or 64 bits, got {vectors.dtype}"
                raise ValueError(msg)
        backed_off = frozenset(json.loads(metadata.get("backed_off", "[]")))
        card = Card.from_dict(json.loads(metadata["card"]))
        return EmbeddingTable(tuple(json.loads(metadata["tokens"])), vectors, card, backed_off)
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        msg = f"{path} is no table that write_table made: {error}"
        raise ValueError(msg) from error


def _digits(vector: NDArray[np.float32]) -> list[str]:
    """Nine significant digits name every float32."""
    return [f"{number:.9g}" for number in vector.tolist()]


def _write_safetensors(table: EmbeddingTable, file: IO[bytes]) -> None:
    """Write the header here: the library's own writer puts the metadata in another order every time."""
    data = table.vectors.astype("<f4").tobytes()
    metadata = {
        "matembed": _SCHEMA,
        "tokens": json.dumps(table.tokens, ensure_ascii=False),
        "card": json.dumps(replace(table.card, sha256={}).to_dict(), ensure_ascii=False),
        "backed_off": json.dumps(sorted(table.backed_off), ensure_ascii=False),
    }
    vectors = {"dtype": "F32", "shape": table.vectors.shape, "data_offsets": [0, len(data)]}
    header = json.dumps({"__metadata__": metadata, "vectors": vectors}, ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)  # so that the numbers are aligned
    if len(header) > _LARGEST_HEADER:
        most = f"a safetensors header has at most {_LARGEST_HEADER:,}"
        msg = f"tokens and card take {len(header):,} bytes, and {most}; write a folder (format='matembed')"
        raise ValueError(msg)
    file.write(len(header).to_bytes(8, "little") + header + data)


def _write_text(table: EmbeddingTable, file: IO[bytes]) -> None:
    file.write(f"{len(table)} {table.dim}\n".encode())
    for token, vector in zip(table.tokens, table.vectors, strict=True):
        file.write(f"{token} {' '.join(_digits(vector))}\n".encode())


def _write_binary(table: EmbeddingTable, file: IO[bytes]) -> None:
    file.write(f"{len(table)} {table.dim}\n".encode())
    for token, vector in zip(table.tokens, table.vectors.astype("<f4"), strict=True):
        file.write(f"{token} ".encode() + vector.tobytes())


def _write_csv(table: EmbeddingTable, file: IO[bytes]) -> None:
    kinds = set(table.kinds)
    label = "element" if kinds == {"element"} else "species" if kinds == {"species"} else "token"
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow([label, *range(table.dim)])
    lines.writerows([token, *_digits(vector)] for token, vector in zip(table.tokens, table.vectors, strict=True))
    text.detach()


def _write_json(table: EmbeddingTable, file: IO[bytes]) -> None:
    lines = (
        f"{json.dumps(token, ensure_ascii=False)}: [{', '.join(_digits(vector))}]"
        for token, vector in zip(table.tokens, table.vectors, strict=True)
    )
    file.write(("{\n" + ",\n".join(lines) + "\n}\n").encode())
