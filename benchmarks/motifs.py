"""How fast, and how like ChemEnv: the compiled motif engine and pymatgen's ChemEnv on the same crystals in one run.

    pip install .
    python benchmarks/motifs.py DATA --write benchmarks/motifs.md

Crystals are oxides and others of 20 to 100 sites and cells of a few, as they are and with every atom displaced at
random. ChemEnv is called as its users do: structure environments of the cations with a maximum distance factor of 1.41,
light structure environments by SimplestChemenvStrategy, connectivity. Both get the same valences, those stored with a
crystal or BVAnalyzer's. Figures are CPU time of one process, the two taking turns crystal by crystal, ChemEnv given a
Structure and matembed arrays. A first call is the first on a crystal, with kernels compiled; again is the median of
seven more.

ChemEnv neither finds the lowest csm always, nor the same twice, so its answers may be kept: `--reference FILE` compares
those of a file as well, a JSON object a line, and `--extend N` adds N that are not in it, or as many as `--minutes`
allow, and does no more.
"""

import argparse
import gzip
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from motif_agreement import largest_difference, mixtures, search, spans, table

from matembed.cards import package_versions
from matembed.elements import ATOMIC_NUMBERS
from matembed.motifs import Crystal, MotifError, find_motif_arrays
from matembed.motifs.arrays import MotifArrays
from matembed.motifs.find import _compiled

LIMIT = 240  # s, for ChemEnv on one crystal
SHIFTS = (0.0, 0.05, 0.12)  # Å, root mean square displacement of an atom
KINDS = {"oxide_ref": "oxides", "nonoxide": "other crystals", "phonon": "small cells"}
N_AGAIN = 7
SAME_CSM = 1e-4
CLASSES = {"1-4": (1, 4), "5-6": (5, 6), "7": (7, 7), "8": (8, 8), "9-10": (9, 10), "11-20": (11, 20)}

Record = dict[str, Any]


# Crystals ------------------------------------------------------------------------------------------------------------


def crystals(data: Path, seed: int) -> dict[str, list[Record]]:
    """Crystals of each kind, in random order."""
    files = {
        "oxide_ref": data / "motifs" / "mp_oxides_chemenv.jsonl.gz",
        "nonoxide": data / "structures" / "mp_nonoxides-00.jsonl.gz",
        "phonon": data / "structures" / "matbench_phonons.jsonl.gz",
    }
    found = {}
    for kind, path in files.items():
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        if kind != "phonon":
            rows = [row for row in rows if 20 <= len(row["species"]) <= 100]
        random.Random(seed).shuffle(rows)
        found[kind] = rows
    return found


