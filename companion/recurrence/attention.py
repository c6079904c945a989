"""Attention: encoder and decoder, search for a text, and a choice among sentences."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from companion._validation import (
    FloatArray,
    IntArray,
    Seed,
    choice,
    float_array,
    float_dtype,
    generator,
    integer,
    real,
)
from companion.network import initialisers
from companion.network.activations import log_softmax, softmax
from companion.network.layers import Layer, Linear
from companion.recurrence.language import Embedding, tokens
from companion.recurrence.lstm import GRU
from companion.recurrence.rnn import RecurrentLayer, States

PAD, START, END = 0, 1, 2
"""Tokens that every translation has, namely the filling, the first and the last."""
_KINDS = ("dot", "additive")
# The score of a sentence that is not there: finite, so that no loss becomes NaN.
_ABSENT = -1e9


def dot_product_attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    scale: float | None = None,
) -> tuple[FloatArray, FloatArray]:
    r"""Return the values, averaged by how well their keys fit each query.

    Implements :eq:`eq-attention` (Vaswani et al., NeurIPS 2017; without the scale
    Luong, Pham & Manning, EMNLP 2015).

    Parameters
    ----------
    query : array_like of float, shape (..., T, D)
        One query a row.
    key : array_like of float, shape (..., S, D)
    value : array_like of float, shape (..., S, E)
        The axes before the last two must be the same for all three.
    mask : array_like of bool, shape (..., T, S), optional
        True where a query may look, as in PyTorch; axes of length 1 are
        stretched. The others get a weight of exactly zero.
    scale : float, default 1 / sqrt(D)
        Factor of the dot products.

    Returns
    -------
    output : ndarray, shape (..., T, E)
    weights : ndarray, shape (..., T, S)
        Not negative, one in sum for each query.

    Raises
    ------
    ValueError
        If shapes do not fit, or a query may look nowhere.
    TypeError
        If the mask is not of type bool.

    Examples
    --------
    >>> values = [[10.0], [20.0]]
    >>> output, weights = dot_product_attention([[2.0, 0.0]], np.eye(2), values, scale=1.0)
    >>> weights.round(2), output.round(2)
    (array([[0.88, 0.12]]), array([[11.19]]))
    """
    q, k, v, factor = _attention_inputs(query, key, value, scale)
    scores = factor * (q @ k.swapaxes(-1, -2))
    weights = softmax(_masked(scores, mask))
    return np.asarray(weights @ v), weights


def dot_product_attention_backward(
    grad_output: ArrayLike,
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    weights: ArrayLike,
    *,
    scale: float | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    r"""Return the gradients of :func:`dot_product_attention`.

    Implements :eq:`eq-attention-backward`. A mask is not needed here: where the
    weight is zero, no gradient passes.

    Parameters
    ----------
    grad_output : array_like, shape (..., T, E)
        Gradient of the loss with respect to the output.
    query, key, value, scale
        As in the forward pass.
    weights : array_like, shape (..., T, S)
        What the forward pass returned.

    Returns
    -------
    grad_query, grad_key, grad_value : ndarray
        Of the shapes of `query`, `key` and `value`.

    Raises
    ------
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> query, memory = np.ones((1, 2)), np.eye(2)
    >>> output, weights = dot_product_attention(query, memory, memory)
    >>> grads = dot_product_attention_backward([[1.0, 0.0]], query, memory, memory, weights)
    >>> grads[2]
    array([[0.5, 0. ],
           [0.5, 0. ]])
    """
    q, k, v, factor = _attention_inputs(query, key, value, scale)
    w = float_array("weights", weights, shape=(*q.shape[:-1], k.shape[-2]))
    grad = float_array("grad_output", grad_output, shape=(*q.shape[:-1], v.shape[-1]))
    grad_scores = factor * _softmax_backward(grad @ v.swapaxes(-1, -2), w)
    return (
        np.asarray(grad_scores @ k),
        np.asarray(grad_scores.swapaxes(-1, -2) @ q),
        np.asarray(w.swapaxes(-1, -2) @ grad),
    )


def _attention_inputs(
    query: ArrayLike, key: ArrayLike, value: ArrayLike, scale: float | None
) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    q = float_array("query", query, min_ndim=2)
    k = float_array("key", key, shape=(*q.shape[:-2], None, q.shape[-1]))
    v = float_array("value", value, shape=(*k.shape[:-1], None))
    if q.shape[-1] == 0 or k.shape[-2] == 0:
        raise ValueError(f"key must have at least one row and one column, got shape {k.shape}")
    return q, k, v, q.shape[-1] ** -0.5 if scale is None else real("scale", scale)


def _masked(scores: FloatArray, mask: ArrayLike | None) -> FloatArray:
    """Return the scores with minus infinity where no query may look."""
    if mask is None:
        return scores
    allowed = np.asarray(mask)
    if allowed.dtype != np.bool_:
        raise TypeError(f"mask must be of type bool, got dtype {allowed.dtype}")
    fits = allowed.ndim == scores.ndim and all(
        m in (1, s) for m, s in zip(allowed.shape, scores.shape, strict=True)
    )
    if not fits:
        raise ValueError(f"mask must have shape {scores.shape}, got {allowed.shape}")
    # Without this, softmax would divide zero by zero and the NaN would surface much later.
    if not allowed.any(axis=-1).all():
        raise ValueError("mask must let every query look at one key at least, got a row of False")
    return np.where(allowed, scores, np.asarray(-np.inf, dtype=scores.dtype))


def _softmax_backward(grad_weights: FloatArray, weights: FloatArray) -> FloatArray:
    return np.asarray(
        weights * (grad_weights - (weights * grad_weights).sum(axis=-1, keepdims=True))
    )


class AdditiveAttention(Layer):
    r"""Attention whose score is a small network instead of a dot product.

    Implements :eq:`eq-additive-attention` (Bahdanau, Cho & Bengio, ICLR 2015).
    The keys are also the values, as in that paper.

    Parameters
    ----------
    query_size, key_size : int
        Length of a query and of a key.
    hidden_size : int
        Units of the small network.
    rng : Generator or int
    dtype : float64 or float32

    Attributes
    ----------
    weights : ndarray, shape (..., T, S)
        Those of the last forward pass.

    Raises
    ------
    ValueError
        If a size is below 1.

    Examples
    --------
    >>> attention = AdditiveAttention(3, 4, 5, rng=0)
    >>> attention.forward((np.ones((2, 6, 3)), np.ones((2, 7, 4)))).shape
    (2, 6, 4)
    >>> sorted(attention.parameters())
    ['key.weight', 'query.bias', 'query.weight', 'score.weight']
    """

    def __init__(
        self,
        query_size: int,
        key_size: int,
        hidden_size: int,
        *,
        rng: Seed,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__()
        random = generator("rng", rng)
        start = initialisers.xavier_uniform
        self.query = Linear(query_size, hidden_size, weight_init=start, rng=random, dtype=dtype)
        self.key = Linear(
            key_size, hidden_size, bias=False, weight_init=start, rng=random, dtype=dtype
        )
        self.score = Linear(hidden_size, 1, bias=False, weight_init=start, rng=random, dtype=dtype)

    def children(self) -> dict[str, Layer]:
        """Return the three linear maps by name."""
        return {"query": self.query, "key": self.key, "score": self.score}

    def forward(self, x: Any, *, mask: ArrayLike | None = None) -> FloatArray:
        """Return the keys, averaged by their weights.

        Parameters
        ----------
        x : pair (query, key)
            Arrays of shapes (..., T, query_size) and (..., S, key_size).
        mask : array_like of bool, shape (..., T, S), optional
            See :func:`dot_product_attention`.

        Returns
        -------
        ndarray, shape (..., T, key_size)

        Raises
        ------
        ValueError
            If shapes do not fit, or a query may look nowhere.
        """
        query, key = _pair("x", x, "(query, key)")
        q = float_array("query", query, min_ndim=2)
        self._key = float_array("key", key, shape=(*q.shape[:-2], None, self.key.in_features))
        if self._key.shape[-2] == 0:
            raise ValueError(f"key must have at least one row, got shape {self._key.shape}")
        total = self.query(q)[..., :, None, :] + self.key(self._key)[..., None, :, :]
        self._hidden = np.tanh(total)
        self.weights = softmax(_masked(self.score(self._hidden)[..., 0], mask))
        return np.asarray(self.weights @ self._key)

    def backward(self, grad_output: ArrayLike) -> Any:
        """Return the gradients with respect to query and key.

        Parameters
        ----------
        grad_output : array_like, shape (..., T, key_size)

        Returns
        -------
        grad_query, grad_key : ndarray
            The keys receive one as keys and one as values; this is the sum.
        """
        hidden = self._remembered("_hidden")
        shape = (*hidden.shape[:-2], self.key.in_features)
        grad = float_array("grad_output", grad_output, shape=shape)
        grad_scores = _softmax_backward(grad @ self._key.swapaxes(-1, -2), self.weights)
        grad_total = self.score.backward(grad_scores[..., None]) * (1.0 - hidden**2)
        grad_query = self.query.backward(grad_total.sum(axis=-2))
        grad_key = self.key.backward(grad_total.sum(axis=-3))
        return grad_query, grad_key + self.weights.swapaxes(-1, -2) @ grad

    def __repr__(self) -> str:
        """Return the sizes."""
        sizes = (self.query.in_features, self.key.in_features, self.query.out_features)
        return f"AdditiveAttention{sizes}"


class EncoderDecoder(Layer):
    r"""A network that reads one text and writes another.

    The encoder reads the source; its last state is where the decoder begins
    (Cho et al., EMNLP 2014; Sutskever, Vinyals & Le, NeurIPS 2014). The decoder
    reads what has been written so far and predicts the next token. With attention,
    each of its outputs is a query into all states of the encoder, and is combined
    with what comes back. Implements :eq:`eq-attention-output` (Luong, Pham &
    Manning, EMNLP 2015).

    It takes two inputs, so for :func:`.fit` ``x`` is the tuple
    ``(source, target[:-1])``, the targets are ``target[1:].T``, and ``batch_axis``
    is 1.

    Parameters
    ----------
    source_size, target_size : int
        Tokens in the two vocabularies. Token 0 is padding; of the target 1 is the
        start and 2 the end.
    embedding_dim, hidden_size : int
        Numbers in a token's row, and in a state.
    attention : {"dot", "additive", None}, default "dot"
        How the decoder looks back; None: not at all.
    cell : class, default GRU
        Kind of recurrent layer.
    bidirectional : bool, default False
        Whether the encoder reads in both directions, with half of the state for
        each.
    rng : Generator or int
    dtype : float64 or float32

    Attributes
    ----------
    attention_weights : ndarray, shape (N, T, S), or None
        Those of the last forward pass.

    Raises
    ------
    ValueError
        If a size is below 1, the attention is unknown, or `hidden_size` is odd for
        an encoder of two directions.
    TypeError
        If `cell` is no recurrent layer.

    Examples
    --------
    >>> model = EncoderDecoder(13, 35, 8, 16, rng=0)
    >>> source, target = np.full((6, 4), 3), np.full((9, 4), 5)
    >>> model.forward((source, target)).shape
    (9, 4, 35)
    >>> model.attention_weights.shape
    (4, 9, 6)
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        embedding_dim: int,
        hidden_size: int,
        *,
        attention: str | None = "dot",
        cell: type[RecurrentLayer] = GRU,
        bidirectional: bool = False,
        rng: Seed,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__()
        size = integer("hidden_size", hidden_size)
        self.hidden_size = size
        self.kind = None if attention is None else choice("attention", attention, _KINDS)
        if not (isinstance(cell, type) and issubclass(cell, RecurrentLayer)):
            raise TypeError(f"cell must be a kind of RecurrentLayer, got {cell!r}")
        if bidirectional and size % 2:
            raise ValueError(f"hidden_size must be even for two directions, got {size}")
        options: dict[str, Any] = {"rng": generator("rng", rng), "dtype": dtype}
        each = size // 2 if bidirectional else size
        self.source_embedding = Embedding(source_size, embedding_dim, **options)
        self.encoder = cell(embedding_dim, each, bidirectional=bidirectional, **options)
        self.target_embedding = Embedding(target_size, embedding_dim, **options)
        self.decoder = cell(embedding_dim, size, **options)
        start = initialisers.xavier_uniform
        if self.kind == "additive":
            self.attention = AdditiveAttention(size, size, size, **options)
        if self.kind is not None:
            self.combine = Linear(2 * size, size, bias=False, weight_init=start, **options)
        self.output = Linear(size, target_size, weight_init=start, **options)
        self.attention_weights: FloatArray | None = None

    def children(self) -> dict[str, Layer]:
        """Return the layers by name."""
        names = ["source_embedding", "encoder", "target_embedding", "decoder"]
        names += ["attention"] * (self.kind == "additive") + ["combine"] * (self.kind is not None)
        return {name: getattr(self, name) for name in (*names, "output")}

    def forward(self, x: Any) -> FloatArray:
        """Return the logits of the next token after each token of the target.

        Parameters
        ----------
        x : pair (source, target)
            Arrays of tokens of shapes (S, N) and (T, N), one text a column, 0 below
            its end. The target begins with the start token.

        Returns
        -------
        ndarray, shape (T, N, target_size)

        Raises
        ------
        ValueError
            If shapes do not fit, a token is out of range, or a source is empty or
            has padding in front of a token.
        """
        source, target = _pair("x", x, "(source, target)")
        memory, mask, state = self._read(source)
        written = tokens("target", target, self.target_embedding.num_embeddings)
        if written.ndim != 2 or written.shape[1] != memory.shape[0]:
            raise ValueError(
                f"target must have shape (any, {memory.shape[0]}), got {written.shape}"
            )
        return self._write(written, memory, mask, state)

    def _read(self, source: ArrayLike) -> tuple[FloatArray, NDArray[np.bool_], States]:
        """Return the encoder's states (N, S, H), where they are (N, 1, S), and the last ones."""
        read = tokens("source", source, self.source_embedding.num_embeddings)
        if read.ndim != 2:
            raise ValueError(f"source must have 2 axes, got shape {read.shape}")
        lengths = _lengths("source", read)
        out = self.encoder.forward(self.source_embedding(read), lengths=lengths)
        # Both directions' halves side by side make the one state in which the decoder begins.
        state = tuple(np.concatenate(tuple(part), axis=1)[None] for part in _parts(self.encoder))
        return out.swapaxes(0, 1), (read != PAD).T[:, None, :], state

    def _write(
        self, written: IntArray, memory: FloatArray, mask: NDArray[np.bool_], state: States
    ) -> FloatArray:
        start = state if len(state) > 1 else state[0]
        outputs = self.decoder.forward(self.target_embedding(written), start)
        if self.kind is None:
            return self.output(outputs)
        query = outputs.swapaxes(0, 1)
        if self.kind == "additive":
            context = self.attention.forward((query, memory), mask=mask)
            weights = self.attention.weights
        else:
            context, weights = dot_product_attention(query, memory, memory, mask=mask)
        self.attention_weights = weights
        self._inputs = query, memory, memory, weights
        self._combined = np.tanh(self.combine(np.concatenate((context, query), axis=2)))
        return self.output(self._combined.swapaxes(0, 1))

    def backward(self, grad_output: ArrayLike) -> Any:
        """Store the gradients of all parameters; tokens have none, so zeros come back.

        Parameters
        ----------
        grad_output : array_like, shape (T, N, target_size)

        Returns
        -------
        pair of ndarray of zeros, shapes (S, N) and (T, N)
        """
        grad = self.output.backward(grad_output)
        grad_memory = None
        if self.kind is not None:
            grad = grad.swapaxes(0, 1) * (1.0 - self._combined**2)
            grad_context, grad_direct = np.split(self.combine.backward(grad), 2, axis=2)
            grad_query, grad_memory = self._attention_backward(grad_context)
            grad = (grad_direct + grad_query).swapaxes(0, 1)
        grad_target = self.target_embedding.backward(self.decoder.backward(grad))
        halves = 1 + self.encoder.bidirectional
        ends = [
            np.stack(np.split(part[0], halves, axis=1))
            for part in _parts(self.decoder, "grad_state")
        ]
        if grad_memory is None:
            steps, n = self.source_embedding._remembered("_tokens").shape
            grad_memory = np.zeros((n, steps, self.hidden_size), dtype=grad.dtype)
        grad_source = self.encoder.backward(
            grad_memory.swapaxes(0, 1), (ends[0], ends[1]) if len(ends) > 1 else ends[0]
        )
        return self.source_embedding.backward(grad_source), grad_target

    def _attention_backward(self, grad_context: FloatArray) -> tuple[FloatArray, FloatArray]:
        if self.kind == "additive":
            grad_query, grad_memory = self.attention.backward(grad_context)
            return grad_query, grad_memory
        grad_query, grad_key, grad_value = dot_product_attention_backward(
            grad_context, *self._inputs
        )
        return grad_query, grad_key + grad_value

    def __repr__(self) -> str:
        """Return the sizes and the kind of attention."""
        sizes = f"{self.source_embedding.num_embeddings}, {self.target_embedding.num_embeddings}"
        sizes += f", {self.source_embedding.embedding_dim}, {self.hidden_size}"
        return f"EncoderDecoder({sizes}, attention={self.kind!r})"


