"""The checks of the lesson *LSTM: a cell with gates*: right answers pass, wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit

from companion import check
from companion.check import Exercise
from companion.recurrence import cell_half_life
from tests.check.oracles import reseeded


def lstm_step(x, h, c, weight_ih, weight_hh, bias):
    i, f, g, o = np.split(x @ weight_ih.T + h @ weight_hh.T + bias, 4, axis=1)
    c = expit(f) * c + expit(i) * np.tanh(g)
    return expit(o) * np.tanh(c), c


def step_by_torch(x, h, c, weight_ih, weight_hh, bias):
    cell = torch.nn.LSTMCell(x.shape[1], h.shape[1]).double()
    arrays = {
        "weight_ih": weight_ih,
        "weight_hh": weight_hh,
        "bias_ih": bias,
        "bias_hh": 0 * bias,
    }
    cell.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
    return tuple(
        part.detach().numpy() for part in cell(torch.tensor(x), (torch.tensor(h), torch.tensor(c)))
    )


def bias_to_keep(share, steps):
    return -np.log(np.expm1(-np.log(share) / steps))


def bias_by_half_lives(share, steps):
    half_life = steps * np.log(0.5) / np.log(share)
    return -np.log(np.expm1(np.log(2) / half_life))


def lstm_step_backward(grad_h, grad_c, c_before, i, f, g, o):
    squashed = np.tanh(f * c_before + i * g)
    total = grad_c + grad_h * o * (1 - squashed**2)
    parts = [
        total * g * i * (1 - i),
        total * c_before * f * (1 - f),
        total * i * (1 - g**2),
        grad_h * squashed * o * (1 - o),
    ]
    return np.concatenate(parts, axis=1), total * f


def backward_by_torch(grad_h, grad_c, c_before, i, f, g, o):
    sums = [torch.logit(torch.tensor(gate)) for gate in (i, f, o)]
    sums.insert(2, torch.atanh(torch.tensor(g)))
    before = torch.tensor(c_before, requires_grad=True)
    z = torch.cat(sums, dim=1).requires_grad_()
    zi, zf, zg, zo = z.chunk(4, dim=1)
    c = zf.sigmoid() * before + zi.sigmoid() * zg.tanh()
    h = zo.sigmoid() * c.tanh()
    ((h * torch.tensor(grad_h)).sum() + (c * torch.tensor(grad_c)).sum()).backward()
    return z.grad.numpy(), before.grad.numpy()


RIGHT = [
    (check.lstm_step, lstm_step),
    (check.lstm_step, step_by_torch),
    (check.bias_to_keep, bias_to_keep),
    (check.bias_to_keep, bias_by_half_lives),
    (check.lstm_step_backward, lstm_step_backward),
    (check.lstm_step_backward, backward_by_torch),
]


@pytest.mark.parametrize(("exercise", "solution"), RIGHT)
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_right_answers_pass(
    exercise: Exercise, solution: Callable[..., Any], seed: int | None
) -> None:
    """Oracle: answers written by hand and PyTorch's cell, on several sets of cases."""
    if seed is not None:
        exercise = reseeded(exercise, seed)
    result = exercise(solution)
    assert result, result.message


def test_the_half_life_is_a_special_case():
    """Oracle: the package's formula, turned round by the exercise."""
    assert bias_to_keep(0.5, cell_half_life(2.5)) == pytest.approx(2.5, rel=1e-12)


def stepped(formula):
    """Return a step from `formula(c, i, f, g, o)` of the sums' four blocks."""

    def wrong(x, h, c, weight_ih, weight_hh, bias):
        z = x @ weight_ih.T + h @ weight_hh.T + bias
        return formula(c, *np.split(z, 4, axis=1))

    return wrong


def cell_of(c, i, f, g):
    return expit(f) * c + expit(i) * np.tanh(g)


def out(o, c):
    return expit(o) * np.tanh(c), c


def without(**zero):
    def wrong(x, h, c, weight_ih, weight_hh, bias):
        given = {"x": x, "h": h, "c": c, "weight_ih": weight_ih, "weight_hh": weight_hh}
        given |= {"bias": bias}
        given |= {name: 0 * given[name] for name in zero}
        return lstm_step(**given)

    return wrong


