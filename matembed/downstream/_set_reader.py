"""SetReader: what a SetTransformer makes of each material, as one vector."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from matembed.corpus.material_sets import MaterialSets
from matembed.corpus.set_words import TOKEN_KINDS, WORDS
from matembed.elements import SYMBOLS
from matembed.encoders._masking import Index, hide, nothing_hidden
from matembed.encoders.set_transformer import SetTransformer

__all__ = ["SetReader"]

_POOLED = [TOKEN_KINDS.index("element"), TOKEN_KINDS.index("motif")]


class SetReader(nn.Module):
    """Describe a material by the state at [CLS], the mean of the states at elements and that at motifs.

    Both means are weighted by amounts; they are zeros where there is nothing.

    Parameters
    ----------
    transformer : SetTransformer
        Reads materials.
    dropout : float
        Share of numbers set to zero in training on its branches.
    known : iterable of str
        Elements that it has learned of before.
    """

    met: Tensor  # words that materials held in training, by number

    def __init__(self, transformer: SetTransformer, dropout: float, known: Iterable[str] = ()) -> None:
        super().__init__()
        self.transformer = transformer
        self.register_buffer("met", torch.zeros(len(WORDS.words), dtype=torch.bool))
        self.met[[WORDS.id(symbol) for symbol in known]] = True
        self.width = (1 + len(_POOLED)) * transformer.config.dim
        for module in transformer.modules():
            if isinstance(module, nn.Dropout):
                module.p = dropout

    def forward(self, sets: MaterialSets) -> Tensor:
        """Describe materials: shape (n_materials, width)."""
        device = self.met.device
        read = hide(Index(sets), nothing_hidden(len(sets))).tensors(torch, device)
        states = self.transformer(**read).last_hidden_state
        counts = read["token_starts"].diff()
        material = torch.repeat_interleave(counts)
        place = torch.arange(len(material), device=device) - read["token_starts"][material] + 1
        tokens = states[material, place]
        kinds = torch.tensor(sets.kinds, device=device)
        parts = [states[:, 0]]
        for kind in _POOLED:
            amounts = read["amounts"] * (kinds == kind)
            total = amounts.new_zeros(len(counts)).index_add(0, material, amounts)
            shares = amounts / total.clamp_min(torch.finfo(total.dtype).tiny)[material]
            parts.append(torch.zeros_like(parts[0]).index_add(0, material, tokens * shares[:, None]))
        return torch.cat(parts, dim=1)

    def meet(self, sets: MaterialSets) -> None:
        """Note which words there are to learn of."""
        self.met[torch.from_numpy(np.unique(sets.words).astype(np.int64)).to(self.met.device)] = True

    def not_met(self, sets: MaterialSets) -> list[str]:
        """List the elements of materials that no material held in training, by atomic number."""
        held = set(np.unique(sets.words).tolist()) - set(self.met.nonzero()[:, 0].tolist())
        return [symbol for symbol in SYMBOLS[1:] if WORDS.id(symbol) in held]