def drawn(data: Path, seed: int, kinds: str, shifts: tuple[float, ...]) -> Iterator[Record]:
    """Draw crystals without end, kinds and displacements in turn."""
    pools = {kind: iter(rows) for kind, rows in crystals(data, seed).items()}
    for turn in range(10**6):
        kind = next(kind for kind in KINDS if kind[0] == kinds[turn % len(kinds)])
        row = next(pools[kind])
        yield displaced(kind, row, shifts[turn // len(kinds) % len(shifts)])


def displaced(kind: str, row: Record, shift: float) -> Record:
    key = f"{row['id']}@{shift}"
    frac_coords = np.array(row["frac_coords"])
    if shift:
        rng = np.random.default_rng(int.from_bytes(key.encode(), "little") % 2**32)
        steps = rng.normal(size=frac_coords.shape) * shift / np.sqrt(3)
        frac_coords = frac_coords + steps @ np.linalg.inv(row["lattice"])
    return {
        "key": key,
        "kind": kind,
        "id": row["id"],
        "amp": shift,
        "lattice": row["lattice"],
        "species": row["species"],
        "frac": frac_coords.tolist(),
        "valences": given_valences(row),
    }


def given_valences(row: Record) -> list[float] | str:
    """Those stored, or BVAnalyzer's; "undefined" if it finds none in 20 s."""
    if "valences" in row:
        return [float(valence) for valence in row["valences"]]
    from pymatgen.core import Structure
    from pymatgen.core.bond_valence import BVAnalyzer

    try:
        with time_limit(20):
            structure = Structure(row["lattice"], row["species"], row["frac_coords"])
            return [float(valence) for valence in BVAnalyzer().get_valences(structure)]
    except (ValueError, TimeoutError, KeyError):
        return "undefined"


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise TimeoutError after so many seconds."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {seconds} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


# ChemEnv -------------------------------------------------------------------------------------------------------------


def ask_chemenv(crystal: Record, **options: Any) -> Record:
    """Time ChemEnv on a crystal, and write its answer into the record."""
    from pymatgen.analysis.chemenv.connectivity.connectivity_finder import ConnectivityFinder
    from pymatgen.analysis.chemenv.coordination_environments.chemenv_strategies import SimplestChemenvStrategy
    from pymatgen.analysis.chemenv.coordination_environments.coordination_geometry_finder import LocalGeometryFinder
    from pymatgen.analysis.chemenv.coordination_environments.structure_environments import LightStructureEnvironments
    from pymatgen.core import Structure

    structure = Structure(crystal["lattice"], crystal["species"], crystal["frac"])
    answer = dict(crystal)
    try:
        with time_limit(LIMIT):
            times = [time.process_time()]
            finder = LocalGeometryFinder()
            by_site = timed_by_site(finder)
            finder.setup_structure(structure)
            environments = finder.compute_structure_environments(
                only_cations=True, valences=crystal["valences"], maximum_distance_factor=1.41, **options
            )
            times.append(time.process_time())
            light = LightStructureEnvironments.from_structure_environments(SimplestChemenvStrategy(), environments)
            times.append(time.process_time())
            graph = ConnectivityFinder().get_structure_connectivity(light).environment_subgraph()
            times.append(time.process_time())
    except Exception as error:  # whatever goes wrong within ChemEnv is its answer
        answer["error"] = f"{type(error).__name__}: {error}"
        return answer
    answer["cpu"] = np.diff(times).tolist()
    answer["by_site"] = dict(by_site)
    answer["sites"] = [
        [site, found[0]["ce_symbol"], found[0]["csm"], sorted(map(listed, sets[0].neighb_indices_and_images))]
        for site, (found, sets) in enumerate(zip(light.coordination_environments, light.neighbors_sets, strict=True))
        if found
    ]
    answer["links"] = [
        [int(one["start"]), int(one["end"]), *map(int, one["delta"]), len(one["ligands"])]
        for _, _, one in graph.edges(data=True)
    ]
    return answer


def timed_by_site(finder: Any) -> dict[int, float]:
    """Have ChemEnv add up the time that it measures the neighbour sets of each site."""
    spent: dict[int, float] = defaultdict(float)
    measure = finder.update_nb_set_environments

    def timed(*args: Any, **options: Any) -> Any:
        start = time.process_time()
        found = measure(*args, **options)
        spent[options["isite"]] += time.process_time() - start
        return found

    finder.update_nb_set_environments = timed
    return spent


def listed(neighbour: Record) -> list[int]:
    return [int(neighbour["index"]), *map(int, neighbour["image_cell"])]


def extend(path: Path, data: Path, n: int, minutes: float, seed: int, kinds: str, shifts: tuple[float, ...]) -> None:
    """Add ChemEnv's answers to a file, until there are n more or time is up."""
    known = {row["key"] for row in read_lines(path)} if path.exists() else set()
    start = time.process_time()
    with path.open("a", encoding="utf-8") as file:
        for crystal in drawn(data, seed, kinds, shifts):
            if n <= 0 or time.process_time() - start > 60 * minutes:
                break
            if crystal["key"] not in known:
                file.write(json.dumps(ask_chemenv(crystal)) + "\n")
                file.flush()
                n -= 1


def read_lines(path: Path) -> list[Record]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


# matembed ------------------------------------------------------------------------------------------------------------


class Arrays(NamedTuple):
    """What matembed is given."""

    lattice: np.ndarray
    frac_coords: np.ndarray
    numbers: np.ndarray
    valences: Any
    symmetrise: bool


def arrays(crystal: Record) -> Arrays:
    undefined = crystal["valences"] == "undefined"
    return Arrays(
        np.array(crystal["lattice"]),
        np.array(crystal["frac"]),
        np.array([ATOMIC_NUMBERS[symbol] for symbol in crystal["species"]]),
        "none" if undefined else np.array(crystal["valences"]),
        undefined,
    )


def ask_matembed(given: Arrays, **options: Any) -> MotifArrays:
    """Find motifs, and connections as ChemEnv has them where valences are undefined."""
    crystal = Crystal(given.lattice, given.frac_coords, given.numbers)
    return find_motif_arrays(crystal, **{"valences": given.valences, "symmetrise": given.symmetrise} | options)


def cpu_seconds(run: Callable[[], Any], repeats: int = N_AGAIN) -> float:
    """Median CPU time of a call."""
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        spent.append(time.process_time() - start)
    return statistics.median(spent)


def warm_up() -> None:
    for strategy in ("simplest", "multi_weights"):
        find_motif_arrays(Crystal(4.12 * np.eye(3), [[0, 0, 0], [0.5, 0.5, 0.5]], [55, 17]), strategy=strategy)


# Speed ---------------------------------------------------------------------------------------------------------------


class Timing(NamedTuple):
    """CPU time of both on one crystal, in seconds, and ours of the sites in each class of coordination numbers."""

    answer: Record
    chemenv: float
    first: float
    again: float
    by_class: dict[str, tuple[int, float, float]]


def time_both(crystal: Record) -> Timing | None:
    given = arrays(crystal)
    start = time.process_time()
    found = ask_matembed(given)
    first = time.process_time() - start
    answer = ask_chemenv(crystal)
    if "sites" not in answer:
        return None
    again = cpu_seconds(lambda: ask_matembed(given))
    total = sum(answer["cpu"])
    return Timing(answer, total, first, again, time_classes(given, found, answer))


def time_classes(given: Arrays, found: MotifArrays, answer: Record) -> dict[str, tuple[int, float, float]]:
    """Sites, ChemEnv's time and ours by coordination number.

    What ChemEnv spends on no site in particular is shared out equally. Ours is that of a call for these sites alone,
    which builds the grid of atoms anew each time.
    """
    charges = np.zeros(len(given.numbers)) if isinstance(given.valences, str) else given.valences
    n_centres = max(len(answer["by_site"]), 1)
    rest = (sum(answer["cpu"]) - sum(answer["by_site"].values())) / n_centres
    by_class = {}
    for name, (least, most) in CLASSES.items():
        sites = found.centres[(found.cns >= least) & (found.cns <= most)]
        if len(sites):
            ours = cpu_seconds(lambda s=sites: ask_about(found.crystal, charges, s), 3)
            theirs = sum(answer["by_site"].get(site, 0.0) + rest for site in sites.tolist())
            by_class[name] = len(sites), theirs, ours
    return by_class


def ask_about(crystal: Crystal, charges: np.ndarray, sites: np.ndarray) -> MotifArrays:
    return _compiled(crystal, charges, sites, None, "simplest", "fast", False, None, "given")


def speed_rows(timings: list[Timing]) -> list[list[str]]:
    rows = []
    groups: dict[str, list[Timing]] = {}
    for timing in timings:
        groups.setdefault(group_of(timing.answer), []).append(timing)
    large = [one for one in timings if one.answer["kind"] != "phonon"]
    for name, several in [*sorted(groups.items()), ("all of 20 to 100 sites", large), ("all", timings)]:
        theirs, first, again = (np.array([one[part] for one in several]) for part in (1, 2, 3))
        worst = several[int(np.argmin(theirs / again))].answer
        rows.append(
            [
                name,
                str(len(several)),
                f"{np.mean([len(one.answer['species']) for one in several]):.0f}",
                f"{theirs.sum():,.1f} s",
                f"{1e3 * first.sum():,.1f} ms",
                f"{1e3 * again.sum():,.1f} ms",
                f"{theirs.sum() / first.sum():,.0f}",
                f"{theirs.sum() / again.sum():,.0f}",
                f"{np.median(theirs / again):,.0f}",
                f"{(theirs / first).min():,.0f}",
                f"{(theirs / again).min():,.0f} ({worst['key']})",
            ]
        )
    return rows


def group_of(crystal: Record) -> str:
    shift = f", displaced by {crystal['amp']} Å" if crystal["amp"] else ""
    return KINDS[crystal["kind"]] + shift


def class_rows(timings: list[Timing]) -> list[list[str]]:
    rows = []
    for name in CLASSES:
        several = [timing.by_class[name] for timing in timings if name in timing.by_class]
        if several:
            n_sites, theirs, ours = np.array(several).sum(axis=0)
            one = [1e3 * cpu / n for n, cpu, _ in several]
            other = [1e6 * cpu / n for n, _, cpu in several]
            rows.append(
                [
                    name,
                    f"{n_sites:,.0f}",
                    f"{1e3 * theirs / n_sites:,.0f}",
                    f"{statistics.median(one):,.0f}",
                    f"{1e6 * ours / n_sites:,.0f}",
                    f"{statistics.median(other):,.0f}",
                    f"{theirs / ours:,.0f}",
                ]
            )
    return rows


def largest_cn_rows(timings: list[Timing]) -> list[list[str]]:
    rows = []
    for name in CLASSES:
        several = [timing for timing in timings if timing.by_class and list(timing.by_class)[-1] == name]
        if several:
            ratios = [timing.chemenv / timing.again for timing in several]
            total = sum(timing.chemenv for timing in several) / sum(timing.again for timing in several)
            rows.append(
                [name, str(len(several)), f"{total:,.0f}", f"{statistics.median(ratios):,.0f}", f"{min(ratios):,.0f}"]
            )
    return rows


def tuned_row(timings: list[Timing], n: int) -> list[str]:
    """Time ChemEnv again with anion-cation bonds only, as the strategy reads no others."""
    chosen = timings[:: max(1, len(timings) // n)][:n]
    tuned = [sum(ask_chemenv(one.answer, additional_conditions=[1])["cpu"]) for one in chosen]
    usual, ours = sum(one.chemenv for one in chosen), sum(one.again for one in chosen)
    worst = min(cpu / one.again for cpu, one in zip(tuned, chosen, strict=True))
    return [
        str(len(chosen)),
        f"{usual:.1f} s",
        f"{sum(tuned):.1f} s",
        f"{1e3 * ours:.1f} ms",
        f"{sum(tuned) / ours:,.0f}",
        f"{worst:,.0f}",
    ]


def mixture_rows(timings: list[Timing], n: int) -> list[list[str]]:
    """Time both with strategy MultiWeights, and compare fractions."""
    chosen = [one for one in timings if one.answer["valences"] != "undefined" and len(one.answer["species"]) <= 50]
    chosen = chosen[:: max(1, len(chosen) // n)][:n]
    theirs, ours, n_sites, n_equal = [], [], 0, 0
    for one in chosen:
        given = arrays(one.answer)
        seconds, answer = mixed_by_chemenv(one.answer)
        theirs.append(seconds)
        ours.append(cpu_seconds(lambda g=given: ask_matembed(g, strategy="multi_weights")))
        mixed = mixtures(ask_matembed(given, strategy="multi_weights"))
        for site, mixture in answer.items():
            n_sites += 1
            n_equal += largest_difference(mixture, mixed.get(site, {})) <= 0.01
    ratios = np.array(theirs) / np.array(ours)
    return [
        [
            str(len(chosen)),
            f"{sum(theirs):.1f} s",
            f"{1e3 * sum(ours):.1f} ms",
            f"{sum(theirs) / sum(ours):,.0f}",
            f"{np.median(ratios):,.0f}",
            f"{ratios.min():,.0f}",
            f"{n_equal} of {n_sites}",
        ]
    ]


def mixed_by_chemenv(crystal: Record) -> tuple[float, dict[int, Any]]:
    from pymatgen.analysis.chemenv.coordination_environments.chemenv_strategies import MultiWeightsChemenvStrategy
    from pymatgen.analysis.chemenv.coordination_environments.coordination_geometry_finder import LocalGeometryFinder
    from pymatgen.analysis.chemenv.coordination_environments.structure_environments import LightStructureEnvironments
    from pymatgen.core import Structure

    structure = Structure(crystal["lattice"], crystal["species"], crystal["frac"])
    start = time.process_time()
    finder = LocalGeometryFinder()
    finder.setup_structure(structure)
    environments = finder.compute_structure_environments(only_cations=True, valences=crystal["valences"])
    strategy = MultiWeightsChemenvStrategy.stats_article_weights_parameters()
    light = LightStructureEnvironments.from_structure_environments(strategy, environments)
    seconds = time.process_time() - start
    answer: dict[int, Any] = {}
    for site, found in enumerate(light.coordination_environments):
        if found is None:
            continue
        answer[site] = {}
        shown = strategy.get_site_coordination_environments_fractions(
            structure[site], site, np.zeros(3), np.zeros(3), structure[site]
        )
        for one in shown or []:
            cn, position = one["ce_map"]
            neighbours = environments.neighbors_sets[site][cn][position].neighb_sites_and_indices
            ligands = tuple(
                sorted(
                    (
                        int(n["index"]),
                        *map(int, np.round(n["site"].frac_coords - structure[int(n["index"])].frac_coords)),
                    )
                    for n in neighbours
                )
            )
            answer[site][one["ce_symbol"], ligands] = float(one["ce_fraction"]), 0.0
    return seconds, answer


def valence_rows(timings: list[Timing]) -> list[list[str]]:
    """Time a whole call with valences from different places."""
    rows = []
    crystals = [one for one in timings if one.answer["valences"] != "undefined"]
    for method in ("given", "bond_valence", "composition", "signs", "bv_analyzer"):
        spent, n_none = [], 0
        for one in crystals:
            given = arrays(one.answer)
            options = {} if method == "given" else {"valences": method}
            try:
                with time_limit(20):
                    spent.append(
                        cpu_seconds(lambda g=given, o=options: ask_matembed(g, **o), 1 if "bv" in method else 3)
                    )
            except (MotifError, TimeoutError):
                n_none += 1
        rows.append(
            [
                f"`{method}`",
                str(len(spent)),
                str(n_none),
                f"{1e3 * statistics.median(spent):,.2f} ms",
                f"{1e3 * statistics.mean(spent):,.2f} ms",
            ]
        )
    return rows


def supercell(crystal: Record, times: tuple[int, int, int], shift: float) -> Record:
    cells, valences = np.array(list(np.ndindex(*times))), crystal["valences"]
    frac_coords = (np.array(crystal["frac"])[:, None] + cells).reshape(-1, 3) / times
    lattice = np.array(crystal["lattice"]) * np.array(times)[:, None]
    if shift:
        steps = np.random.default_rng(0).normal(size=frac_coords.shape) * shift / np.sqrt(3)
        frac_coords = frac_coords + steps @ np.linalg.inv(lattice)
    return dict(
        crystal,
        lattice=lattice.tolist(),
        frac=frac_coords.tolist(),
        species=np.repeat(crystal["species"], len(cells)).tolist(),
        valences=valences if isinstance(valences, str) else np.repeat(valences, len(cells)).tolist(),
    )


def many_ligands(crystal: Record) -> bool:
    """Whether a third of the centres have seven ligands or more, some nine."""
    cns = ask_matembed(arrays(crystal)).cns
    return (cns >= 7).mean() > 1 / 3 and cns.max() >= 9


def linearity_rows(data: Path) -> list[list[str]]:
    """CPU time a site of supercells up to 2,000 sites, of an oxide and of a crystal where every site is a centre."""
    pools = crystals(data, 0)
    oxides = (displaced("oxide_ref", row, 0.0) for row in pools["oxide_ref"] if len(row["species"]) == 30)
    others = (displaced("nonoxide", row, 0.0) for row in pools["nonoxide"] if len(row["species"]) in (28, 30))
    metals = (crystal for crystal in others if crystal["valences"] == "undefined")
    found = []
    for base in (next(filter(many_ligands, oxides)), next(filter(many_ligands, metals))):
        for times in ((1, 1, 1), (2, 1, 1), (2, 2, 1), (2, 2, 2), (3, 3, 2), (3, 3, 3), (4, 4, 3), (4, 4, 4)):
            cells = []
            n_sites = len(base["species"]) * int(np.prod(times))
            for shift, strategy in ((0.0, "simplest"), (0.05, "simplest"), (0.05, "multi_weights")):
                given = arrays(supercell(base, times, shift))
                seconds = cpu_seconds(
                    lambda g=given, s=strategy: ask_matembed(g, strategy=s), 3 if n_sites < 500 else 1
                )
                cells.append(f"{1e6 * seconds / n_sites:,.0f} µs")
            theirs = ask_chemenv(supercell(base, times, 0.05)) if n_sites <= 60 else {}
            cells.append(f"{1e3 * sum(theirs['cpu']) / n_sites:,.0f} ms" if "cpu" in theirs else "")
            found.append([f"{base['id']} {'×'.join(map(str, times))}", f"{n_sites:,}", *cells])
    return found


START = """
import time
import numpy as np
from matembed.motifs import Crystal, find_motif_arrays
imported = time.process_time()
crystal = Crystal(4.12 * np.eye(3), [[0, 0, 0], [0.5, 0.5, 0.5]], [55, 17])
find_motif_arrays(crystal, valences=[1, -1])
first = time.process_time()
find_motif_arrays(crystal, valences=[1, -1])
again = time.process_time()
find_motif_arrays(crystal, valences=[1, -1], strategy="multi_weights")
print(imported, first - imported, again - first, time.process_time() - again)
"""


def start_rows() -> list[list[str]]:
    """Start Python anew, with no kernels compiled and with all."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("nothing compiled yet", "kernels from the cache", "kernels from the cache, again"):
            done = subprocess.run(
                [sys.executable, "-c", START],
                env=os.environ | {"NUMBA_CACHE_DIR": folder},
                capture_output=True,
                text=True,
                check=True,
            )
            imported, first, again, mixed = map(float, done.stdout.split())
            rows.append([name, f"{imported:.2f} s", f"{first:.2f} s", f"{1e3 * again:.2f} ms", f"{mixed:.2f} s"])
    return rows


# Agreement -----------------------------------------------------------------------------------------------------------


class Difference(NamedTuple):
    """A site where label or csm differ by more than 1e-4."""

    key: str
    site: int
    theirs: str
    their_csm: float
    ours: str
    our_csm: float
    searched: float

    @property
    def how(self) -> str:
        """Which is lower."""
        if self.our_csm > self.their_csm + SAME_CSM:
            return "higher"
        if self.our_csm >= self.their_csm - SAME_CSM:
            return "label only"
        return "lower, proven" if self.searched <= self.our_csm + SAME_CSM else "lower, not reached by the search"

    @property
    def missed(self) -> bool:
        """Whether the search finds a lower csm than matembed."""
        return self.searched < self.our_csm - SAME_CSM


def agreement(answers: list[Record]) -> tuple[list[list[str]], list[Difference], list[str]]:
    """Compare shells, labels, csm and connections."""
    groups: dict[str, list[Record]] = {}
    for answer in answers:
        shift = f", displaced by {answer['amp']} Å" if answer["amp"] else ""
        size = "20 to 100 sites" if 20 <= len(answer["species"]) <= 100 else "others"
        groups.setdefault(size + shift, []).append(answer)
    rows, differences, shells = [], [], []
    for name, several in sorted(groups.items()):
        counts: Counter[str] = Counter()
        found: list[Difference] = []
        for answer in several:
            found += compare(answer, counts, shells)
        how = Counter(one.how for one in found)
        n_lower = how["lower, proven"] + how["lower, not reached by the search"]
        rows.append(
            [
                name,
                f"{len(several)}",
                f"{counts['sites']:,}",
                f"{counts['shells']:,}",
                f"{counts['labels']:,}",
                f"{counts['same']:,}",
                f"{n_lower} ({how['lower, proven']})",
                f"{how['higher']}",
                f"{sum(one.missed for one in found)}",
                f"{counts['connected']} of {counts['crystals']}",
            ]
        )
        differences += found
    return rows, differences, shells


def compare(answer: Record, counts: Counter[str], shells: list[str]) -> list[Difference]:
    given = arrays(answer)
    found = ask_matembed(given)
    symbols = found.symbols()
    row_of = {site: row for row, site in enumerate(found.centres.tolist())}
    counts["crystals"] += 1
    differences = []
    all_equal = True
    for site, symbol, csm, ligands in answer["sites"]:
        counts["sites"] += 1
        row = row_of.pop(site, None)
        mine = [] if row is None else found.ligands[slice(*found.ligand_spans[row])].tolist()
        if mine != sorted(ligands):
            all_equal = False
            shells.append(f"{answer['key']} site {site}: {len(ligands)} ligands in ChemEnv, {len(mine)} in matembed")
            continue
        counts["shells"] += 1
        if csm is None or row is None:
            counts["labels"] += found.geometries[row] < 0
            counts["same"] += found.geometries[row] < 0
            continue
        counts["labels"] += symbols[row] == symbol
        ours = float(found.csms[row])
        if symbols[row] == symbol and abs(ours - csm) <= SAME_CSM:
            counts["same"] += 1
            continue
        atoms = np.array(mine)
        steps = given.frac_coords[atoms[:, 0]] + atoms[:, 1:] - given.frac_coords[site]
        searched = search(symbols[row], steps @ given.lattice, ours)
        differences.append(Difference(answer["key"], site, symbol, csm, symbols[row], ours, searched))
    if row_of:
        all_equal = False
        shells.append(f"{answer['key']}: only matembed has motifs on {spans(list(row_of))}")
    theirs = Counter(map(canonical, answer["links"]))
    links = np.column_stack([found.centres[found.connections[:, :2]], found.connections[:, 2:5], found.n_shared])
    ours_too = Counter(map(canonical, links.tolist()))
    if all_equal and theirs != ours_too:
        own = spans([site for site, _, _, ligands in answer["sites"] if any(one[0] == site for one in ligands)])
        shells.append(
            f"{answer['key']}: connections differ, {(theirs - ours_too).total()} only in ChemEnv and "
            f"{(ours_too - theirs).total()} only in matembed; bonded to images of themselves, of which ChemEnv's graph "
            f"keeps one of two: sites {own or 'none'}"
        )
    counts["connected"] += theirs == ours_too
    return differences


def canonical(link: Sequence[int]) -> tuple[int, ...]:
    """Write a connection from the lower site, or to the later image of the same."""
    source, target, a, b, c, n = link
    if source > target or (source == target and (a, b, c) < (0, 0, 0)):
        return target, source, -a, -b, -c, n
    return source, target, a, b, c, n


def described(one: Difference) -> str:
    return f"{one.how}, the lowest missed" if one.missed else one.how


def difference_rows(differences: Iterable[Difference]) -> list[list[str]]:
    grouped: dict[tuple[Any, ...], list[int]] = {}
    for one in differences:
        values = f"{one.their_csm:.4f}", f"{one.our_csm:.4f}", f"{one.searched:.4f}"
        grouped.setdefault((one.key, one.theirs, values[0], one.ours, *values[1:], described(one)), []).append(one.site)
    return [[key[0], spans(sites), *key[1:]] for key, sites in grouped.items()]


# The page ------------------------------------------------------------------------------------------------------------


def page(options: argparse.Namespace) -> str:
    warm_up()
    timings, failed = [], []
    pool = drawn(options.data, options.seed, "onp", SHIFTS)
    while len(timings) < options.crystals:
        crystal = next(pool)
        timing = time_both(crystal)
        if timing is None:
            failed.append(crystal["key"])
        else:
            timings.append(timing)
    known = {one.answer["key"] for one in timings}
    stored = read_lines(options.reference) if options.reference else []
    kept = [one for one in stored if "sites" in one and one["key"] not in known]
    rows, differences, shells = agreement([*(one.answer for one in timings), *kept])
    linear = linearity_rows(options.data)
    command = ["python", *("DATA" if one == str(options.data) else one for one in sys.argv)]
    return "\n".join(
        [
            "# Motifs: matembed beside ChemEnv",
            f"`{' '.join(command)}` printed:",
            "",
            "## Speed",
            f"CPU time of {len(timings)} crystals; {len(failed)} more had no answer of ChemEnv in {LIMIT} s. Ratios "
            "are ChemEnv's time to that of matembed.",
            "",
            *table(
                [
                    "crystals",
                    "n",
                    "sites on average",
                    "ChemEnv",
                    "matembed, first call",
                    "again",
                    "ratio of totals, first",
                    "again",
                    "median ratio, again",
                    "worst ratio, first",
                    "again",
                ],
                speed_rows(timings),
            ),
            "",
            "By coordination number. What ChemEnv spends on no site in particular is shared out equally among centres; "
            "matembed is called for the sites of a class alone.",
            "",
            *table(
                [
                    "cn",
                    "sites",
                    "ChemEnv, ms a site",
                    "median of crystals",
                    "matembed, µs a site",
                    "median of crystals",
                    "ratio",
                ],
                class_rows(timings),
            ),
            "",
            "Crystals by their largest coordination number:",
            "",
            *table(["largest cn", "crystals", "ratio of totals", "median", "worst"], largest_cn_rows(timings)),
            "",
            "ChemEnv told to measure anion-cation bonds only (`additional_conditions=[1]`), which its users do not:",
            "",
            *table(
                ["crystals", "ChemEnv as above", "so told", "matembed, again", "ratio of totals", "worst ratio"],
                [tuned_row(timings, 12)],
            ),
            "",
            "Mixtures, ChemEnv's MultiWeights strategy with its default distance factor of 2.0:",
            "",
            *table(
                [
                    "crystals",
                    "ChemEnv",
                    "matembed, again",
                    "ratio of totals",
                    "median",
                    "worst",
                    "sites with fractions within 0.01",
                ],
                mixture_rows(timings, 10),
            ),
            "",
            "Supercells, of an oxide and of a crystal without valences, CPU time a site (of all sites, anions as well)."
            " Displaced by 0.05 Å, no site is like another:",
            "",
            *table(
                ["supercell", "sites", "as it is, a site", "displaced", "displaced, mixtures", "ChemEnv, displaced"],
                linear,
            ),
            "",
            "A call, motifs and all, with valences from elsewhere:",
            "",
            *table(["valences", "crystals", "no answer", "median", "mean"], valence_rows(timings)),
            "",
            "Starting Python:",
            "",
            *table(["", "import", "first call", "second call", "first call, mixtures"], start_rows()),
            "",
            "## Agreement",
            f"Strategy `simplest`, ChemEnv's answers of this run and {len(kept)} more kept from earlier ones. Labels "
            "and csm are compared where shells are equal; a csm is the same within 1e-4.",
            "",
            *table(
                [
                    "crystals",
                    "n",
                    "sites",
                    "shells equal",
                    "labels equal",
                    "labels and csm equal",
                    "csm lower (proven)",
                    "csm higher",
                    "lowest missed",
                    "connections equal",
                ],
                rows,
            ),
            "",
            *([*(f"- {line}" for line in shells), ""] if shells else []),
            "Where label or csm differ, with the csm of an independent search (3,000 random rotations, each refined by "
            "the Hungarian algorithm) on the model that matembed names:",
            "",
            *table(
                ["crystal", "sites", "ChemEnv", "csm", "matembed", "csm", "search", ""], difference_rows(differences)
            ),
            "",
            versions(),
            "",
        ]
    )


def versions() -> str:
    names = ("matembed", "numba", "numpy", "pymatgen", "pymatgen-core", "scipy")
    return ", ".join(f"{name} {version}" for name, version in package_versions(names).items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with motifs/ and structures/")
    parser.add_argument("--crystals", type=int, default=72, help="how many to time both on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reference", type=Path, help="answers of ChemEnv to compare as well, as JSON lines")
    parser.add_argument("--extend", type=int, default=0, help="add so many answers to the reference, and do no more")
    parser.add_argument("--minutes", type=float, default=10, help="CPU time for adding")
    parser.add_argument("--kinds", default="on", help="what to add: o for oxides, n for others, p for small cells")
    parser.add_argument("--shifts", type=float, nargs="+", default=list(SHIFTS), help="displacements to add, in Å")
    parser.add_argument("--write", type=Path, help="where to write the page as Markdown")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # pymatgen's remarks
    if options.extend:
        shifts = tuple(options.shifts)
        extend(options.reference, options.data, options.extend, options.minutes, options.seed, options.kinds, shifts)
        return
    text = page(options)
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
