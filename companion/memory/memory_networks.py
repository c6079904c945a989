"""Memory networks: a memory of sentences that a network reads several times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from companion._validation import (
    FloatArray,
    IntArray,
    Seed,
    float_array,
    float_dtype,
    generator,
    integer,
)
from companion.data import Vocabulary
from companion.network.activations import softmax
from companion.network.layers import Layer
from companion.network.losses import Loss
from companion.network.optimisers import Optimiser
from companion.network.training import EarlyStopping, History, fit
from companion.recurrence.attention import (
    dot_product_attention,
    dot_product_attention_backward,
)
from companion.recurrence.language import tokens

if TYPE_CHECKING:
    import ipywidgets

# Starting values as in the paper: normal with this standard deviation.
_START_STD = 0.1


def position_encoding(words: int, embed_dim: int, *, dtype: DTypeLike = np.float64) -> FloatArray:
    r"""Return the weights of the words of a sentence, by place.

    Implements :eq:`eq-position-encoding` (Sukhbaatar, Szlam, Weston & Fergus, NeurIPS
    2015). A sentence becomes the sum of its words' rows, each multiplied by its
    weights, so that it matters which word stands where.

    Parameters
    ----------
    words : int
        Words of the sentence, :math:`J`.
    embed_dim : int
        Numbers of a word, :math:`d`.
    dtype : float64 or float32

    Returns
    -------
    ndarray, shape (words, embed_dim)

    Raises
    ------
    ValueError
        If a size is below 1.

    Examples
    --------
    >>> position_encoding(2, 4)
    array([[0.5 , 0.5 , 0.5 , 0.5 ],
           [0.25, 0.5 , 0.75, 1.  ]])
    """
    count, size = integer("words", words), integer("embed_dim", embed_dim)
    place = np.arange(1, count + 1)[:, None] / count
    entry = np.arange(1, size + 1) / size
    weights = (1.0 - place) - entry * (1.0 - 2.0 * place)
    return np.asarray(weights.astype(float_dtype("dtype", dtype)))


def memory_read(
    query: ArrayLike,
    memory: ArrayLike,
    output: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    linear: bool = False,
) -> tuple[FloatArray, FloatArray]:
    r"""Read a memory once: compare the query with each row, and average what they hold.

    Implements :eq:`eq-memory-read`. It is :func:`.dot_product_attention` without the
    scale, with one query for each memory.

    Parameters
    ----------
    query : array_like of float, shape (N, D)
        One query a row, :math:`u`.
    memory : array_like of float, shape (N, S, D)
        What the query is compared with, :math:`m_i`.
    output : array_like of float, shape (N, S, E)
        What comes back, :math:`c_i`.
    mask : array_like of bool, shape (N, S), optional
        True where there is a sentence; the other rows get a weight of exactly zero.
    linear : bool, default False
        Whether to leave out the softmax: the dot products themselves are the weights.

    Returns
    -------
    read : ndarray, shape (N, E)
        :math:`o`.
    weights : ndarray, shape (N, S)
        :math:`p`.

    Raises
    ------
    ValueError
        If shapes do not fit, or a mask leaves nothing to read.
    TypeError
        If the mask is not of type bool.

    Examples
    --------
    >>> memory, output = [[[2.0, 0.0], [0.0, 2.0]]], [[[10.0], [20.0]]]
    >>> read, weights = memory_read([[1.0, 0.0]], memory, output)
    >>> weights.round(2), read.round(1)
    (array([[0.88, 0.12]]), array([[11.2]]))
    """
    u = float_array("query", query, ndim=2)
    m = float_array("memory", memory, shape=(len(u), None, u.shape[1]))
    c = float_array("output", output, shape=(*m.shape[:2], None))
    present = None if mask is None else _mask(mask, m.shape[:2])
    if linear:
        scores: FloatArray = (m @ u[:, :, None])[:, :, 0]
        if present is not None:
            scores = scores * present.astype(scores.dtype)
        return np.asarray((scores[:, None, :] @ c)[:, 0]), scores
    read, weights = dot_product_attention(
        u[:, None, :], m, c, mask=None if present is None else present[:, None, :], scale=1.0
    )
    return read[:, 0], weights[:, 0]


def _mask(mask: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    present = np.asarray(mask)
    if present.dtype != np.bool_:
        raise TypeError(f"mask must be of type bool, got dtype {present.dtype}")
    if present.shape != shape:
        raise ValueError(f"mask must have shape {shape}, got {present.shape}")
    return present


def _read_backward(
    grad: FloatArray,
    query: FloatArray,
    memory: FloatArray,
    output: FloatArray,
    weights: FloatArray,
    present: NDArray[np.bool_],
    linear: bool,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the gradients of :func:`memory_read` with respect to its three arrays."""
    if linear:
        grad_weights = (output @ grad[:, :, None])[:, :, 0] * present.astype(grad.dtype)
        return (
            np.asarray((grad_weights[:, None, :] @ memory)[:, 0]),
            grad_weights[:, :, None] * query[:, None, :],
            weights[:, :, None] * grad[:, None, :],
        )
    grad_query, grad_memory, grad_output = dot_product_attention_backward(
        grad[:, None, :], query[:, None, :], memory, output, weights[:, None, :], scale=1.0
    )
    return grad_query[:, 0], grad_memory, grad_output