def greedy(
    model: EncoderDecoder, source: ArrayLike, *, max_length: int
) -> tuple[IntArray, FloatArray]:
    """Write a text for each source: at every step the most probable token.

    Parameters
    ----------
    model : EncoderDecoder
    source : array_like of int, shape (S, N)
        One text a column, 0 below its end.
    max_length : int
        Stop after so many tokens, if the end has not come before.

    Returns
    -------
    texts : ndarray of int, shape (max_length, N)
        Without the start token; 0 after the end token. Neither the start nor the
        padding is ever written.
    scores : ndarray, shape (N,)
        Logarithm of the probability that the model gives to each text.

    Raises
    ------
    ValueError
        If `source` does not fit the model, or `max_length` is below 1.

    Examples
    --------
    >>> model = EncoderDecoder(5, 6, 4, 8, rng=0)
    >>> texts, scores = greedy(model, [[3, 4], [4, 0]], max_length=7)
    >>> texts.shape, scores.shape
    ((7, 2), (2,))
    """
    texts, scores = _search(model, source, 1, max_length)
    return texts[:, :, 0], scores[:, 0]


def beam_search(
    model: EncoderDecoder,
    source: ArrayLike,
    *,
    width: int,
    max_length: int,
    length_penalty: float = 0.0,
) -> tuple[IntArray, FloatArray]:
    r"""Write a text for each source: keep the `width` best beginnings at every step.

    Implements :eq:`eq-sequence-score`. The text of :func:`greedy` is a candidate too,
    so that the score with a beam is never lower than without one.

    Parameters
    ----------
    model : EncoderDecoder
    source : array_like of int, shape (S, N)
    width : int
        Beginnings to keep for each source; 1 is the same as :func:`greedy`.
    max_length : int
    length_penalty : float, default 0
        The exponent :math:`\gamma`, not negative: 0 for the probability of the whole
        text, 1 for the mean over its tokens.

    Returns
    -------
    texts : ndarray of int, shape (max_length, N)
    scores : ndarray, shape (N,)

    Raises
    ------
    ValueError
        If an argument is out of range, or `source` does not fit the model.

    Examples
    --------
    >>> model = EncoderDecoder(5, 6, 4, 8, rng=0)
    >>> source = [[3, 4], [4, 0]]
    >>> wide = beam_search(model, source, width=4, max_length=7)[1]
    >>> bool((wide >= greedy(model, source, max_length=7)[1]).all())
    True
    """
    gamma = real("length_penalty", length_penalty, minimum=0.0)
    texts, scores = _search(model, source, integer("width", width), max_length)
    first, first_score = greedy(model, source, max_length=max_length)
    texts = np.concatenate((first[:, :, None], texts), axis=2)
    scores = np.concatenate((first_score[:, None], scores), axis=1)
    scores = scores / np.maximum((texts != PAD).sum(axis=0), 1) ** gamma
    best = scores.argmax(axis=1)
    chosen = np.arange(len(best))
    return texts[:, chosen, best], np.asarray(scores[chosen, best])


