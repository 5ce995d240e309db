"""States of a network as it reads materials, batch by batch: of each token, of its kind, and of the whole material."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from matembed._optional import import_extra
from matembed.corpus.material_sets import MaterialSets
from matembed.corpus.ragged import members
from matembed.encoders._bags import Bag
from matembed.encoders._masking import Index, Question, Wanted, batches_of, hide, nothing_hidden
from matembed.encoders._training import one_thread, single_precision

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["attention_weights", "material_states", "read_states", "sum_words", "token_states"]


def read_states(
    network: Any, index: Index, wanted: Wanted, *, batch_tokens: int, layer: int = -1
) -> Iterator[tuple[NDArray[np.int64], Question, NDArray[np.float32], Any]]:
    """Yield, batch by batch, places in `wanted`, what was asked, states of a layer, and word scores (or None)."""
    torch: Any = import_extra("torch", extra="transformer")
    for asked in batches_of(index.lengths(wanted), batch_tokens):
        question = hide(index, wanted.take(asked))
        with one_thread(torch), single_precision(torch), torch.inference_mode():
            out = network(**question.tensors(torch, network.device), output_hidden_states=True)
        logits = None if out.logits is None else out.logits.cpu().numpy()
        yield asked, question, out.hidden_states[layer].cpu().numpy(), logits


def material_states(
    network: Any, sets: MaterialSets, *, batch_tokens: int, layer: int, pooling: Literal["mean", "cls"]
) -> NDArray[np.float32]:
    """Average the states over the tokens of each material, or take that at [CLS]: shape (n_materials, dim)."""
    vectors = np.zeros((len(sets), network.config.dim), dtype=np.float32)
    wanted = nothing_hidden(len(sets))
    for asked, question, states, _ in read_states(network, Index(sets), wanted, batch_tokens=batch_tokens, layer=layer):
        if pooling == "cls":
            vectors[asked] = states[:, 0]
        else:
            n_tokens = np.diff(question.token_starts)
            real = np.arange(1, states.shape[1]) <= n_tokens[:, None]
            vectors[asked] = (states[:, 1:] * real[..., None]).sum(axis=1) / n_tokens[:, None]
    return vectors


def token_states(
    network: Any,
    sets: MaterialSets,
    token_idx: NDArray[np.int64],
    texts: Sequence[str],
    *,
    batch_tokens: int,
    layer: int,
) -> dict[str, NDArray[Any]]:
    """Average the states at tokens, by token."""
    names = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    row_of_token = np.full(len(sets.kinds), -1)
    row_of_token[token_idx] = [names[text] for text in texts]
    sums, counts = np.zeros((len(names), network.config.dim)), np.zeros(len(names))
    wanted = nothing_hidden(len(sets))
    for asked, _, states, _ in read_states(network, Index(sets), wanted, batch_tokens=batch_tokens, layer=layer):
        tokens, material = members(sets.token_starts, asked)
        place = np.arange(len(tokens)) - np.searchsorted(material, material) + 1
        rows = row_of_token[tokens]
        mine = rows >= 0
        np.add.at(sums, rows[mine], states[material[mine], place[mine]])
        counts += np.bincount(rows[mine], minlength=len(names))
    return {name: sums[row] / counts[row] for name, row in names.items()}


def sum_words(network: Any, bags: Mapping[str, Bag]) -> dict[str, NDArray[Any]]:
    """Sum the weighted vectors of words, by token: its state before it is read with others."""
    words = network.words.weight.detach().float().cpu().numpy()
    return {token: weights @ words[ids] for token, (ids, weights) in bags.items()}


def attention_weights(network: Any, sets: MaterialSets, *, layer: int, head: int | None) -> "pd.DataFrame":
    """Tell how much each token of one material takes from which, in a head, or in the mean of all."""
    import pandas as pd

    torch: Any = import_extra("torch", extra="transformer")
    tensors = hide(Index(sets), nothing_hidden(1)).tensors(torch, network.device)
    with one_thread(torch), single_precision(torch), torch.inference_mode():
        weights = network(**tensors, output_attentions=True).attentions[layer][0].float().cpu().numpy()
    names = ["[CLS]", *sets.describe(0)["words"]]
    return pd.DataFrame(weights.mean(axis=0) if head is None else weights[head], index=names, columns=names)
