"""SetTransformer: a network that reads sets of factored tokens, in the classes of Hugging Face transformers.

To import this module is to tell the library of it: ``transformers.AutoModel``, ``AutoModelForMaskedLM``, ``AutoConfig``
and ``AutoTokenizer`` then open the folders that `matembed.MaskedLM.save_pretrained` writes.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.utils import logging
from transformers.utils.generic import ModelOutput

from matembed.corpus._set_tokens import HALF_CONNECTED
from matembed.corpus.set_words import WORDS
from matembed.encoders._masking import N_COUNTS

__all__ = [
    "SetTransformer",
    "SetTransformerConfig",
    "SetTransformerOutput",
    "WordTokenizer",
    "no_bars",
    "word_tokenizer",
]

_CLS = WORDS.words.index("[CLS]")
_N_WAVES = 15  # that encode an amount
_SHORTEST_WAVE = 1 / 64  # longest 2; ABO3 and A2B2O7 differ by 1/55 in the share of A
_N_CENTRES = 24  # Gaussians that encode a count
_N_CSMS = 16  # Gaussians that encode the square root of a csm, evenly spaced
_LARGEST_CSM = 20.0  # larger ones count as this


class SetTransformerConfig(PretrainedConfig):
    """Sizes of a SetTransformer.

    Parameters
    ----------
    n_words : int, optional
        Size of the vocabulary; by default that of the package.
    dim : int, default 192
        Length of the hidden states.
    n_layers : int, default 4
        Layers of attention and feed-forward network.
    n_heads : int, default 6
        Attention heads of each layer.
    feed_forward : int, default 768
        Width of the feed-forward networks.
    dropout : float, default 0.1
        Share of numbers set to zero on each branch, in training.
    initializer_range : float, default 0.02
        Standard deviation of the weights at the start.

    Examples
    --------
    >>> SetTransformerConfig(dim=64).hidden_size
    64
    """

    model_type = "matembed-set-transformer"
    attribute_map = {  # noqa: RUF012  # as transformers declares it
        "vocab_size": "n_words",
        "hidden_size": "dim",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "intermediate_size": "feed_forward",
    }

    n_words: int = len(WORDS.words)
    dim: int = 192
    n_layers: int = 4
    n_heads: int = 6
    feed_forward: int = 768
    dropout: float = 0.1
    initializer_range: float = 0.02


@dataclass
class SetTransformerOutput(ModelOutput):
    """What a SetTransformer returns.

    Attributes
    ----------
    last_hidden_state : float tensor, shape (n_materials, length, dim)
        Normalized; [CLS] first, then the tokens of each material in their order, then padding.
    logits : float tensor, shape (n_asked, n_words), or None
        Score of each word at the tokens asked for.
    hidden_states : tuple of float tensor, length n_layers + 1, or None
        The input sums, and what each layer makes of them; the last is `last_hidden_state`.
    attentions : tuple of float tensor, length n_layers, or None
        Of each layer, shape (n_materials, n_heads, length, length): how much the token of a row takes from that of a
        column. Rows sum to 1; nothing is taken from padding.
    """

    last_hidden_state: Tensor | None = None
    logits: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


class SetTransformer(PreTrainedModel):
    """A pre-norm transformer [1]_ on sets of tokens, each a weighted bag of words, an amount and a csm.

    There are no positions: tokens of a material may come in any order. The words that score a token's answer are the
    very vectors that enter, so the network is its own masked language model: ``AutoModel`` and ``AutoModelForMaskedLM``
    open the same. Every word is scored, at the tokens of `ask`; `matembed.MaskedLM` compares the scores of those that
    can answer, such as all geometries. There is no loss: ``MaskedLM.fit`` trains.

    Parameters
    ----------
    config : SetTransformerConfig
        Sizes.

    References
    ----------
    .. [1] R. Xiong et al., arXiv:2002.04745 (2020).

    Examples
    --------
    >>> network = SetTransformer(SetTransformerConfig(dim=24, n_layers=1))
    >>> out = network(  # one material of two tokens, the first of two words
    ...     words=torch.tensor([5, 20, 21]),
    ...     weights=torch.ones(3),
    ...     word_starts=torch.tensor([0, 2, 3]),
    ...     amounts=torch.tensor([0.25, 0.75]),
    ...     csms=torch.tensor([0.1, float("nan")]),
    ...     counts=torch.zeros(2, 4),
    ...     token_starts=torch.tensor([0, 2]),
    ... )
    >>> out.last_hidden_state.shape
    torch.Size([1, 3, 24])
    """

    config_class = SetTransformerConfig
    base_model_prefix = "set_transformer"
    main_input_name = "words"
    supports_gradient_checkpointing = True
    _input_embed_layer = "words"

    def __init__(self, config: SetTransformerConfig) -> None:
        super().__init__(config)
        self.words = nn.Embedding(config.n_words, config.dim)
        self.amount = nn.Linear(2 * _N_WAVES + 1, config.dim)
        self.csm = nn.Linear(_N_CSMS + 1, config.dim, bias=False)
        self.counts = nn.Linear(N_COUNTS * (_N_CENTRES + 1), config.dim, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.n_layers))
        self.norm = nn.LayerNorm(config.dim)
        self.answer_norm = nn.LayerNorm(config.dim)
        self.bias = nn.Parameter(torch.zeros(config.n_words))
        self.post_init()

    def forward(
        self,
        words: Tensor,
        weights: Tensor,
        word_starts: Tensor,
        amounts: Tensor,
        csms: Tensor,
        counts: Tensor,
        token_starts: Tensor,
        ask: Tensor | None = None,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
        **_: Any,
    ) -> SetTransformerOutput:
        """Read a batch of materials.

        Parameters
        ----------
        words : int64 tensor, shape (n_words,)
            Words of all tokens of all materials, one after the other.
        weights : float tensor, shape (n_words,)
            What each word weighs in its token.
        word_starts : int64 tensor, shape (n_tokens + 1,)
            Where the words of each token start, and the end.
        amounts : float tensor, shape (n_tokens,)
            In (0, 1].
        csms : float tensor, shape (n_tokens,)
            Continuous symmetry measures; NaN where there is none.
        counts : float tensor, shape (n_tokens, 4)
            Of a motif, how many corners, edges and faces it shares; of a ligand, last, how many motifs hold it.
        token_starts : int64 tensor, shape (n_materials + 1,)
            Where the tokens of each material start, and the end.
        ask : int64 tensor, shape (n_asked,), optional
            Tokens, counted through the batch, for which every word is scored.
        output_hidden_states : bool, default False
            Return the states between layers too.
        output_attentions : bool, default False
            Return the attention of each layer too.
        **_ : any
            Settings that the library passes to every network; not used.

        Returns
        -------
        SetTransformerOutput
            Hidden states, and scores and attention if asked for.
        """
        layout = _Layout.of(token_starts)
        tokens = self.embed(words, weights, word_starts)
        tokens = tokens + self.amount(_encode_amounts(amounts).to(self.amount.weight.dtype))
        tokens = tokens + self.counts(_encode_counts(counts).to(self.counts.weight.dtype))
        tokens = self.dropout(tokens + self.csm(_encode_csms(csms).to(self.csm.weight.dtype)))
        first = self.words.weight[_CLS].to(tokens.dtype).expand(layout.n_materials, -1)
        states = [torch.cat([first, tokens])]
        attentions: list[Tensor] | None = [] if output_attentions else None
        for layer in self.layers:
            states.append(layer(states[-1], layout, attentions))
        states[-1] = self.norm(states[-1])
        logits = None
        if ask is not None:
            asked = self.answer_norm(states[-1].index_select(0, layout.n_materials + ask))
            logits = functional.linear(asked, self.words.weight, self.bias)
        return SetTransformerOutput(
            last_hidden_state=layout.padded(states[-1]),
            logits=logits,
            hidden_states=tuple(layout.padded(each) for each in states) if output_hidden_states else None,
            attentions=None if attentions is None else tuple(attentions),
        )

    def embed(self, words: Tensor, weights: Tensor, word_starts: Tensor) -> Tensor:
        """Sum the weighted vectors of the words of each token.

        Parameters
        ----------
        words : int64 tensor, shape (n_words,)
            Words of all tokens, one after the other.
        weights : float tensor, shape (n_words,)
            What each word weighs.
        word_starts : int64 tensor, shape (n_tokens + 1,)
            Where the words of each token start, and the end.

        Returns
        -------
        float tensor, shape (n_tokens, dim)
            The sums.
        """
        return functional.embedding_bag(
            words,
            self.words.weight,
            word_starts,
            mode="sum",
            per_sample_weights=weights.to(self.words.weight.dtype),
            include_last_offset=True,
        )


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where states go when materials are padded to one length; without padding, all [CLS] come before all tokens."""

    n_materials: int
    length: int
    place: Tensor  # (n_states,) in the padded states, materials end to end
    mask: Tensor | None  # (n_materials, 1, 1, length) of bool: what is no padding; None if there is none

    @classmethod
    def of(cls, token_starts: Tensor) -> "_Layout":
        counts = token_starts.diff()
        n_materials, length = len(counts), int(counts.max()) + 1
        places = torch.arange(n_materials * length, device=counts.device).view(n_materials, length)
        real = torch.arange(length, device=counts.device) <= counts[:, None]
        place = torch.cat([places[:, 0], places[:, 1:][real[:, 1:]]])
        return cls(n_materials, length, place, None if len(place) == real.numel() else real[:, None, None])

    def padded(self, states: Tensor) -> Tensor:
        """Bring states, shape (n_states, dim), to shape (n_materials, length, dim)."""
        padded = states.new_zeros(self.n_materials * self.length, states.shape[1]).index_copy(0, self.place, states)
        return padded.view(self.n_materials, self.length, -1)


