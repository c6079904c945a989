"""Models of language: what they are made of, how they are measured, and how they write.

A text is an array of tokens. Two kinds of model predict the next one: :class:`NGram`
counts, and a network ``Sequential(Embedding, LSTM, Linear)`` carries a state. Both are
measured by :func:`bits_per_token` and write by :func:`sample`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from scipy.special import log_softmax, softmax

from companion._validation import (
    FloatArray,
    IntArray,
    Seed,
    float_array,
    float_dtype,
    generator,
    integer,
    real,
)
from companion.network.layers import Layer, Sequential
from companion.network.losses import cross_entropy, cross_entropy_gradient
from companion.recurrence.rnn import RecurrentLayer


class Embedding(Layer):
    """A table with one row of numbers for each token.

    The same as a linear layer on one-hot vectors, without the products with zero.

    Parameters
    ----------
    num_embeddings : int
        Number of tokens.
    embedding_dim : int
        Numbers in a row.
    padding_idx : int, optional
        Token whose row is zero and is not trained.
    rng : Generator or int
        For the starting values, normal with variance 1 as in PyTorch.
    dtype : float64 or float32

    Raises
    ------
    ValueError
        If a size is below 1 or `padding_idx` is no token.

    Examples
    --------
    >>> layer = Embedding(10, 4, padding_idx=0, rng=0)
    >>> layer([[3, 1], [0, 2], [0, 0]]).shape
    (3, 2, 4)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        padding_idx: int | None = None,
        rng: Seed,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__()
        self.num_embeddings = integer("num_embeddings", num_embeddings)
        self.embedding_dim = integer("embedding_dim", embedding_dim)
        self.padding_idx = padding_idx
        shape = (self.num_embeddings, self.embedding_dim)
        weight = generator("rng", rng).normal(size=shape).astype(float_dtype("dtype", dtype))
        if padding_idx is not None:
            if integer("padding_idx", padding_idx, minimum=0) >= self.num_embeddings:
                raise ValueError(
                    f"padding_idx must be below {self.num_embeddings}, got {padding_idx}"
                )
            weight[padding_idx] = 0.0
        self._parameters["weight"] = weight

    @property
    def weight(self) -> FloatArray:
        """The table, shape (num_embeddings, embedding_dim)."""
        return self._parameters["weight"]

    def forward(self, x: ArrayLike) -> FloatArray:
        """Return the row of each token.

        Parameters
        ----------
        x : array_like of int, any shape
            Tokens; whole numbers stored as floats are accepted, because the
            layers before may have made them so.

        Returns
        -------
        ndarray, shape (*x.shape, embedding_dim)

        Raises
        ------
        TypeError
            If `x` does not hold whole numbers.
        ValueError
            If a token is not in 0 .. num_embeddings - 1.
        """
        self._tokens = tokens("x", x, self.num_embeddings)
        return np.asarray(self.weight[self._tokens])

    def backward(self, grad_output: ArrayLike) -> FloatArray:
        """Store the gradient of the table; tokens have none, so zeros come back.

        Parameters
        ----------
        grad_output : array_like, shape of the last output

        Returns
        -------
        ndarray of zeros, shape of the last input
        """
        seen = self._remembered("_tokens")
        grad = float_array("grad_output", grad_output, shape=(*seen.shape, self.embedding_dim))
        rows = grad.reshape(-1, self.embedding_dim).astype(self.weight.dtype, copy=False)
        total = np.zeros_like(self.weight)
        np.add.at(total, seen.reshape(-1), rows)  # a token that occurs twice counts twice
        if self.padding_idx is not None:
            total[self.padding_idx] = 0.0
        self._gradients["weight"] = total
        return np.zeros(seen.shape, dtype=self.weight.dtype)

    def __repr__(self) -> str:
        """Return the sizes."""
        return f"Embedding({self.num_embeddings}, {self.embedding_dim})"