def in_place(x, h, c, weight_ih, weight_hh, bias):
    new = lstm_step(x, h, c, weight_ih, weight_hh, bias)
    c[...] = new[1]
    return new


def back(formula):
    """Return a backward step from `formula` of the gates, the new cell's tanh and derivatives."""

    def wrong(grad_h, grad_c, c_before, i, f, g, o):
        after = f * c_before + i * g
        s = np.tanh(after)
        total = grad_c + grad_h * o * (1 - s**2)
        parts = {
            "i": total * g * i * (1 - i),
            "f": total * c_before * f * (1 - f),
            "g": total * i * (1 - g**2),
            "o": grad_h * s * o * (1 - o),
            "c": total * f,
        }
        names = {"grad_h": grad_h, "grad_c": grad_c, "c": c_before, "i": i, "f": f, "g": g}
        parts |= formula(parts, names | {"o": o, "s": s, "after": after, "total": total})
        order = parts.get("order", "ifgo")
        return np.concatenate([parts[k] for k in order], axis=1), parts["c"]

    return wrong


def with_total(choose):
    def formula(parts, v):
        ratio = choose(v) / v["total"]
        return {k: parts[k] * ratio for k in "ifgc"}

    return back(formula)


WRONG = [
    (check.lstm_step, stepped(lambda c, i, f, o, g: out(o, cell_of(c, i, f, g))), "order i, f, o"),
    (check.lstm_step, stepped(lambda c, f, i, g, o: out(o, cell_of(c, i, f, g))), "exchanged: the"),
    (
        check.lstm_step,
        stepped(lambda c, i, f, g, o: out(o, expit(f) * c + expit(i) * expit(g))),
        "may be negative",
    ),
    (
        check.lstm_step,
        stepped(lambda c, i, f, g, o: out(o, expit(f) * c + expit(i) * g)),
        "without its tanh",
    ),
    (
        check.lstm_step,
        stepped(lambda c, i, f, g, o: (expit(o) * cell_of(c, i, f, g), cell_of(c, i, f, g))),
        "o times the cell itself",
    ),
    (
        check.lstm_step,
        stepped(
            lambda c, i, f, g, o: (
                np.tanh(o) * np.tanh(np.tanh(f) * c + np.tanh(i) * np.tanh(g)),
                np.tanh(f) * c + np.tanh(i) * np.tanh(g),
            )
        ),
        "between 0 and 1",
    ),
    (
        check.lstm_step,
        stepped(lambda c, i, f, g, o: (expit(o) * np.tanh(c), cell_of(c, i, f, g))),
        "from before the step",
    ),
    (
        check.lstm_step,
        stepped(lambda c, i, f, g, o: out(o, c + expit(i) * np.tanh(g))),
        "forget gate is missing",
    ),
    (
        check.lstm_step,
        stepped(lambda c, i, f, g, o: out(o, expit(f) * c + np.tanh(g))),
        "without the input gate",
    ),
    (
        check.lstm_step,
        stepped(lambda c, i, f, g, o: out(o, expit(i) * np.tanh(g))),
        "old cell is lost",
    ),
    (
        check.lstm_step,
        stepped(lambda c, i, f, g, o: out(o, expit(f) * c + (1 - expit(f)) * np.tanh(g))),
        "1 - f",
    ),
    (check.lstm_step, without(bias=True), "bias is missing"),
    (check.lstm_step, without(h=True), "old h is missing"),
    (check.lstm_step, lambda *a: lstm_step(*a)[::-1], "first h, then c"),
    (check.lstm_step, lambda *a: lstm_step(*a)[0], "2 values"),
    (check.lstm_step, in_place, "in place"),
    (check.bias_to_keep, lambda s, n: s ** (1 / n), "This is the gate"),
    (check.bias_to_keep, lambda s, n: np.log(s / (1 - s)), "number of steps is missing"),
    (check.bias_to_keep, lambda s, n: n * np.log(s / (1 - s)), "not added up"),
    (check.bias_to_keep, lambda s, n: np.log(s / (1 - s)) / n, "Take the root"),
    (check.bias_to_keep, lambda s, n: -bias_to_keep(s, n), "wrong way round"),
    (check.bias_to_keep, lambda s, n: bias_to_keep(1 - s, n), "part that is left"),
    (check.bias_to_keep, lambda s, n: np.log(s) / n, "logarithm of the gate"),
    (
        check.bias_to_keep,
        lambda s, n: np.log((1 - (1 - s) / n) / ((1 - s) / n)),
        "not by an amount",
    ),
    (check.bias_to_keep, lambda s, n: np.log(s**n / (1 - s**n)), "other way round"),
    (check.bias_to_keep, lambda s, n: -np.log(s ** (-1 / n) - 1), "digits are lost"),
    (
        check.bias_to_keep,
        lambda s, n: np.log(s ** (1 / n)) - np.log(1 - s ** (1 / n)),
        "digits are lost",
    ),
    (check.bias_to_keep, lambda s, n: float(np.mean(bias_to_keep(s, n))), "has shape"),
    (check.lstm_step_backward, with_total(lambda v: v["grad_c"]), "through h is missing"),
    (
        check.lstm_step_backward,
        with_total(lambda v: v["grad_h"] * v["o"] * (1 - v["s"] ** 2)),
        "along the belt",
    ),
    (
        check.lstm_step_backward,
        with_total(lambda v: v["grad_c"] + v["grad_h"] * v["o"]),
        "slope of the tanh is missing",
    ),
    (
        check.lstm_step_backward,
        with_total(lambda v: v["grad_c"] + v["grad_h"] * (1 - v["s"] ** 2)),
        "output gate is missing",
    ),
    (
        check.lstm_step_backward,
        back(
            lambda p, v: {
                "i": v["total"] * v["g"],
                "f": v["total"] * v["c"],
                "g": v["total"] * v["i"],
                "o": v["grad_h"] * v["s"],
            }
        ),
        "gates themselves",
    ),
    (
        check.lstm_step_backward,
        back(lambda p, v: {"g": v["total"] * v["i"] * v["g"] * (1 - v["g"])}),
        "it is a tanh",
    ),
    (
        check.lstm_step_backward,
        back(
            lambda p, v: {
                "i": v["total"] * v["g"] * (1 - v["i"] ** 2),
                "f": v["total"] * v["c"] * (1 - v["f"] ** 2),
                "o": v["grad_h"] * v["s"] * (1 - v["o"] ** 2),
            }
        ),
        "they are sigmoids",
    ),
    (
        check.lstm_step_backward,
        back(lambda p, v: {"f": v["total"] * v["after"] * v["f"] * (1 - v["f"])}),
        "not the new one",
    ),
    (
        check.lstm_step_backward,
        back(
            lambda p, v: {
                "i": v["total"] * v["i"] * v["i"] * (1 - v["i"]),
                "g": v["total"] * v["g"] * (1 - v["g"] ** 2),
            }
        ),
        "Input gate and candidate are exchanged",
    ),
    (
        check.lstm_step_backward,
        back(lambda p, v: {"o": v["grad_h"] * v["after"] * v["o"] * (1 - v["o"])}),
        "not the cell",
    ),
    (check.lstm_step_backward, back(lambda p, v: {"order": "ifog"}), "order here is"),
    (check.lstm_step_backward, back(lambda p, v: {"c": v["total"]}), "lacks the forget gate"),
    (
        check.lstm_step_backward,
        back(lambda p, v: {"c": v["grad_c"] * v["f"]}),
        "what came to the new one through h",
    ),
    (check.lstm_step_backward, lambda *a: lstm_step_backward(*a)[0], "2 values"),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_wrong_answers_fail_with_words_that_help(
    exercise: Exercise, answer: Callable[..., Any], words: str
) -> None:
    """Oracle: the mistake made here on purpose, which the message must name."""
    result = exercise(answer)
    assert not result
    assert words in result.message
