"""How a MaskedLM is trained: its network, optimizer and losses, and a state to go on from."""

import hashlib
import json
import math
import os
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from tqdm import tqdm

from matembed._atomic import whole_file
from matembed.cards import Card, package_versions
from matembed.corpus.material_sets import MaterialSets
from matembed.encoders._bags import count_materials, tokens_of
from matembed.encoders._masking import ANSWERS, GOALS, Index, Question, batches_of, draw, hide
from matembed.encoders._training import plain_settings, warm_then_cosine
from matembed.encoders.set_transformer import SetTransformer, SetTransformerConfig

if TYPE_CHECKING:
    from matembed.encoders.masked_lm import MaskedLM

__all__ = ["Training"]

_WARM_UP = 0.05  # of all steps: the learning rate rises
_BETAS = (0.9, 0.98)  # of AdamW
_LONGEST_GRADIENT = 1.0
_CHECKPOINT = "training.safetensors"
_PROCEDURE = 2  # another one whenever what is hidden or how steps are made changes, so that no run is half of each


class Training:
    """A run: the network, its optimizer, and where in the run they are.

    The random numbers of an epoch start from the seed and its number alone, so nothing of them has to be kept.
    """

    def __init__(
        self,
        encoder: "MaskedLM",
        sets: MaterialSets,
        validation: MaterialSets | None,
        start: "MaskedLM | None",
        device: Any,
        accelerator: Any,
    ) -> None:
        self.encoder, self.device, self.accelerator = encoder, device, accelerator
        self.sets, self.validation, self.start = sets, validation, start
        names = ("dim", "n_layers", "n_heads", "feed_forward", "dropout")
        torch.manual_seed(encoder.seed)
        settings = plain_settings(encoder)
        self.network = SetTransformer(SetTransformerConfig(**{name: settings[name] for name in names}))
        if start is not None:
            self.network.load_state_dict(start.network_.state_dict())
        self.network.to(device)
        weights = list(self.network.parameters())
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [each for each in weights if each.ndim > 1], "weight_decay": encoder.weight_decay},
                {"params": [each for each in weights if each.ndim == 1], "weight_decay": 0.0},
            ],
            betas=_BETAS,
            fused=True,
        )
        self.trained, self.stepper = self.network, self.optimizer
        if accelerator:
            self.trained, self.stepper = accelerator.prepare(self.network, self.optimizer)
        self.answers = [torch.from_numpy(words.astype(np.int64)).to(device) for words in ANSWERS]
        self.history: list[dict[str, float]] = []

    def run(self, checkpoint: str | os.PathLike[str] | None) -> None:
        """Train, from the checkpoint on if there is one, and hand the outcome to the encoder."""
        encoder = self.encoder
        index = Index(self.sets)
        checked = None if self.validation is None else Index(self.validation)
        file = None if checkpoint is None else Path(checkpoint) / _CHECKPOINT
        run = "" if file is None else self._fingerprint()
        if file is not None and file.exists():
            self._resume(file, run)
        if file is not None and (not self.accelerator or self.accelerator.is_main_process):
            trial = file.with_suffix(".trial")  # fails now, rather than after an epoch, if nothing can be written there
            with whole_file(trial) as partial:
                partial.touch()
            trial.unlink()
        n_done = len(self.history)
        with tqdm(
            total=encoder.epochs * len(self.sets),
            initial=n_done * len(self.sets),
            unit=" materials",
            unit_scale=True,
            disable=not encoder.progress,
        ) as bar:
            for epoch in range(n_done, encoder.epochs):
                losses = self._epoch(index, epoch, bar)
                if checked is not None:
                    losses |= {f"validation_{name}": loss for name, loss in self._validate(checked).items()}
                self.history.append({"epoch": epoch + 1, **losses})
                bar.set_postfix({name: f"{loss:.3f}" for name, loss in losses.items() if name.endswith("loss")})
                if file is not None and (not self.accelerator or self.accelerator.is_main_process):
                    self._keep(file, run)
        kinds = ("element", "species")
        seen = {kind: count_materials(self.sets, *tokens_of(self.sets, kind)[:2]) for kind in kinds}
        if self.start is not None:  # which may be the encoder itself
            seen = {kind: self.start.seen_[kind] | counts for kind, counts in seen.items()}
        encoder.network_, encoder.history_, encoder.seen_ = self.network.eval(), self.history, seen
        encoder.card_ = _card(encoder, self.sets, self.start, sum(each.numel() for each in self.network.parameters()))
        beside = {"card": encoder.card_.to_dict(), "seen": encoder.seen_, "history": encoder.history_}
        self.network.config.update({"type": "MaskedLM", **beside})

    def _epoch(self, index: Index, epoch: int, bar: Any) -> dict[str, float]:
        encoder = self.encoder
        rank, n_ranks = (self.accelerator.process_index, self.accelerator.num_processes) if self.accelerator else (0, 1)
        rng = np.random.default_rng([encoder.seed, epoch])
        torch.manual_seed(int(np.random.default_rng([encoder.seed, epoch, rank]).integers(1 << 62)))  # for dropout
        wanted = draw(index, encoder, rng)
        batches = batches_of(index.lengths(wanted), encoder.batch_tokens, rng)
        n_steps = math.ceil(len(batches) / n_ranks)
        sums, counts = np.zeros(len(GOALS)), np.zeros(len(GOALS))
        self.trained.train()
        next_question = hide(index, wanted.take(batches[rank % len(batches)]))
        for step in range(n_steps):
            question = next_question
            each = self._losses(question)
            loss = each.nanmean()
            done = (epoch + (step + 0.5) / n_steps) / encoder.epochs
            for group in self.stepper.param_groups:
                group["lr"] = encoder.learning_rate * warm_then_cosine(done, _WARM_UP)
            self.stepper.zero_grad()
            if self.accelerator:
                self.accelerator.backward(loss)
                self.accelerator.clip_grad_norm_(self.trained.parameters(), _LONGEST_GRADIENT)
            else:
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.trained.parameters(), _LONGEST_GRADIENT)
            self.stepper.step()
            if step + 1 < n_steps:  # while an accelerator is busy
                next_question = hide(index, wanted.take(batches[((step + 1) * n_ranks + rank) % len(batches)]))
            _add_losses(sums, counts, question, each)
            if not np.isfinite(sums).all():
                where = f"epoch {epoch + 1}, step {step + 1}"
                msg = f"training diverged in {where}: a loss is not finite; lower learning_rate"
                raise ValueError(msg)
            bar.update(len(question.token_starts) - 1)
        return self._means(sums, counts)

    def _validate(self, index: Index) -> dict[str, float]:
        """Ask the same of the validation materials after each epoch, with nothing dropped out."""
        wanted = draw(index, self.encoder, np.random.default_rng(self.encoder.seed))
        sums, counts = np.zeros(len(GOALS)), np.zeros(len(GOALS))
        self.trained.eval()
        with torch.no_grad():
            for batch in batches_of(index.lengths(wanted), self.encoder.batch_tokens):
                question = hide(index, wanted.take(batch))
                _add_losses(sums, counts, question, self._losses(question))
        return self._means(sums, counts)

    def _means(self, sums: NDArray[np.float64], counts: NDArray[np.float64]) -> dict[str, float]:
        """Divide sums of losses by goal, of all processes: the mean over all, and one for each goal asked for."""
        if self.accelerator:
            here = torch.from_numpy(np.stack([sums, counts])).to(self.device)
            sums, counts = self.accelerator.reduce(here, reduction="sum").cpu().numpy()
        each = {goal: float(sums[idx] / counts[idx]) for idx, goal in enumerate(GOALS) if counts[idx]}
        return {"loss": float(sums.sum() / counts.sum())} | each

    def _losses(self, question: Question) -> Tensor:
        """Cross-entropy of each answer, in nats, shape (n_asked,); NaN where the answer is not known."""
        half = self.encoder.precision == "bfloat16" or (self.encoder.precision == "auto" and self.device.type != "cpu")
        half &= not self.accelerator  # which brings a precision of its own
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=half):
            logits = self.trained(**question.tensors(torch, self.device)).logits
        losses, start = [], 0
        for answers, shares in zip(self.answers, question.targets, strict=True):
            target = torch.from_numpy(shares).to(self.device)
            scores = logits[start : start + len(shares)].index_select(1, answers).float()
            loss = -(scores.log_softmax(dim=1) * target).sum(dim=1)
            losses.append(loss.masked_fill(target.sum(dim=1) == 0, torch.nan))
            start += len(shares)
        return torch.cat(losses)

    def _fingerprint(self) -> str:
        """Hash what decides the outcome: settings, materials, and the network that is gone on from."""
        digest = hashlib.sha256(json.dumps([_PROCEDURE, plain_settings(self.encoder)], sort_keys=True).encode())
        for sets in filter(None, (self.sets, self.validation)):
            for column in (getattr(sets, each.name) for each in fields(sets)):
                if isinstance(column, np.ndarray):
                    digest.update(np.ascontiguousarray(column).tobytes())
        for weights in () if self.start is None else self.start.network_.state_dict().values():
            digest.update(weights.float().cpu().numpy().tobytes())
        return digest.hexdigest()

    def _keep(self, file: Path, run: str) -> None:
        """Write the state of training; the file changes whole or not at all."""
        tensors = {f"network.{name}": each.detach() for name, each in self.network.named_parameters()}
        for name, parameter in self.network.named_parameters():
            tensors |= {f"optimizer.{name}.{key}": each for key, each in self.optimizer.state[parameter].items()}
        metadata = {"run": run, "history": json.dumps(self.history)}
        with whole_file(file) as partial:
            partial.write_bytes(save({name: each.cpu().contiguous() for name, each in tensors.items()}, metadata))

    def _resume(self, file: Path, run: str) -> None:
        """Go back to a state that was kept."""
        try:
            kept_state = safe_open(file, framework="pt")
        except SafetensorError as error:
            msg = f"{file} is no whole state of training ({error}); remove it to start anew"
            raise ValueError(msg) from None
        with kept_state as kept:
            metadata = kept.metadata()
            if metadata["run"] != run:
                msg = f"{file} is of a run with other settings or materials; remove it or choose another folder"
                raise ValueError(msg)
            with torch.no_grad():
                for name, parameter in self.network.named_parameters():
                    parameter.copy_(kept.get_tensor(f"network.{name}"))
                    prefix = f"optimizer.{name}."
                    self.optimizer.state[parameter] = {
                        key.removeprefix(prefix): kept.get_tensor(key).clone().to(self.device)
                        for key in kept.keys()  # noqa: SIM118  # the file is no mapping
                        if key.startswith(prefix)
                    }
        self.history = json.loads(metadata["history"])


