"""Why new learning destroys old, and what keeps it: replay, penalties, distillation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from companion._validation import (
    FloatArray,
    IntArray,
    Seed,
    choice,
    float_array,
    generator,
    integer,
    labels,
    real,
)
from companion.data.tasks import Task
from companion.network.activations import Activation, log_softmax, softmax
from companion.network.layers import Layer, Linear, Sequential
from companion.network.losses import Loss, cross_entropy, cross_entropy_gradient
from companion.network.optimisers import Optimiser
from companion.network.penalties import Penalty
from companion.network.training import accuracy, fit, predict

# --- Why it happens -------------------------------------------------------------------------------


def nearest_solution(weight: ArrayLike, x: ArrayLike, y: ArrayLike) -> FloatArray:
    r"""Return the weights closest to given ones that fit new data.

    Implements :eq:`eq-nearest-solution`. Gradient descent on the squared error of
    a linear layer ends there when it starts from `weight` and its learning rate is
    small enough: it moves each row of the weights within the span of the inputs
    only. Where the data cannot be fitted, the squared error is as small as possible.

    Parameters
    ----------
    weight : array_like, shape (outputs, inputs)
        Where learning starts.
    x : array_like, shape (N, inputs)
        One input a row.
    y : array_like, shape (N, outputs)

    Returns
    -------
    ndarray, shape (outputs, inputs)

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    The new input is orthogonal to the first axis, so that column stays.

    >>> nearest_solution([[5.0, 1.0]], [[0.0, 2.0]], [[6.0]])
    array([[5., 3.]])
    """
    w = float_array("weight", weight, ndim=2, finite=True)
    inputs = float_array("x", x, shape=(None, w.shape[1]), finite=True)
    wanted = float_array("y", y, shape=(len(inputs), w.shape[0]), finite=True)
    return np.asarray(w + (np.linalg.pinv(inputs) @ (wanted - inputs @ w.T)).T)


def gradient_vector(model: Layer, loss: Loss, x: ArrayLike, y: ArrayLike) -> FloatArray:
    """Return the gradient of the loss on some data with respect to all parameters, as one vector.

    Parameters
    ----------
    model : Layer
        Measured in the mode it is in; its parameters do not change.
    loss : Loss
    x, y : array_like
        Inputs and targets.

    Returns
    -------
    ndarray, shape (parameters,)

    Examples
    --------
    >>> from companion.network import MSELoss
    >>> gradient_vector(Linear(2, 1, rng=0), MSELoss(), [[0.0, 0.0]], [[1.0]])
    array([ 0.,  0., -2.])
    """
    loss.forward(model.forward(x), y)
    model.backward(loss.backward())
    gradients = model.gradients()
    return np.concatenate([gradients[name].ravel() for name in model.parameters()])


def gradient_overlap(
    model: Layer,
    loss: Loss,
    old: tuple[ArrayLike, ArrayLike],
    new: tuple[ArrayLike, ArrayLike],
) -> float:
    r"""Return the cosine of the angle between the gradients of two tasks.

    Implements :eq:`eq-gradient-overlap`. Below zero a small step that lowers the loss of
    the new task raises that of the old one.

    Parameters
    ----------
    model : Layer
    loss : Loss
    old, new : tuple (x, y)
        Data of the two tasks.

    Returns
    -------
    float in [-1, 1]
        NaN-free: 0 where one gradient vanishes.

    Examples
    --------
    >>> from companion.network import MSELoss
    >>> model = Linear(2, 1, bias=False, rng=0)
    >>> first, second = ([[1.0, 0.0]], [[9.0]]), ([[0.0, 1.0]], [[9.0]])
    >>> gradient_overlap(model, MSELoss(), first, second)
    0.0
    """
    a, b = (gradient_vector(model, loss, *data) for data in (old, new))
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else 0.0


# --- How much was forgotten -----------------------------------------------------------------------


def average_accuracy(matrix: ArrayLike) -> float:
    r"""Return the mean accuracy over all tasks after the last one.

    Implements :eq:`eq-average-accuracy` (Lopez-Paz & Ranzato, NIPS 2017).

    Parameters
    ----------
    matrix : array_like, shape (T, T)
        Entry (i, j): accuracy on task j after training on tasks 0 to i.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the matrix is not square, empty or not finite.

    Examples
    --------
    >>> average_accuracy([[1.0, 0.5], [0.25, 0.75]])
    0.5
    """
    return float(_accuracy_matrix(matrix)[-1].mean())


def average_forgetting(matrix: ArrayLike) -> float:
    r"""Return by how much the old tasks have fallen below their best accuracy.

    Implements :eq:`eq-forgetting` (Chaudhry, Dokania, Ajanthan & Torr, ECCV 2018):
    the mean over all tasks but the last.

    Parameters
    ----------
    matrix : array_like, shape (T, T), T at least 2
        As in :func:`average_accuracy`.

    Returns
    -------
    float
        Negative where a task ended better than it ever was before.

    Raises
    ------
    ValueError
        If the matrix is not square, not finite or has one task only.

    Examples
    --------
    >>> average_forgetting([[1.0, 0.5], [0.25, 0.75]])
    0.75
    """
    r = _accuracy_matrix(matrix, tasks=2)
    return float(np.mean(r[:-1, :-1].max(axis=0) - r[-1, :-1]))


def backward_transfer(matrix: ArrayLike) -> float:
    r"""Return how much later learning has added to the accuracy on old tasks.

    Implements :eq:`eq-backward-transfer` (Lopez-Paz & Ranzato, NIPS 2017).

    Parameters
    ----------
    matrix : array_like, shape (T, T), T at least 2
        As in :func:`average_accuracy`.

    Returns
    -------
    float
        Negative where tasks were forgotten.

    Raises
    ------
    ValueError
        If the matrix is not square, not finite or has one task only.

    Examples
    --------
    >>> backward_transfer([[1.0, 0.5], [0.25, 0.75]])
    -0.75
    """
    r = _accuracy_matrix(matrix, tasks=2)
    return float(np.mean(r[-1, :-1] - np.diagonal(r)[:-1]))


def forward_transfer(matrix: ArrayLike, baseline: ArrayLike) -> float:
    r"""Return how much earlier learning gives to a task before it is trained.

    Implements :eq:`eq-forward-transfer` (Lopez-Paz & Ranzato, NIPS 2017).

    Parameters
    ----------
    matrix : array_like, shape (T, T), T at least 2
        As in :func:`average_accuracy`.
    baseline : array_like, shape (T,)
        Accuracy of the untrained network on each task; the first is not used.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite or there is one task only.

    Examples
    --------
    >>> forward_transfer([[1.0, 0.75], [0.25, 0.75]], [0.5, 0.5])
    0.25
    """
    r = _accuracy_matrix(matrix, tasks=2)
    start = float_array("baseline", baseline, shape=(len(r),), finite=True)
    return float(np.mean(np.diagonal(r, offset=1) - start[1:]))


def _accuracy_matrix(matrix: ArrayLike, *, tasks: int = 1) -> FloatArray:
    r = float_array("matrix", matrix, ndim=2, finite=True)
    if r.shape[0] != r.shape[1] or len(r) < tasks:
        raise ValueError(
            f"matrix must have shape (T, T) with T at least {tasks}, got shape {r.shape}"
        )
    return r


# --- What a task asks of the network --------------------------------------------------------------


class Scenario:
    """How the classes of several tasks are laid on the outputs of one network.

    The names are those of van de Ven, Tuytelaars & Tolias (Nature Machine
    Intelligence 4, 2022).

    Parameters
    ----------
    name : {'task', 'domain', 'class'}
        ``'task'``: each task has outputs of its own, and the network is told at
        test time which task an image comes from. ``'domain'``: all tasks share
        the same outputs, and the network is not told. ``'class'``: each task has
        outputs of its own, and the network is not told: it chooses among all.
    tasks : sequence of Task
        At least one; for ``'domain'`` all with as many classes.

    Attributes
    ----------
    outputs : int
        How many outputs the network needs.
    heads : ndarray of int, shape (outputs,)
        Outputs with the same number compete with one another.

    Raises
    ------
    ValueError
        If `name` is unknown, there is no task, or numbers of classes differ where they may not.

    Examples
    --------
    >>> from companion.data import split_tasks
    >>> for name in ("task", "domain", "class"):
    ...     scenario = Scenario(name, split_tasks([[0, 1], [2, 3]]))
    ...     print(name, scenario.heads, scenario.targets(1, np.array([2, 3, 3])))
    task [0 0 1 1] [2 3 3]
    domain [0 0] [0 1 1]
    class [0 0 0 0] [2 3 3]
    """

    def __init__(self, name: str, tasks: Sequence[Task]) -> None:
        self.name = choice("name", name, ("task", "domain", "class"))
        if len(tasks) == 0:
            raise ValueError("tasks must hold at least one task, got none")
        self._classes = [np.array(task.classes) for task in tasks]
        sizes = [len(classes) for classes in self._classes]
        if name == "domain" and len(set(sizes)) > 1:
            raise ValueError(f"tasks must all have as many classes, got {sizes}")
        shared = name == "domain"
        self._offsets = [0 if shared else sum(sizes[:t]) for t in range(len(sizes))]
        self.outputs = sizes[0] if shared else sum(sizes)
        self.heads: IntArray = (
            np.repeat(np.arange(len(sizes)), sizes)
            if name == "task"
            else np.zeros(self.outputs, dtype=np.int64)
        )

    def targets(self, t: int, y: ArrayLike) -> IntArray:
        """Return the output that stands for each class of task `t`, shape of `y`."""
        found: IntArray = np.argmax(np.asarray(y)[:, None] == self._classes[t], axis=1)
        return found + self._offsets[t]

    def outputs_of(self, t: int) -> IntArray:
        """Return the outputs that stand for the classes of task `t`."""
        return self._offsets[t] + np.arange(len(self._classes[t]))

    def seen_before(self, t: int) -> list[IntArray]:
        """Return the outputs of the tasks before `t`, those that compete in one group."""
        before = [self.outputs_of(s) for s in range(t)]
        if self.name == "task" or not before:
            return before
        return [np.unique(np.concatenate(before))]

    def accuracy(self, prediction: ArrayLike, target: ArrayLike) -> float:
        """Return the share of rows whose largest logit within the head of the target is right."""
        return accuracy(
            _within_head(np.asarray(prediction), np.asarray(target), self.heads), target
        )


def _within_head(logits: FloatArray, target: NDArray[Any], heads: IntArray) -> FloatArray:
    """Set to minus infinity the logits that do not compete with the right one."""
    return np.where(heads == heads[target][:, None], logits, logits.dtype.type(-np.inf))


class HeadLoss:
    """Cross-entropy among the outputs that compete with the right one.

    Parameters
    ----------
    heads : array_like of int, shape (K,)
        Outputs with the same number compete, see :class:`Scenario`.

    Examples
    --------
    The third output is in another head: it does not matter.

    >>> loss = HeadLoss([0, 0, 1])
    >>> round(loss.forward([[0.0, 0.0, 50.0]], [1]), 4)
    0.6931
    >>> loss.backward()
    array([[ 0.5, -0.5,  0. ]])
    """

    def __init__(self, heads: ArrayLike) -> None:
        array = np.asarray(heads)
        self.heads = labels("heads", array, length=array.size, classes=max(array.size, 1))

    def forward(self, prediction: ArrayLike, target: ArrayLike) -> float:
        """Return the mean loss of logits (N, K) for outputs (N,)."""
        logits = float_array("prediction", prediction, shape=(None, len(self.heads)))
        right = labels("target", target, length=len(logits), classes=len(self.heads))
        logits = _within_head(logits, right, self.heads)
        self._gradient = cross_entropy_gradient(logits, right)
        return cross_entropy(logits, right)

    def backward(self) -> FloatArray:
        """Return the gradient with respect to the last logits, shape (N, K)."""
        if not hasattr(self, "_gradient"):
            raise RuntimeError(f"{type(self).__name__}.backward was called before forward")
        return self._gradient


# --- Which weights matter -------------------------------------------------------------------------


def fisher_diagonal(
    model: Sequential,
    x: ArrayLike,
    *,
    targets: ArrayLike | None = None,
    outputs: ArrayLike | None = None,
) -> dict[str, FloatArray]:
    r"""Return the diagonal of the Fisher information of each parameter, a mean over samples.

    Implements :eq:`eq-fisher`: the squared gradient of the log-probability, for
    one sample at a time. Without `targets` the classes are weighted with the
    model's own probabilities: the Fisher information. With the labels of the data
    it is what is often called the empirical Fisher, another quantity
    (Kunstner, Balles & Hennig, NeurIPS 2019).

    Parameters
    ----------
    model : Sequential
        Of :class:`.Linear` layers and activations; its outputs are logits.
    x : array_like, shape (N, inputs)
        At least one sample.
    targets : array_like of int, shape (N,), optional
        The outputs to take instead of the model's own distribution.
    outputs : array_like of int, optional
        The outputs that compete; without it, all.

    Returns
    -------
    dict of str to ndarray
        By the name of the parameter, in its shape.

    Raises
    ------
    TypeError
        If the model holds a layer of another kind.
    ValueError
        If there is no sample, or a target is not among the outputs.

    Notes
    -----
    The gradient of one sample in a linear layer is an outer product, so its square
    is the outer product of the squares, and one matrix product sums over samples.

    Examples
    --------
    With probability one half each, the gradient is (1/2, -1/2) or its negative.

    >>> model = Sequential(Linear(1, 2, rng=0))
    >>> model[0].weight[...] = 0.0
    >>> fisher = fisher_diagonal(model, [[2.0]])
    >>> fisher["0.weight"].ravel(), fisher["0.bias"]
    (array([1., 1.]), array([0.25, 0.25]))
    """
    if not isinstance(model, Sequential) or any(
        not isinstance(layer, (Linear, Activation)) for layer in model
    ):
        raise TypeError(f"model must be a Sequential of Linear layers and activations, got {model}")
    inputs = [float_array("x", x, ndim=2)]
    n = len(inputs[0])
    if n == 0:
        raise ValueError(f"x must hold at least one sample, got shape {inputs[0].shape}")
    for layer in model:
        inputs.append(layer.forward(inputs[-1]))
    logits = inputs[-1]
    competing = np.arange(logits.shape[1]) if outputs is None else _outputs(outputs, logits)
    p = np.zeros_like(logits)
    p[:, competing] = softmax(logits[:, competing])
    if targets is None:
        cases = [(np.full(n, k), p[:, k]) for k in competing]
    else:
        right = labels("targets", targets, length=n, classes=logits.shape[1])
        if not np.isin(right, competing).all():
            raise ValueError(f"targets must be among the outputs {competing}, got others")
        cases = [(right, np.ones(n, dtype=p.dtype))]
    fisher = {name: np.zeros_like(array) for name, array in model.parameters().items()}
    for classes, weight in cases:
        delta = p.copy()
        delta[np.arange(n), classes] -= 1.0
        for i in reversed(range(len(model))):
            layer = model[i]
            if isinstance(layer, Linear):
                squares = weight[:, None] * delta**2 / n
                fisher[f"{i}.weight"] += squares.T @ inputs[i] ** 2
                if layer.bias is not None:
                    fisher[f"{i}.bias"] += squares.sum(axis=0)
            delta = layer.backward(delta)
    return fisher


def _outputs(outputs: ArrayLike, logits: FloatArray) -> IntArray:
    array = np.asarray(outputs)
    return labels("outputs", array, length=array.size, classes=logits.shape[1])


class _Quadratic(Penalty):
    """Half a strength times a weighted squared distance from earlier parameters.

    A sum of such distances with several weights and centres is again quadratic: the
    sum of weights and the sum of weighted centres say all but a constant.
    """

    def __init__(self, strength: float) -> None:
        super().__init__(strength)
        self._weights: dict[str, FloatArray] = {}
        self._pulls: dict[str, FloatArray] = {}
        self._constant = 0.0

    @property
    def memory(self) -> int:
        """How many numbers are kept between tasks."""
        return sum(array.size for array in self._weights.values()) * 2

    def value(self, parameters: Mapping[str, FloatArray]) -> float:
        """Return the amount added to the loss; biases count too."""
        total = self._constant
        for name, weight in self._weights.items():
            theta = parameters[name].astype(np.float64)
            total += float(np.sum(theta * (weight * theta - 2.0 * self._pulls[name])))
        # Rounding may leave a little less than nothing.
        return 0.5 * self.strength * max(total, 0.0)

    def add_gradient(
        self, parameters: Mapping[str, FloatArray], gradients: Mapping[str, FloatArray]
    ) -> None:
        """Add the gradient of :meth:`value` to `gradients`, in place."""
        for name, weight in self._weights.items():
            pull = weight * parameters[name] - self._pulls[name]
            gradients[name][...] += self.strength * pull


class EWC(_Quadratic):
    r"""Elastic weight consolidation: hold each parameter as firmly as the old tasks need it.

    Implements :eq:`eq-ewc` (Kirkpatrick et al., PNAS 114, 2017), a penalty for
    the training loop.

    Parameters
    ----------
    strength : float
        At least 0.
    decay : float in [0, 1], optional
        Without it, each task adds a penalty around its own solution. With it, there
        is one penalty around the last solution, whose weights are the new Fisher
        information and `decay` times the earlier weights: the online form
        (Schwarz et al., ICML 2018; Huszár, PNAS 115, 2018, on why one centre is enough).

    Examples
    --------
    >>> model = Sequential(Linear(1, 2, rng=0))
    >>> penalty = EWC(10.0)
    >>> penalty.consolidate(model, [[2.0], [1.0]])
    >>> round(penalty.value(model.parameters()), 9)
    0.0
    >>> model[0].weight[0] += 1.0
    >>> penalty.value(model.parameters()) > 0.1
    True
    """

    def __init__(self, strength: float, *, decay: float | None = None) -> None:
        super().__init__(strength)
        self.decay = None if decay is None else real("decay", decay, minimum=0.0, maximum=1.0)

    def consolidate(
        self, model: Sequential, x: ArrayLike, *, outputs: ArrayLike | None = None
    ) -> None:
        """Remember the parameters, and how much each matters for the samples `x`.

        Parameters
        ----------
        model : Sequential
        x : array_like, shape (N, inputs)
        outputs : array_like of int, optional
            The outputs that compete, see :func:`fisher_diagonal`.
        """
        parameters = model.parameters()
        for name, fisher in fisher_diagonal(model, x, outputs=outputs).items():
            theta, old = parameters[name], self._weights.get(name)
            if old is None or self.decay is None:
                self._weights[name] = fisher if old is None else old + fisher
                self._pulls[name] = self._pulls.get(name, 0.0) + fisher * theta
                self._constant += float(np.sum(fisher * theta.astype(np.float64) ** 2))
            else:
                self._weights[name] = self.decay * old + fisher
        if self.decay is not None:
            self._pulls = {name: w * parameters[name] for name, w in self._weights.items()}
            self._constant = sum(
                float(np.sum(w * parameters[name].astype(np.float64) ** 2))
                for name, w in self._weights.items()
            )


class L2ToStart(_Quadratic):
    r"""Hold all parameters equally firmly to where the last task left them.

    Half the strength times the squared distance (Li, Grandvalet & Davoine, ICML
    2018): :class:`EWC` with one centre, and 1 for the Fisher information.

    Parameters
    ----------
    strength : float
        At least 0.

    Examples
    --------
    >>> model = Sequential(Linear(1, 2, rng=0))
    >>> penalty = L2ToStart(10.0)
    >>> penalty.consolidate(model)
    >>> model[0].bias[0] += 1.0
    >>> round(penalty.value(model.parameters()), 9)
    5.0
    """

    @property
    def memory(self) -> int:
        """How many numbers are kept between tasks."""
        return super().memory // 2

    def consolidate(self, model: Layer) -> None:
        """Remember the parameters of the model."""
        self._pulls = {name: array.copy() for name, array in model.parameters().items()}
        self._weights = {name: np.ones_like(array) for name, array in self._pulls.items()}
        self._constant = sum(
            float(np.sum(array.astype(np.float64) ** 2)) for array in self._pulls.values()
        )


# --- What the network said before -----------------------------------------------------------------


def with_teacher(target: ArrayLike, logits: ArrayLike) -> NDArray[Any]:
    """Return targets that hold a label and a teacher's logits, for :class:`DistillationLoss`.

    Parameters
    ----------
    target : array_like of int, shape (N,)
    logits : array_like, shape (N, K)

    Returns
    -------
    structured ndarray, shape (N,)
        With the fields ``"label"`` and ``"teacher"``.

    Raises
    ------
    TypeError, ValueError
        If the labels are not integers, or do not fit.

    Examples
    --------
    >>> with_teacher([1], [[0.5, 2.0]])["teacher"]
    array([[0.5, 2. ]])
    """
    teacher = float_array("logits", logits, ndim=2)
    n, k = teacher.shape
    kind = np.dtype([("label", np.int64), ("teacher", teacher.dtype, (k,))])
    both = np.empty(n, dtype=kind)
    both["label"] = labels("target", target, length=n, classes=k)
    both["teacher"] = teacher
    return both


class DistillationLoss(HeadLoss):
    r"""Cross-entropy on the new labels, and the old network's answers to the new inputs.

    Implements :eq:`eq-distillation` (Li & Hoiem, ECCV 2016; Hinton, Vinyals &
    Dean, arXiv:1503.02531, 2015).

    Parameters
    ----------
    heads : array_like of int, shape (K,)
        As in :class:`HeadLoss`.
    groups : sequence of array_like of int
        The outputs in which student and teacher are compared, one softmax a group.
    strength : float
        At least 0.
    temperature : float, default 2
        Logits are divided by it, so that small probabilities count.

    Examples
    --------
    A student that agrees with its teacher pays only for the label.

    >>> loss = DistillationLoss([0, 0, 0], [[0, 1]], strength=5.0)
    >>> target = with_teacher([2], [[1.0, 0.0, 0.0]])
    >>> round(loss.forward([[1.0, 0.0, 0.0]], target), 4)
    1.5514
    """

    def __init__(
        self,
        heads: ArrayLike,
        groups: Sequence[ArrayLike],
        *,
        strength: float,
        temperature: float = 2.0,
    ) -> None:
        super().__init__(heads)
        self.groups = [
            labels(f"groups[{i}]", group, length=np.size(group), classes=len(self.heads))
            for i, group in enumerate(groups)
        ]
        self.strength = real("strength", strength, minimum=0.0)
        self.temperature = real("temperature", temperature, minimum=0.0, open_minimum=True)

    def forward(self, prediction: ArrayLike, target: ArrayLike) -> float:
        """Return the mean loss of logits (N, K) for targets of :func:`with_teacher`."""
        both = np.asarray(target)
        if both.dtype.names != ("label", "teacher"):
            raise TypeError(f"target must come from with_teacher, got dtype {both.dtype}")
        total = super().forward(prediction, both["label"])
        student, t = np.asarray(prediction, dtype=self._gradient.dtype), self.temperature
        for group in self.groups:
            log_q = log_softmax(student[:, group] / t)
            log_p = log_softmax(both["teacher"][:, group].astype(student.dtype) / t)
            divergence = np.sum(np.exp(log_p) * (log_p - log_q), axis=1)
            total += self.strength * t**2 * float(divergence.mean())
            gap = np.exp(log_q) - np.exp(log_p)
            self._gradient[:, group] += self.strength * t * gap / len(student)
        return total


# --- What is kept of the data ---------------------------------------------------------------------


class ReplayBuffer:
    """A random sample of everything seen, of a fixed size.

    Each item draws a random key, and the items with the largest keys stay: a
    uniform sample of the stream, like reservoir sampling (Vitter, ACM Trans. Math.
    Softw. 11, 1985), without a loop over items.

    Parameters
    ----------
    budget : int
        At most so many items.
    balanced : bool, default False
        Whether each label gets the same share of the budget, the first labels one
        more where it does not divide.
    rng : Generator or int

    Attributes
    ----------
    x : ndarray, shape (kept, ...)
    y : ndarray, shape (kept,)

    Examples
    --------
    >>> buffer = ReplayBuffer(4, balanced=True, rng=0)
    >>> buffer.add(np.arange(100.0)[:, None], np.repeat([0, 1], [90, 10]))
    >>> buffer.y
    array([0, 0, 1, 1])
    """

    def __init__(self, budget: int, *, balanced: bool = False, rng: Seed) -> None:
        self.budget = integer("budget", budget)
        self.balanced = balanced
        self._random = generator("rng", rng)
        self.x: NDArray[Any] = np.empty(0)
        self.y: NDArray[Any] = np.empty(0)
        self._keys: FloatArray = np.empty(0)

    def __len__(self) -> int:
        """Return how many items are kept."""
        return len(self._keys)

    def add(self, x: ArrayLike, y: ArrayLike) -> None:
        """Show items to the buffer.

        Parameters
        ----------
        x : array_like, shape (N, ...)
        y : array_like, shape (N,)

        Raises
        ------
        ValueError
            If the lengths differ.
        """
        items, answers = np.asarray(x), np.asarray(y)
        if answers.ndim != 1 or items.shape[:1] != answers.shape:
            raise ValueError(
                f"x and y must hold as many items, got shapes {items.shape} and {answers.shape}"
            )
        keys = self._random.random(len(answers))
        if len(self):
            items = np.concatenate([self.x, items])
            answers = np.concatenate([self.y, answers])
            keys = np.concatenate([self._keys, keys])
        kept = np.sort(self._kept(keys, answers))
        self.x, self.y, self._keys = items[kept], answers[kept], keys[kept]

    def _kept(self, keys: FloatArray, answers: NDArray[Any]) -> IntArray:
        best: IntArray = np.argsort(-keys)
        if not self.balanced:
            return best[: self.budget]
        values = np.unique(answers)
        shares = self.budget // len(values) + (np.arange(len(values)) < self.budget % len(values))
        return np.concatenate(
            [best[answers[best] == v][:n] for v, n in zip(values, shares, strict=True)]
        )

    def draw(self, n: int, *, rng: Seed) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return `n` items, each as often as any other, give or take one.

        Parameters
        ----------
        n : int
        rng : Generator or int

        Returns
        -------
        x : ndarray, shape (n, ...)
        y : ndarray, shape (n,)

        Raises
        ------
        ValueError
            If the buffer is empty.
        """
        count, random = integer("n", n), generator("rng", rng)
        if len(self) == 0:
            raise ValueError("the buffer is empty: add items before drawing")
        rounds = -(-count // len(self))
        order = np.concatenate([random.permutation(len(self)) for _ in range(rounds)])[:count]
        return self.x[order], self.y[order]


# --- Strategies -----------------------------------------------------------------------------------


class Strategy:
    """What is done against forgetting; this base does nothing: fine-tuning.

    :func:`learn_in_sequence` calls :meth:`targets` before each task and
    :meth:`finish` after it; in between it mixes in what :meth:`rehearsal` returns
    and adds :meth:`penalties` to the loss.
    """

    @property
    def memory(self) -> int:
        """How many numbers are kept between tasks, beside the network."""
        return 0

    def targets(
        self, model: Sequential, scenario: Scenario, t: int, x: FloatArray, y: IntArray
    ) -> tuple[Loss, NDArray[Any]]:
        """Return the loss of task `t` and its targets."""
        return HeadLoss(scenario.heads), y

    def rehearsal(self, n: int, rng: np.random.Generator) -> tuple[FloatArray, IntArray] | None:
        """Return `n` samples of earlier tasks with their outputs, or None."""
        return None

    def penalties(self) -> Sequence[Penalty]:
        """Return penalties for the training loop."""
        return ()

    def finish(
        self,
        model: Sequential,
        scenario: Scenario,
        t: int,
        x: FloatArray,
        y: IntArray,
        rng: np.random.Generator,
    ) -> None:
        """Keep what is needed of task `t`."""


class FineTuning(Strategy):
    """Train on each task in turn, with nothing against forgetting.

    Examples
    --------
    >>> FineTuning().memory
    0
    """


class Regularisation(Strategy):
    """Hold the parameters to earlier ones.

    Parameters
    ----------
    penalty : EWC or L2ToStart

    Examples
    --------
    >>> Regularisation(EWC(100.0)).penalties()[0].strength
    100.0
    """

    def __init__(self, penalty: EWC | L2ToStart) -> None:
        if not isinstance(penalty, (EWC, L2ToStart)):
            raise TypeError(f"penalty must be EWC or L2ToStart, got {penalty!r}")
        self.penalty = penalty

    @property
    def memory(self) -> int:
        """How many numbers are kept between tasks."""
        return self.penalty.memory

    def penalties(self) -> Sequence[Penalty]:
        """Return the penalty."""
        return (self.penalty,)

    def finish(
        self,
        model: Sequential,
        scenario: Scenario,
        t: int,
        x: FloatArray,
        y: IntArray,
        rng: np.random.Generator,
    ) -> None:
        """Remember the parameters; the outputs of the task's own head count."""
        if isinstance(self.penalty, EWC):
            outputs = np.flatnonzero(scenario.heads == scenario.heads[y[0]])
            self.penalty.consolidate(model, x, outputs=outputs)
        else:
            self.penalty.consolidate(model)


class Distillation(Strategy):
    """Keep the old outputs as they were on the new inputs: learning without forgetting.

    (Li & Hoiem, ECCV 2016.) The teacher's answers are computed before the training
    on a task begins, so nothing is kept between tasks.

    Parameters
    ----------
    strength : float
        At least 0.
    temperature : float, default 2

    Examples
    --------
    >>> Distillation(1.0).memory
    0
    """

    def __init__(self, strength: float, *, temperature: float = 2.0) -> None:
        self.strength = real("strength", strength, minimum=0.0)
        self.temperature = real("temperature", temperature, minimum=0.0, open_minimum=True)

    def targets(
        self, model: Sequential, scenario: Scenario, t: int, x: FloatArray, y: IntArray
    ) -> tuple[Loss, NDArray[Any]]:
        """Return the loss with the old outputs in it, from the second task on."""
        if t == 0:
            return super().targets(model, scenario, t, x, y)
        loss = DistillationLoss(
            scenario.heads,
            scenario.seen_before(t),
            strength=self.strength,
            temperature=self.temperature,
        )
        return loss, with_teacher(y, predict(model, x))


class Replay(Strategy):
    """Mix samples of earlier tasks into the training on a new one.

    Parameters
    ----------
    budget : int, optional
        How many samples may be kept; without it, all of them: joint training.
    balanced : bool, default True
        See :class:`ReplayBuffer`.

    Examples
    --------
    >>> Replay(50).memory
    0
    """

    def __init__(self, budget: int | None = None, *, balanced: bool = True) -> None:
        self.budget = None if budget is None else integer("budget", budget)
        self.balanced = balanced
        self.buffer: ReplayBuffer | None = None

    @property
    def memory(self) -> int:
        """How many numbers are kept between tasks, pixels and labels."""
        return 0 if self.buffer is None else self.buffer.x.size + self.buffer.y.size

    def rehearsal(self, n: int, rng: np.random.Generator) -> tuple[FloatArray, IntArray] | None:
        """Return samples from the buffer."""
        return None if self.buffer is None else self.buffer.draw(n, rng=rng)

    def finish(
        self,
        model: Sequential,
        scenario: Scenario,
        t: int,
        x: FloatArray,
        y: IntArray,
        rng: np.random.Generator,
    ) -> None:
        """Show the task's samples to the buffer."""
        if self.buffer is None:
            budget = np.iinfo(np.int64).max if self.budget is None else self.budget
            balanced = self.balanced and self.budget is not None
            self.buffer = ReplayBuffer(int(budget), balanced=balanced, rng=rng)
        self.buffer.add(x, y)


class GenerativeReplay(Strategy):
    """Mix in samples that a generator has made up, and keep no data.

    (Shin, Lee, Kim & Kim, NIPS 2017, with one generative network for all tasks. Here
    each class of each task has a small mixture of Gaussians with diagonal
    covariances, fitted once and never again.)

    Parameters
    ----------
    components : int
        Gaussians for each class of each task.

    Examples
    --------
    >>> GenerativeReplay(2).memory
    0
    """

    def __init__(self, components: int) -> None:
        self.components = integer("components", components)
        self._mixtures: list[tuple[int, Any]] = []

    @property
    def memory(self) -> int:
        """How many numbers are kept between tasks, means, variances and weights."""
        return sum(m.means_.size + m.covariances_.size + m.weights_.size for _, m in self._mixtures)

    def rehearsal(self, n: int, rng: np.random.Generator) -> tuple[FloatArray, IntArray] | None:
        """Return samples of all mixtures, as many of each, give or take one."""
        if not self._mixtures:
            return None
        counts = np.bincount(np.arange(n) % len(self._mixtures), minlength=len(self._mixtures))
        x, y = [], []
        for count, (label, mixture) in zip(counts, self._mixtures, strict=True):
            which = rng.choice(self.components, size=count, p=mixture.weights_)
            noise = rng.normal(size=(count, mixture.means_.shape[1]))
            x.append(mixture.means_[which] + noise * np.sqrt(mixture.covariances_[which]))
            y.append(np.full(count, label))
        return np.clip(np.concatenate(x), 0.0, 1.0), np.concatenate(y)

    def finish(
        self,
        model: Sequential,
        scenario: Scenario,
        t: int,
        x: FloatArray,
        y: IntArray,
        rng: np.random.Generator,
    ) -> None:
        """Fit one mixture to each class of the task."""
        from sklearn.mixture import GaussianMixture

        for label in np.unique(y):
            mixture = GaussianMixture(
                self.components,
                covariance_type="diag",
                reg_covar=1e-4,
                random_state=int(rng.integers(2**31)),
            )
            self._mixtures.append((int(label), mixture.fit(x[y == label])))


def learn_in_sequence(
    model: Sequential,
    tasks: Sequence[Task],
    strategy: Strategy,
    *,
    scenario: str,
    optimiser: Callable[[], Optimiser],
    epochs: int,
    batch_size: int = 32,
    rng: Seed,
    part: str = "test",
) -> FloatArray:
    """Train one network on one task after the other, and measure it on all of them.

    Every strategy makes the same number of updates on a task: where earlier samples
    are mixed in, they take the place of new ones, so that on average each task
    seen so far has the same share of a batch.

    Parameters
    ----------
    model : Sequential
        Changed in place; as many outputs as the :class:`Scenario` asks for.
    tasks : sequence of Task
    strategy : Strategy
        A new one for each call: it keeps what it has seen.
    scenario : {'task', 'domain', 'class'}
    optimiser : callable
        Returns a new optimiser for each task.
    epochs : int
        Updates on a task, in passes through its training data.
    batch_size : int, default 32
    rng : Generator or int
    part : {'test', 'val'}
        What accuracy is measured on.

    Returns
    -------
    ndarray, shape (T, T)
        Entry (i, j): accuracy on task j after training on tasks 0 to i.

    Raises
    ------
    ValueError
        If a name is unknown or there is no task.

    Examples
    --------
    >>> from companion.data import split_tasks
    >>> from companion.network import Adam, mlp
    >>> tasks = split_tasks([[0, 1], [2, 3]])
    >>> model = mlp([64, 20, 4], rng=0)
    >>> matrix = learn_in_sequence(
    ...     model, tasks, FineTuning(), scenario="class", optimiser=Adam, epochs=20, rng=0
    ... )
    >>> matrix.shape, bool(matrix[1, 0] < 0.5 < matrix[0, 0])
    ((2, 2), True)
    """
    layout, random = Scenario(scenario, tasks), generator("rng", rng)
    passes = integer("epochs", epochs)
    choice("part", part, ("test", "val"))
    measured = [
        (getattr(task, f"x_{part}"), layout.targets(t, getattr(task, f"y_{part}")))
        for t, task in enumerate(tasks)
    ]
    matrix = np.zeros((len(tasks), len(tasks)))
    for t, task in enumerate(tasks):
        new_x, new_y = task.x_train, layout.targets(t, task.y_train)
        x, y = _mixed(new_x, new_y, strategy, t, passes, random)
        loss, targets = strategy.targets(model, layout, t, x, y)
        fit(
            model,
            loss,
            optimiser(),
            x,
            targets,
            epochs=1,
            batch_size=batch_size,
            rng=random,
            penalties=strategy.penalties(),
        )
        strategy.finish(model, layout, t, new_x, new_y, random)
        matrix[t] = [layout.accuracy(predict(model, x), y) for x, y in measured]
    return matrix


def _mixed(
    x: FloatArray, y: IntArray, strategy: Strategy, t: int, epochs: int, rng: np.random.Generator
) -> tuple[FloatArray, IntArray]:
    """Return all the samples of a training in a row: new ones, and earlier ones if there are."""
    total = epochs * len(x)
    # After t tasks the new one gets a share of 1 / (t + 1).
    earlier = strategy.rehearsal(total * t // (t + 1), rng) if t else None
    fresh = total if earlier is None else total - len(earlier[1])
    order = np.concatenate([rng.permutation(len(x)) for _ in range(epochs)])[:fresh]
    if earlier is None:
        return x[order], y[order]
    return (
        np.concatenate([x[order], earlier[0].astype(x.dtype)]),
        np.concatenate([y[order], earlier[1]]),
    )