class _Layer(GradientCheckpointingLayer):
    """Attention, then a feed-forward network, each on normalized states and added to them; only attention is padded."""

    def __init__(self, config: SetTransformerConfig) -> None:
        super().__init__()
        self.n_heads = config.n_heads
        self.attention_norm = nn.LayerNorm(config.dim)
        self.query_key_value = nn.Linear(config.dim, 3 * config.dim)
        self.mixed = nn.Linear(config.dim, config.dim)
        self.feed_forward_norm = nn.LayerNorm(config.dim)
        self.wide = nn.Linear(config.dim, config.feed_forward)
        self.narrow = nn.Linear(config.feed_forward, config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: Tensor, layout: _Layout, attentions: list[Tensor] | None = None) -> Tensor:
        """Make the next states; how much each token takes from which is added to the list, if there is one."""
        heads = layout.padded(self.query_key_value(self.attention_norm(hidden)))
        heads = heads.view(layout.n_materials, layout.length, 3, self.n_heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        if attentions is not None:
            scores = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
            scores = scores if layout.mask is None else scores.masked_fill(~layout.mask, -torch.inf)
            attentions.append(scores.softmax(dim=-1))
        with torch.autocast("cpu", enabled=False):
            if hidden.device.type == "cpu":  # where attention is slow in bfloat16
                query, key, value = (each.to(hidden.dtype) for each in (query, key, value))
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=layout.mask)
        mixed = mixed.transpose(1, 2).reshape(layout.n_materials * layout.length, -1).index_select(0, layout.place)
        hidden = hidden + self.dropout(self.mixed(mixed))
        wide = functional.gelu(self.wide(self.feed_forward_norm(hidden)))
        return hidden + self.dropout(self.narrow(wide))