class SequenceCrossEntropyLoss:
    """Mean cross-entropy over the steps of sequences, for the training loop.

    Parameters
    ----------
    ignore_index : int, optional
        Label of the steps that do not count, such as padding.

    Raises
    ------
    ValueError
        From ``forward``, if shapes do not fit or no step counts.

    Examples
    --------
    >>> loss = SequenceCrossEntropyLoss(ignore_index=0)
    >>> logits = np.zeros((3, 2, 4))  # three steps of two sequences, four classes
    >>> round(loss.forward(logits, [[1, 2, 3], [1, 0, 0]]), 4)
    1.3863
    """

    def __init__(self, *, ignore_index: int | None = None) -> None:
        self.ignore_index = (
            None if ignore_index is None else integer("ignore_index", ignore_index, minimum=0)
        )

    def forward(self, prediction: ArrayLike, target: ArrayLike) -> float:
        """Return the loss of logits (T, N, K) for labels (N, T), one sequence a row."""
        logits = float_array("prediction", prediction, ndim=3)
        steps, n, _ = logits.shape
        wanted = np.asarray(target)
        if wanted.shape != (n, steps):
            raise ValueError(f"target must have shape ({n}, {steps}), got {wanted.shape}")
        counts = np.full((steps, n), True)
        if self.ignore_index is not None:
            counts = np.asarray(self.ignore_index != wanted.T)
            if not counts.any():
                raise ValueError(
                    f"target must have a label other than {self.ignore_index}, got none"
                )
        rows, labels = logits[counts], wanted.T[counts]
        self._gradient = np.zeros_like(logits)
        self._gradient[counts] = cross_entropy_gradient(rows, labels)
        return cross_entropy(rows, labels)

    def backward(self) -> FloatArray:
        """Return the gradient with respect to the last logits, shape (T, N, K)."""
        if not hasattr(self, "_gradient"):
            raise RuntimeError("SequenceCrossEntropyLoss.backward was called before forward")
        return self._gradient


def tokens(name: str, value: ArrayLike, size: int) -> IntArray:
    """Return tokens as integers in 0 .. size - 1, or say what is wrong with them.

    Parameters
    ----------
    name : str
        What the error message calls them.
    value : array_like
        Whole numbers.
    size : int
        Number of tokens.

    Returns
    -------
    ndarray of int, shape of `value`

    Raises
    ------
    TypeError
        If `value` does not hold whole numbers.
    ValueError
        If a token is out of range.

    Examples
    --------
    >>> tokens("x", [0.0, 2.0], 3)
    array([0, 2])
    """
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or (array.dtype.kind == "f" and (array % 1 != 0).any()):
        raise TypeError(f"{name} must hold whole numbers, got dtype {array.dtype}")
    if array.size and (array.min() < 0 or array.max() >= size):
        raise ValueError(
            f"{name} must lie in 0..{size - 1}, got values from {array.min():g} to {array.max():g}"
        )
    return array.astype(np.intp)


