"""MaskedLM: a transformer that reads materials as sets, trained to tell what was hidden from it."""

import copy
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib.resources import as_file, files
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, get_args

import numpy as np
from numpy.typing import NDArray

from matembed._atomic import whole_folder
from matembed._hub import upload
from matembed._optional import import_extra
from matembed.cards import Card
from matembed.corpus.formulas import amounts_of
from matembed.corpus.material_sets import MaterialSets, formula_sets
from matembed.corpus.ragged import members
from matembed.corpus.set_words import WORDS
from matembed.elements import SYMBOLS
from matembed.embeddings import EmbeddingTable, UnknownTokenError
from matembed.encoders._bags import NO_OXIDATION, Bag, bag_of, charge_of, count_materials, tokens_of
from matembed.encoders._masking import (
    GEOMETRY_WORDS,
    MOTIF,
    SPECIES,
    STATE_WORDS,
    Given,
    Index,
    Objective,
    Question,
    Wanted,
    asking,
    batches_of,
    has_motifs,
    hide,
    nothing_hidden,
    with_unknown_motifs,
)
from matembed.encoders._memory import Memory
from matembed.encoders._training import check_count, check_number, choose_device, not_fitted, one_thread
from matembed.motifs.valences import may_balance

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Given", "MaskedLM", "Objective"]

OnMissing = Literal["error", "guess"]
Precision = Literal["auto", "float32", "bfloat16"]

_BUNDLED = files("matembed") / "pretrained" / "models"
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")  # owner/name
_SIZES = ("dim", "n_layers", "n_heads", "feed_forward")  # of the network