def _encode_amounts(amounts: Tensor) -> Tensor:
    """Write amounts in (0, 1] as sines and cosines [1]_ and a logarithm: shape (n_tokens, 2 _N_WAVES + 1).

    .. [1] A. Y.-T. Wang et al., npj Comput. Mater. 7, 77 (2021).
    """
    waves = torch.logspace(1, math.log2(_SHORTEST_WAVE), _N_WAVES, base=2, device=amounts.device)
    angles = 2 * math.pi * amounts[:, None] / waves
    return torch.cat([angles.sin(), angles.cos(), amounts.log()[:, None]], dim=1)


def _encode_counts(counts: Tensor) -> Tensor:
    """Write n / (4 + n) as Gaussians and as it is; zeros where n is 0: shape (n_tokens, N_COUNTS (_N_CENTRES + 1))."""
    shares = (counts / (HALF_CONNECTED + counts))[..., None]
    centres = torch.linspace(0, 1, _N_CENTRES, device=counts.device)
    gaussians = torch.exp(-(((shares - centres) * _N_CENTRES) ** 2) / 2)
    return (torch.cat([gaussians, shares], dim=-1) * (counts > 0)[..., None]).flatten(1)


def _encode_csms(csms: Tensor) -> Tensor:
    """Write csms as Gaussians of their square roots and a one; zeros where NaN: shape (n_tokens, _N_CSMS + 1)."""
    known = csms.isfinite()[:, None]
    roots = csms.nan_to_num().clamp(0, _LARGEST_CSM).sqrt()[:, None]
    centres = torch.linspace(0, _LARGEST_CSM**0.5, _N_CSMS, device=csms.device)
    gaussians = torch.exp(-(((roots - centres) / (centres[1] - centres[0])) ** 2) / 2)
    return torch.cat([gaussians, torch.ones_like(roots)], dim=1) * known