class NGram:
    r"""A model that counts which token followed which few tokens before it.

    Implements :eq:`eq-witten-bell`: the counts of the longest context are mixed with
    the model of the next shorter one, down to the even distribution over all tokens.
    The share of the shorter context follows Witten & Bell (IEEE Transactions on
    Information Theory 37, 1991, their method C): it grows with the number of
    different tokens that followed the context.

    Parameters
    ----------
    order : int
        Tokens in the longest run that is counted; the context is one shorter. 1 looks
        at no context.
    size : int
        Number of different tokens.

    Raises
    ------
    ValueError
        If an argument is below 1, or ``size ** order`` exceeds what an int64 holds.

    Examples
    --------
    >>> model = NGram(2, 3).fit([0, 1, 0, 1, 0, 2])
    >>> model.probabilities([0]).round(3)  # what follows a 0
    array([0.178, 0.533, 0.289])
    """

    def __init__(self, order: int, size: int) -> None:
        self.order, self.size = integer("order", order), integer("size", size)
        if self.size**self.order > np.iinfo(np.int64).max:
            raise ValueError(f"order must be smaller for {self.size} tokens, got {self.order}")

    def fit(self, text: ArrayLike) -> Self:
        """Count the runs of all lengths up to the order, and return self.

        Parameters
        ----------
        text : array_like of int, shape (T,)
            At least as many tokens as the order.

        Returns
        -------
        NGram
        """
        numbers = _text(text, self.size, at_least=self.order)
        self._tables: list[tuple[IntArray, IntArray, IntArray, IntArray, IntArray]] = []
        codes = np.zeros(len(numbers) + 1, dtype=np.int64)
        for k in range(1, self.order + 1):
            # A run of k tokens is one number in base `size`, its last token the last digit.
            codes = codes[:-1] * self.size + numbers[k - 1 :]
            runs, counts = np.unique(codes, return_counts=True)
            contexts, first, types = np.unique(
                runs // self.size, return_index=True, return_counts=True
            )
            self._tables.append((runs, counts, contexts, np.add.reduceat(counts, first), types))
        return self

    @property
    def num_runs(self) -> int:
        """How many different runs of the full order were counted."""
        return len(self._fitted()[-1][0])

    def log2_probabilities(self, text: ArrayLike) -> FloatArray:
        """Return the logarithm of the probability of each token but the first.

        Parameters
        ----------
        text : array_like of int, shape (T,)
            At least two tokens. Near its start the context is shorter.

        Returns
        -------
        ndarray, shape (T - 1,)
            Base 2; entry t is for token t + 1 after tokens 0 .. t.
        """
        self._fitted()
        numbers = _text(text, self.size, at_least=2)
        p = np.full(len(numbers), 1.0 / self.size)
        codes = np.zeros(len(numbers) + 1, dtype=np.int64)
        for k in range(1, min(self.order, len(numbers)) + 1):
            codes = codes[:-1] * self.size + numbers[k - 1 :]
            p[k - 1 :] = self._mixed(k, codes, p[k - 1 :])
        return np.asarray(np.log2(p[1:]))

    def probabilities(self, context: ArrayLike) -> FloatArray:
        """Return the distribution of the token after a context.

        Parameters
        ----------
        context : array_like of int, shape (T,)
            May be empty. Only its last ``order - 1`` tokens count.

        Returns
        -------
        ndarray, shape (size,)
        """
        self._fitted()
        numbers = _text(context, self.size, at_least=0)
        p = np.full(self.size, 1.0 / self.size)
        code = 0
        for k in range(1, min(self.order, len(numbers) + 1) + 1):
            if k > 1:
                code += int(numbers[-(k - 1)]) * self.size ** (k - 2)
            p = self._mixed(k, code * self.size + np.arange(self.size), p)
        return p

    def _mixed(self, k: int, codes: IntArray, shorter: FloatArray) -> FloatArray:
        """Return the probabilities by runs of k tokens, given those by shorter runs."""
        runs, counts, contexts, totals, types = self._fitted()[k - 1]
        count = _looked_up(codes, runs, counts)
        total = _looked_up(codes // self.size, contexts, totals)
        different = _looked_up(codes // self.size, contexts, types)
        weight = np.maximum(total + different, 1)
        mixed = (count + different * shorter) / weight
        return np.asarray(np.where(total > 0, mixed, shorter))

    def _fitted(self) -> list[tuple[IntArray, IntArray, IntArray, IntArray, IntArray]]:
        if not hasattr(self, "_tables"):
            raise RuntimeError("NGram must be fitted first: call fit(text)")
        return self._tables

    def __repr__(self) -> str:
        """Return the order and the number of tokens."""
        return f"NGram({self.order}, {self.size})"


def _looked_up(codes: IntArray, keys: IntArray, values: IntArray) -> IntArray:
    """Return the value of each code, 0 for those that are no key; `keys` is sorted."""
    at = np.minimum(np.searchsorted(keys, codes), len(keys) - 1)
    return np.where(keys[at] == codes, values[at], 0)


def _text(value: ArrayLike, size: int, *, at_least: int) -> IntArray:
    array = np.asarray(value)
    if array.ndim != 1 or len(array) < at_least:
        raise ValueError(
            f"text must have 1 axis and at least {at_least} tokens, got shape {array.shape}"
        )
    # An empty list arrives as floats, so that tokens takes it too.
    return tokens("text", array, size)


def windows(
    text: ArrayLike, length: int, *, stride: int | None = None
) -> tuple[IntArray, IntArray]:
    """Cut a text into sequences, and the same one token later: what is to be predicted.

    Parameters
    ----------
    text : array_like of int, shape (T,)
        More than `length` tokens.
    length : int
        Tokens in a sequence.
    stride : int, optional
        From the start of one sequence to that of the next; `length` without it.

    Returns
    -------
    x : ndarray of int, shape (length, N)
        One sequence a column, for a recurrent layer.
    y : ndarray of int, shape (N, length)
        One sequence a row, for :class:`SequenceCrossEntropyLoss`. What does not fill a
        sequence at the end of the text is left out.

    Raises
    ------
    ValueError
        If the text is too short.

    Examples
    --------
    >>> x, y = windows([0, 1, 2, 3, 4, 5, 6], 3)
    >>> x.T
    array([[0, 1, 2],
           [3, 4, 5]])
    >>> y
    array([[1, 2, 3],
           [4, 5, 6]])
    """
    step = integer("length", length) if stride is None else integer("stride", stride)
    numbers = np.asarray(text)
    if numbers.ndim != 1 or len(numbers) <= integer("length", length):
        raise ValueError(
            f"text must have 1 axis and more than {length} tokens, got shape {numbers.shape}"
        )
    rows = _tokens_of_text(numbers, at_least=1)
    cut = np.lib.stride_tricks.sliding_window_view(rows, length + 1)[::step]
    return cut[:, :-1].T.copy(), cut[:, 1:].copy()


def log2_probabilities(
    model: Sequential | NGram, text: ArrayLike, *, window: int = 256, carry: bool = True
) -> FloatArray:
    """Return the logarithm of the probability that a model gives each token but the first.

    Parameters
    ----------
    model : Sequential or NGram
        A network from tokens (T, N) to logits (T, N, K).
    text : array_like of int, shape (T,)
        At least two tokens.
    window : int, default 256
        How many tokens the network reads at once.
    carry : bool, default True
        Whether a window starts from the state in which the one before it ended; then
        the result does not depend on `window`. Otherwise it starts from zeros. Neither
        argument concerns an :class:`NGram`.

    Returns
    -------
    ndarray, shape (T - 1,)
        Base 2; entry t is for token t + 1 after tokens 0 .. t.

    Raises
    ------
    TypeError
        If `model` is neither, or reads in both directions: it would see what it is to
        predict.
    ValueError
        If the text is too short or the model does not know a token.

    Examples
    --------
    >>> log2_probabilities(NGram(1, 2).fit([0, 1]), [0, 1, 1])
    array([-1., -1.])
    """
    if isinstance(model, NGram):
        return model.log2_probabilities(text)
    numbers = _tokens_of_text(text, at_least=2)
    found = np.empty(len(numbers) - 1)
    for start, logits in _outputs(model, numbers[:-1], window, carry=carry):
        after = numbers[start + 1 : start + 1 + len(logits)]
        if after.max() >= logits.shape[1]:
            raise ValueError(f"text must hold tokens below {logits.shape[1]}, got {after.max()}")
        log_p = log_softmax(logits.astype(np.float64), axis=1)
        found[start : start + len(logits)] = np.take_along_axis(log_p, after[:, None], 1)[:, 0]
    return np.asarray(found / np.log(2.0))


def bits_per_token(
    model: Sequential | NGram, text: ArrayLike, *, window: int = 256, carry: bool = True
) -> float:
    """Return how many bits a model needs for a token of a text, on average.

    Implements :eq:`eq-bits`. The first token is given: nothing comes before it.

    Parameters
    ----------
    model, text, window, carry
        As in :func:`log2_probabilities`.

    Returns
    -------
    float
        The perplexity is 2 to its power.

    Examples
    --------
    >>> bits_per_token(NGram(1, 4).fit([0, 1, 2, 3]), [0, 3, 1])
    2.0
    """
    return float(-log2_probabilities(model, text, window=window, carry=carry).mean())


def state_trace(model: Sequential, text: ArrayLike, *, window: int = 256) -> dict[str, FloatArray]:
    """Return the states and gates of a network's recurrent layer while it reads a text.

    Parameters
    ----------
    model : Sequential
        With one recurrent layer, of one layer and one direction.
    text : array_like of int, shape (T,)
    window : int, default 256
        How many tokens it reads at once; the state is carried over.

    Returns
    -------
    dict of str to ndarray, shape (T, hidden_size)
        After each token; names as in ``RecurrentLayer.activations``.

    Raises
    ------
    TypeError
        If the model is no such network.

    Examples
    --------
    >>> from companion.network import Linear
    >>> from companion.recurrence import LSTM
    >>> model = Sequential(Embedding(5, 3, rng=0), LSTM(3, 4, rng=0), Linear(4, 5, rng=0))
    >>> state_trace(model, [0, 1, 4])["c"].shape
    (3, 4)
    """
    layers = _recurrent_layers(model)
    if len(layers) != 1 or layers[0].num_layers != 1:
        raise TypeError(f"model must have one recurrent layer, got {model!r}")
    parts = []
    for _ in _outputs(model, _tokens_of_text(text, at_least=1), window, carry=True):
        parts.append({name: a[:, 0] for name, a in layers[0].activations().items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def temper(logits: ArrayLike, temperature: float = 1.0, *, top_k: int | None = None) -> FloatArray:
    r"""Return probabilities that are sharper or flatter than a model's own.

    Implements :eq:`eq-temperature` (Ackley, Hinton & Sejnowski, Cognitive Science 9,
    1985, for the name).

    Parameters
    ----------
    logits : array_like, shape (..., K)
        Logits or logarithms of probabilities; minus infinity stands for impossible.
    temperature : float, default 1
        Below 1 the likely becomes likelier. At 0 the largest logit, the first of equal
        ones, has probability 1.
    top_k : int, optional
        Give all but the `top_k` largest logits probability 0 (Fan, Lewis & Dauphin,
        ACL 2018).

    Returns
    -------
    ndarray, shape (..., K)

    Raises
    ------
    ValueError
        If the temperature is negative, `top_k` is below 1, or there is no logit.

    Examples
    --------
    >>> temper(np.log([0.1, 0.3, 0.6]), 0.5).round(3)
    array([0.022, 0.196, 0.783])
    >>> temper(np.log([0.1, 0.3, 0.6]), top_k=2).round(3)
    array([0.   , 0.333, 0.667])
    """
    z = float_array("logits", logits, min_ndim=1)
    if z.shape[-1] == 0 or not np.isfinite(z.max(axis=-1)).all() or np.isnan(z).any():
        raise ValueError("logits must have a finite largest entry in each row, and no NaN")
    heat = real("temperature", temperature, minimum=0.0)
    kept = z.shape[-1] if top_k is None else min(integer("top_k", top_k), z.shape[-1])
    if heat == 0.0:
        kept = 1
    # A stable sort of the negatives keeps the first of equal logits, as argmax does.
    chosen = np.argsort(-z, axis=-1, kind="stable")[..., :kept]
    below = np.take_along_axis(z, chosen, axis=-1).astype(np.float64)
    shifted = np.full(z.shape, -np.inf)
    with np.errstate(over="ignore"):  # a tiny temperature makes minus infinity, which is meant
        below = (below - below[..., :1]) / (heat or 1.0)
    np.put_along_axis(shifted, chosen, below, axis=-1)
    return np.asarray(softmax(shifted, axis=-1), dtype=z.dtype)


def next_token_probabilities(
    model: Sequential | NGram,
    prompt: ArrayLike,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
) -> FloatArray:
    """Return the distribution of the token after a prompt.

    Parameters
    ----------
    model : Sequential or NGram
    prompt : array_like of int, shape (T,)
        At least one token.
    temperature, top_k
        As in :func:`temper`.

    Returns
    -------
    ndarray, shape (K,)

    Examples
    --------
    >>> model = NGram(1, 2).fit([0, 0, 1])
    >>> next_token_probabilities(model, [1], temperature=0)
    array([1., 0.])
    """
    _, logits = _after(model, _tokens_of_text(prompt, at_least=1), None)
    return temper(logits, temperature, top_k=top_k)


def sample(
    model: Sequential | NGram,
    prompt: ArrayLike,
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    rng: Seed,
) -> IntArray:
    """Let a model go on with a text: draw a token, read it, draw the next.

    Parameters
    ----------
    model : Sequential or NGram
    prompt : array_like of int, shape (T,)
        At least one token to read first.
    length : int
        Tokens to draw.
    temperature, top_k
        As in :func:`temper`; a temperature of 0 always takes the likeliest token.
    rng : Generator or int

    Returns
    -------
    ndarray of int, shape (length,)
        Without the prompt.

    Raises
    ------
    TypeError, ValueError
        As in :func:`log2_probabilities` and :func:`temper`.

    Examples
    --------
    >>> model = NGram(2, 3).fit([0, 1, 2] * 20)
    >>> sample(model, [0], 5, temperature=0, rng=0)
    array([1, 2, 0, 1, 2])
    """
    text = list(_tokens_of_text(prompt, at_least=1))
    start = len(text)
    random = generator("rng", rng)
    unread, states = text, None
    for _ in range(integer("length", length, minimum=0)):
        # A network has read the rest already: its state stands for it. Counting reads anew.
        states, logits = _after(model, np.array(unread), states)
        p = temper(logits, temperature, top_k=top_k)
        text.append(int(random.choice(len(p), p=p)))
        unread = text if isinstance(model, NGram) else text[-1:]
    return np.array(text[start:], dtype=np.int64)


def _after(
    model: Sequential | NGram, text: IntArray, states: list[Any] | None
) -> tuple[list[Any] | None, FloatArray]:
    """Return the states after a text, and the logits of the token that follows, as float64."""
    if isinstance(model, NGram):
        return None, np.log(model.probabilities(text))
    start = [None] * len(_recurrent_layers(model)) if states is None else states
    logits, after = _carried(model, text[:, None], start)
    return after, logits[-1, 0].astype(np.float64)


def _outputs(
    model: Sequential, text: IntArray, window: int, *, carry: bool
) -> Iterator[tuple[int, FloatArray]]:
    """Yield where each window starts, and its logits, shape (steps, K)."""
    nothing = [None] * len(_recurrent_layers(model))
    states: list[Any] = nothing
    for start in range(0, len(text), integer("window", window)):
        part = text[start : start + window, None]
        logits, after = _carried(model, part, states)
        states = after if carry else nothing
        yield start, logits[:, 0]


def _carried(model: Sequential, x: IntArray, states: list[Any]) -> tuple[FloatArray, list[Any]]:
    """Return the outputs of a network that starts in these states, and the states after."""
    before, after = iter(states), []
    training = model.training
    model.eval()
    try:
        out: Any = x
        for layer in model:
            if isinstance(layer, RecurrentLayer):
                out = layer.forward(out, next(before))
                after.append(layer.state)
            else:
                out = layer.forward(out)
    finally:
        model.train(training)
    return out, after


def _recurrent_layers(model: Sequential) -> list[RecurrentLayer]:
    if not isinstance(model, Sequential):
        raise TypeError(f"model must be a Sequential or an NGram, got {type(model).__name__}")
    layers = [layer for layer in model if isinstance(layer, RecurrentLayer)]
    if any(layer.bidirectional for layer in layers):
        raise TypeError("model must read in one direction, got a bidirectional layer")
    return layers


def _tokens_of_text(value: ArrayLike, *, at_least: int) -> IntArray:
    """Return a text as integers; which ones there are is known to the model."""
    array = np.asarray(value)
    largest = array.max() if array.size and array.dtype.kind in "iuf" else 0
    return _text(array, int(np.nan_to_num(largest)) + 1, at_least=at_least)
