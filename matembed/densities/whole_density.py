"""WholeDensityNetwork: a network that sees a density as a whole, and knows no law of scaling unless it learns it.

Atomic units. Every point, a hundred or so of a density as those that are alike are merged, tells the logarithms of n,
|grad n| and tau, which scaling shifts. What a network makes of the points is averaged by electrons to one vector z of
the density [1]_, and the energy is a sum over points again,

    E = - sum of weight * n * exp(f(point, z)),

of a learned energy per electron that depends on the point and on z. So the order of points does not matter, nor does a
point that is cut in two, and energies of any size come out of numbers near 1. Learning energies is by the squared
error of their logarithm, that is of relative errors. `pretrain` learns z by contrast before [2]_ [3]_.

References
----------
.. [1] M. Zaheer et al., Deep Sets, NeurIPS (2017).
.. [2] T. Chen, S. Kornblith, M. Norouzi, G. Hinton, ICML, PMLR 119, 1597 (2020).
.. [3] W. Gong et al., Digital Discovery 2, 1404 (2023).
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from matembed._optional import import_extra
from matembed.densities.functionals import LDA_EXCHANGE
from matembed.densities.records import DensityRecord
from matembed.encoders._training import one_thread, single_precision, warm_then_cosine

__all__ = [
    "Batch",
    "DensityRows",
    "Law",
    "Spins",
    "WholeDensityNetwork",
    "canonical",
    "density_rows",
    "learn",
    "pretrain",
]

Floats = NDArray[np.float64]
Spins: TypeAlias = Literal["apart", "together"]
Law: TypeAlias = Literal["equality", "inequality"]

SHIFTS = (3.0, 4.0, 5.0, 0.0)  # of the columns of a scaled density, in log g
_LEAST = 1e-3  # of |grad n| and tau, in those of s = 1 and of the uniform gas, for logarithms
_CELL = 0.5  # of logarithms; points that are closer than this are merged
_LEAST_SPREAD = 0.2  # of columns, so that a polarisation which no labelled density had is not far out
_TEMPERATURE = 0.1  # of the contrast
_WEIGHT_DECAY = 0.01
_WARM_UP = 0.1  # of the steps
_LARGEST_STEP = 1.0  # norm of the gradient
_AT_ONCE = 32  # records of a prediction


class DensityRows(NamedTuple):
    """One density, or two where spins are apart, as the network sees them: a hundred rows or so each."""

    columns: Floats  # (n_rows, 3 or 4): log n, log |grad n|, log tau and, with spins together, |polarisation|
    electrons: Floats  # (n_rows,): weight * n
    lengths: NDArray[np.int64]  # (n_densities,): rows of each
    shares: Floats  # (n_densities,): what the energy of each counts in that of the record

    @property
    def n_electrons(self) -> float:
        """Electrons of all, each density by its share."""
        return float(self.electrons @ np.repeat(self.shares, self.lengths))


def density_rows(record: DensityRecord, *, spins: Spins = "apart") -> DensityRows:
    """Tell what a network sees of a record.

    Parameters
    ----------
    record : DensityRecord
        Any.
    spins : {"apart", "together"}
        Apart: as exchange has it, ``E[n_up, n_down] = (E[2 n_up] + E[2 n_down]) / 2`` [1]_, twice the density of either
        spin is a density of its own. Together: the total density, with its polarisation as one column more.

    Returns
    -------
    DensityRows
        Of 1 density, or 2.

    Raises
    ------
    ValueError
        If `spins` is neither.

    References
    ----------
    .. [1] G. L. Oliver, J. P. Perdew, Phys. Rev. A 20, 397 (1979).
    """
    if spins not in get_args(Spins):
        msg = f"spins must be one of {', '.join(get_args(Spins))}, got {spins!r}"
        raise ValueError(msg)
    points = record.points()
    if spins == "together":
        n, sigma, tau = points.n.sum(axis=0), points.sigma.sum(axis=0) + points.sigma[1], points.tau.sum(axis=0)
        there = n > 0
        columns = _logarithms(n[there], sigma[there], tau[there])
        polarisation = np.abs(points.n[0] - points.n[1])[there] / n[there]
        parts = [_merged(np.column_stack([columns, polarisation]), (record.weights * n)[there])]
    else:
        parts = []
        for row in range(len(record.n)):
            n, sigma, tau = 2 * points.n[row], 4 * points.sigma[2 * row], 2 * points.tau[row]
            there = n > 0
            if there.any():
                parts.append(_merged(_logarithms(n[there], sigma[there], tau[there]), (record.weights * n)[there]))
    return DensityRows(
        np.concatenate([columns for columns, _ in parts]),
        np.concatenate([electrons for _, electrons in parts]),
        np.array([len(electrons) for _, electrons in parts]),
        np.full(len(parts), 1.0 if spins == "together" else 1 / len(record.n)),
    )


def _logarithms(n: Floats, sigma: Floats, tau: Floats) -> Floats:
    k_fermi = (3 * np.pi**2 * n) ** (1 / 3)
    gradient = np.maximum(np.sqrt(sigma), _LEAST * 2 * k_fermi * n)
    return np.log(np.column_stack([n, gradient, np.maximum(tau, _LEAST * 0.3 * k_fermi**2 * n)]))


def _merged(columns: Floats, electrons: Floats) -> tuple[Floats, Floats]:
    """Merge points that are alike, in cells that move with the density where it is scaled.

    Inverse lengths n^(1/3), |grad n|^(1/4) and tau^(1/5) are averaged by electrons: exchange in the local density
    approximation stays what it is.
    """
    centre = electrons @ columns[:, 0] / electrons.sum()
    shape = columns[:, 1:3] - columns[:, :1] * np.array([4 / 3, 5 / 3])  # of s and tau / tau_unif
    placed = np.column_stack([columns[:, 0] - centre, shape]) / _CELL
    _, cells = np.unique(np.floor(placed + 0.5), axis=0, return_inverse=True)
    count = np.asarray(np.bincount(cells.ravel(), electrons), dtype=np.float64)
    powers = np.array(SHIFTS[:3])
    lengths = [np.bincount(cells.ravel(), electrons * one) / count for one in np.exp(columns[:, :3] / powers).T]
    others = [np.bincount(cells.ravel(), electrons * one) / count for one in columns[:, 3:].T]
    return np.column_stack([np.log(np.column_stack(lengths)) * powers, *others]), count


def canonical(rows: DensityRows) -> DensityRows:
    """Bring each density to one size: that at which exchange in the local density approximation is -N^(4/3) hartree.

    A density and its scaled copies become the same rows, and the energy, which must be of degree 1, is multiplied back
    by the shares.

    Parameters
    ----------
    rows : DensityRows
        Of any size.

    Returns
    -------
    DensityRows
        Of the standard size.
    """
    starts = np.cumsum([0, *rows.lengths])[:-1]
    lda = -LDA_EXCHANGE * np.add.reduceat(rows.electrons * np.exp(rows.columns[:, 0] / 3), starts)
    g = np.add.reduceat(rows.electrons, starts) ** (4 / 3) / lda
    shifts = np.log(np.repeat(g, rows.lengths))[:, None] * SHIFTS[: rows.columns.shape[1]]
    return rows._replace(columns=rows.columns + shifts, shares=rows.shares / g)


class Batch(NamedTuple):
    """Rows of several records as tensors, columns whitened."""

    columns: Any  # (n_rows, n_columns)
    electrons: Any  # (n_rows,)
    density_idx: Any  # (n_rows,)
    shares: Any  # (n_densities,)
    record_idx: Any  # (n_densities,)
    n_records: int


@dataclass(frozen=True, eq=False)
class WholeDensityNetwork:
    """The network: small parts, and what columns are whitened by.

    Attributes
    ----------
    modules : torch.nn.ModuleDict
        "points", "density" (which makes z), "energy", and for the contrast "projection" and "factor".
    centre : float64 array, shape (n_columns,)
        Means of the columns, by electrons.
    whiten : float64 array, shape (n_columns, n_columns)
        What columns less their means are multiplied by, which makes them uncorrelated and of variance 1: logarithms of
        n, |grad n| and tau go together, and how they differ is what tells s and alpha.
    log_per_electron : float
        Logarithm of minus the energy per electron, where learning starts.
    """

    modules: Any
    centre: Floats
    whiten: Floats
    log_per_electron: float

    @classmethod
    def start(
        cls, rows: Sequence[DensityRows], *, width: int = 48, log_per_electron: float = 0.0, seed: int = 0
    ) -> "WholeDensityNetwork":
        """Make a network that has learned nothing.

        Parameters
        ----------
        rows : sequence of DensityRows
            Of the training densities, labelled or not; for the means and covariances of the columns.
        width : int, default 48
            Units of all layers.
        log_per_electron : float, default 0
            Logarithm of minus the energy per electron that it predicts for all.
        seed : int, default 0
            Of the weights.

        Returns
        -------
        WholeDensityNetwork
            Of 20,629 numbers at a width of 48 and three columns; of 32 bits, whatever the default of torch.
        """
        torch = import_extra("torch", extra="density")
        columns = np.concatenate([one.columns for one in rows])
        shares = np.concatenate([one.electrons for one in rows])
        shares = shares / shares.sum()
        centre = shares @ columns
        apart, n_columns = columns - centre, columns.shape[1]
        covariance = apart.T @ (shares[:, None] * apart) + _LEAST_SPREAD**2 * np.eye(n_columns)
        whiten = np.linalg.inv(np.linalg.cholesky(covariance)).T
        with torch.random.fork_rng(devices=[]), single_precision(torch):
            torch.manual_seed(seed)
            modules = torch.nn.ModuleDict(
                {
                    "points": _layers(torch, n_columns, width, width),
                    "density": _layers(torch, width + 1, width),
                    "energy": _layers(torch, 2 * width, width, width),
                    "energy_out": torch.nn.Linear(width + n_columns, 1),
                    "projection": torch.nn.Sequential(_layers(torch, width, width), torch.nn.Linear(width, 32)),
                    "factor": torch.nn.Sequential(_layers(torch, 2 * width, width), torch.nn.Linear(width, 1)),
                }
            )
        for numbers in modules["energy_out"].parameters():
            torch.nn.init.zeros_(numbers)
        return cls(modules, centre, whiten, log_per_electron)

    def batch(self, rows: Sequence[DensityRows]) -> Batch:
        """Join records.

        Parameters
        ----------
        rows : sequence of DensityRows
            One or more.

        Returns
        -------
        Batch
            In the precision of the network.
        """
        torch = import_extra("torch", extra="density")
        dtype = next(self.modules.parameters()).dtype
        columns = np.concatenate([one.columns for one in rows])
        lengths = np.concatenate([one.lengths for one in rows])
        electrons, shares = (np.concatenate([getattr(one, name) for one in rows]) for name in ("electrons", "shares"))
        return Batch(
            torch.as_tensor((columns - self.centre) @ self.whiten, dtype=dtype),
            torch.as_tensor(electrons, dtype=dtype),
            torch.as_tensor(np.repeat(np.arange(len(lengths)), lengths)),
            torch.as_tensor(shares, dtype=dtype),
            torch.as_tensor(np.repeat(np.arange(len(rows)), [len(one.lengths) for one in rows])),
            len(rows),
        )

    def scaled(self, batch: Batch, log_g: Any) -> Batch:
        """Scale coordinates, exactly: columns shift, electrons stay.

        Parameters
        ----------
        batch : Batch
            Of n_records.
        log_g : tensor, shape (n_records,)
            Logarithms of the factors.

        Returns
        -------
        Batch
            Of the densities ``n_g(r) = g^3 n(g r)``.
        """
        shifts = log_g.new_tensor(np.array(SHIFTS[: len(self.centre)]) @ self.whiten)
        return batch._replace(columns=batch.columns + log_g[batch.record_idx][batch.density_idx][:, None] * shifts)

    def encode(self, batch: Batch) -> tuple[Any, Any]:
        """Encode points, and densities as a whole.

        Parameters
        ----------
        batch : Batch
            Of n_densities.

        Returns
        -------
        points : tensor, shape (n_rows, width)
            Each by itself.
        z : tensor, shape (n_densities, width)
            Of each density.
        """
        torch = import_extra("torch", extra="density")
        points = self.modules["points"](batch.columns)
        count = _sums(batch.electrons, batch.density_idx, len(batch.shares))
        parts = (batch.electrons / count[batch.density_idx])[:, None] * points
        pooled = _sums(parts, batch.density_idx, len(batch.shares))
        return points, self.modules["density"](torch.cat([pooled, torch.log(count)[:, None]], dim=1))

    def log_energies(self, batch: Batch) -> Any:
        """Predict the logarithms of minus the energies.

        Parameters
        ----------
        batch : Batch
            Of n_records.

        Returns
        -------
        tensor, shape (n_records,)
            Of energies in hartree.
        """
        torch = import_extra("torch", extra="density")
        points, z = self.encode(batch)
        first, *others = self.modules["energy"]
        # one layer of [point, z], applied to either part, as there are fewer densities than points
        of_point, of_z = first.weight[:, : points.shape[1]], first.weight[:, points.shape[1] :]
        hidden = points @ of_point.T + (z @ of_z.T + first.bias)[batch.density_idx]
        for layer in others:
            hidden = layer(hidden)
        per_electron = self.modules["energy_out"](torch.cat([hidden, batch.columns], dim=1))[:, 0]
        energies = batch.electrons * torch.exp(self.log_per_electron + per_electron)
        of_densities = _sums(energies, batch.density_idx, len(batch.shares))
        return torch.log(_sums(batch.shares * of_densities, batch.record_idx, batch.n_records))

    def energies(self, rows: Sequence[DensityRows]) -> Floats:
        """Predict energies.

        Parameters
        ----------
        rows : sequence of DensityRows
            Any number.

        Returns
        -------
        float64 array, shape (n_records,)
            Hartree.
        """
        torch = import_extra("torch", extra="density")
        starts = range(0, len(rows), _AT_ONCE)
        with torch.no_grad(), one_thread(torch):
            logs = [self.log_energies(self.batch(rows[start : start + _AT_ONCE])).double().numpy() for start in starts]
        return -np.exp(np.concatenate([np.zeros(0), *logs]))

    def vectors(self, rows: Sequence[DensityRows]) -> Floats:
        """Tell what the contrast compares: projections of z, of length 1.

        Parameters
        ----------
        rows : sequence of DensityRows
            Any number.

        Returns
        -------
        float64 array, shape (n_densities, 32)
            Dimensionless; one row a density, and two where spins are apart and differ.
        """
        torch = import_extra("torch", extra="density")
        with torch.no_grad(), one_thread(torch):
            projected = self.modules["projection"](self.encode(self.batch(rows))[1])
            found: Floats = torch.nn.functional.normalize(projected, dim=1).double().numpy()
        return found


def _layers(torch: Any, n_in: int, *widths: int) -> Any:
    pairs = itertools.pairwise((n_in, *widths))
    return torch.nn.Sequential(*(part for one in pairs for part in (torch.nn.Linear(*one), torch.nn.SiLU())))


def _sums(values: Any, idx: Any, n: int) -> Any:
    return values.new_zeros((n, *values.shape[1:])).index_add(0, idx, values)


# Learning ------------------------------------------------------------------------------------------------------------


def learn(
    network: WholeDensityNetwork,
    rows: Sequence[DensityRows],
    energies: Floats,
    *,
    factors: Sequence[float] = (1.0,),
    law: Law | None = None,
    unlabelled: Sequence[DensityRows] = (),
    unlabelled_factors: Sequence[float] = (1.0,),
    penalty: float = 1.0,
    steps: int = 2000,
    batch_size: int = 16,
    learning_rate: float = 0.005,
    seed: int = 0,
) -> dict[str, Floats]:
    """Teach a network energies, in place.

    Parameters
    ----------
    network : WholeDensityNetwork
        What learns.
    rows : sequence of DensityRows
        Labelled densities.
    energies : float64 array, shape (n_records,)
        Their energies, hartree; below 0.
    factors : sequence of float, default (1,)
        Each time a density is seen it is scaled by one of these, and so is its energy, which must be of degree 1.
    law : {"equality", "inequality"}, optional
        What scaled copies of `unlabelled` densities are held to by a penalty: ``E[n_g] = g E[n]``, or
        ``E[n_g] >= g E[n]`` for g > 1 and ``<=`` for g < 1.
    unlabelled : sequence of DensityRows
        Any densities; their energies are not needed.
    unlabelled_factors : sequence of float
        What they are scaled by.
    penalty : float, default 1
        Weight of the squared violation of the law, in the logarithm of the energy.
    steps : int, default 2000
        Of AdamW.
    batch_size : int, default 16
        Records of a step; and half as many unlabelled ones.
    learning_rate : float, default 0.005
        The largest; up in a tenth of the steps, then down by a cosine.
    seed : int, default 0
        Of the order.

    Returns
    -------
    dict of str to float64 array, shape (steps,)
        "error": root mean square relative error of the records of each step, and "violation", that of the law.
    """
    rng = np.random.default_rng(seed)
    logs = np.log(-energies)
    curves: dict[str, list[float]] = {"error": []}

    def loss() -> Any:
        idx = rng.permutation(len(rows))[:batch_size]
        log_g = np.log(rng.choice(factors, len(idx)))
        predicted = network.log_energies(_scaled(network, [rows[one] for one in idx], log_g))
        error = ((predicted - predicted.new_tensor(logs[idx] + log_g)) ** 2).mean()
        curves["error"].append(float(error.detach()) ** 0.5)
        if law is None:
            return error
        drawn = [unlabelled[one] for one in rng.permutation(len(unlabelled))[: -(-batch_size // 2)]]
        violation = _violation(network, drawn, np.log(rng.choice(unlabelled_factors, len(drawn))), law)
        curves.setdefault("violation", []).append(float(violation.detach()) ** 0.5)
        return error + penalty * violation

    _descend(network, loss, steps, learning_rate)
    return {name: np.array(curve) for name, curve in curves.items()}


def _violation(network: WholeDensityNetwork, rows: Sequence[DensityRows], log_g: Floats, law: Law) -> Any:
    torch = import_extra("torch", extra="density")
    before, after = (network.log_energies(_scaled(network, rows, one)) for one in (0 * log_g, log_g))
    grown = after - before - after.new_tensor(log_g)
    if law == "inequality":
        grown = torch.relu(grown * after.new_tensor(np.sign(log_g)))
    return (grown**2).mean()


def pretrain(
    network: WholeDensityNetwork,
    rows: Sequence[DensityRows],
    *,
    factors: Sequence[float],
    steps: int = 300,
    batch_size: int = 32,
    learning_rate: float = 0.005,
    seed: int = 0,
) -> dict[str, Floats]:
    """Teach a network by contrast, in place: which two are one density, scaled, and by which factor.

    The loss is NT-Xent between densities and their scaled copies, and the squared error of log g, told from the vectors
    z of both.

    Parameters
    ----------
    network : WholeDensityNetwork
        What learns; its energies do not.
    rows : sequence of DensityRows
        Two densities or more; no energies are needed.
    factors : sequence of float
        What copies are scaled by.
    steps : int, default 300
        Of AdamW.
    batch_size : int, default 32
        Records of a step, each twice.
    learning_rate : float, default 0.005
        The largest.
    seed : int, default 0
        Of the order.

    Returns
    -------
    dict of str to float64 array, shape (steps,)
        "contrast", the NT-Xent loss, and "factor", the root mean square error of log g.
    """
    torch = import_extra("torch", extra="density")
    rng = np.random.default_rng(seed)
    curves: dict[str, list[float]] = {"contrast": [], "factor": []}

    def loss() -> Any:
        drawn = [rows[one] for one in rng.permutation(len(rows))[:batch_size]]
        log_g = np.log(rng.choice(factors, len(drawn)))
        batch = network.batch(drawn)
        copies = network.scaled(batch, batch.shares.new_tensor(log_g))
        z, z_copies = network.encode(batch)[1], network.encode(copies)[1]
        contrast = _nt_xent(network.modules["projection"](torch.cat([z, z_copies])))
        told = network.modules["factor"](torch.cat([z, z_copies], dim=1))[:, 0]
        factor = ((told - told.new_tensor(log_g)[batch.record_idx]) ** 2).mean()
        curves["contrast"].append(float(contrast.detach()))
        curves["factor"].append(float(factor.detach()) ** 0.5)
        return contrast + factor

    _descend(network, loss, steps, learning_rate)
    return {name: np.array(curve) for name, curve in curves.items()}


def _nt_xent(vectors: Any) -> Any:
    """Tell how well each of 2n vectors finds its partner, n places away, among all others."""
    torch = import_extra("torch", extra="density")
    unit = torch.nn.functional.normalize(vectors, dim=1)
    likeness = (unit @ unit.T / _TEMPERATURE).fill_diagonal_(-torch.inf)
    partners = torch.arange(len(unit)).roll(len(unit) // 2)
    return torch.nn.functional.cross_entropy(likeness, partners)


def _scaled(network: WholeDensityNetwork, rows: Sequence[DensityRows], log_g: Floats) -> Batch:
    batch = network.batch(rows)
    return network.scaled(batch, batch.shares.new_tensor(log_g)) if log_g.any() else batch


def _descend(network: WholeDensityNetwork, loss: Callable[[], Any], steps: int, learning_rate: float) -> None:
    torch = import_extra("torch", extra="density")
    numbers = list(network.modules.parameters())
    optimizer = torch.optim.AdamW(numbers, lr=learning_rate, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: warm_then_cosine((done + 1) / steps, _WARM_UP))
    with one_thread(torch):
        for _ in range(steps):
            optimizer.zero_grad()
            loss().backward()
            torch.nn.utils.clip_grad_norm_(numbers, _LARGEST_STEP)
            optimizer.step()
            schedule.step()