class MemN2N(Layer):
    r"""A network that answers a question from a memory of sentences, read several times.

    Implements :eq:`eq-memory-hops`: the end-to-end memory network of Sukhbaatar, Szlam,
    Weston & Fergus (NeurIPS 2015) with adjacent weights. There is one table of words
    more than there are hops. Table k makes the rows that hop k + 1 compares with the
    query, and those that hop k returns. The first one makes the question, and the rows
    of the last one that belong to the answers make the logits.

    It takes two inputs, so for :func:`.fit` ``x`` is the tuple ``(stories, questions)``.

    Parameters
    ----------
    num_embeddings : int
        Number of tokens; token 0 is padding.
    answers : array_like of int, shape (K,)
        The token of each answer, all different: answers are words, too.
    embed_dim : int
        Numbers of a word, a sentence and the query.
    memory_size : int
        Most sentences of a story.
    hops : int, default 3
        How often the memory is read.
    position_encoding : bool, default True
        Whether the place of a word in its sentence counts; without it a sentence is the
        sum of its words.
    temporal_encoding : bool, default True
        Whether the place of a sentence counts, by its distance from the last one.
    linear : bool, default False
        Whether to read without the softmax. May be set at any time, see
        :func:`linear_start`.
    rng : Generator or int
    dtype : float64 or float32

    Attributes
    ----------
    linear : bool
    attention_weights : ndarray, shape (N, hops, S), or None
        Those of the last forward pass.

    Raises
    ------
    ValueError
        If a size is below 1, an answer is no token, or two are the same.

    Examples
    --------
    >>> model = MemN2N(10, [4, 5, 6], 8, 20, hops=2, rng=0)
    >>> story = np.array([[[1, 2, 4], [3, 2, 0]]])
    >>> model((story, np.array([[7, 1]]))).shape
    (1, 3)
    >>> model.attention_weights.shape
    (1, 2, 2)
    """

    def __init__(
        self,
        num_embeddings: int,
        answers: ArrayLike,
        embed_dim: int,
        memory_size: int,
        *,
        hops: int = 3,
        position_encoding: bool = True,
        temporal_encoding: bool = True,
        linear: bool = False,
        rng: Seed,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__()
        self.num_embeddings = integer("num_embeddings", num_embeddings)
        self.embed_dim = integer("embed_dim", embed_dim)
        self.memory_size = integer("memory_size", memory_size)
        self.hops = integer("hops", hops)
        self.answers = tokens("answers", answers, self.num_embeddings)
        if self.answers.ndim != 1 or self.answers.size == 0 or (self.answers == 0).any():
            raise ValueError(f"answers must be a list of tokens without 0, got {answers!r}")
        if len(set(self.answers.tolist())) < len(self.answers):
            raise ValueError(f"answers must all be different, got {self.answers.tolist()}")
        self.position_encoding = bool(position_encoding)
        self.temporal_encoding = bool(temporal_encoding)
        self.linear = bool(linear)
        self.attention_weights: FloatArray | None = None
        self._dtype = float_dtype("dtype", dtype)
        random = generator("rng", rng)
        shape = (self.hops + 1, self.num_embeddings, self.embed_dim)
        table = random.normal(scale=_START_STD, size=shape)
        table[:, 0] = 0.0  # padding adds nothing, and no gradient ever changes that
        self._parameters["embedding"] = table.astype(self._dtype)
        if self.temporal_encoding:
            shape = (self.hops + 1, self.memory_size, self.embed_dim)
            times = random.normal(scale=_START_STD, size=shape)
            self._parameters["temporal"] = times.astype(self._dtype)
        self._entry = (np.arange(1, self.embed_dim + 1) / self.embed_dim).astype(self._dtype)

    def forward(self, x: Any) -> FloatArray:
        """Return a logit for each answer.

        Parameters
        ----------
        x : pair (stories, questions)
            Arrays of int of shapes (N, S, W) and (N, Q): sentences in the order of
            telling, words from first to last, and zeros behind the last word and behind
            the last sentence.

        Returns
        -------
        ndarray, shape (N, K)

        Raises
        ------
        TypeError
            If `x` is no pair, or the tokens are not whole numbers.
        ValueError
            If shapes do not fit, a token is out of range, a zero stands before a word, a
            story or a question is empty, or a story is longer than the memory.
        """
        stories, questions = self._check(x)
        self._shapes = stories.shape, questions.shape
        n, sentences, _ = stories.shape
        self._present = (stories != 0).any(axis=2)
        self._story = self._bags(stories)
        self._question = self._bags(questions)
        tables = self._parameters["embedding"]
        rows = self._encode(self._story, tables).reshape(-1, n, sentences, self.embed_dim)
        if self.temporal_encoding:
            # 0 is the last sentence told, 1 the one before it. What stands behind the last
            # one gets a row, too, but it has no weight and so passes no gradient.
            age = self._present.sum(axis=1)[:, None] - 1 - np.arange(sentences)
            self._age = np.maximum(age, 0)
            rows = rows + self._parameters["temporal"][:, self._age]
        self._rows = rows
        self._queries = [self._encode(self._question, tables[0])]
        self._weights = []
        for hop in range(self.hops):
            u = self._queries[-1]
            read, weights = memory_read(
                u, rows[hop], rows[hop + 1], mask=self._present, linear=self.linear
            )
            self._weights.append(weights)
            self._queries.append(u + read)
        self._read_linear = self.linear
        self.attention_weights = np.stack(self._weights, axis=1)
        return np.asarray(self._queries[-1] @ tables[-1, self.answers].T)

    def backward(self, grad_output: ArrayLike) -> Any:
        """Store the gradients of all tables; tokens have none, so zeros come back.

        Parameters
        ----------
        grad_output : array_like, shape (N, K)

        Returns
        -------
        tuple of ndarray of zeros
            Of the shapes of the stories and of the questions.
        """
        queries = self._remembered("_queries")
        grad = float_array("grad_output", grad_output, shape=(len(queries[0]), len(self.answers)))
        tables = self._parameters["embedding"]
        grad_tables, grad_rows = np.zeros_like(tables), np.zeros_like(self._rows)
        grad_tables[-1, self.answers] = grad.T @ queries[-1]
        grad_u = grad @ tables[-1, self.answers]
        for hop in reversed(range(self.hops)):
            grad_query, grad_memory, grad_read = _read_backward(
                grad_u,
                queries[hop],
                self._rows[hop],
                self._rows[hop + 1],
                self._weights[hop],
                self._present,
                self._read_linear,
            )
            grad_u = grad_u + grad_query
            grad_rows[hop] += grad_memory
            grad_rows[hop + 1] += grad_read
        grad_tables += self._encode_backward(
            self._story, grad_rows.reshape(len(tables), -1, self.embed_dim)
        )
        grad_tables[0] += self._encode_backward(self._question, grad_u)
        self._gradients["embedding"] = grad_tables
        if self.temporal_encoding:
            hot = (self._age.reshape(-1) == np.arange(self.memory_size)[:, None]).astype(
                self._dtype
            )
            self._gradients["temporal"] = hot @ grad_rows.reshape(len(tables), -1, self.embed_dim)
        return tuple(np.zeros(shape, dtype=self._dtype) for shape in self._shapes)

    def _check(self, x: Any) -> tuple[IntArray, IntArray]:
        if not isinstance(x, (tuple, list)) or len(x) != 2:
            raise TypeError(f"x must be a pair (stories, questions), got {type(x).__name__}")
        stories = tokens("stories", x[0], self.num_embeddings)
        questions = tokens("questions", x[1], self.num_embeddings)
        if stories.ndim != 3 or questions.ndim != 2 or len(stories) != len(questions):
            raise ValueError(
                "stories and questions must have shapes (N, S, W) and (N, Q), "
                f"got {stories.shape} and {questions.shape}"
            )
        if stories.shape[1] > self.memory_size:
            raise ValueError(
                f"stories must have at most {self.memory_size} sentences, got {stories.shape[1]}"
            )
        _filled("stories", (stories != 0).any(axis=2), "sentence")
        _ends("stories", stories != 0)
        _filled("questions", questions != 0, "word")
        return stories, questions

    def _bags(self, ids: IntArray) -> tuple[FloatArray, FloatArray | None]:
        """Return how much of each word is in each row of words, (rows, num_embeddings).

        The weights of :eq:`eq-position-encoding` are a part that is the same for all
        entries of a word, and a part that is multiplied by k / d. Each has its own array,
        and the products with the tables do the rest.
        """
        rows = ids.reshape(-1, ids.shape[-1])
        inside = rows != 0
        counts = inside.sum(axis=1, keepdims=True)
        place = np.arange(1, rows.shape[1] + 1) / np.maximum(counts, 1)
        if not self.position_encoding:
            return self._counted(rows, inside.astype(np.float64)), None
        return (
            self._counted(rows, (1.0 - place) * inside),
            self._counted(rows, (1.0 - 2.0 * place) * inside),
        )

    def _counted(self, rows: IntArray, amount: FloatArray) -> FloatArray:
        size = self.num_embeddings
        cells = (np.arange(len(rows))[:, None] * size + rows).reshape(-1)
        total = np.bincount(cells, weights=amount.reshape(-1), minlength=len(rows) * size)
        return np.asarray(total.reshape(len(rows), size).astype(self._dtype))

    def _encode(self, bags: tuple[FloatArray, FloatArray | None], tables: FloatArray) -> FloatArray:
        first, second = bags
        rows = first @ tables
        return np.asarray(rows if second is None else rows - self._entry * (second @ tables))

    def _encode_backward(
        self, bags: tuple[FloatArray, FloatArray | None], grad: FloatArray
    ) -> FloatArray:
        first, second = bags
        total = first.T @ grad
        return np.asarray(total if second is None else total - second.T @ (self._entry * grad))

    def __repr__(self) -> str:
        """Return the sizes."""
        sizes = f"{self.num_embeddings}, {len(self.answers)} answers, {self.embed_dim}"
        return f"MemN2N({sizes}, {self.memory_size}, hops={self.hops})"


def _ends(name: str, inside: NDArray[np.bool_]) -> None:
    if (inside[..., 1:] & ~inside[..., :-1]).any():
        raise ValueError(f"{name} must have zeros only behind the last word, got one before")


def _filled(name: str, inside: NDArray[np.bool_], what: str) -> None:
    if not inside.any(axis=1).all():
        raise ValueError(f"{name} must have at least one {what} each, got an empty one")
    _ends(name, inside)


def linear_start(
    model: MemN2N,
    loss: Loss,
    optimiser: Optimiser,
    x: Any,
    y: ArrayLike,
    *,
    validation: tuple[Any, ArrayLike],
    epochs: int,
    patience: int = 3,
    batch_size: int = 32,
    rng: Seed,
    **options: Any,
) -> History:
    """Train without the softmax until the validation loss stops falling, then put it in.

    (Sukhbaatar, Szlam, Weston & Fergus, NeurIPS 2015, "linear start".) Training goes on
    with a second call of :func:`.fit`.

    Parameters
    ----------
    model : MemN2N
        Changed in place; its ``linear`` is False at the end.
    loss, optimiser, x, y, batch_size, rng, **options
        As for :func:`.fit`.
    validation : tuple (x, y)
    epochs : int
        At most so many.
    patience : int, default 3
        Epochs without a better validation loss before it stops.

    Returns
    -------
    History
        Of the part without the softmax.

    Raises
    ------
    TypeError
        If `model` is no MemN2N.

    Examples
    --------
    >>> from companion.network import SGD, CrossEntropyLoss
    >>> model = MemN2N(5, [3, 4], 4, 2, hops=1, rng=0)
    >>> x, y = (np.array([[[1, 3]], [[2, 4]]]), np.array([[1], [2]])), np.array([0, 1])
    >>> loss, descent = CrossEntropyLoss(), SGD(lr=0.1)
    >>> len(linear_start(model, loss, descent, x, y, validation=(x, y), epochs=2, rng=0))
    2
    >>> model.linear
    False
    """
    if not isinstance(model, MemN2N):
        raise TypeError(f"model must be a MemN2N, got {type(model).__name__}")
    model.linear = True
    try:
        return fit(
            model,
            loss,
            optimiser,
            x,
            y,
            epochs=epochs,
            batch_size=batch_size,
            rng=rng,
            validation=validation,
            early_stopping=EarlyStopping(patience),
            **options,
        )
    finally:
        model.linear = False


def as_sequences(stories: ArrayLike, questions: ArrayLike) -> IntArray:
    """Return each story and its question as one text, for a recurrent network.

    Parameters
    ----------
    stories : array_like of int, shape (N, S, W)
        0 where there is no word.
    questions : array_like of int, shape (N, Q)

    Returns
    -------
    ndarray of int, shape (T, N)
        One text a column: the words of the story, then those of the question, then
        zeros.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> as_sequences([[[1, 2], [3, 0]], [[4, 0], [0, 0]]], [[5], [6]])
    array([[1, 4],
           [2, 6],
           [3, 0],
           [5, 0]])
    """
    told, asked = np.asarray(stories), np.asarray(questions)
    if told.ndim != 3 or asked.ndim != 2 or len(told) != len(asked):
        raise ValueError(
            "stories and questions must have shapes (N, S, W) and (N, Q), "
            f"got {told.shape} and {asked.shape}"
        )
    words = np.concatenate((told.reshape(len(told), told.shape[1] * told.shape[2]), asked), axis=1)
    # A stable sort by "is padding" moves the zeros behind the words and keeps their order.
    order = np.argsort(words == 0, axis=1, kind="stable")
    packed = np.take_along_axis(words, order, axis=1)
    return np.asarray(packed[:, : int((words != 0).sum(axis=1).max(initial=0))].T)


@dataclass(frozen=True)
class Reply:
    """What a memory network answers to a question.

    Attributes
    ----------
    answer : str
    probability : float
        That the network gives to this answer.
    weights : ndarray, shape (hops, sentences)
        How much each hop read from each sentence.
    """

    answer: str
    probability: float
    weights: FloatArray


class Conversation:
    """Sentences told one by one, and questions about them at any time.

    Where it stands alone at the end of a cell, a notebook with a kernel shows a field to
    type in, and everything else shows what was said so far.

    Parameters
    ----------
    model : MemN2N
    vocabulary : Vocabulary
    answers : sequence of str
        The name of each answer, in the order of the logits.

    Attributes
    ----------
    sentences : list of str
        What was told. The network reads as many of the last ones as its memory holds.

    Raises
    ------
    TypeError
        If `model` is no MemN2N.
    ValueError
        If the number of answers is not that of the model.

    Examples
    --------
    >>> words = Vocabulary(("<pad>", "mary", "in", "kitchen", "garden", "where"))
    >>> model = MemN2N(6, [3, 4], 4, 10, rng=0)
    >>> talk = Conversation(model, words, ["kitchen", "garden"])
    >>> talk.tell("Mary in garden.")
    >>> talk.ask("where mary?").weights
    array([[1.],
           [1.],
           [1.]])
    """

    def __init__(self, model: MemN2N, vocabulary: Vocabulary, answers: Sequence[str]) -> None:
        if not isinstance(model, MemN2N):
            raise TypeError(f"model must be a MemN2N, got {type(model).__name__}")
        if len(answers) != len(model.answers):
            raise ValueError(
                f"answers must name the {len(model.answers)} answers of the model, "
                f"got {len(answers)}"
            )
        self.model = model
        self.vocabulary = vocabulary
        self.answers = tuple(answers)
        self.sentences: list[str] = []
        self._lines: list[tuple[str, str]] = []

    def tell(self, sentence: str) -> None:
        """Add a sentence to the story.

        Parameters
        ----------
        sentence : str
            Words of the vocabulary; capitals and the mark at the end do not matter.

        Raises
        ------
        ValueError
            If there is no word, or one that the network has never read.
        """
        self._words("sentence", sentence)
        self.sentences.append(sentence.strip())
        self._lines.append((sentence.strip(), ""))

    def ask(self, question: str) -> Reply:
        """Return the answer to a question about the story.

        Parameters
        ----------
        question : str

        Returns
        -------
        Reply

        Raises
        ------
        ValueError
            If nothing was told yet, there is no word, or one that the network has never
            read.
        """
        asked = self._words("question", question)
        if not self.sentences:
            raise ValueError("question must come after a sentence, got it before the first")
        recent = [self._words("sentence", s) for s in self.sentences[-self.model.memory_size :]]
        story = np.zeros((1, len(recent), max(map(len, recent))), dtype=np.intp)
        for row, words in zip(story[0], recent, strict=True):
            row[: len(words)] = words
        p = softmax(self.model.forward((story, asked[None])))[0]
        weights = np.zeros((self.model.hops, len(self.sentences)), dtype=p.dtype)
        weights[:, -len(recent) :] = np.asarray(self.model.attention_weights)[0]
        best = int(p.argmax())
        reply = Reply(self.answers[best], float(p[best]), weights)
        self._lines.append((question.strip(), f"{reply.answer} ({reply.probability:.2f})"))
        return reply

    def say(self, text: str) -> Reply | None:
        """Ask what ends in a question mark, and tell everything else.

        Parameters
        ----------
        text : str

        Returns
        -------
        Reply or None
            None for a sentence.
        """
        if text.strip().endswith("?"):
            return self.ask(text)
        self.tell(text)
        return None

    def _words(self, name: str, text: str) -> IntArray:
        if not isinstance(text, str):
            raise TypeError(f"{name} must be a string, got {text!r}")
        words = text.lower().strip().rstrip(".?!").split()
        if not words:
            raise ValueError(f"{name} must have at least one word, got {text!r}")
        known = self.vocabulary.tokens[1:]
        if unknown := [word for word in words if word not in known]:
            raise ValueError(
                f"{name} must be made of words that the network has read, got "
                f"{', '.join(map(repr, unknown))}; it knows {', '.join(sorted(known))}"
            )
        return self.vocabulary.encode(" ".join(words))

    def __repr__(self) -> str:
        """Return what was said, one line each."""
        return "\n".join(f"{said} -> {answer}" if answer else said for said, answer in self._lines)

    def _repr_html_(self) -> str:
        lines = "".join(
            f"<li>{escape(said)}{f' <strong>{escape(answer)}</strong>' if answer else ''}</li>"
            for said, answer in self._lines
        )
        return f'<ol class="conversation">{lines}</ol>'

    def widget(self) -> ipywidgets.VBox:
        """Return a field to type in, above what was said: for a notebook with a kernel.

        Returns
        -------
        ipywidgets.VBox
        """
        import ipywidgets

        said = ipywidgets.HTML(self._repr_html_())
        problem = ipywidgets.HTML()
        field = ipywidgets.Text(
            placeholder="a sentence, or a question with ? at its end",
            continuous_update=False,
            layout={"width": "min(32em, 100%)"},
        )

        def entered(change: Any) -> None:
            if not change["new"].strip():
                return
            try:
                self.say(change["new"])
            except ValueError as error:
                # A callback has no cell to show its traceback in.
                problem.value = escape(str(error))
                return
            problem.value, said.value, field.value = "", self._repr_html_(), ""

        field.observe(entered, names="value")
        return ipywidgets.VBox([said, field, problem])

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.widget().model_id}
        return {
            "text/plain": repr(self),
            "text/html": self._repr_html_(),
            "application/vnd.jupyter.widget-view+json": view,
        }