def _search(
    model: EncoderDecoder, source: ArrayLike, width: int, max_length: int
) -> tuple[IntArray, FloatArray]:
    """Return the best texts (max_length, N, width) found and their log probabilities (N, width)."""
    limit = integer("max_length", max_length)
    if not isinstance(model, EncoderDecoder):
        raise TypeError(f"model must be an EncoderDecoder, got {type(model).__name__}")
    memory, mask, state = model._read(source)
    n, size = len(memory), model.target_embedding.num_embeddings
    memory, mask = memory.repeat(width, axis=0), mask.repeat(width, axis=0)
    state = tuple(part.repeat(width, axis=1) for part in state)
    texts = np.zeros((limit, n, width), dtype=np.intp)
    # The beginnings of one source are the same at first: only one of them may go on.
    scores = np.full((n, width), -np.inf)
    scores[:, 0] = 0.0
    last = np.full(n * width, START)
    for step in range(limit):
        logits = model._write(last[None], memory, mask, state)[0]
        logits[:, [PAD, START]] = -np.inf
        gains = log_softmax(logits).astype(np.float64)
        # A text that has ended goes on in one way only, with padding, and at no cost.
        ended = (last == END) | (last == PAD) if step else np.full(len(last), False)
        gains[ended] = -np.inf
        gains[ended, PAD] = 0.0
        totals = (scores[:, :, None] + gains.reshape(n, width, size)).reshape(n, -1)
        best = np.argsort(-totals, axis=1, kind="stable")[:, :width]
        scores = np.take_along_axis(totals, best, axis=1)
        parent, token = np.divmod(best, size)
        texts = np.take_along_axis(texts, parent[None], axis=2)
        texts[step] = token
        last = token.reshape(-1)
        rows = (np.arange(n)[:, None] * width + parent).reshape(-1)
        state = tuple(part[:, rows] for part in _parts(model.decoder))
        if np.isin(last, (END, PAD)).all():
            break
    return texts, scores


