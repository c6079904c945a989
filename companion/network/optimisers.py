"""Optimisers: rules that turn gradients into parameter updates, in place.

The state of an optimiser (momentum, running averages) is kept by parameter
name, so the same object serves any model. Step for step the results are those
of ``torch.optim``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from companion._validation import FloatArray, float_array, integer, real

Named = Mapping[str, FloatArray]


class Optimiser:
    """Base of all optimisers: checks, counts the steps and keeps the state.

    Parameters
    ----------
    lr : float
        Learning rate, above 0. A schedule may change it between steps.

    Attributes
    ----------
    lr : float
    steps : int
        Number of steps taken.
    """

    def __init__(self, lr: float) -> None:
        self.lr = real("lr", lr, minimum=0.0, open_minimum=True)
        self.steps = 0
        self._state: dict[str, dict[str, FloatArray]] = {}

    def step(self, parameters: Named, gradients: Named) -> None:
        """Update every parameter in place.

        Parameters
        ----------
        parameters, gradients : mapping of str to ndarray
            The same names and shapes, see :meth:`.Layer.parameters`.

        Raises
        ------
        ValueError
            If names or shapes differ, or a gradient holds NaN or infinity.
        """
        if parameters.keys() != gradients.keys():
            odd = sorted(parameters.keys() ^ gradients.keys())
            raise ValueError(f"gradients must have the names of the parameters, differing: {odd}")
        for name, parameter in parameters.items():
            float_array(f"gradients[{name!r}]", gradients[name], shape=parameter.shape, finite=True)
        self.steps += 1
        for name, parameter in parameters.items():
            self._update(self._state.setdefault(name, {}), parameter, gradients[name])

    def _update(self, state: dict[str, FloatArray], w: FloatArray, g: FloatArray) -> None:
        raise TypeError(f"{type(self).__name__} must define _update")


class SGD(Optimiser):
    r"""Gradient descent, with optional momentum.

    Implements :eq:`eq-sgd` and, with `momentum`, :eq:`eq-momentum` (Polyak 1964;
    Sutskever, Martens, Dahl & Hinton, ICML 2013).

    Parameters
    ----------
    lr : float
        Learning rate.
    momentum : float in [0, 1), default 0
        Weight of the past.
    nesterov : bool, default False
        Look ahead along the momentum; needs ``momentum > 0``.
    weight_decay : float, default 0
        Adds this multiple of the parameter to its gradient.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> w = {"w": np.array([1.0])}
    >>> SGD(lr=0.1).step(w, {"w": np.array([2.0])})
    >>> w["w"]
    array([0.8])
    """

    def __init__(
        self,
        lr: float,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(lr)
        self.momentum = real("momentum", momentum, minimum=0.0, maximum=1.0, open_maximum=True)
        self.weight_decay = real("weight_decay", weight_decay, minimum=0.0)
        if nesterov and self.momentum == 0.0:
            raise ValueError("nesterov needs momentum > 0, got momentum 0")
        self.nesterov = nesterov

    def _update(self, state: dict[str, FloatArray], w: FloatArray, g: FloatArray) -> None:
        if self.weight_decay:
            g = g + self.weight_decay * w
        if self.momentum:
            velocity = state["velocity"] = self.momentum * state.get("velocity", 0.0) + g
            g = g + self.momentum * velocity if self.nesterov else velocity
        w -= self.lr * g


class Adam(Optimiser):
    r"""Steps scaled, entry by entry, by running averages of the gradient.

    Implements :eq:`eq-adam` (Kingma & Ba, ICLR 2015).

    Parameters
    ----------
    lr : float, default 1e-3
        Learning rate.
    betas : tuple of two floats in [0, 1), default (0.9, 0.999)
        Decay of the averages of the gradient and of its square.
    eps : float, default 1e-8
        Added to the square root of the second average.
    weight_decay : float, default 0
        Adds this multiple of the parameter to its gradient (L2 penalty).

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    The first step has length `lr`, whatever the size of the gradient.

    >>> w = {"w": np.array([1.0, 1.0])}
    >>> Adam(lr=0.1).step(w, {"w": np.array([1e-3, 1e3])})
    >>> w["w"].round(4)
    array([0.9, 0.9])
    """

    def __init__(
        self,
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(lr)
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ValueError(f"betas must hold two numbers, got {betas!r}")
        self.betas = tuple(
            real(f"betas[{i}]", b, minimum=0.0, maximum=1.0, open_maximum=True)
            for i, b in enumerate(betas)
        )
        self.eps = real("eps", eps, minimum=0.0, open_minimum=True)
        self.weight_decay = real("weight_decay", weight_decay, minimum=0.0)

    def _update(self, state: dict[str, FloatArray], w: FloatArray, g: FloatArray) -> None:
        if self.weight_decay:
            g = g + self.weight_decay * w
        self._adaptive_step(state, w, g)

    def _adaptive_step(self, state: dict[str, FloatArray], w: FloatArray, g: FloatArray) -> None:
        beta1, beta2 = self.betas
        m = state["m"] = beta1 * state.get("m", 0.0) + (1.0 - beta1) * g
        v = state["v"] = beta2 * state.get("v", 0.0) + (1.0 - beta2) * g * g
        m_hat = m / (1.0 - beta1**self.steps)
        v_hat = v / (1.0 - beta2**self.steps)
        w -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)


class AdamW(Adam):
    r"""Adam with weight decay kept apart from the adaptive step.

    Implements :eq:`eq-adamw` (Loshchilov & Hutter, ICLR 2019).

    Parameters
    ----------
    lr, betas, eps
        As in :class:`Adam`.
    weight_decay : float, default 0.01
        Each step first multiplies the parameter by ``1 - lr * weight_decay``.

    Examples
    --------
    >>> w = {"w": np.array([1.0])}
    >>> AdamW(lr=0.1, weight_decay=0.5).step(w, {"w": np.array([0.0])})
    >>> w["w"]
    array([0.95])
    """

    def __init__(
        self,
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def _update(self, state: dict[str, FloatArray], w: FloatArray, g: FloatArray) -> None:
        w *= 1.0 - self.lr * self.weight_decay
        self._adaptive_step(state, w, g)


def orthogonalise(
    matrix: ArrayLike,
    *,
    steps: int = 5,
    coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
) -> FloatArray:
    r"""Push all singular values of a matrix towards one, keeping its singular vectors.

    Implements :eq:`eq-newton-schulz`: an odd polynomial of the matrix, repeated,
    acts on each singular value alone. The default coefficients (Jordan, 2024)
    reach the interval of about 0.7 to 1.2 in five steps, and do not converge
    further. The coefficients ``(1.5, -0.5, 0)`` converge to the polar factor
    :math:`U V^\top`, slowly at first.

    Parameters
    ----------
    matrix : array_like, shape (m, n)
    steps : int, default 5
    coefficients : tuple of three floats
        :math:`a, b, c` in :math:`aX + b(XX^\top)X + c(XX^\top)^2X`.

    Returns
    -------
    ndarray, shape (m, n)

    Raises
    ------
    ValueError
        If `matrix` does not have two axes.

    Examples
    --------
    >>> orthogonalise(np.diag([2.0, 1.0]), steps=30, coefficients=(1.5, -0.5, 0.0)).round(6)
    array([[1., 0.],
           [0., 1.]])
    """
    x = float_array("matrix", matrix, ndim=2)
    count = integer("steps", steps)
    if not isinstance(coefficients, (tuple, list)) or len(coefficients) != 3:
        raise ValueError(f"coefficients must hold three numbers, got {coefficients!r}")
    a, b, c = (real(f"coefficients[{i}]", value) for i, value in enumerate(coefficients))
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    # The Frobenius norm bounds the largest singular value, so all start in [0, 1].
    x = x / max(float(np.linalg.norm(x)), 1e-7)
    for _ in range(count):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return np.asarray(x.T if tall else x)


class Muon(Optimiser):
    r"""Momentum whose matrix is orthogonalised before it is applied.

    Implements :eq:`eq-muon` (Jordan, 2024). It treats a weight as a matrix: all
    singular directions of the update get about the same length. Parameters
    that are not matrices (biases) are left to `fallback`.

    Parameters
    ----------
    lr : float, default 0.02
        Learning rate of the matrices.
    momentum : float in [0, 1), default 0.95
    nesterov : bool, default True
        Look ahead along the momentum.
    weight_decay : float, default 0
        Each step first multiplies a matrix by ``1 - lr * weight_decay``.
    ns_steps : int, default 5
        Steps of :func:`orthogonalise`.
    fallback : Adam, optional
        Optimiser of everything else; ``AdamW(lr=1e-3, weight_decay=0)`` if not given.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> w = {"w": np.zeros((2, 2))}
    >>> Muon(lr=0.1).step(w, {"w": np.array([[3.0, 0.0], [0.0, 2.0]])})
    >>> bool(0.06 < -w["w"][0, 0] < 0.13 and 0.06 < -w["w"][1, 1] < 0.13)
    True
    """

    def __init__(
        self,
        lr: float = 0.02,
        *,
        momentum: float = 0.95,
        nesterov: bool = True,
        weight_decay: float = 0.0,
        ns_steps: int = 5,
        fallback: Adam | None = None,
    ) -> None:
        super().__init__(lr)
        self.momentum = real("momentum", momentum, minimum=0.0, maximum=1.0, open_maximum=True)
        self.nesterov = nesterov
        self.weight_decay = real("weight_decay", weight_decay, minimum=0.0)
        self.ns_steps = integer("ns_steps", ns_steps)
        if fallback is not None and not isinstance(fallback, Adam):
            raise TypeError(f"fallback must be Adam or AdamW, got {fallback!r}")
        self.fallback = AdamW(weight_decay=0.0) if fallback is None else fallback
        self._fallback_share = self.fallback.lr / self.lr

    def step(self, parameters: Named, gradients: Named) -> None:
        """Update every parameter in place, see :meth:`Optimiser.step`.

        A schedule that changes ``lr`` scales the fallback's rate with it.
        """
        # The fallback counts the same steps, for its bias correction.
        self.fallback.steps = self.steps + 1
        self.fallback.lr = self._fallback_share * self.lr
        super().step(parameters, gradients)

    def _update(self, state: dict[str, FloatArray], w: FloatArray, g: FloatArray) -> None:
        if w.ndim != 2:
            self.fallback._update(state, w, g)
            return
        mu = self.momentum
        buffer = state["momentum"] = mu * state.get("momentum", 0.0) + (1.0 - mu) * g
        direction = mu * buffer + (1.0 - mu) * g if self.nesterov else buffer
        rows, columns = w.shape
        scale = self.lr * math.sqrt(max(1.0, rows / columns))
        w *= 1.0 - self.lr * self.weight_decay
        w -= scale * orthogonalise(direction, steps=self.ns_steps)


def clip_grad_norm(gradients: Named, max_norm: float) -> float:
    r"""Scale all gradients together, in place, so that their joint norm is at most `max_norm`.

    Implements :eq:`eq-clip` (Pascanu, Mikolov & Bengio, ICML 2013). The direction
    stays the same.

    Parameters
    ----------
    gradients : mapping of str to ndarray
    max_norm : float
        Above 0.

    Returns
    -------
    float
        The norm before clipping.

    Raises
    ------
    ValueError
        If `max_norm` is not above 0.

    Examples
    --------
    >>> g = {"w": np.array([3.0, 4.0])}
    >>> clip_grad_norm(g, 1.0)
    5.0
    >>> g["w"].round(4)
    array([0.6, 0.8])
    """
    limit = real("max_norm", max_norm, minimum=0.0, open_minimum=True)
    norm = grad_norm(gradients)
    if norm > limit:
        for gradient in gradients.values():
            gradient *= limit / norm
    return norm


def grad_norm(gradients: Named) -> float:
    """Return the Euclidean norm of all gradients taken as one long vector.

    Parameters
    ----------
    gradients : mapping of str to ndarray

    Returns
    -------
    float

    Examples
    --------
    >>> grad_norm({"w": np.array([3.0]), "b": np.array([4.0])})
    5.0
    """
    arrays = [float_array(f"gradients[{name!r}]", g) for name, g in gradients.items()]
    return math.sqrt(sum(float(np.vdot(g, g)) for g in arrays))
