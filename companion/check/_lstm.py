"""The exercises of the lesson *LSTM: a cell with gates*."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, log_expit

from companion._validation import FloatArray
from companion.check._engine import Exercise, Mistake, distinct_sizes
from companion.recurrence import LSTM

Pair = tuple[FloatArray, FloatArray]


def _step_case(rng: np.random.Generator) -> Mapping[str, Any]:
    n, inputs, hidden = distinct_sizes(rng, 3, low=2, high=7)
    return {
        "x": rng.normal(size=(n, inputs)),
        "h": rng.uniform(-1, 1, size=(n, hidden)),
        "c": rng.normal(size=(n, hidden)),
        "weight_ih": rng.normal(size=(4 * hidden, inputs)),
        "weight_hh": rng.normal(size=(4 * hidden, hidden)),
        "bias": rng.normal(size=4 * hidden),
    }


def _step_by_layer(
    x: FloatArray,
    h: FloatArray,
    c: FloatArray,
    weight_ih: FloatArray,
    weight_hh: FloatArray,
    bias: FloatArray,
) -> Pair:
    layer = LSTM(x.shape[1], h.shape[1], rng=0)
    given = {
        "weight_ih": weight_ih,
        "weight_hh": weight_hh,
        "bias_ih": bias,
        "bias_hh": np.zeros_like(bias),
    }
    for name, array in given.items():
        layer.parameters()[f"{name}_l0"][...] = array
    layer.forward(x[None], (h[None], c[None]))
    new_h, new_c = layer.state
    return new_h[0], new_c[0]


def _step(
    *,
    order: str = "ifgo",
    candidate: Callable[[FloatArray], FloatArray] = np.tanh,
    squash: Callable[[FloatArray], FloatArray] = np.tanh,
    gate: Callable[[FloatArray], FloatArray] = expit,
    cell: Callable[..., FloatArray] = lambda c, i, f, g, o: f * c + i * g,
    shown: Callable[[FloatArray, FloatArray], FloatArray] = lambda old, new: new,
    biased: bool = True,
    recurrent: bool = True,
    swapped: bool = False,
) -> Callable[..., Pair]:
    def wrong(
        x: FloatArray,
        h: FloatArray,
        c: FloatArray,
        weight_ih: FloatArray,
        weight_hh: FloatArray,
        bias: FloatArray,
    ) -> Pair:
        z = x @ weight_ih.T + recurrent * (h @ weight_hh.T) + biased * bias
        part = dict(zip(order, np.split(z, 4, axis=1), strict=True))
        i, f, o = gate(part["i"]), gate(part["f"]), gate(part["o"])
        new = cell(c, i, f, candidate(part["g"]), o)
        result = o * squash(shown(c, new)), new
        return result[::-1] if swapped else result

    return wrong


def _same(z: FloatArray) -> FloatArray:
    return z


lstm_step = Exercise(
    name="lstm_step",
    oracle=_step_by_layer,
    sample=_step_case,
    outputs=("h", "c"),
    edge_cases=[
        {
            "x": np.zeros((1, 1)),
            "h": np.zeros((1, 1)),
            "c": np.array([[2.0]]),
            "weight_ih": np.zeros((4, 1)),
            "weight_hh": np.zeros((4, 1)),
            "bias": np.array([0.0, 50.0, 1.0, 50.0]),
        }
    ],
    mistakes=[
        Mistake(
            "The blocks are taken in the order i, f, o, g. Here the candidate g is the third and "
            "the output gate the last.",
            variant=_step(order="ifog"),
        ),
        Mistake(
            "Input gate and forget gate are exchanged: the first block is i, the second f.",
            variant=_step(order="figo"),
        ),
        Mistake(
            "The candidate goes through a sigmoid. It may be negative: it is a tanh.",
            variant=_step(candidate=expit),
        ),
        Mistake(
            "The candidate is written without its tanh.",
            variant=_step(candidate=_same),
        ),
        Mistake(
            "The output is o times the cell itself; the cell goes through a tanh first.",
            variant=_step(squash=_same),
        ),
        Mistake(
            "The gates are tanh of their sums. A gate lies between 0 and 1.",
            variant=_step(gate=np.tanh),
        ),
        Mistake(
            "The output shows the cell from before the step. It shows the new one.",
            variant=_step(shown=lambda old, new: old),
        ),
        Mistake(
            "The new cell forgets nothing: the forget gate is missing.",
            variant=_step(cell=lambda c, i, f, g, o: c + i * g),
        ),
        Mistake(
            "The candidate is written without the input gate.",
            variant=_step(cell=lambda c, i, f, g, o: f * c + g),
        ),
        Mistake(
            "The old cell is lost: only what is written is left.",
            variant=_step(cell=lambda c, i, f, g, o: i * g),
        ),
        Mistake(
            "The input gate is taken as 1 - f. That is one variant of the LSTM; here it has a "
            "block of its own.",
            variant=_step(cell=lambda c, i, f, g, o: f * c + (1 - f) * g),
        ),
        Mistake("The bias is missing.", variant=_step(biased=False)),
        Mistake("The old h is missing from the sums.", variant=_step(recurrent=False)),
        Mistake("The results are exchanged: first h, then c.", variant=_step(swapped=True)),
    ],
    success="Output and cell are those of the package's layer.",
)


def _keep_case(rng: np.random.Generator) -> Mapping[str, Any]:
    size = distinct_sizes(rng, int(rng.integers(1, 3)))
    return {"share": rng.uniform(0.05, 0.95, size=size), "steps": int(rng.integers(2, 200))}


def _bias_by_search(share: FloatArray | float, steps: int) -> NDArray[Any]:
    def found(part: float) -> float:
        return float(
            brentq(lambda b: steps * float(log_expit(b)) - np.log(part), -800, 800, xtol=1e-13)
        )

    return np.reshape([found(part) for part in np.ravel(share)], np.shape(share))


def _logit(gate: Any) -> Any:
    return np.log(gate / (1.0 - gate))


def _half_life_of_gate(share: FloatArray, steps: int) -> Any:
    return np.exp(np.log(share) / steps)


def _lost_by_an_amount(case: Mapping[str, Any], got: Any) -> bool:
    lost = (1.0 - case["share"]) / case["steps"]
    # Where the gate is nearly 1, every way to write this keeps other digits.
    return np.allclose(got, np.log1p(-lost) - np.log(lost), rtol=1e-7 if lost.min() > 1e-9 else 0.1)


bias_to_keep = Exercise(
    name="bias_to_keep",
    oracle=_bias_by_search,
    sample=_keep_case,
    edge_cases=[
        {"share": np.array([0.5]), "steps": 1},
        {"share": np.array([0.5, 0.9]), "steps": 10**15},
    ],
    mistakes=[
        Mistake(
            "Right for short times, but for long ones digits are lost: 1 minus a number close to 1 "
            "has few left. Use np.expm1.",
            when=lambda case, right, got: case["steps"] == 10**15,
        ),
        Mistake(
            "This is the gate. The bias is what the sigmoid turns into it.",
            variant=_half_life_of_gate,
        ),
        Mistake(
            "This is the bias for one step; the number of steps is missing.",
            variant=lambda share, steps: _logit(share),
        ),
        Mistake(
            "The bias for one step is multiplied by the number of steps. Gates are multiplied with "
            "each other, biases are not added up.",
            variant=lambda share, steps: steps * _logit(share),
        ),
        Mistake(
            "The bias for one step is divided by the number of steps. Take the root of the share "
            "first, and the inverse of the sigmoid then.",
            variant=lambda share, steps: _logit(share) / steps,
        ),
        Mistake(
            "The sign is the wrong way round: a larger share needs a larger bias.",
            variant=lambda share, steps: np.log(np.expm1(-np.log(share) / steps)),
        ),
        Mistake(
            "The share is the part that is left, not the part that is lost.",
            variant=lambda share, steps: -np.log(np.expm1(-np.log1p(-share) / steps)),
        ),
        Mistake(
            "This is the logarithm of the gate. The inverse of the sigmoid has a second term.",
            variant=lambda share, steps: np.log(share) / steps,
        ),
        Mistake(
            "The share is divided by the number of steps. A cell shrinks by a factor at each step, "
            "not by an amount.",
            when=lambda case, right, got: _lost_by_an_amount(case, got),
        ),
        Mistake(
            "The share is raised to the power of the steps; the other way round, one gate is the "
            "root of the share.",
            variant=lambda share, steps: _logit(share**steps),
        ),
    ],
    success="Multiplied by itself, the gate leaves just that share, for long times too.",
)


def _backward_case(rng: np.random.Generator) -> Mapping[str, Any]:
    shape = distinct_sizes(rng, 2, low=1, high=6)
    normal = {name: rng.normal(size=shape) for name in ("grad_h", "grad_c", "c_before")}
    i, f, o = rng.uniform(0.1, 0.9, size=(3, *shape))
    return normal | {"i": i, "f": f, "g": rng.uniform(-0.9, 0.9, size=shape), "o": o}


def _by_complex_step(
    grad_h: FloatArray,
    grad_c: FloatArray,
    c_before: FloatArray,
    i: FloatArray,
    f: FloatArray,
    g: FloatArray,
    o: FloatArray,
) -> Pair:
    # Each entry depends on the entries of its own place only, so all are moved at once, by a step
    # into the complex plane, which is exact to the last digits.
    start = [_logit(i), _logit(f), np.arctanh(g), _logit(o), c_before]

    def slope(k: int) -> FloatArray:
        z = [np.asarray(part, dtype=complex) for part in start]
        z[k] = z[k] + 1e-30j
        gates = [1.0 / (1.0 + np.exp(-z[j])) for j in (0, 1, 3)]
        cell = gates[1] * z[4] + gates[0] * np.tanh(z[2])
        value = grad_h * gates[2] * np.tanh(cell) + grad_c * cell
        return np.asarray(value.imag / 1e-30)

    slopes = [slope(k) for k in range(5)]
    return np.concatenate(slopes[:4], axis=1), slopes[4]


def _backward(
    *,
    total: Callable[..., FloatArray] = lambda dh, dc, o, s: dc + dh * o * (1 - s**2),
    slope: Callable[[FloatArray], FloatArray] = lambda gate: gate * (1 - gate),
    candidate: Callable[[FloatArray], FloatArray] = lambda g: 1 - g**2,
    order: tuple[int, ...] = (0, 1, 2, 3),
    seen_by_f: Callable[[FloatArray, FloatArray], FloatArray] = lambda before, after: before,
    output: Callable[..., FloatArray] = lambda dh, dc, s: dh * s,
    back: Callable[..., FloatArray] = lambda total, f, dc: total * f,
    crossed: bool = False,
) -> Callable[..., Pair]:
    def wrong(
        grad_h: FloatArray,
        grad_c: FloatArray,
        c_before: FloatArray,
        i: FloatArray,
        f: FloatArray,
        g: FloatArray,
        o: FloatArray,
    ) -> Pair:
        after = f * c_before + i * g
        s = np.tanh(after)
        whole = total(grad_h, grad_c, o, s)
        partners = (i, g) if crossed else (g, i)
        parts = (
            whole * partners[0] * slope(i),
            whole * seen_by_f(c_before, after) * slope(f),
            whole * partners[1] * candidate(g),
            output(grad_h, grad_c, s) * slope(o),
        )
        return np.concatenate([parts[k] for k in order], axis=1), back(whole, f, grad_c)

    return wrong


lstm_step_backward = Exercise(
    name="lstm_step_backward",
    oracle=_by_complex_step,
    sample=_backward_case,
    outputs=("error terms", "gradient of c_before"),
    mistakes=[
        Mistake(
            "What comes to the new cell through h is missing: h is made of it, too.",
            variant=_backward(total=lambda dh, dc, o, s: dc),
        ),
        Mistake(
            "What comes along the belt, grad_c, is missing.",
            variant=_backward(total=lambda dh, dc, o, s: dh * o * (1 - s**2)),
        ),
        Mistake(
            "On the way from h to the cell the slope of the tanh is missing.",
            variant=_backward(total=lambda dh, dc, o, s: dc + dh * o),
        ),
        Mistake(
            "On the way from h to the cell the output gate is missing.",
            variant=_backward(total=lambda dh, dc, o, s: dc + dh * (1 - s**2)),
        ),
        Mistake(
            "These are the derivatives with respect to the gates themselves. The error terms "
            "belong to the sums in front of the sigmoids and the tanh.",
            variant=_backward(slope=np.ones_like, candidate=np.ones_like),
        ),
        Mistake(
            "The slope of the candidate is that of a sigmoid; it is a tanh.",
            variant=_backward(candidate=lambda g: g * (1 - g)),
        ),
        Mistake(
            "The slopes of the gates are those of a tanh; they are sigmoids.",
            variant=_backward(slope=lambda gate: 1 - gate**2),
        ),
        Mistake(
            "The forget gate multiplies the cell from before the step, not the new one.",
            variant=_backward(seen_by_f=lambda before, after: after),
        ),
        Mistake(
            "Input gate and candidate are exchanged: each is multiplied by the other, so each "
            "receives the other.",
            variant=_backward(crossed=True),
        ),
        Mistake(
            "The output gate shows the tanh of the cell, not the cell.",
            variant=_backward(output=lambda dh, dc, s: dh * np.arctanh(s)),
        ),
        Mistake(
            "The blocks are in the order i, f, o, g; the order here is i, f, g, o.",
            variant=_backward(order=(0, 1, 3, 2)),
        ),
        Mistake(
            "The derivative with respect to the old cell lacks the forget gate, by which the cell "
            "was multiplied.",
            variant=_backward(back=lambda total, f, dc: total),
        ),
        Mistake(
            "The derivative with respect to the old cell lacks what came to the new one through h.",
            variant=_backward(back=lambda total, f, dc: dc * f),
        ),
    ],
    success="All four gates and the cell agree with derivatives to the last digits.",
)
