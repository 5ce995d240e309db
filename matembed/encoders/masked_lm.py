"""MaskedLM: a transformer that reads materials as sets, trained to tell what was hidden from it."""

import copy
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from matembed._optional import import_extra
from matembed.cards import Card
from matembed.corpus.material_sets import MaterialSets
from matembed.corpus.set_building import formula_sets
from matembed.corpus.set_words import WORDS
from matembed.elements import SYMBOLS
from matembed.embeddings import EmbeddingTable
from matembed.encoders._bags import bag_of, count_materials, tokens_of
from matembed.encoders._hidden_answers import Answers, Told, answer_hidden
from matembed.encoders._masking import GEOMETRY_WORDS, Given, Objective, has_motifs
from matembed.encoders._memory import Memory
from matembed.encoders._model_folders import open_model, push_model, write_model
from matembed.encoders._seen_elements import OnMissing, check_seen, unseen_words
from matembed.encoders._states import attention_weights, material_states, sum_words, token_states
from matembed.encoders._training import (
    check_count,
    check_number,
    choose_device,
    not_fitted,
    one_thread,
    single_precision,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Given", "MaskedLM", "Objective"]

Precision = Literal["auto", "float32", "bfloat16"]

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
    _memories: dict[Told, Memory] = field(init=False, repr=False, default_factory=dict)
    _opened: bool = field(init=False, repr=False, default=False)  # from_pretrained gave the weights
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
        """Train on materials, from the beginning or from `start` on.

        Without `start` the model forgets what it knew before, as estimators of scikit-learn do. To go on from weights
        that `from_pretrained` opened, pass the model itself: ``model.fit(sets, start=model)``.

        Parameters
        ----------
        sets : MaterialSets
            What to learn from.
        validation : MaterialSets, optional
            Materials to report losses of after each epoch; nothing is learned from them.
        start : MaskedLM, optional
            A fitted one of the same size to go on from, which is left as it is if it is another than this: what was
            learned from many materials is kept for a few, such as those whose motifs another program found.
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

        Warns
        -----
        UserWarning
            If `from_pretrained` opened the model and there is no `start`: its weights are not used.
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
        if self._opened and start is None:
            msg = (
                "the weights that from_pretrained opened are not used, training starts from random ones; "
                "to go on from them, pass start: model.fit(sets, start=model)"
            )
            warnings.warn(msg, stacklevel=2)
        from matembed.encoders._mlm_training import Training

        device = accelerator.device if accelerator else choose_device(self.device, torch)
        with (
            one_thread(torch),
            single_precision(torch),
            torch.inference_mode(mode=False),
            torch.enable_grad(),
            torch.random.fork_rng(devices=[torch.cuda.current_device()] if device.type == "cuda" else []),
        ):
            Training(self, sets, validation, start, device, accelerator).run(checkpoint)
        self._memories, self._opened = {}, False
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
            vectors = sum_words(self.network_, {token: bag_of(token, kind) for token in counts})
        else:
            _check_sets(materials)
            token_idx, texts, bags = tokens_of(materials, kind)
            unseen = unseen_words(self.seen_["element"])
            counts = count_materials(materials, token_idx, texts)
            counts = {token: count for token, count in counts.items() if not np.isin(bags[token][0], unseen).any()}
            if contextual:
                vectors = token_states(
                    self.network_, materials, token_idx, texts, batch_tokens=self.batch_tokens, layer=layer
                )
            else:
                vectors = sum_words(self.network_, bags)
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
        check_seen(self.seen_["element"], materials, on_missing)
        return material_states(self.network_, materials, batch_tokens=self.batch_tokens, layer=layer, pooling=pooling)

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
        answers = self._answer(sets, given, oxidation, symmetry, on_missing)
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
            known, each element but the most electronegative, for which none is guessed.
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
        answers = self._answer(sets, given, "known", symmetry, on_missing, element)
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
        answers = self._answer(sets, given, oxidation, symmetry, on_missing)
        informed = copy.copy(self)
        memory = Memory.of(answers.states, answers.shares, answers.true_rows)
        informed._memories = self._memories | {Told.of(given, oxidation, symmetry): memory}
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
        answers = self._answer(sets, given, "known", symmetry, on_missing, element)
        tables = []
        for hides in np.unique(answers.hides_oxidation).tolist():
            told = Told.of(given, "hidden" if hides else "known", symmetry)
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
            One material, or a formula, of which elements and amounts alone are read; for its oxidation states too, pass
            ``formula_sets([formula], oxidation="balanced")``.
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
        self._check_fitted()
        sets = _sets_of(material, oxidation="unknown")
        if len(sets) > 1:
            msg = f"wanted one material, got {len(sets)}; pass sets[i]"
            raise ValueError(msg)
        whole = _is_whole(layer) and (head is None or _is_whole(head))
        if not whole or not -self.n_layers <= layer < self.n_layers or not 0 <= (head or 0) < self.n_heads:
            there = f"there are {self.n_layers} layers of {self.n_heads} heads"
            msg = f"{there}, got layer={layer!r} and head={head!r}; pass whole numbers, counted from 0"
            raise ValueError(msg)
        check_seen(self.seen_["element"], sets, on_missing)
        return attention_weights(self.network_, sets, layer=layer, head=head)

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
        return write_model(self.network_, self.card_, folder, half=half, overwrite=overwrite)

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
        self._check_fitted()
        return push_model(self.network_, self.card_, repo_id, half=half, private=private)

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
            If it holds another model, or not all of one.
        """
        kept = open_model(name, device=device)
        names = {each.name for each in fields(cls) if each.init}
        settings = {key: value for key, value in kept.card.settings.items() if key in names}
        model = cls(**settings | {"device": device})
        model.network_, model.card_, model.seen_, model.history_ = kept
        model._opened = True
        for size in _SIZES:
            built, told = getattr(model.network_.config, size), getattr(model, size)
            if built != told:
                msg = f"{name}: config.json tells of {size}={built}, the card in it of {told}; write it anew"
                raise ValueError(msg)
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

    def _answer(
        self,
        sets: MaterialSets,
        given: Given,
        oxidation: str,
        symmetry: bool,
        on_missing: OnMissing,
        element: str | None = None,
    ) -> Answers:
        """Ask for hidden geometries, if the question makes sense."""
        if given not in get_args(Given):
            msg = f"given must be one of {', '.join(get_args(Given))}, got {given!r}"
            raise ValueError(msg)
        if oxidation not in ("known", "hidden"):
            msg = f"oxidation must be 'known' or 'hidden', got {oxidation!r}"
            raise ValueError(msg)
        if element is not None and element not in SYMBOLS[1:]:
            msg = f"element must be a symbol such as 'Mn', got {element!r}"
            raise ValueError(msg)
        check_seen(self.seen_["element"], sets, on_missing)
        told = Told.of(given, oxidation, symmetry)
        return answer_hidden(self.network_, sets, told, self._memories, batch_tokens=self.batch_tokens, element=element)


def _sets_of(material: MaterialSets | str, oxidation: Literal["unknown", "balanced"] = "balanced") -> MaterialSets:
    sets = formula_sets([material], oxidation=oxidation, ids=[material]) if isinstance(material, str) else material
    _check_sets(sets, wanted="a formula or MaterialSets")
    return sets


def _check_sets(sets: object, *, wanted: str = "MaterialSets") -> None:
    if not isinstance(sets, MaterialSets):
        made = "formula_sets(formulas) or structure_sets(structures)"
        msg = f"wanted {wanted}, such as {made} makes, got {type(sets).__name__}"
        raise TypeError(msg)
    if not len(sets):
        msg = "wanted one material or more, got none; nothing can be learned or told"
        raise ValueError(msg)


def _is_whole(number: object) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool)
