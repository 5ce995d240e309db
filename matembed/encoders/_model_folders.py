"""How a trained network and its card are kept: in a folder, in the package, and on the Hugging Face hub."""

import copy
import os
import re
import tempfile
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple

from matembed._atomic import whole_folder
from matembed._hub import upload
from matembed._optional import import_extra
from matembed.cards import Card
from matembed.corpus.set_words import WORDS
from matembed.encoders._training import choose_device

__all__ = ["Kept", "open_model", "push_model", "write_model"]

_BUNDLED = files("matembed") / "pretrained" / "models"
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")  # owner/name


class Kept(NamedTuple):
    """What a folder holds: the network, in 32-bit numbers, its card, and what `MaskedLM` has learned beside it."""

    network: Any
    card: Card
    seen: dict[str, dict[str, int]]
    history: list[dict[str, float]]


def write_model(network: Any, card: Card, folder: str | os.PathLike[str], *, half: bool, overwrite: bool) -> Path:
    """Write config.json, model.safetensors, tokenizer.json and README.md (the card); all appear at once."""
    from matembed.encoders.set_transformer import no_bars, word_tokenizer

    network.config.card = card.to_dict()
    saved = copy.deepcopy(network).half() if half else network
    with no_bars(), whole_folder(Path(folder), kind="MaskedLM", overwrite=overwrite) as partial:
        saved.save_pretrained(partial)
        word_tokenizer().save_pretrained(partial)
        (partial / "README.md").write_text(card.to_markdown(), encoding="utf-8")
    return Path(folder)


def push_model(network: Any, card: Card, repo_id: str, *, half: bool, private: bool | None) -> str:
    """Upload what `write_model` writes, in one commit; its address."""
    with tempfile.TemporaryDirectory() as parent:
        folder = write_model(network, card, Path(parent) / "model", half=half, overwrite=False)
        return upload(folder, repo_id, what="MaskedLM", private=private)


def open_model(name: str | os.PathLike[str], *, device: str) -> Kept:
    """Open a folder, a model of the package where there is no such folder, or one on the hub, to use on a device."""
    torch = import_extra("torch", extra="transformer")
    import_extra("transformers", extra="transformer")
    from safetensors import SafetensorError

    from matembed.encoders.set_transformer import SetTransformer, SetTransformerConfig, no_bars

    text, is_model = str(name), (Path(name) / "config.json").is_file()
    shipped = sorted(each.name for each in _BUNDLED.iterdir())
    if text in shipped and not is_model:
        with as_file(_BUNDLED / text) as folder:
            return open_model(folder, device=device)
    if not is_model and (Path(name).exists() or not _HUB_NAME.fullmatch(text)):
        what = "a folder without config.json" if Path(name).is_dir() else "no folder"
        known = ", ".join(shipped)
        msg = f"{text!r} is {what}, nor a model of the package ({known}); names on the hub are owner/name"
        raise OSError(msg)
    config = SetTransformerConfig.from_pretrained(name)
    missing = [key for key in ("type", "card", "seen", "history") if not hasattr(config, key)]
    if missing:
        msg = (
            f"wanted a folder as MaskedLM.save_pretrained writes it, got {name}, whose config.json has no "
            f"{', '.join(missing)}; write it anew with that, or open the bare network with transformers.AutoModel"
        )
        raise ValueError(msg)
    if config.type != "MaskedLM" or config.n_words != len(WORDS.words):
        msg = f"{name} is no MaskedLM of this vocabulary ({len(WORDS.words)} words); write one with save_pretrained"
        raise ValueError(msg)
    card = Card.from_dict(config.card)
    try:
        with no_bars():
            opened: Any = SetTransformer.from_pretrained(
                name, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True
            )
    except SafetensorError as error:
        msg = f"{name}: model.safetensors is not whole ({error}); fetch or write the folder anew"
        raise ValueError(msg) from None
    network, found = opened
    unlike = [*found["missing_keys"], *found["unexpected_keys"], *(each[0] for each in found["mismatched_keys"])]
    if unlike:
        msg = (
            f"{name}: config.json tells of another network than the one whose weights are there: {len(unlike)} arrays "
            f"differ, such as {min(unlike)}; write both anew with save_pretrained"
        )
        raise ValueError(msg)
    return Kept(network.eval().to(choose_device(device, torch)), card, config.seen, config.history)
