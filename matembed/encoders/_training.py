"""What every encoder does before and after it learns: read and check the sentences, write the card."""

import math
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any, get_args

from matembed.cards import Card, package_versions, plain
from matembed.tokens import Kind, kind_of
from matembed.vocabulary import Vocabulary

__all__ = [
    "CONTEXT_ONLY",
    "Reading",
    "Sentences",
    "check_count",
    "check_number",
    "choose_device",
    "not_fitted",
    "one_thread",
    "plain_settings",
    "read_sentences",
    "row_tokens",
    "single_precision",
    "training_card",
    "warm_then_cosine",
]

Sentences = Iterable[Sequence[str]]
CONTEXT_ONLY: tuple[Kind, ...] = ("environment", "connection")
_COUNTS = ("read", "kept", "rejected", "rewritten")  # of a corpus: what a table repeats


@dataclass(frozen=True)
class Reading:
    """What a pass over the sentences found: the tokens that take part, and sizes."""

    vocabulary: Vocabulary
    n_sentences: int
    n_tokens: int
    longest: int


def check_count(name: str, value: object, *, least: int = 1) -> None:
    """Raise ValueError unless a setting is a whole number, `least` or more."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        msg = f"{name} must be a whole number, {least} or more, got {value!r}"
        raise ValueError(msg)


def check_number(name: str, value: object, *, positive: bool = False) -> None:
    """Raise ValueError unless a setting is a finite number, zero or more (or more than zero)."""
    if not isinstance(value, Real) or not math.isfinite(value) or value < 0 or (positive and value == 0):
        msg = f"{name} must be a finite number, {'more than 0' if positive else '0 or more'}, got {value!r}"
        raise ValueError(msg)


def read_sentences(sentences: Sentences, *, min_count: int) -> Reading:
    """Check every sentence and count its tokens, or raise TypeError or ValueError with the remedy."""
    check_count("min_count", min_count)
    if isinstance(sentences, str) or iter(sentences) is sentences:
        msg = (
            f"sentences are read several times: pass a Corpus or a list of token lists, got {type(sentences).__name__}"
        )
        raise TypeError(msg)
    checked = _Checked(sentences)
    vocabulary = Vocabulary.from_sentences(checked, min_count=min_count)
    if not vocabulary.tokens:
        n_seen = checked.n_tokens
        msg = f"min_count={min_count} leaves none of {n_seen} tokens" if n_seen else "the corpus has no tokens"
        raise ValueError(msg + "; nothing can be learned from it")
    return Reading(vocabulary, checked.n_sentences, checked.n_tokens, checked.longest)


class _Checked:
    """Sentences that are checked and counted as they are read, once."""

    def __init__(self, sentences: Sentences) -> None:
        self.sentences = sentences
        self.n_sentences = self.n_tokens = self.longest = 0

    def __iter__(self) -> Iterator[Sequence[str]]:
        for sentence in self.sentences:
            if isinstance(sentence, str | Set) or not all(isinstance(token, str) for token in sentence):
                got = f"{str(sentence)!r:.80}"
                msg = f"sentence {self.n_sentences} must be a list of tokens such as ['Ti', 'O'], got {got}"
                raise TypeError(msg)
            self.n_sentences += 1
            self.n_tokens += len(sentence)
            self.longest = max(self.longest, len(sentence))
            yield sentence


def row_tokens(tokens: Sequence[str], rows: Kind | Sequence[Kind] | None) -> list[str]:
    """Choose the tokens that get a vector, in the order given; ValueError if there are none."""
    wanted = (rows,) if isinstance(rows, str) else rows
    unknown = [kind for kind in wanted or () if kind not in get_args(Kind)]
    if unknown:
        msg = f"rows must be kinds of token ({', '.join(get_args(Kind))}), got {unknown[0]!r}"
        raise ValueError(msg)
    if wanted is None:
        chosen = [token for token in tokens if kind_of(token) not in CONTEXT_ONLY]
    else:
        chosen = [token for token in tokens if kind_of(token) in wanted]
    if not chosen:
        kinds = ", ".join(sorted({str(kind_of(token)) for token in tokens})) or "no kind at all"
        msg = f"rows={rows!r} leaves no token with a vector; tokens that occur beside another are of kind: {kinds}"
        raise ValueError(msg)
    return chosen


def plain_settings(encoder: Any) -> dict[str, Any]:
    """List the settings of an encoder as JSON takes them, but for the bar, which changes nothing."""
    settings = {field.name: plain(getattr(encoder, field.name)) for field in fields(encoder) if field.init}
    settings.pop("progress", None)
    return settings


def training_card(encoder: Any, sentences: Sentences, reading: Reading, *, n_rows: int, what: str) -> Card:
    """Write the card of a trained table: settings, counts and versions, and the same of the corpus behind it."""
    corpus: Card | None = getattr(sentences, "card", None)
    view: str | None = getattr(sentences, "view", None)
    behind: dict[str, Any] = {}
    if corpus is not None:
        behind = {"name": corpus.name, "view": view}
        behind |= {name: corpus.counts[name] for name in _COUNTS if name in corpus.counts}
        digest = corpus.sha256.get(f"sentences/{view}.txt")
        behind |= {"sha256": digest} if digest else {}
        behind |= {"settings": corpus.settings, "seed": corpus.seed, "versions": corpus.versions}
    method = type(encoder).__name__
    return Card(
        name="-".join(filter(None, (method.lower(), view))),
        what=what,
        source=corpus.source if corpus else "",
        licence=corpus.licence if corpus else "",
        citation=corpus.citation if corpus else (),
        corpus=behind,
        counts={
            "sentences": reading.n_sentences,
            "tokens": reading.n_tokens,
            "vocabulary": len(reading.vocabulary),
            "vectors": n_rows,
        },
        settings={"encoder": method} | plain_settings(encoder),
        seed=plain(getattr(encoder, "seed", None)),
        versions=package_versions(),
    )


def not_fitted(encoder: Any) -> Exception:
    """Make the error for an encoder that was asked before it learned."""
    from sklearn.exceptions import NotFittedError

    opens = ", or open one with from_pretrained" if hasattr(encoder, "from_pretrained") else ""
    return NotFittedError(f"{type(encoder).__name__} has learned nothing yet; call fit first{opens}")


@contextmanager
def one_thread(torch: Any) -> Iterator[None]:
    """Compute in one thread: another number of threads, another order of sums, other bytes."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


@contextmanager
def single_precision(torch: Any) -> Iterator[None]:
    """Make 32-bit numbers, as vectors and batches are, whatever default the user has set."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(default)


def warm_then_cosine(done: float, warm_up: float) -> float:
    """Scale the learning rate after a fraction of the steps: a line up for the first of them, half a cosine down."""
    return min(1.0, done / warm_up) * (1 + math.cos(math.pi * done)) / 2


def choose_device(name: str, torch: Any) -> Any:
    """Choose where to compute, or raise ValueError."""
    if name not in ("cpu", "cuda", "auto"):
        msg = f"device must be 'cpu', 'cuda' or 'auto', got {name!r}"
        raise ValueError(msg)
    if name == "cuda" and not torch.cuda.is_available():
        msg = "device='cuda' needs an accelerator that PyTorch can see, and there is none; pass device='auto'"
        raise ValueError(msg)
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