@dataclass(kw_only=True, eq=False)
class MaskedLM:
    """Hide motifs or elements of a material and learn to tell them from the rest.

    A material is a set of elements, species, motifs, connections, ligands and, where known, its symmetry; each token is
    the sum of the vectors of its words (element, oxidation state, geometry, ligands) and of encodings of its amount and
    csm. Motifs are also told how many corners, edges and faces they share, and ligands how many motifs hold them, as
    far as neither is hidden. A transformer without positions [1]_ reads the set. In each pass, one of four things is
    hidden in every material [2]_:

    - ``"formula"``: the geometries of all motifs, and every connection, so that only species and amounts are left;
    - ``"others"``: the geometry of one element in one oxidation state, and its connections;
    - ``"links"``: that geometry alone, its connections left;
    - ``"element"``: one element wherever it stands; half the time with everything but the formula.

    With the geometries, oxidation states are hidden now and then, so that one model serves those who have a crystal
    structure and those who have a formula.

    The same seed gives the same bytes on the same machine, if that has no accelerator.

    Parameters
    ----------
    dim : int, default 192
        Length of the vectors, a multiple of `n_heads`.
    n_layers : int, default 4
        Layers of attention and feed-forward network.
    n_heads : int, default 6
        Attention heads of each layer.
    feed_forward : int, default 768
        Width of the feed-forward networks.
    dropout : float, default 0.1
        Share of numbers set to zero on each branch, in training.
    epochs : int, default 10
        Passes over the materials.
    batch_tokens : int, default 8192
        Tokens in a step, padding included.
    learning_rate : float, default 0.001
        At its highest: it rises over the first 5 % of the steps, then falls to zero along half a cosine.
    weight_decay : float, default 0.01
        Of AdamW [3]_; biases and scales are exempt.
    shares : mapping of str to float, optional
        How often each of the four is hidden, relative to the others; by default 0.35, 0.25, 0.2 and 0.2. Materials
        without motifs are always asked for an element.
    hide_oxidation : float, default 0.3
        How often the oxidation state is hidden with the geometry, and every species dropped.
    drop_symmetry : float, default 0.5
        How often site symmetries and the space group are dropped. With ``"formula"`` they always are.
    device : {"cpu", "cuda", "auto"}
        Where to compute; ``"auto"`` takes an accelerator if there is one.
    precision : {"auto", "float32", "bfloat16"}
        What products are rounded to in training: by default to bfloat16 on an accelerator, else to float32. Processors
        with instructions for bfloat16 (AVX512-BF16, AMX) train 1.4 times as fast with them.
    seed : int, default 0
        Starts the weights, the order of the materials and the choice of what is hidden.
    progress : bool, default False
        Show a bar.

    Attributes
    ----------
    network_ : SetTransformer
        The network, a model of Hugging Face transformers.
    history_ : list of dict
        One for each epoch: its number, the mean ``loss``, and the mean cross-entropy, in nats, by what was asked:
        ``formula``, ``others``, ``links`` (geometries), ``element`` and ``oxidation``, if it was. The same with
        ``validation_`` in front, if there was validation.
    seen_ : dict
        How many materials held each element and each species, by kind and token; where training went on from another
        model and none did, how many of those it had learned from.
    card_ : Card
        Corpus, settings, seed and versions.

    See Also
    --------
    matembed.MaskedSet : Smaller, for formulas alone.
    matembed.table_sets : Makes the sets from tables of motifs.

    References
    ----------
    .. [1] M. Zaheer et al., Adv. Neural Inf. Process. Syst. 30, 3391 (2017), Deep Sets; A. Vaswani et al., ibid. 5998.
    .. [2] J. Devlin et al., arXiv:1810.04805 (2018).
    .. [3] I. Loshchilov, F. Hutter, arXiv:1711.05101 (2017).

    Examples
    --------
    >>> from matembed import formula_sets
    >>> salts = formula_sets(["LiCl", "NaCl", "KCl", "LiBr", "NaBr", "KBr", "MgO", "CaO", "MgS", "CaS"])
    >>> model = MaskedLM(dim=16, n_layers=1, n_heads=2, feed_forward=32, epochs=2).fit(salts)
    >>> model.encode(formula_sets(["LiBr", "CaS"])).shape
    (2, 16)
    >>> model.fill_mask("NaCl", n=3).columns.tolist()
    ['material', 'element', 'oxidation', 'geometry', 'probability']
    """

    dim: int = 192
    n_layers: int = 4
    n_heads: int = 6
    feed_forward: int = 768
    dropout: float = 0.1
    epochs: int = 10
    batch_tokens: int = 8192
    learning_rate: float = 0.001
    weight_decay: float = 0.01
    shares: Mapping[Objective, float] = field(
        default_factory=lambda: {"formula": 0.35, "others": 0.25, "links": 0.2, "element": 0.2}
    )
    hide_oxidation: float = 0.3
    drop_symmetry: float = 0.5
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    precision: Precision = "auto"
    seed: int = 0
    progress: bool = False
    _memories: "dict[_Told, Memory]" = field(init=False, repr=False, default_factory=dict)
    network_: Any = field(init=False, repr=False)
    history_: list[dict[str, float]] = field(init=False, repr=False)
    seen_: dict[str, dict[str, int]] = field(init=False, repr=False)
    card_: Card = field(init=False, repr=False)

    def fit(
        self,
        sets: MaterialSets,
        *,
        validation: MaterialSets | None = None,
        start: "MaskedLM | None" = None,
        checkpoint: str | os.PathLike[str] | None = None,
        accelerator: Any = None,
    ) -> Self:
        """Train on materials.

        Parameters
        ----------
        sets : MaterialSets
            What to learn from.
        validation : MaterialSets, optional
            Materials to report losses of after each epoch; nothing is learned from them.
        start : MaskedLM, optional
            A fitted one of the same size to go on from, which is left as it is: what was learned from many materials
            is kept for a few, such as those whose motifs another program found.
        checkpoint : path-like, optional
            Folder to keep the state of training in, after each epoch. A run that was cut goes on from there when
            started again with the same arguments, and ends in the same bytes.
        accelerator : accelerate.Accelerator, optional
            To train on several devices, in the processes that ``accelerate launch`` starts; it chooses the device
            and the precision.

        Returns
        -------
        MaskedLM
            Itself, fitted.

        Raises
        ------
        ImportError
            If PyTorch or transformers is not installed.
        TypeError
            If the materials are no MaterialSets, or `start` is no MaskedLM.
        ValueError
            If a setting makes no sense, there are no materials, `start` has another size, or the checkpoint is of
            another run.
        """
        self._check()
        for each in (sets, validation):
            if each is not None:
                _check_sets(each)
        if start is not None:
            if not isinstance(start, MaskedLM):
                got = f"{type(start).__name__} {start!r:.60}"
                msg = f"start must be a fitted MaskedLM, got {got}; open a folder or name with MaskedLM.from_pretrained"
                raise TypeError(msg)
            start._check_fitted()
            sizes = [[getattr(one, name) for name in _SIZES] for one in (self, start)]
            if sizes[0] != sizes[1]:
                msg = f"start must have the same {', '.join(_SIZES)}: wanted {sizes[0]}, got {sizes[1]}"
                raise ValueError(msg)
        torch = import_extra("torch", extra="transformer")
        import_extra("transformers", extra="transformer")
        from matembed.encoders._mlm_training import Training

        device = accelerator.device if accelerator else choose_device(self.device, torch)
        with (
            one_thread(torch),
            torch.enable_grad(),
            torch.random.fork_rng(devices=[torch.cuda.current_device()] if device.type == "cuda" else []),
        ):
            Training(self, sets, validation, start, device, accelerator).run(checkpoint)
        self._memories = {}
        return self

    def embeddings(
        self,
        kind: Literal["element", "species", "motif"] = "element",
        *,
        contextual: bool = False,
        layer: int = 0,
        materials: MaterialSets | None = None,
        min_count: int = 1,
    ) -> EmbeddingTable:
        """Hand out the vectors of tokens.

        Parameters
        ----------
        kind : {"element", "species", "motif"}
            Kind of token.
        contextual : bool, default False
            The mean of the states at such tokens over `materials`, instead of the sum of the vectors of its words.
        layer : int, default 0
            Whose states, if contextual: 0 is the input, -1 the last.
        materials : MaterialSets, optional
            Materials whose tokens are wanted, but those of elements that were never trained on, which have no vectors.
            By default the elements or species that were; motifs and contextual vectors need materials.
        min_count : int, default 1
            Leave out tokens that fewer of the materials hold.

        Returns
        -------
        EmbeddingTable
            Most frequent token first.

        Raises
        ------
        NotFittedError
            If there is no network yet.
        TypeError
            If the materials are no MaterialSets.
        ValueError
            If the kind or layer is unknown, materials are missing, or no token is left.
        """
        self._check_fitted()
        if kind not in ("element", "species", "motif"):
            msg = f"kind must be 'element', 'species' or 'motif', got {kind!r}"
            raise ValueError(msg)
        check_count("min_count", min_count)
        if layer and not contextual:
            msg = f"layer={layer} is of states in context; pass contextual=True and materials, or layer=0"
            raise ValueError(msg)
        self._check_layer(layer)
        if materials is None and (contextual or kind == "motif"):
            what = "contextual vectors" if contextual else "vectors of motifs"
            msg = f"{what} need materials to find tokens in; pass materials=MaterialSets"
            raise ValueError(msg)
        if materials is None:
            counts = self.seen_[kind]
            vectors = self._static({token: bag_of(token, kind) for token in counts})
        else:
            _check_sets(materials)
            token_idx, texts, bags = tokens_of(materials, kind)
            unseen = self._unseen_words()
            counts = count_materials(materials, token_idx, texts)
            counts = {token: count for token, count in counts.items() if not np.isin(bags[token][0], unseen).any()}
            vectors = self._contextual(materials, token_idx, texts, layer) if contextual else self._static(bags)
        tokens = sorted((token for token in counts if counts[token] >= min_count), key=lambda t: (-counts[t], t))
        if not tokens:
            msg = f"no {kind} token occurs in {min_count} materials or more; lower min_count or pass other materials"
            raise ValueError(msg)
        how = {"contextual": contextual, "layer": layer, "kind": kind, "min_count": min_count}
        card = replace(
            self.card_,
            name=f"{self.card_.name}-{kind}",
            what=f"Vectors of {len(tokens)} tokens of kind {kind}, {self.dim} dimensions.",
            counts={**self.card_.counts, "vectors": len(tokens)},
            settings={**self.card_.settings, "embeddings": how},
        )
        return EmbeddingTable(tuple(tokens), np.stack([vectors[token] for token in tokens]), card)

    def encode(
        self,
        materials: MaterialSets,
        *,
        layer: int = -1,
        pooling: Literal["mean", "cls"] = "mean",
        on_missing: OnMissing = "error",
    ) -> NDArray[np.float32]:
        """Turn materials into vectors.

        Parameters
        ----------
        materials : MaterialSets
            What to read; nothing is hidden.
        layer : int, default -1
            Whose states: 0 is the input, -1 the last.
        pooling : {"mean", "cls"}
            The mean over the tokens, or the state at [CLS].
        on_missing : {"error", "guess"}, default "error"
            Refuse elements that no material held in training, or go on with the random vectors they have.

        Returns
        -------
        float32 array, shape (n_materials, dim)
            Their order is that of the materials.

        Raises
        ------
        NotFittedError
            If there is no network yet.
        TypeError
            If the materials are no MaterialSets.
        UnknownTokenError
            If an element was never learned and `on_missing` is "error".
        ValueError
            If the layer, pooling or `on_missing` is unknown.
        """
        self._check_fitted()
        _check_sets(materials)
        self._check_layer(layer)
        if pooling not in ("mean", "cls"):
            msg = f"pooling must be 'mean' or 'cls', got {pooling!r}"
            raise ValueError(msg)
        self._check_seen(materials, on_missing)
        vectors = np.zeros((len(materials), self.dim), dtype=np.float32)
        for asked, question, states, _ in self._read(Index(materials), nothing_hidden(len(materials)), layer=layer):
            if pooling == "cls":
                vectors[asked] = states[:, 0]
            else:
                n_tokens = np.diff(question.token_starts)
                real = np.arange(1, states.shape[1]) <= n_tokens[:, None]
                vectors[asked] = (states[:, 1:] * real[..., None]).sum(axis=1) / n_tokens[:, None]
        return vectors

    def predict_geometry(
        self,
        sets: MaterialSets,
        *,
        given: Given = "formula",
        oxidation: Literal["known", "hidden"] = "known",
        symmetry: bool = False,
        on_missing: OnMissing = "error",
    ) -> "pd.DataFrame":
        """Predict the geometries around each element of each material.

        Parameters
        ----------
        sets : MaterialSets
            Materials. What is asked for is hidden first.
        given : {"formula", "others", "links"}
            Nothing but species and amounts; the motifs of other elements and oxidation states, without the
            connections of those asked for; or with these connections.
        oxidation : {"known", "hidden"}
            Whether oxidation states are told, of materials that have any.
        symmetry : bool, default False
            Tell site symmetries and the space group, if they are known; not with ``given="formula"``.
        on_missing : {"error", "guess"}, default "error"
            As in `encode`.

        Returns
        -------
        DataFrame of float32, shape (n_groups, n_geometries)
            Probabilities; columns are the ChemEnv symbols of the vocabulary. A row for each material, element and
            oxidation state that has motifs, named by these three; with ``given="formula"`` and hidden oxidation
            states a row for each element, named by the likeliest state. A material without motifs has a row for each
            cation; where states are not known, for each element but the most electronegative, and where none balance,
            as in Ni3Al, they are NA.

        Raises
        ------
        NotFittedError
            If there is no network yet.
        TypeError
            If the materials are no MaterialSets.
        UnknownTokenError
            If an element was never learned and `on_missing` is "error".
        ValueError
            If an option is unknown, or a material has no motifs and more than its formula is to be given.
        """
        import pandas as pd

        self._check_fitted()
        _check_sets(sets)
        answers = self._predict(sets, given, oxidation, symmetry, on_missing)
        names = [WORDS.words[word] for word in GEOMETRY_WORDS]
        return pd.DataFrame(answers.probabilities, index=pd.MultiIndex.from_frame(answers.rows), columns=names)

    def fill_mask(
        self,
        material: MaterialSets | str,
        *,
        element: str | None = None,
        given: Given = "formula",
        symmetry: bool = False,
        n: int = 5,
        on_missing: OnMissing = "error",
    ) -> "pd.DataFrame":
        """Tell the likeliest geometries around the elements of a material.

        Parameters
        ----------
        material : MaterialSets or str
            Materials, or a formula. Of this, oxidation states are those that `formula_sets` balances. Where they are
            fractions, as in Fe3O4, the likeliest are told with the geometries; where none balance, as in metals,
            elements and alloys, none are told.
        element : str, optional
            The element asked for; by default each that has motifs. Of a formula, each cation; where states are not
            known, each element but the most electronegative.
        given : {"formula", "others", "links"}
            As in `predict_geometry`.
        symmetry : bool, default False
            As in `predict_geometry`.
        n : int, default 5
            Geometries to tell for each element.
        on_missing : {"error", "guess"}, default "error"
            As in `encode`.

        Returns
        -------
        DataFrame
            Columns material, element, oxidation (in units of e; NA where there is none), geometry (ChemEnv symbol) and
            probability; likeliest first for each material, element and oxidation state.

        Raises
        ------
        FormulaError
            If the text is no formula.
        NotFittedError
            If there is no network yet.
        TypeError
            If the material is neither.
        UnknownTokenError
            If an element was never learned and `on_missing` is "error".
        ValueError
            If the element is not there, or an option is unknown.
        """
        self._check_fitted()
        check_count("n", n)
        sets = _sets_of(material)
        answers = self._predict(sets, given, "known", symmetry, on_missing, element)
        rows, probabilities = answers.rows, answers.probabilities
        n = min(n, len(GEOMETRY_WORDS))
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :n]
        table = rows.loc[np.repeat(np.arange(len(rows)), n)].reset_index(drop=True)
        table["geometry"] = [WORDS.words[GEOMETRY_WORDS[place]] for place in best.ravel()]
        table["probability"] = np.take_along_axis(probabilities, best, axis=1).ravel()
        return table

    def remember(
        self,
        sets: MaterialSets,
        *,
        given: Given = "formula",
        oxidation: Literal["known", "hidden"] = "known",
        symmetry: bool = False,
        on_missing: OnMissing = "error",
    ) -> Self:
        """Answer by known materials too: those whose hidden motifs the network takes for the most similar.

        The states of their hidden motifs are kept with the geometries. Where the same is given, `predict_geometry` and
        `fill_mask` then average the network's probabilities with the geometries of the 32 motifs whose states have the
        largest cosines c, weighed by exp(50 c) [1]_. What is rare in training is told better so.

        Parameters
        ----------
        sets : MaterialSets
            Materials with motifs, such as those that the model was trained on. They must not be those that are asked
            for later: each would answer for itself.
        given : {"formula", "others", "links"}
            As in `predict_geometry`.
        oxidation : {"known", "hidden"}
            As in `predict_geometry`.
        symmetry : bool, default False
            As in `predict_geometry`.
        on_missing : {"error", "guess"}, default "error"
            As in `encode`.

        Returns
        -------
        MaskedLM
            A copy that remembers; the network is the same. Other memories are kept, but for one of the same question.
            `save_pretrained` does not write them.

        Raises
        ------
        NotFittedError
            If there is no network yet.
        TypeError
            If the materials are no MaterialSets.
        UnknownTokenError
            If an element was never learned and `on_missing` is "error".
        ValueError
            If an option is unknown, or a material has no motifs.

        References
        ----------
        .. [1] U. Khandelwal et al., arXiv:1911.00172 (2020).

        Examples
        --------
        >>> from matembed import MaskedLM, structure_sets
        >>> from pymatgen.core import Lattice, Structure
        >>> halides = {
        ...     "NaCl": Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0, 0]]),
        ...     "CsCl": Structure(Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        ... }
        >>> informed = MaskedLM.from_pretrained("crystals").remember(structure_sets(halides))
        >>> informed.nearest("RbCl", n=2)["known_element"].tolist()
        ['Cs', 'Na']
        """
        self._check_fitted()
        _check_sets(sets)
        bare = ~has_motifs(sets)
        if bare.any():
            msg = f"{sets.formulas[int(bare.argmax())]} has no motifs to remember; leave out materials without"
            raise ValueError(msg)
        answers = self._predict(sets, given, oxidation, symmetry, on_missing)
        informed = copy.copy(self)
        memory = Memory.of(answers.states, answers.shares, answers.true_rows)
        informed._memories = self._memories | {_Told.of(given, oxidation, symmetry): memory}
        return informed

    def nearest(
        self,
        material: MaterialSets | str,
        *,
        element: str | None = None,
        given: Given = "formula",
        symmetry: bool = False,
        n: int = 5,
        on_missing: OnMissing = "error",
    ) -> "pd.DataFrame":
        """List the remembered motifs that the network takes for most similar to those asked for.

        Parameters
        ----------
        material : MaterialSets or str
            Materials, or a formula. Where no oxidation state is told, what was remembered with ``oxidation="hidden"``
            is listed.
        element : str, optional
            The element asked for; by default as in `fill_mask`.
        given : {"formula", "others", "links"}
            As in `predict_geometry`.
        symmetry : bool, default False
            As in `predict_geometry`.
        n : int, default 5
            Motifs to list for each element.
        on_missing : {"error", "guess"}, default "error"
            As in `encode`.

        Returns
        -------
        DataFrame
            Columns material, element, oxidation; known (material), known_element, known_oxidation, geometry (that most
            of its motifs have) and cosine; nearest first for each material, element and oxidation state.

        Raises
        ------
        FormulaError
            If the text is no formula.
        NotFittedError
            If there is no network yet.
        TypeError
            If the material is neither.
        UnknownTokenError
            If an element was never learned and `on_missing` is "error".
        ValueError
            If nothing was remembered for such a question, the element is not there, or an option is unknown.
        """
        import pandas as pd

        self._check_fitted()
        check_count("n", n)
        sets = _sets_of(material)
        answers = self._predict(sets, given, "known", symmetry, on_missing, element)
        tables = []
        for hides in np.unique(answers.hides_oxidation).tolist():
            told = _Told.of(given, "hidden" if hides else "known", symmetry)
            if told not in self._memories:
                asked = ", ".join(f"{name}={value!r}" for name, value in told._asdict().items())
                msg = f"nothing was remembered for {asked}; call remember with these first"
                raise ValueError(msg)
            mine = np.flatnonzero(answers.hides_oxidation == hides)
            known = self._memories[told].listed(answers.states[mine], n)
            rows = np.repeat(mine, len(known) // len(mine))
            asked_for = answers.rows.loc[rows].reset_index(drop=True)
            tables.append(pd.concat([asked_for, known], axis=1).set_index(rows))
        return pd.concat(tables).sort_index(kind="stable").reset_index(drop=True)

    def attention(
        self,
        material: MaterialSets | str,
        *,
        layer: int = -1,
        head: int | None = None,
        on_missing: OnMissing = "error",
    ) -> "pd.DataFrame":
        """Tell how much each token of a material takes from which when it is read; nothing is hidden.

        Parameters
        ----------
        material : MaterialSets or str
            One material, or a formula.
        layer : int, default -1
            Which of the layers: 0 is the first, -1 the last.
        head : int, optional
            Which of the heads; by default their mean.
        on_missing : {"error", "guess"}, default "error"
            As in `encode`.

        Returns
        -------
        DataFrame, shape (n_tokens + 1, n_tokens + 1)
            Row: the token that reads; column: what it takes from. Both are named by the words of the tokens, the first
            is [CLS]. Rows sum to 1.

        Raises
        ------
        FormulaError
            If the text is no formula.
        NotFittedError
            If there is no network yet.
        TypeError
            If the material is neither.
        UnknownTokenError
            If an element was never learned and `on_missing` is "error".
        ValueError
            If there are several materials, or there is no such layer or head.

        See Also
        --------
        matembed.plots.attention_map : Draws it.
        """
        import pandas as pd

        self._check_fitted()
        sets = formula_sets([material]) if isinstance(material, str) else material
        _check_sets(sets)
        if len(sets) > 1:
            msg = f"wanted one material, got {len(sets)}; pass sets[i]"
            raise ValueError(msg)
        whole = _is_whole(layer) and (head is None or _is_whole(head))
        if not whole or not -self.n_layers <= layer < self.n_layers or not 0 <= (head or 0) < self.n_heads:
            there = f"there are {self.n_layers} layers of {self.n_heads} heads"
            msg = f"{there}, got layer={layer!r} and head={head!r}; pass whole numbers, counted from 0"
            raise ValueError(msg)
        self._check_seen(sets, on_missing)
        torch: Any = import_extra("torch", extra="transformer")
        tensors = hide(Index(sets), nothing_hidden(1)).tensors(torch, self.network_.device)
        with one_thread(torch), torch.inference_mode():
            weights = self.network_(**tensors, output_attentions=True).attentions[layer][0].float().cpu().numpy()
        names = ["[CLS]", *sets.describe(0)["words"]]
        return pd.DataFrame(weights.mean(axis=0) if head is None else weights[head], index=names, columns=names)

    def save_pretrained(self, folder: str | os.PathLike[str], *, half: bool = False, overwrite: bool = False) -> Path:
        """Write config.json, model.safetensors, tokenizer.json and README.md (the card), as model hubs keep them.

        ``transformers.AutoModel`` opens the folder once `matembed.encoders.set_transformer` is imported, and so do
        ``AutoConfig`` and ``AutoTokenizer``.

        Parameters
        ----------
        folder : path-like
            Folder to make. It appears whole or not at all.
        half : bool, default False
            Write 16-bit numbers, of 3 digits: half the size.
        overwrite : bool, default False
            Replace a model that is there.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        FileExistsError
            If something is there and `overwrite` is false.
        NotFittedError
            If there is no network yet.
        """
        self._check_fitted()
        from matembed.encoders.set_transformer import no_bars, word_tokenizer

        self.network_.config.card = self.card_.to_dict()
        saved = copy.deepcopy(self.network_).half() if half else self.network_
        with no_bars(), whole_folder(Path(folder), kind="MaskedLM", overwrite=overwrite) as partial:
            saved.save_pretrained(partial)
            word_tokenizer().save_pretrained(partial)
            (partial / "README.md").write_text(self.card_.to_markdown(), encoding="utf-8")
        return Path(folder)

    def push_to_hub(self, repo_id: str, *, half: bool = False, private: bool | None = None) -> str:
        """Upload what `save_pretrained` writes to the Hugging Face hub, in one commit.

        Parameters
        ----------
        repo_id : str
            Such as ``"someone/matembed-transformer"``; made if it is not there.
        half : bool, default False
            Upload 16-bit numbers.
        private : bool, optional
            Whether a repository that is made is private; by default as the hub has it.

        Returns
        -------
        str
            Address of the commit.

        Raises
        ------
        NotFittedError
            If there is no network yet.
        """
        with tempfile.TemporaryDirectory() as parent:
            folder = self.save_pretrained(Path(parent) / "model", half=half)
            return upload(folder, repo_id, what="MaskedLM", private=private)

    @classmethod
    def from_pretrained(cls, name: str | os.PathLike[str], *, device: Literal["cpu", "cuda", "auto"] = "cpu") -> Self:
        """Open what `save_pretrained` wrote, or a model that comes with the package.

        Parameters
        ----------
        name : path-like or str
            A folder; ``"crystals"`` or ``"crystals-large"``, models of the package, where no model is in a folder
            called so; or a name on the Hugging Face hub.
        device : {"cpu", "cuda", "auto"}
            Where to compute.

        Returns
        -------
        MaskedLM
            As it was saved, in 32-bit numbers.

        Raises
        ------
        OSError
            If there is no such folder or name.
        ValueError
            If it holds another model.
        """
        torch = import_extra("torch", extra="transformer")
        import_extra("transformers", extra="transformer")
        from matembed.encoders.set_transformer import SetTransformer, SetTransformerConfig, no_bars

        text, is_model = str(name), (Path(name) / "config.json").is_file()
        shipped = sorted(each.name for each in _BUNDLED.iterdir())
        if text in shipped and not is_model:
            with as_file(_BUNDLED / text) as folder:
                return cls.from_pretrained(folder, device=device)
        if not is_model and (Path(name).exists() or not _HUB_NAME.fullmatch(text)):
            what = "a folder without config.json" if Path(name).is_dir() else "no folder"
            known = ", ".join(shipped)
            msg = f"{text!r} is {what}, nor a model of the package ({known}); names on the hub are owner/name"
            raise OSError(msg)
        config = SetTransformerConfig.from_pretrained(name)
        if getattr(config, "type", None) != "MaskedLM" or config.n_words != len(WORDS.words):
            msg = f"{name} is no MaskedLM of this vocabulary ({len(WORDS.words)} words); write one with save_pretrained"
            raise ValueError(msg)
        card = Card.from_dict(config.card)
        names = {each.name for each in fields(cls) if each.init}
        settings = {key: value for key, value in card.settings.items() if key in names}
        model = cls(**settings | {"device": device})
        with no_bars():
            network = SetTransformer.from_pretrained(name, dtype=torch.float32)
        model.network_ = network.eval().to(choose_device(device, torch))
        model.card_, model.seen_, model.history_ = card, config.seen, config.history
        return model

    def _check(self) -> None:
        for name in ("dim", "n_layers", "n_heads", "feed_forward", "epochs", "batch_tokens"):
            check_count(name, getattr(self, name))
        if self.dim % self.n_heads:
            msg = f"dim must be a multiple of n_heads={self.n_heads}, got {self.dim}"
            raise ValueError(msg)
        check_count("seed", self.seed, least=0)
        check_number("learning_rate", self.learning_rate, positive=True)
        check_number("weight_decay", self.weight_decay)
        for name in ("dropout", "hide_oxidation", "drop_symmetry"):
            check_number(name, getattr(self, name))
            if getattr(self, name) > 1:
                msg = f"{name} must be a share from 0 to 1, got {getattr(self, name)}"
                raise ValueError(msg)
        if self.precision not in get_args(Precision):
            msg = f"precision must be one of {', '.join(get_args(Precision))}, got {self.precision!r}"
            raise ValueError(msg)
        if not isinstance(self.shares, Mapping):
            msg = f"shares must be a mapping of {', '.join(get_args(Objective))} to numbers, got {self.shares!r:.60}"
            raise ValueError(msg)
        if set(self.shares) != set(get_args(Objective)):
            msg = f"shares must be of {', '.join(get_args(Objective))}, got {', '.join(map(str, self.shares))}"
            raise ValueError(msg)
        for objective, share in self.shares.items():
            check_number(f"share of {objective!r}", share)
        if not sum(self.shares.values()):
            msg = "shares are all 0, so nothing would be hidden; make one of them larger"
            raise ValueError(msg)

    def _check_fitted(self) -> None:
        if not hasattr(self, "network_"):
            raise not_fitted(self)

    def _check_layer(self, layer: int) -> None:
        if not _is_whole(layer) or not -self.n_layers - 1 <= layer <= self.n_layers:
            msg = f"layer must be a whole number from {-self.n_layers - 1} to {self.n_layers}, got {layer!r}"
            raise ValueError(msg)

    def _unseen_words(self) -> NDArray[np.int64]:
        """List the words of elements that no material held in training, themselves or as ligands."""
        unseen = [symbol for symbol in SYMBOLS[1:] if symbol not in self.seen_["element"]]
        return np.array([WORDS.id(f"{part}{symbol}") for symbol in unseen for part in ("", "ligand ")], dtype=np.int64)

    def _check_seen(self, sets: MaterialSets, on_missing: OnMissing) -> None:
        if on_missing not in get_args(OnMissing):
            msg = f"on_missing must be one of {', '.join(get_args(OnMissing))}, got {on_missing!r}"
            raise ValueError(msg)
        missing = np.flatnonzero(np.isin(sets.words, self._unseen_words())) if on_missing == "error" else np.zeros(0)
        if not len(missing):
            return
        symbols = {WORDS.words[word].removeprefix("ligand ") for word in sets.words[missing]}
        elements = sorted(symbols, key=SYMBOLS.index)
        tokens = np.searchsorted(sets.word_starts, missing, side="right") - 1
        rows = np.unique(np.searchsorted(sets.token_starts, tokens, side="right") - 1)
        names = [sets.formulas[row] for row in rows[:3]]
        others = f" and {len(rows) - 3:,} more of {len(sets):,} materials" if len(rows) > 3 else ""
        msg = (
            f"no vector was learned for {', '.join(elements)} in {', '.join(names)}{others}; "
            f"{len(self.seen_['element'])} elements are known: leave such materials out, "
            'or pass on_missing="guess" for answers from random vectors'
        )
        raise UnknownTokenError(msg)

    def _read(
        self, index: Index, wanted: Wanted, *, layer: int = -1
    ) -> Iterator[tuple[NDArray[np.int64], Question, NDArray[np.float32], Any]]:
        """Yield, batch by batch, places in `wanted`, what was asked, states of a layer, and word scores (or None)."""
        torch: Any = import_extra("torch", extra="transformer")
        for asked in batches_of(index.lengths(wanted), self.batch_tokens):
            question = hide(index, wanted.take(asked))
            with one_thread(torch), torch.inference_mode():
                out = self.network_(**question.tensors(torch, self.network_.device), output_hidden_states=True)
            logits = None if out.logits is None else out.logits.cpu().numpy()
            yield asked, question, out.hidden_states[layer].cpu().numpy(), logits

    def _predict(
        self,
        sets: MaterialSets,
        given: Given,
        oxidation: str,
        symmetry: bool,
        on_missing: OnMissing,
        element: str | None = None,
    ) -> "_Answers":
        """Ask for every group with motifs."""
        import pandas as pd

        if given not in get_args(Given):
            msg = f"given must be one of {', '.join(get_args(Given))}, got {given!r}"
            raise ValueError(msg)
        if oxidation not in ("known", "hidden"):
            msg = f"oxidation must be 'known' or 'hidden', got {oxidation!r}"
            raise ValueError(msg)
        if element is not None and element not in SYMBOLS[1:]:
            msg = f"element must be a symbol such as 'Mn', got {element!r}"
            raise ValueError(msg)
        self._check_seen(sets, on_missing)
        bare = ~has_motifs(sets)
        if bare.any() and given != "formula":
            name = sets.formulas[int(bare.argmax())]
            msg = f"{name} has no motifs, so given={given!r} says no more than its formula; pass given='formula'"
            raise ValueError(msg)
        if bare.any():
            sets = with_unknown_motifs(sets, bare, element)
        index = Index(sets)
        if element is not None and WORDS.id(element) not in index.element[sets.kinds == MOTIF]:
            msg = f"no motif of {element} in {', '.join(sets.formulas)!r:.60}; choose another element or material"
            raise ValueError(msg)
        stateless = index.n_by_kind[:, SPECIES] == 0
        unknown = bare & stateless
        names_states = (unknown | (oxidation == "hidden")) & (given == "formula")
        stateless &= names_states
        stateless[stateless] = [not may_balance(amounts_of(sets.formulas[row])) for row in np.flatnonzero(stateless)]
        wanted = asking(index, given, hidden=unknown | (oxidation == "hidden"), symmetry=symmetry)
        found = []
        for asked, question, states, logits in self._read(index, wanted):
            group_rows, hides = question.group_rows, question.hides_oxidation
            n_groups = len(group_rows)
            material = wanted.rows[asked[group_rows]]
            true_states = question.group_oxidations.copy()
            shares_of_states = question.targets[1]
            known = shares_of_states.any(axis=1)
            true_states[hides] = np.where(known, STATE_WORDS[shares_of_states.argmax(axis=1)], NO_OXIDATION)
            oxidations, named = true_states.copy(), names_states[material]
            oxidations[named] = STATE_WORDS[logits[n_groups:, STATE_WORDS].argmax(axis=1)[named[hides]]]
            oxidations[stateless[material]] = NO_OXIDATION
            probabilities = _softmax(logits[:n_groups, GEOMETRY_WORDS])
            at = states[group_rows, 1 + question.ask[:n_groups] - question.token_starts[group_rows]]
            for told, memory in self._memories.items():
                mine = hides == (told.oxidation == "hidden")
                if _Told.of(given, told.oxidation, symmetry) == told and mine.any():
                    probabilities[mine] = memory.mixed(at[mine], probabilities[mine])
            names = question.group_elements, oxidations, true_states, hides
            found.append((material, *names, probabilities, at, question.targets[0]))
        material, elements, oxidations, true_states, hides, probabilities, at, shares = (
            np.concatenate(parts) for parts in zip(*found, strict=True)
        )
        order = np.lexsort((oxidations, elements, material))
        if element is not None:
            order = order[elements[order] == WORDS.id(element)]
        rows = pd.DataFrame(
            {
                "material": [sets.ids[idx] for idx in material[order]],
                "element": [WORDS.words[word] for word in elements[order]],
                "oxidation": _charges(oxidations[order]),
            }
        )
        true_rows = rows.assign(oxidation=_charges(true_states[order]))
        return _Answers(rows, true_rows, hides[order], probabilities[order], at[order], shares[order])

    def _static(self, bags: Mapping[str, Bag]) -> dict[str, NDArray[Any]]:
        """Sum the weighted vectors of words, by token."""
        words = self.network_.words.weight.detach().float().cpu().numpy()
        return {token: weights @ words[ids] for token, (ids, weights) in bags.items()}

    def _contextual(
        self, sets: MaterialSets, token_idx: NDArray[np.int64], texts: Sequence[str], layer: int
    ) -> dict[str, NDArray[Any]]:
        """Average the states at tokens, by token."""
        names = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        row_of_token = np.full(len(sets.kinds), -1)
        row_of_token[token_idx] = [names[text] for text in texts]
        sums, counts = np.zeros((len(names), self.dim)), np.zeros(len(names))
        for asked, _, states, _ in self._read(Index(sets), nothing_hidden(len(sets)), layer=layer):
            tokens, material = members(sets.token_starts, asked)
            place = np.arange(len(tokens)) - np.searchsorted(material, material) + 1
            rows = row_of_token[tokens]
            mine = rows >= 0
            np.add.at(sums, rows[mine], states[material[mine], place[mine]])
            counts += np.bincount(rows[mine], minlength=len(names))
        return {name: sums[row] / counts[row] for name, row in names.items()}


class _Told(NamedTuple):
    """What is told of a material beside its formula, when a memory is asked."""

    given: Given
    oxidation: str
    symmetry: bool

    @classmethod
    def of(cls, given: Given, oxidation: str, symmetry: bool) -> "_Told":
        """Tell no symmetry with a formula."""
        return cls(given, oxidation, symmetry and given != "formula")


class _Answers(NamedTuple):
    """Hidden groups of materials: their names, probabilities of geometries, states, and true shares of geometries."""

    rows: "pd.DataFrame"
    true_rows: "pd.DataFrame"  # the same, with the oxidation states that are known and none that is guessed
    hides_oxidation: NDArray[np.bool_]
    probabilities: NDArray[np.float32]
    states: NDArray[np.float32]
    shares: NDArray[np.float32]


def _sets_of(material: MaterialSets | str) -> MaterialSets:
    sets = formula_sets([material], oxidation="balanced", ids=[material]) if isinstance(material, str) else material
    _check_sets(sets)
    return sets


def _check_sets(sets: object) -> None:
    if not isinstance(sets, MaterialSets):
        msg = f"wanted MaterialSets, such as formula_sets(formulas) makes, got {type(sets).__name__}"
        raise TypeError(msg)
    if not len(sets):
        msg = "wanted one material or more, got none; nothing can be learned or told"
        raise ValueError(msg)


def _charges(words: NDArray[np.int64]) -> Any:
    """Read oxidation words as whole numbers, NA where a state is not known."""
    import pandas as pd

    return pd.array([charge_of(word) for word in words], dtype="Int64")


def _is_whole(number: object) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool)


def _softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