def _add_losses(sums: NDArray[np.float64], counts: NDArray[np.float64], question: Question, losses: Tensor) -> None:
    """Add the losses of a batch whose answers are known to the sums by goal."""
    values = losses.detach().double().cpu().numpy()
    known = np.concatenate([shares.sum(axis=1) > 0 for shares in question.targets])
    sums += np.bincount(question.goals[known], values[known], minlength=len(GOALS))
    counts += np.bincount(question.goals[known], minlength=len(GOALS))


def _card(encoder: "MaskedLM", sets: MaterialSets, start: "MaskedLM | None", n_weights: int) -> Card:
    behind = sets.card
    before: dict[str, Any] = {}
    if start is not None:
        one = {"counts": dict(start.card_.counts), "settings": dict(start.card_.settings), "seed": start.card_.seed}
        before = {"trained_before": [*start.card_.corpus.get("trained_before", []), one]}
    return Card(
        name=f"maskedlm-{behind.name}",
        what=f"Transformer that tells hidden motifs and elements of materials, {n_weights:,} weights.",
        source=behind.source,
        licence=behind.licence,
        citation=behind.citation,
        corpus=behind.to_dict() | before,
        counts={"materials": len(sets), "tokens": len(sets.kinds), "weights": n_weights},
        settings={"encoder": "MaskedLM"} | plain_settings(encoder),
        seed=int(encoder.seed),
        versions=package_versions() | package_versions(["transformers", "safetensors"]),
    )