class WordTokenizer(PreTrainedTokenizerFast):
    """Tokenizer of the words of materials; a word that is not in the vocabulary raises a ValueError that names it.

    As text, words are separated by a comma and a space: ``"<motif>, Ti, ox+4, O:6, ligand O"``. What amounts, csms and
    counts a token has is not part of the text. The folders of the models of the package name the plain class of the
    library, which decodes without commas; `word_tokenizer` has the same ids.
    """

    def _encode_plus(self, text: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return super()._encode_plus(text, *args, **kwargs)
        except Exception as error:  # the library has no class of its own
            if "Missing [UNK]" not in str(error):
                raise
            known = {"", *self.vocab}
            texts = [one for one in ([text] if isinstance(text, str) else text) if isinstance(one, str)]
            unknown = next((word for one in texts for word in one.split(", ") if word not in known), text)
            msg = f"no word {unknown!r:.60} among {len(self)}; separate words by ', ', and see .vocab for all there are"
            raise ValueError(msg) from None


def word_tokenizer() -> WordTokenizer:
    """Make the tokenizer of the words of materials.

    Returns
    -------
    WordTokenizer
        Its ids are the rows of the word vectors; what it decodes it encodes to the same ids.

    Examples
    --------
    >>> tokenizer = word_tokenizer()
    >>> ids = tokenizer("<motif>, Ti, ox+4, O:6, ligand O")["input_ids"]
    >>> tokenizer.convert_ids_to_tokens(ids)
    ['<motif>', 'Ti', 'ox+4', 'O:6', 'ligand O']
    >>> tokenizer.decode(ids)
    '<motif>, Ti, ox+4, O:6, ligand O'
    """
    tokenizer = Tokenizer(WordLevel({word: idx for idx, word in enumerate(WORDS.words)}))
    tokenizer.pre_tokenizer = Split(", ", "removed")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(Regex("$"), ", "), decoders.Fuse(), decoders.Replace(Regex(", $"), "")]
    )
    return WordTokenizer(tokenizer_object=tokenizer, pad_token="[PAD]", cls_token="[CLS]")


@contextmanager
def no_bars() -> Iterator[None]:
    """Keep the library from showing bars while it reads or writes a file of a few megabytes."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


AutoConfig.register(SetTransformerConfig.model_type, SetTransformerConfig, exist_ok=True)
AutoModel.register(SetTransformerConfig, SetTransformer, exist_ok=True)
AutoModelForMaskedLM.register(SetTransformerConfig, SetTransformer, exist_ok=True)
AutoTokenizer.register(SetTransformerConfig, tokenizer_class=WordTokenizer, exist_ok=True)
