"""How fast do graph networks train? Ours on merged and whole graphs, beside the CGCNN layer of PyTorch Geometric.

``python benchmarks/atom_motif_speed.py GRAPHS --write benchmarks/atom_motif_speed.md`` measures; ``GRAPHS`` are merged
and whole graphs of the same crystals, made by ``--make STRUCTURES``.

A step reads a batch of 64 crystals, goes forwards and backwards, and changes the weights by AdamW; one core, processor
time, the networks in turns, the median of the rounds. All have the same width and number of layers. "CGConv" is
PyTorch Geometric's layer of ref. [1] with batch normalisation, three of them between an embedding and a mean over
atoms, on batches made by its own DataLoader: what its users would write. Whole graphs have a row for each atom and two
for each bond, as everywhere else; merged graphs have one for all that are alike, with the same predictions.

[1] T. Xie and J. C. Grossman, Phys. Rev. Lett. 120, 145301 (2018).
"""

import argparse
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import CGConv, global_mean_pool

from matembed.graphs import AtomMotifGraphs, build_graphs
from matembed.graphs._layers import Bumps
from matembed.graphs._network import AtomMotifNetwork

BATCH, N_CRYSTALS, N_LAYERS, WIDTH, N_ROUNDS = 64, 1024, 3, 48, 5
Step = Callable[[], None]


class CGCNN(nn.Module):
    """What users of PyTorch Geometric would write."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.elements = nn.Embedding(119, width)
        self.bumps = Bumps(0.8, 4.0, 33)
        self.layers = nn.ModuleList(CGConv(width, 33, batch_norm=True) for _ in range(N_LAYERS))
        self.head = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, 1))

    def forward(self, batch: Data) -> torch.Tensor:
        """Predict."""
        states, edges = self.elements(batch.x), self.bumps(batch.edge_attr)
        for layer in self.layers:
            states = layer(states, batch.edge_index, edges)
        return self.head(global_mean_pool(states, batch.batch))


def theirs(graphs: AtomMotifGraphs) -> Iterator[Data]:
    """Write whole graphs as PyTorch Geometric's."""
    for graph in graphs:
        pairs = torch.from_numpy(np.concatenate([graph.bond_atoms, graph.bond_atoms[:, ::-1]]).T.astype(np.int64))
        lengths = torch.from_numpy(np.tile(graph.bond_lengths, 2))
        yield Data(x=torch.from_numpy(graph.numbers.astype(np.int64)), edge_index=pairs, edge_attr=lengths)


def stepper(network: nn.Module, batches: Iterator[Any]) -> Step:
    """Return a function that makes a training step."""
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        network(next(batches)).pow(2).mean().backward()
        optimizer.step()

    return step


def ours(graphs: AtomMotifGraphs, *, motifs: bool, equivariant: bool = False) -> Step:
    """Return a step of a dual network, or of its atoms alone."""
    network = AtomMotifNetwork(
        width=WIDTH,
        n_layers=N_LAYERS,
        motifs=motifs,
        labels=True,
        connections=True,
        exchange=True,
        equivariant=equivariant,
        element_table=None,
        motif_table=None,
        dropout=0.1,
    )
    rows = itertools.cycle(
        np.random.default_rng(0).permutation(len(graphs))[: N_CRYSTALS // BATCH * BATCH].reshape(-1, BATCH)
    )
    return stepper(network, (graphs[chosen] for chosen in rows))


def _sizes(merged: AtomMotifGraphs, whole: AtomMotifGraphs) -> str:
    mean = {name: count / len(whole) for name, count in whole.counts().items()}
    rows = {name: count / len(merged) for name, count in merged.counts().items()}
    cells = f"{mean['atoms']:.0f} atoms, {mean['bonds']:.0f} bonds, {mean['motifs']:.1f} motifs and"
    left = f"{rows['atoms_rows']:.0f} atoms and {rows['bonds_rows']:.0f} bonds"
    return f"{len(whole):,} crystals of {cells} {mean['connections']:.0f} connections; merged, {left}. Width {WIDTH}."


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graphs", type=Path, help="folder of the two sets of graphs")
    parser.add_argument("--make", type=Path, help="JSON lines of crystals to make them of, the first 1,024")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.make:
        from matembed.sources.files import read_rows

        for name in ("merged", "whole"):
            rows = read_rows(options.make, kind="structures", limit=N_CRYSTALS)
            build_graphs(rows, merge=name == "merged").graphs.write(options.graphs / name)
    merged, whole = (AtomMotifGraphs.read(options.graphs / name) for name in ("merged", "whole"))
    loader = DataLoader(list(theirs(whole)), batch_size=BATCH, shuffle=True, drop_last=True)
    steps = {
        "CGConv of PyTorch Geometric, whole graphs": stepper(
            CGCNN(WIDTH), itertools.chain.from_iterable(itertools.repeat(loader))
        ),
        "atoms, whole graphs": ours(whole, motifs=False),
        "atoms, merged graphs": ours(merged, motifs=False),
        "atoms and motifs, whole graphs": ours(whole, motifs=True),
        "atoms and motifs, merged graphs": ours(merged, motifs=True),
        "equivariant atoms, whole graphs": ours(whole, motifs=False, equivariant=True),
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(N_ROUNDS + 1):
        for name, step in steps.items():
            start = time.process_time()
            for _ in range(4):
                step()
            if round_:  # the first warms up
                times[name].append((time.process_time() - start) / 4)
    base = np.median(times["CGConv of PyTorch Geometric, whole graphs"])
    lines = [
        "# How fast graph networks train",
        __doc__.split("\n\n", 2)[2].strip(),
        _sizes(merged, whole),
        "| network | crystals a second | times CGConv |\n|---|---|---|\n"
        + "\n".join(
            f"| {name} | {BATCH / np.median(spent):,.0f} | {base / np.median(spent):.2f} |"
            for name, spent in times.items()
        ),
    ]
    text = "\n\n".join(lines) + "\n"
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