def exact_match(texts: ArrayLike, target: ArrayLike) -> NDArray[np.bool_]:
    """Return which texts are the wanted ones, token by token.

    Parameters
    ----------
    texts : array_like of int, shape (L, N)
        As :func:`greedy` returns them.
    target : array_like of int, shape (T, N)
        Without the start token, 0 after the end.

    Returns
    -------
    ndarray of bool, shape (N,)

    Raises
    ------
    ValueError
        If the numbers of texts differ.

    Examples
    --------
    >>> exact_match([[3, 3], [2, 4], [0, 2]], [[3, 3], [2, 2]])
    array([ True, False])
    """
    ours, wanted = np.asarray(texts), np.asarray(target)
    if ours.ndim != 2 or wanted.ndim != 2 or ours.shape[1] != wanted.shape[1]:
        raise ValueError(
            f"texts and target must have as many columns, got {ours.shape} and {wanted.shape}"
        )
    rows = max(len(ours), len(wanted))
    ours, wanted = (np.pad(a, ((0, rows - len(a)), (0, 0))) for a in (ours, wanted))
    return np.asarray((ours == wanted).all(axis=0))


class SentenceScorer(Layer):
    """A network that gives each sentence of a text a score, to keep the best one.

    A bidirectional GRU reads the whole text. A sentence is the mean of the states
    over its words. With attention, each sentence then looks back at every word of
    the text, with a query of its own.

    Parameters
    ----------
    vocabulary_size : int
        Tokens; token 0 is padding.
    embedding_dim, hidden_size : int
        `hidden_size` is even: half of it for each direction.
    sentences : int
        Most sentences of a text.
    attention : bool, default True
    rng : Generator or int
    dtype : float64 or float32

    Attributes
    ----------
    attention_weights : ndarray, shape (N, sentences, T), or None
        Those of the last forward pass.

    Raises
    ------
    ValueError
        If a size is below 1, or `hidden_size` is odd.

    Examples
    --------
    >>> model = SentenceScorer(10, 4, 6, 3, rng=0)
    >>> words = np.array([[3], [4], [5], [0]])
    >>> sentence = np.array([[0], [0], [1], [-1]])
    >>> model.forward((words, sentence)).shape
    (1, 3)
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_dim: int,
        hidden_size: int,
        sentences: int,
        *,
        attention: bool = True,
        rng: Seed,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__()
        size = integer("hidden_size", hidden_size)
        if size % 2:
            raise ValueError(f"hidden_size must be even for two directions, got {size}")
        self.sentences = integer("sentences", sentences)
        self._dtype = float_dtype("dtype", dtype)
        options: dict[str, Any] = {"rng": generator("rng", rng), "dtype": dtype}
        self.embedding = Embedding(vocabulary_size, embedding_dim, **options)
        self.encoder = GRU(embedding_dim, size // 2, bidirectional=True, **options)
        self._attends = bool(attention)
        options["weight_init"] = initialisers.xavier_uniform
        if self._attends:
            self.query = Linear(size, size, bias=False, **options)
            self.key = Linear(size, size, bias=False, **options)
            self.value = Linear(size, size, bias=False, **options)
        self.combine = Linear(size * (1 + self._attends), size, **options)
        self.score = Linear(size, 1, bias=False, **options)
        self.attention_weights: FloatArray | None = None

    def children(self) -> dict[str, Layer]:
        """Return the layers by name."""
        names = ["embedding", "encoder"]
        names += ["query", "key", "value"] * self._attends
        return {name: getattr(self, name) for name in (*names, "combine", "score")}

    def forward(self, x: Any) -> FloatArray:
        """Return a score for each sentence: logits for a softmax over sentences.

        Parameters
        ----------
        x : pair (tokens, sentence)
            Arrays of int of shape (T, N): the words, 0 below the end of a text, and
            the sentence that each stands in, from 0.

        Returns
        -------
        ndarray, shape (N, sentences)
            Where a text has fewer sentences, a large negative number.

        Raises
        ------
        ValueError
            If shapes do not fit, or a number is out of range.
        """
        given, sentence = _pair("x", x, "(tokens, sentence)")
        words = tokens("tokens", given, self.embedding.num_embeddings)
        place = np.asarray(sentence)
        if words.ndim != 2 or place.shape != words.shape:
            raise ValueError(
                "tokens and sentence must have the same shape (T, N), "
                f"got {words.shape} and {place.shape}"
            )
        inside = words != PAD
        if place[inside].min(initial=0) < 0 or place[inside].max(initial=0) >= self.sentences:
            raise ValueError(f"sentence must lie in 0..{self.sentences - 1} where there are words")
        out = self.encoder.forward(self.embedding(words), lengths=_lengths("tokens", words))
        states = out.swapaxes(0, 1)
        member = (place.T[:, None, :] == np.arange(self.sentences)[:, None]) & inside.T[:, None, :]
        counts = member.sum(axis=2, keepdims=True)
        self._mean = (member / np.maximum(counts, 1)).astype(self._dtype)
        means = self._mean @ states
        joined = means
        if self._attends:
            q, k, v = self.query(means), self.key(states), self.value(states)
            mask = inside.T[:, None, :]
            context, weights = dot_product_attention(q, k, v, mask=mask)
            self.attention_weights = weights
            self._inputs = q, k, v, weights
            joined = np.concatenate((means, context), axis=2)
        self._combined = np.tanh(self.combine(joined))
        self._absent = counts[..., 0] == 0
        scores = self.score(self._combined)[..., 0]
        return np.where(self._absent, np.asarray(_ABSENT, dtype=scores.dtype), scores)

    def backward(self, grad_output: ArrayLike) -> Any:
        """Store the gradients of all parameters; tokens have none, so zeros come back.

        Parameters
        ----------
        grad_output : array_like, shape (N, sentences)

        Returns
        -------
        ndarray of zeros, shape (T, N)
        """
        combined = self._remembered("_combined")
        grad = float_array("grad_output", grad_output, shape=combined.shape[:2])
        grad = np.where(self._absent, np.zeros_like(grad), grad)
        grad = self.combine.backward(self.score.backward(grad[..., None]) * (1.0 - combined**2))
        if self._attends:
            grad, grad_context = np.split(grad, 2, axis=2)
            grad_q, grad_k, grad_v = dot_product_attention_backward(grad_context, *self._inputs)
            grad = grad + self.query.backward(grad_q)
        grad_states = self._mean.swapaxes(1, 2) @ grad
        if self._attends:
            grad_states += self.key.backward(grad_k) + self.value.backward(grad_v)
        return self.embedding.backward(self.encoder.backward(grad_states.swapaxes(0, 1)))

    def __repr__(self) -> str:
        """Return the sizes."""
        sizes = f"{self.embedding.num_embeddings}, {self.embedding.embedding_dim}"
        sizes += f", {self.combine.out_features}, {self.sentences}"
        return f"SentenceScorer({sizes}, attention={self._attends})"


def _pair(name: str, x: Any, wanted: str) -> tuple[Any, Any]:
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise TypeError(f"{name} must be a pair {wanted}, got {type(x).__name__}")
    return x[0], x[1]


def _lengths(name: str, words: IntArray) -> IntArray:
    """Return the length of each text, without the filling, which must lie below it."""
    lengths = (words != PAD).sum(axis=0)
    if (words[:1] == PAD).any() or ((words[1:] != PAD) & (words[:-1] == PAD)).any():
        raise ValueError(f"{name} must have a token on top of each column and 0 only below")
    return np.asarray(lengths)


def _parts(layer: RecurrentLayer, attribute: str = "state") -> States:
    state = getattr(layer, attribute)
    return state if isinstance(state, tuple) else (state,)
