"""The checks of the lesson *Why gradients vanish*: right answers pass, typical wrong ones fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from companion import check, network
from companion.check import Exercise
from companion.network import initialisers
from tests.check.oracles import reseeded


def preserving_std(slopes, fan_out):
    return 1.0 / np.sqrt(fan_out * np.mean(np.square(slopes)))


def preserving_std_by_loops(slopes, fan_out):
    total = sum(float(s) ** 2 for s in np.ravel(slopes)) / np.size(slopes)
    return (fan_out * total) ** -0.5


def orthogonal(draws, gain):
    rows, columns = draws.shape
    if rows < columns:
        return orthogonal(draws.T, gain).T
    q, r = np.linalg.qr(draws)
    return gain * q * np.sign(np.diag(r))


def orthogonal_by_gram_schmidt(draws, gain):
    matrix = draws if draws.shape[0] >= draws.shape[1] else draws.T
    columns: list[np.ndarray] = []
    for column in matrix.T:
        for done in columns:
            column = column - done * (done @ column)
        columns.append(column / np.linalg.norm(column))
    result = gain * np.stack(columns, axis=1)
    return result if draws.shape[0] >= draws.shape[1] else result.T


def backward(model, loss, x, y):
    loss.forward(model.forward(x), y)
    model.backward(loss.backward())
    return model.gradients()


def matrices(gradients):
    return [g for g in gradients.values() if g.ndim == 2]


def ratio(model, loss, x, y):
    norms = [np.linalg.norm(g) for g in matrices(backward(model, loss, x, y))]
    return norms[0] / norms[-1]


def ratio_by_diagnostics(model, loss, x, y):
    norms = list(network.weight_gradient_norms(model, loss, x, y).values())
    return norms[0] / norms[-1]


RIGHT = [
    (check.error_preserving_std, preserving_std),
    (check.error_preserving_std, preserving_std_by_loops),
    (check.orthogonal_from, orthogonal),
    (check.orthogonal_from, orthogonal_by_gram_schmidt),
    (check.gradient_ratio, ratio),
    (check.gradient_ratio, ratio_by_diagnostics),
]


@pytest.mark.parametrize(("exercise", "solution"), RIGHT)
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_right_answers_pass(
    exercise: Exercise, solution: Callable[..., Any], seed: int | None
) -> None:
    """Oracle: answers written out by hand in two ways, on several sets of cases."""
    if seed is not None:
        exercise = reseeded(exercise, seed)
    result = exercise(solution)
    assert result, result.message


def unfixed(draws, gain):
    tall = draws.shape[0] >= draws.shape[1]
    q, _ = np.linalg.qr(draws if tall else draws.T)
    return gain * (q if tall else q.T)


def columns_only(draws, gain):
    q, r = np.linalg.qr(draws)
    return gain * q * np.sign(np.diag(r))


def polar(draws, gain):
    u, _, vt = np.linalg.svd(draws, full_matrices=False)
    return gain * u @ vt


def signs_on_rows(draws, gain):
    q, r = np.linalg.qr(draws)
    return gain * np.sign(np.diag(r))[:, None] * q


def forgot_backward(model, loss, x, y):
    loss.forward(model.forward(x), y)
    norms = [np.linalg.norm(g) for g in matrices(model.gradients())]
    return norms[0] / norms[-1]


def sorted_names(model, loss, x, y):
    gradients = backward(model, loss, x, y)
    norms = [np.linalg.norm(gradients[n]) for n in sorted(gradients) if n.endswith("weight")]
    return norms[0] / norms[-1]


def with_biases(model, loss, x, y):
    norms = [np.linalg.norm(g) for g in backward(model, loss, x, y).values()]
    return norms[0] / norms[-1]


def of_all_parameters(model, loss, x, y):
    norms = [np.linalg.norm(w) for w in matrices(model.parameters())]
    return norms[0] / norms[-1]


def measured_by(size):
    def wrong(model, loss, x, y):
        sizes = [size(g) for g in matrices(backward(model, loss, x, y))]
        return sizes[0] / sizes[-1]

    return wrong


WRONG = [
    (check.error_preserving_std, lambda s, m: preserving_std(s, m) ** 2, "variance"),
    (check.error_preserving_std, lambda s, m: 1 / (np.sqrt(m) * s.mean()), "square first"),
    (check.error_preserving_std, lambda s, m: 1 / np.sqrt(m * (s**2).sum()), "mean counts"),
    (check.error_preserving_std, lambda s, m: 1 / np.sqrt(m), "slopes are missing"),
    (check.error_preserving_std, lambda s, m: 1 / np.sqrt((s**2).mean()), "number of units"),
    (check.error_preserving_std, lambda s, m: preserving_std(s, s.shape[-1]), "size of slopes"),
    (check.error_preserving_std, lambda s, m: np.sqrt((s**2).mean() / m), "small ones"),
    (check.error_preserving_std, lambda s, m: 1 / preserving_std(s, m), "undo"),
    (check.error_preserving_std, lambda s, m: preserving_std(s, m) * np.ones(m), "shape"),
    (check.error_preserving_std, lambda s, m: np.sqrt(2 / m), "He's formula"),
    (check.error_preserving_std, lambda s, m: 1 / (np.sqrt(m) * s.max()), "largest slope"),
    (check.orthogonal_from, unfixed, "signs are not fixed"),
    (check.orthogonal_from, columns_only, "tall and square"),
    (check.orthogonal_from, polar, "polar"),
    (check.orthogonal_from, signs_on_rows, "ValueError"),
    (check.orthogonal_from, lambda d, g: orthogonal(d, 1.0), "gain is missing"),
    (check.orthogonal_from, lambda d, g: orthogonal(d, g**2), "twice"),
    (check.orthogonal_from, lambda d, g: orthogonal(d, g).T, "transpose"),
    (check.orthogonal_from, lambda d, g: -orthogonal(d, g), "wrong sign"),
    (check.orthogonal_from, lambda d, g: g * d / np.linalg.norm(d, 2), "off by"),
    (
        check.orthogonal_from,
        lambda d, g: initialisers.orthogonal(d.shape, gain=g, rng=0),
        "off by",
    ),
    (check.gradient_ratio, lambda *a: 1 / ratio(*a), "last layer over the first"),
    (check.gradient_ratio, with_biases, "belongs to a bias"),
    (check.gradient_ratio, sorted_names, "sorted as text"),
    (check.gradient_ratio, lambda *a: ratio(*a) ** 2, "squares"),
    (check.gradient_ratio, measured_by(lambda g: np.abs(g).max()), "largest entries"),
    (check.gradient_ratio, measured_by(lambda g: np.sqrt((g**2).mean())), "mean over"),
    (check.gradient_ratio, measured_by(lambda g: np.linalg.norm(g, 2)), "spectral"),
    (check.gradient_ratio, of_all_parameters, "weights themselves"),
    (check.gradient_ratio, forgot_backward, "IndexError"),
    (check.gradient_ratio, lambda *a: np.log10(ratio(*a)), "logarithm"),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_wrong_answers_fail_with_words_that_help(
    exercise: Exercise, answer: Callable[..., Any], words: str
) -> None:
    """Oracle: the mistake made here on purpose, which the message must name."""
    result = exercise(answer)
    assert not result
    assert words in result.message


def test_the_oracle_for_the_standard_deviation_keeps_the_error() -> None:
    """Oracle: a simulation with normal weights of the standard deviation it returns."""
    rng = np.random.default_rng(3)
    slopes, fan_out = rng.uniform(0.1, 1.0, size=(400, 30)), 7
    std = check.error_preserving_std.oracle(slopes, fan_out)
    errors = rng.normal(size=(400, fan_out))
    below = [(errors @ rng.normal(scale=std, size=(fan_out, 30))) * slopes for _ in range(200)]
    assert np.mean(np.square(below)) / np.mean(errors**2) == pytest.approx(1.0, abs=0.05)


def test_the_oracle_for_orthogonal_weights_keeps_lengths() -> None:
    """Oracle: the definition, and a triangular quotient with positive diagonal."""
    rng = np.random.default_rng(4)
    for shape in ((6, 4), (3, 5), (4, 4)):
        draws = rng.normal(size=shape)
        weight = check.orthogonal_from.oracle(draws, 1.5)
        small = weight.T @ weight if shape[0] >= shape[1] else weight @ weight.T
        np.testing.assert_allclose(small, 1.5**2 * np.eye(min(shape)), atol=1e-12)
        upper = weight.T @ draws if shape[0] >= shape[1] else weight @ draws.T
        assert np.all(np.diag(upper) > 0)
        np.testing.assert_allclose(np.tril(upper, -1), 0, atol=1e-12)


def test_the_oracle_for_the_ratio_agrees_with_pytorch() -> None:
    """Oracle: PyTorch's automatic differentiation."""
    rng = np.random.default_rng(6)
    case = check.gradient_ratio.sample(rng)
    layers = [
        torch.nn.Linear(layer.in_features, layer.out_features)
        if isinstance(layer, network.Linear)
        else torch.nn.Tanh()
        for layer in case["model"]
    ]
    twin = torch.nn.Sequential(*layers).double()
    twin.load_state_dict({n: torch.tensor(p) for n, p in case["model"].parameters().items()})
    torch.nn.functional.cross_entropy(
        twin(torch.tensor(case["x"])), torch.tensor(case["y"])
    ).backward()
    norms = [float(p.grad.norm()) for p in twin.parameters() if p.ndim == 2]
    assert check.gradient_ratio.oracle(*case.values()) == pytest.approx(norms[0] / norms[-1], 1e-5)
