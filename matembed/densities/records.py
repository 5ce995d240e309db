"""DensityRecord: the electron density of a molecule, as a few hundred weighted points that know all a functional sees.

Atomic units: lengths in bohr, densities in e/bohr^3, energies in hartree.

A record is a quadrature: ``E = sum(weights * energy per volume)``. Its points stand for cells of the grid that a
quantum-chemistry program integrates on, cut so that within a cell the ingredients of a functional hardly differ; each
keeps the electrons and the exchange energy in the local density approximation of its cell exactly. Reduced gradient,
iso-orbital indicator and averaged density are those of twice the spin density, as exchange needs them by its spin
scaling [1]_, and do not change when coordinates are scaled.

References
----------
.. [1] G. L. Oliver, J. P. Perdew, Phys. Rev. A 20, 397 (1979).
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from matembed._atomic import whole_folder
from matembed.cards import Card
from matembed.corpus._folder import checked_file, other_files, read_config, write_config
from matembed.densities.functionals import SpinPoints

__all__ = ["DensityRecord", "ExchangeRows", "load_records", "read_records", "write_records"]

Floats = NDArray[np.float64]

_TYPE = "DensityRecords"
_SCHEMA = 1
_NOUN = "set of density records"
_FILES = {"rows.safetensors", "records.json"}
_DTYPES = {"weights": np.float32, "n": np.float32} | dict.fromkeys(("s", "alpha", "averaged", "s_total"), np.float16)
_LOST = 1e-6  # of the electrons, by rounding


class ExchangeRows(NamedTuple):
    """Rows of an exchange functional of densities without spin: ``E_x = sum(weights * e_LDA(n) * F_x)``."""

    weights: Floats  # (n_rows,), bohr^3
    n: Floats  # (n_rows,), e/bohr^3
    s: Floats  # (n_rows,)
    alpha: Floats  # (n_rows,)
    averaged: Floats  # (n_rows,)


@dataclass(frozen=True, eq=False)
class DensityRecord:
    """An electron density, compact; arrays are read-only.

    Attributes
    ----------
    name : str
        Such as ``"H2O"``.
    spin : int
        Electrons up less electrons down.
    weights : float64 array, shape (n_points,)
        Quadrature weights, bohr^3; above 0.
    n : float64 array, shape (n_channels, n_points)
        Spin densities, e/bohr^3: up and down, or one row of half the density where both are the same.
    s : float64 array, shape (n_channels, n_points)
        Reduced gradients of twice the spin densities, ``|grad n| / (2 k_F n)``.
    alpha : float64 array, shape (n_channels, n_points)
        ``(tau - tau_W) / tau_unif`` of twice the spin densities: 0 for one orbital, 1 for the uniform gas.
    averaged : float64 array, shape (n_channels, n_points)
        Averaged density about the point over the density there, see `matembed.densities.averaging`: 1 for the uniform
        gas.
    s_total : float64 array, shape (n_points,)
        Reduced gradient of the whole density.
    elements : tuple of str
        Symbols of the atoms, in their order.
    energies : mapping of str to float
        In hartree: ``"exact_exchange"``, ``"kinetic"``, ``"coulomb"``; by name what functionals give, such as
        ``"PBE exchange"``; and ``"correlation"``, of coupled cluster in the same basis, where it was computed.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite or negative, or there are no electrons.
    """

    name: str
    spin: int
    weights: Floats
    n: Floats
    s: Floats
    alpha: Floats
    averaged: Floats
    s_total: Floats
    elements: tuple[str, ...] = ()
    energies: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if np.ndim(self.weights) != 1 or np.ndim(self.n) != 2:
            got = f"{np.shape(self.weights)} and {np.shape(self.n)}"
            msg = f"{self.name}: wanted weights of shape (n_points,) and n of (n_spins, n_points), got {got}"
            raise ValueError(msg)
        for name in ("weights", "n", "s", "alpha", "averaged", "s_total"):
            array = np.array(getattr(self, name), dtype=np.float64)
            one_row = name in ("weights", "s_total")
            wanted = (array.shape[-1],) if one_row else (len(self.n), array.shape[-1])
            if array.shape != wanted or array.shape[-1] != len(np.asarray(self.weights)) or len(self.n) not in (1, 2):
                msg = f"{self.name}: {name} must have {'one row' if one_row else 'a row a spin'}, got {array.shape}"
                raise ValueError(msg)
            if not np.isfinite(array).all() or (array < 0).any():
                wrong = np.count_nonzero(~(np.isfinite(array) & (array >= 0)))
                msg = f"{self.name}: {name} must be finite and 0 or more; {wrong:,} of {array.size:,} values are not"
                raise ValueError(msg)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if not (self.weights * self.n).sum() > 0:
            msg = f"{self.name}: wanted a density with electrons, got none"
            raise ValueError(msg)
        object.__setattr__(self, "elements", tuple(self.elements))
        object.__setattr__(self, "energies", dict(self.energies))

    @property
    def n_electrons(self) -> float:
        """Integral of the density."""
        return float((self.weights * self.n).sum() * (2 / len(self.n)))

    def __len__(self) -> int:
        return len(self.weights)

    def __repr__(self) -> str:
        return f"DensityRecord({self.name!r}, {self.n_electrons:g} electrons, spin {self.spin}, {len(self)} points)"

    def scaled(self, g: float) -> Self:
        """Scale coordinates uniformly: n_g(r) = g^3 n(g r).

        Parameters
        ----------
        g : float
            Above 0; more than 1 contracts the density.

        Returns
        -------
        DensityRecord
            With as many electrons. Exchange and Coulomb energies are g times as large, the kinetic energy g^2 times;
            other energies, which do not scale by a rule, are left out.

        Raises
        ------
        ValueError
            If `g` is no positive number.
        """
        if not (np.isfinite(g) and g > 0):
            msg = f"g must be a positive number, got {g!r}"
            raise ValueError(msg)
        degrees = {name: 1 for name in self.energies if name.endswith("exchange")} | {"coulomb": 1, "kinetic": 2}
        energies = {name: value * g ** degrees[name] for name, value in self.energies.items() if name in degrees}
        return replace(self, weights=self.weights / g**3, n=self.n * g**3, energies=energies)

    def points(self) -> SpinPoints:
        """Tell the local ingredients of any functional.

        Returns
        -------
        SpinPoints
            n_points of them, of both spins.
        """
        rows = [self._channel(row) for row in range(len(self.n))]
        up, down = rows[0], rows[-1]
        total = up[0] + down[0]
        sigma_total = (2 * (3 * np.pi**2 * total) ** (1 / 3) * total * self.s_total) ** 2
        if len(rows) == 1:
            return SpinPoints(np.array([up[0]] * 2), np.array([up[1]] * 3), np.array([up[2]] * 2))
        largest = np.sqrt(up[1] * down[1])
        across = np.clip((sigma_total - up[1] - down[1]) / 2, -largest, largest)
        return SpinPoints(np.array([up[0], down[0]]), np.array([up[1], across, down[1]]), np.array([up[2], down[2]]))

    def _channel(self, row: int) -> tuple[Floats, Floats, Floats]:
        """Tell density, squared gradient and tau of one spin."""
        doubled = 2 * self.n[row]
        k_fermi = (3 * np.pi**2 * doubled) ** (1 / 3)
        sigma = (2 * k_fermi * doubled * self.s[row]) ** 2
        tau_w = np.divide(sigma, 8 * doubled, out=np.zeros_like(sigma), where=doubled > 0)
        tau = tau_w + self.alpha[row] * 0.3 * k_fermi**2 * doubled
        return self.n[row], sigma / 4, tau / 2

    def exchange_rows(self) -> ExchangeRows:
        """Tell what exchange needs: E_x[n_up, n_down] = (E_x[2 n_up] + E_x[2 n_down]) / 2.

        Returns
        -------
        ExchangeRows
            One row a point, or two where spins differ, with half the weight each.
        """
        columns = [getattr(self, name).ravel() for name in ("s", "alpha", "averaged")]
        weights = np.tile(self.weights, len(self.n)) / len(self.n)
        kept = self.n.ravel() > 0
        return ExchangeRows(weights[kept], 2 * self.n.ravel()[kept], *(column[kept] for column in columns))


# On disk -------------------------------------------------------------------------------------------------------------


def write_records(
    records: Iterable[DensityRecord], path: str | os.PathLike[str], card: Card, *, overwrite: bool = False
) -> Path:
    """Write records as a folder: config.json, README.md (the card), rows.safetensors and records.json.

    Densities and weights keep 7 digits, other columns 3, energies 12; `read_records` makes electrons whole again.

    Parameters
    ----------
    records : iterable of DensityRecord
        Names must be unique.
    path : path-like
        Folder to make. It appears whole or not at all.
    card : Card
        What they are and where they came from.
    overwrite : bool, default False
        Replace a set that is already there.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ValueError
        If two records have one name, or numbers of one are too large or too small for this.
    FileExistsError
        If something is there and `overwrite` is false, or it is something else.
    """
    from safetensors.numpy import save

    listed = list(records)
    names = [one.name for one in listed]
    if len(set(names)) < len(names):
        msg = f"names of records must be unique, got {next(name for name in names if names.count(name) > 1)!r} twice"
        raise ValueError(msg)
    rounded = [_rounded(one) for one in listed]
    folder = Path(path)
    with whole_folder(folder, kind=_TYPE, overwrite=overwrite) as partial:
        columns = {name: np.concatenate([one[name].ravel() for one in rounded]) for name in _DTYPES}
        open_shells = [one["s_total"] for one in rounded if len(one["n"]) == 2]
        columns["s_total"] = np.concatenate([np.zeros(0, _DTYPES["s_total"]), *open_shells])
        (partial / "rows.safetensors").write_bytes(save(columns))
        known = sorted({name for one in listed for name in one.energies})
        told = {
            "name": names,
            "elements": [one.elements for one in listed],
            "spin": [one.spin for one in listed],
            "n_channels": [len(one.n) for one in listed],
            "n_points": [len(one) for one in listed],
            "n_electrons": [round(one.n_electrons, 6) for one in listed],
            "energies": {
                name: [float(f"{one.energies[name]:.12g}") if name in one.energies else None for one in listed]
                for name in known
            },
        }
        text = json.dumps(told, separators=(",", ":")) + "\n"
        (partial / "records.json").write_text(text, encoding="utf-8", newline="\n")
        counts = {"records": len(listed), "points": sum(map(len, listed))}
        write_config(partial, card, counts, schema=_SCHEMA, type=_TYPE)
    return folder


def _rounded(record: DensityRecord) -> dict[str, NDArray[np.floating]]:
    """Round columns to what is written, or raise ValueError where that is no density or another one."""
    with np.errstate(over="ignore"):
        columns = {name: getattr(record, name).astype(dtype) for name, dtype in _DTYPES.items()}
    name = next((name for name, column in columns.items() if not np.isfinite(column).all()), None)
    if name:
        largest, limit = getattr(record, name).max(), np.finfo(_DTYPES[name]).max
        msg = f"{record.name}: {name} is up to {largest:.3g}, and no more than {limit:.3g} can be written"
        raise ValueError(msg)
    kept = (columns["weights"].astype(np.float64) * columns["n"]).sum() * (2 / len(record.n)) / record.n_electrons
    if abs(kept - 1) > _LOST:
        msg = (
            f"{record.name}: of {record.n_electrons:g} electrons {kept:.1%} are left where weights (up to "
            f"{record.weights.max():.3g}) and n (up to {record.n.max():.3g}) are written by 32 bits; scale it back"
        )
        raise ValueError(msg)
    return columns


def read_records(path: str | os.PathLike[str]) -> dict[str, DensityRecord]:
    """Read a folder that `write_records` made, and check its hashes.

    Parameters
    ----------
    path : path-like
        The folder.

    Returns
    -------
    dict of str to DensityRecord
        By name, in the order written. Weights are scaled, by less than one part in a million, to the number of
        electrons that was written.

    Raises
    ------
    FileNotFoundError
        If the folder or one of its files is missing.
    ValueError
        If it holds something else, was written by another format, or a file was changed.
    """
    from safetensors.numpy import load_file

    folder, _, card = read_config(
        path,
        kind=_TYPE,
        schema=_SCHEMA,
        noun=_NOUN,
        maker="write_records(records, path, card)",
        problem=lambda _, card: other_files(card, _FILES),
    )
    rows, listed = (checked_file(folder, name, card, set(), _NOUN) for name in ("rows.safetensors", "records.json"))
    columns = {name: column.astype(np.float64) for name, column in load_file(rows).items()}
    told: dict[str, Any] = json.loads(listed.read_text(encoding="utf-8"))
    found, starts = {}, dict.fromkeys(columns, 0)
    for row, record_name in enumerate(told["name"]):
        n_channels, n_points = told["n_channels"][row], told["n_points"][row]
        taken: dict[str, Floats] = {}
        for name, column in columns.items():
            n_rows = {"weights": 1, "s_total": n_channels - 1}.get(name, n_channels)
            part = column[starts[name] : starts[name] + n_rows * n_points]
            starts[name] += len(part)
            taken[name] = part if name in ("weights", "s_total") else part.reshape(n_channels, n_points)
        if n_channels == 1:
            taken["s_total"] = taken["s"][0]
        energies = {name: values[row] for name, values in told["energies"].items() if values[row] is not None}
        record = DensityRecord(
            record_name, told["spin"][row], **taken, elements=told["elements"][row], energies=energies
        )
        whole = told["n_electrons"][row] / record.n_electrons
        found[record.name] = replace(record, weights=record.weights * whole)
    return found


def load_records() -> dict[str, DensityRecord]:
    """Load the records that come with the package: molecules and atoms from hydrogen to argon.

    Returns
    -------
    dict of str to DensityRecord
        By name, with exact exchange; the card in ``matembed/densities/g2/README.md`` tells how they were made.

    Examples
    --------
    >>> records = load_records()
    >>> records["H2O"]
    DensityRecord('H2O', 10 electrons, spin 0, 500 points)
    >>> round(records["H2O"].energies["exact_exchange"], 2)
    -8.93
    """
    with as_file(files("matembed.densities") / "g2") as folder:
        return read_records(folder)
