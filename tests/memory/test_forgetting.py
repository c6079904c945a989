"""Forgetting: the linear case, metrics, Fisher information, penalties, distillation, replay."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from companion import data, memory, network
from companion.memory import (
    EWC,
    Distillation,
    DistillationLoss,
    FineTuning,
    GenerativeReplay,
    HeadLoss,
    L2ToStart,
    Regularisation,
    Replay,
    ReplayBuffer,
    Scenario,
)
from companion.network import SGD, Adam, CrossEntropyLoss, Linear, MSELoss, Sequential, mlp

KINDS = (np.float64, np.float32)


def small_model(seed=0, *, sizes=(3, 4, 5), dtype=np.float64, activation="tanh"):
    return mlp(list(sizes), activation=activation, rng=seed, dtype=dtype)


def twin(model):
    """Return the same network in PyTorch, in float64."""
    layers = []
    for layer in model:
        if isinstance(layer, Linear):
            theirs = torch.nn.Linear(layer.in_features, layer.out_features).double()
            with torch.no_grad():
                theirs.weight.copy_(torch.tensor(layer.weight.astype(float)))
                theirs.bias.copy_(torch.tensor(layer.bias.astype(float)))
            layers.append(theirs)
        else:
            layers.append(torch.nn.Tanh() if type(layer).__name__ == "Tanh" else torch.nn.ReLU())
    return torch.nn.Sequential(*layers)


def fisher_by_samples(model, x, *, targets=None, outputs=None):
    """Return the Fisher diagonal from one backward pass for each sample and class."""
    net = twin(model)
    total = {name: np.zeros(p.shape) for name, p in net.named_parameters()}
    for i, row in enumerate(torch.tensor(np.asarray(x, dtype=float))):
        for k in range(net[-1].out_features):
            net.zero_grad()
            logits = net(row)
            competing = logits if outputs is None else logits[list(outputs)]
            if outputs is not None and k not in outputs:
                continue
            log_p = logits[k] - torch.logsumexp(competing, 0)
            weight = float(log_p.detach().exp()) if targets is None else float(targets[i] == k)
            log_p.backward()
            for name, p in net.named_parameters():
                total[name] += weight * p.grad.numpy() ** 2 / len(x)
    return total


# --- The linear case ------------------------------------------------------------------------------


def test_gradient_descent_ends_at_the_nearest_solution():
    """Oracle: five thousand steps of the training loop on the whole batch, from the same start."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 9)), rng.normal(size=(4, 2))
    layer = Linear(9, 2, bias=False, rng=1)
    expected = memory.nearest_solution(layer.weight, x, y)
    network.fit(layer, MSELoss(), SGD(0.05), x, y, epochs=5000, batch_size=4, rng=0)
    np.testing.assert_allclose(layer.weight, expected, atol=1e-8)
    np.testing.assert_allclose(x @ expected.T, y, atol=1e-12)


@given(seed=st.integers(0, 999), n=st.integers(0, 12), out=st.integers(1, 3))
def test_the_nearest_solution_is_a_least_squares_solution_of_least_change(seed, n, out):
    """Oracle: numpy.linalg.lstsq, whose solution has the least norm, for the change."""
    rng = np.random.default_rng(seed)
    w, x, y = rng.normal(size=(out, 6)), rng.normal(size=(n, 6)), rng.normal(size=(n, out))
    found = memory.nearest_solution(w, x, y)
    change = np.linalg.lstsq(x, y - x @ w.T, rcond=None)[0].T if n else np.zeros_like(w)
    np.testing.assert_allclose(found, w + change, atol=1e-9)


def test_inputs_orthogonal_to_the_new_ones_keep_their_outputs():
    """Oracle: zero change, whatever the new targets; the whole change within their span."""
    rng = np.random.default_rng(2)
    basis = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    w, y = rng.normal(size=(3, 8)), 100 * rng.normal(size=(5, 3))
    change = memory.nearest_solution(w, basis[:5], y) - w
    np.testing.assert_allclose(change @ basis[5:].T, 0, atol=1e-12)
    assert np.linalg.norm(change @ basis[:5].T) > 100


def test_nearest_solution_keeps_float32_and_says_what_is_wrong():
    """Oracle: the type of the arguments; the messages."""
    w, x, y = (np.ones(s, dtype=np.float32) for s in ((2, 3), (1, 3), (1, 2)))
    assert memory.nearest_solution(w, x, y).dtype == np.float32
    with pytest.raises(ValueError, match=r"x must have shape \(any, 3\), got \(1, 2\)"):
        memory.nearest_solution(w, y, y)
    with pytest.raises(ValueError, match=r"y must have shape \(1, 2\), got \(1, 3\)"):
        memory.nearest_solution(w, x, x)
    with pytest.raises(ValueError, match="weight must be finite"):
        memory.nearest_solution(w * np.nan, x, y)


def test_gradient_vector_is_autograds():
    """Oracle: PyTorch's gradients, flattened in the order of the parameters."""
    model, rng = small_model(), np.random.default_rng(0)
    x, y = rng.normal(size=(6, 3)), rng.integers(5, size=6)
    found = memory.gradient_vector(model, CrossEntropyLoss(), x, y)
    net = twin(model)
    torch.nn.functional.cross_entropy(net(torch.tensor(x)), torch.tensor(y)).backward()
    theirs = dict(net.named_parameters())
    expected = np.concatenate([theirs[name].grad.numpy().ravel() for name in model.parameters()])
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_overlap_predicts_what_a_small_step_does_to_the_old_loss(seed):
    """Oracle: the change of the old loss after one small step on the new data, to first order."""
    rng = np.random.default_rng(seed)
    model, loss, lr = small_model(seed), CrossEntropyLoss(), 1e-5
    old, new = ((rng.normal(size=(8, 3)), rng.integers(5, size=8)) for _ in range(2))
    a, b = (memory.gradient_vector(model, loss, *d) for d in (old, new))
    cosine = memory.gradient_overlap(model, loss, old, new)
    assert cosine == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    before = loss.forward(model.forward(old[0]), old[1])
    network.fit(model, loss, SGD(lr), *new, epochs=1, batch_size=8, rng=0)
    change = loss.forward(model.forward(old[0]), old[1]) - before
    expected = -lr * cosine * np.linalg.norm(a) * np.linalg.norm(b)
    assert change == pytest.approx(expected, rel=1e-2, abs=1e-9)


def test_overlap_of_a_task_with_itself_and_with_nothing():
    """Oracle: 1 and 0."""
    model, d = Linear(2, 1, rng=0), (np.array([[1.0, 2.0]]), np.array([[7.0]]))
    assert memory.gradient_overlap(model, MSELoss(), d, d) == pytest.approx(1)
    solved = d[0], model(d[0])
    assert memory.gradient_overlap(model, MSELoss(), d, solved) == 0.0


# --- Metrics --------------------------------------------------------------------------------------

MATRIX = np.array([[0.9, 0.1, 0.2], [0.7, 0.8, 0.3], [0.4, 0.85, 0.95]])


def test_metrics_of_one_matrix_by_hand():
    """Oracle: the definitions of the papers, worked out for three tasks."""
    assert memory.average_accuracy(MATRIX) == pytest.approx((0.4 + 0.85 + 0.95) / 3)
    # The best before the last row: 0.9 and 0.8.
    assert memory.average_forgetting(MATRIX) == pytest.approx((0.5 - 0.05) / 2)
    assert memory.backward_transfer(MATRIX) == pytest.approx((-0.5 + 0.05) / 2)
    baseline = [0.5, 0.15, 0.1]
    found = memory.forward_transfer(MATRIX, baseline)
    assert found == pytest.approx((0.1 - 0.15 + 0.3 - 0.1) / 2)


def test_the_best_may_come_before_or_after_the_task_was_trained():
    """Oracle: by hand: the maximum runs over all rows but the last, as in the paper."""
    r = MATRIX.copy()
    r[1, 0] = 1.0
    assert memory.average_forgetting(r) == pytest.approx((0.6 - 0.05) / 2)
    assert memory.backward_transfer(r) == pytest.approx((-0.5 + 0.05) / 2)


@given(
    st.integers(2, 6).flatmap(
        lambda t: arrays(np.float64, (t, t), elements=st.floats(0, 1, width=32))
    )
)
def test_forgetting_is_at_least_minus_backward_transfer(r):
    """Oracle: the best accuracy is at least the one just after training."""
    assert memory.average_forgetting(r) >= -memory.backward_transfer(r) - 1e-12


@pytest.mark.parametrize(
    "metric",
    [
        memory.average_forgetting,
        memory.backward_transfer,
        lambda r: memory.forward_transfer(r, [0.0]),
    ],
)
def test_metrics_over_time_need_two_tasks(metric):
    """Oracle: the message."""
    with pytest.raises(ValueError, match=r"T at least 2, got shape \(1, 1\)"):
        metric([[0.5]])


def test_metrics_say_what_is_wrong():
    """Oracle: the messages."""
    assert memory.average_accuracy([[0.5]]) == 0.5
    with pytest.raises(ValueError, match=r"shape \(T, T\) with T at least 1, got shape \(2, 3\)"):
        memory.average_accuracy(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"got shape \(0, 0\)"):
        memory.average_accuracy(np.zeros((0, 0)))
    with pytest.raises(ValueError, match="matrix must be finite"):
        memory.average_accuracy([[np.nan]])
    with pytest.raises(ValueError, match=r"baseline must have shape \(3,\), got \(2,\)"):
        memory.forward_transfer(MATRIX, [0, 0])


# --- Scenarios ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pairs():
    return data.split_tasks([[7, 2], [0, 5], [9, 4]], dtype=np.float32)


def test_scenarios_lay_classes_on_outputs(pairs):
    """Oracle: the definitions, written out for three pairs."""
    task, domain, one = (Scenario(name, pairs) for name in ("task", "domain", "class"))
    y = np.array([9, 4, 9])
    assert [s.outputs for s in (task, domain, one)] == [6, 2, 6]
    assert [list(s.targets(2, y)) for s in (task, domain, one)] == [[4, 5, 4], [0, 1, 0], [4, 5, 4]]
    assert [list(s.outputs_of(1)) for s in (task, domain, one)] == [[2, 3], [0, 1], [2, 3]]
    assert list(task.heads) == [0, 0, 1, 1, 2, 2]
    assert not domain.heads.any()
    assert not one.heads.any()
    assert [[list(g) for g in s.seen_before(2)] for s in (task, domain, one)] == [
        [[0, 1], [2, 3]],
        [[0, 1]],
        [[0, 1, 2, 3]],
    ]
    assert [s.seen_before(0) for s in (task, domain, one)] == [[], [], []]


def test_accuracy_counts_the_outputs_that_compete(pairs):
    """Oracle: one prediction that is right within its head and wrong among all."""
    logits, target = np.array([[9.0, 0.0, 1.0, 2.0, 0.0, 0.0]]), np.array([3])
    assert Scenario("task", pairs).accuracy(logits, target) == 1.0
    assert Scenario("class", pairs).accuracy(logits, target) == 0.0


def test_scenarios_say_what_is_wrong(pairs):
    """Oracle: the messages."""
    with pytest.raises(ValueError, match="name must be one of 'task', 'domain', 'class'"):
        Scenario("classes", pairs)
    with pytest.raises(ValueError, match="at least one task, got none"):
        Scenario("task", [])
    uneven = data.split_tasks([[0, 1], [2]])
    with pytest.raises(ValueError, match=r"as many classes, got \[2, 1\]"):
        Scenario("domain", uneven)
    assert Scenario("task", uneven).outputs == 3


@pytest.mark.parametrize("kind", KINDS)
def test_head_loss_is_cross_entropy_among_the_outputs_of_the_head(kind):
    """Oracle: PyTorch's cross-entropy with the other logits at minus infinity."""
    rng = np.random.default_rng(0)
    z, target = rng.normal(size=(7, 5)).astype(kind), rng.integers(5, size=7)
    heads = np.array([0, 1, 0, 1, 1])
    loss = HeadLoss(heads)
    value, gradient = loss.forward(z, target), loss.backward()
    theirs = torch.tensor(z, requires_grad=True)
    masked = theirs.masked_fill(torch.tensor(heads != heads[target][:, None]), -np.inf)
    expected = torch.nn.functional.cross_entropy(masked, torch.tensor(target))
    expected.backward()
    tolerance = 1e-12 if kind == np.float64 else 1e-6
    assert value == pytest.approx(expected.item(), rel=tolerance)
    np.testing.assert_allclose(gradient, theirs.grad, atol=tolerance)
    assert gradient.dtype == kind


def test_one_head_is_plain_cross_entropy():
    """Oracle: CrossEntropyLoss."""
    rng = np.random.default_rng(1)
    z, target = rng.normal(size=(4, 3)), rng.integers(3, size=4)
    ours, plain = HeadLoss([0, 0, 0]), CrossEntropyLoss()
    assert ours.forward(z, target) == plain.forward(z, target)
    assert np.array_equal(ours.backward(), plain.backward())


def test_head_loss_says_what_is_wrong():
    """Oracle: the messages."""
    with pytest.raises(RuntimeError, match=r"HeadLoss.backward was called before forward"):
        HeadLoss([0]).backward()
    with pytest.raises(TypeError, match="heads must hold integer"):
        HeadLoss([0.5])
    with pytest.raises(ValueError, match=r"prediction must have shape \(any, 2\)"):
        HeadLoss([0, 0]).forward(np.zeros((1, 3)), [0])
    with pytest.raises(ValueError, match=r"target must lie in 0\.\.1"):
        HeadLoss([0, 0]).forward(np.zeros((1, 2)), [2])


# --- Fisher information ---------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [None, [1, 4], [3]])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("labelled", [False, True])
def test_fisher_is_autograds_sample_by_sample(outputs, activation, labelled):
    """Oracle: PyTorch, one backward pass for each sample and class, squared and then averaged."""
    rng = np.random.default_rng(3)
    model = small_model(1, sizes=(3, 6, 4, 5), activation=activation)
    for name, parameter in model.parameters().items():
        if name.endswith("bias"):
            parameter[...] = rng.normal(size=parameter.shape)
    x = rng.normal(size=(9, 3))
    targets = rng.choice(outputs or range(5), size=9) if labelled else None
    found = memory.fisher_diagonal(model, x, targets=targets, outputs=outputs)
    expected = fisher_by_samples(model, x, targets=targets, outputs=outputs)
    assert list(found) == list(model.parameters())
    for name, array in found.items():
        np.testing.assert_allclose(array, expected[name], atol=1e-12)


def test_the_square_of_the_mean_gradient_is_another_quantity():
    """Oracle: the gradient of the whole batch, squared: at most the mean of the squares, and at
    least ten times smaller here; for one sample the two agree."""
    rng = np.random.default_rng(4)
    model, x, y = small_model(2), rng.normal(size=(200, 3)), rng.integers(5, size=200)
    for n in (200, 1):
        memory.gradient_vector(model, CrossEntropyLoss(), x[:n], y[:n])
        squared = {name: g**2 for name, g in model.gradients().items()}
        empirical = memory.fisher_diagonal(model, x[:n], targets=y[:n])
        for name, array in empirical.items():
            assert np.all(squared[name] <= array + 1e-12)
            if n == 1:
                np.testing.assert_allclose(squared[name], array, atol=1e-12)
        sums = [sum(a.sum() for a in d.values()) for d in (squared, empirical)]
        assert (sums[0] < 0.1 * sums[1]) == (n > 1)


def test_fisher_of_logistic_regression_in_closed_form():
    """Oracle: p (1 - p) x^2, the diagonal of the Hessian of the loss as well."""
    rng = np.random.default_rng(5)
    model, x = Sequential(Linear(4, 2, rng=0)), rng.normal(size=(30, 4))
    fisher = memory.fisher_diagonal(model, x)
    z = model(x)
    p = 1 / (1 + np.exp(z[:, 1] - z[:, 0]))
    expected = ((p * (1 - p))[:, None] * x**2).mean(axis=0)
    np.testing.assert_allclose(fisher["0.weight"], [expected, expected], rtol=1e-12)
    np.testing.assert_allclose(fisher["0.bias"], (p * (1 - p)).mean(), rtol=1e-12)


def test_fisher_without_bias_and_in_float32():
    """Oracle: the same weights with a bias of zero; the type of the parameters."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(5, 3)).astype(np.float32)
    with_bias = Sequential(Linear(3, 2, rng=0, dtype=np.float32))
    without = Sequential(Linear(3, 2, bias=False, rng=0, dtype=np.float32))
    found = memory.fisher_diagonal(without, x)
    assert list(found) == ["0.weight"]
    assert found["0.weight"].dtype == np.float32
    expected = memory.fisher_diagonal(with_bias, x)["0.weight"]
    np.testing.assert_allclose(found["0.weight"], expected)


def test_fisher_vanishes_where_the_network_is_certain():
    """Oracle: p (1 - p) goes to zero with the size of the logits."""
    model, x = Sequential(Linear(1, 2, rng=0)), np.ones((3, 1))
    sizes = []
    for scale in (1.0, 10.0, 100.0):
        model[0].weight[...] = [[scale], [-scale]]
        sizes.append(memory.fisher_diagonal(model, x)["0.weight"].sum())
    assert sizes[0] > 1e3 * sizes[1] > 1e6 * sizes[2] >= 0


def test_fisher_says_what_is_wrong():
    """Oracle: the messages."""
    model, x = small_model(), np.zeros((2, 3))
    with pytest.raises(TypeError, match="must be a Sequential of Linear layers and activations"):
        memory.fisher_diagonal(Linear(3, 2, rng=0), x)
    with pytest.raises(TypeError, match="must be a Sequential of Linear layers and activations"):
        memory.fisher_diagonal(mlp([3, 4, 2], norm="batch", rng=0), x)
    with pytest.raises(ValueError, match=r"at least one sample, got shape \(0, 3\)"):
        memory.fisher_diagonal(model, np.zeros((0, 3)))
    with pytest.raises(ValueError, match=r"targets must be among the outputs \[0 1\]"):
        memory.fisher_diagonal(model, x, targets=[0, 2], outputs=[0, 1])
    with pytest.raises(ValueError, match=r"outputs must lie in 0\.\.4"):
        memory.fisher_diagonal(model, x, outputs=[5])


# --- Penalties ------------------------------------------------------------------------------------


def visited(model, seed, steps=3):
    """Change the parameters a few times; return the samples and parameters of each stop."""
    rng, stops = np.random.default_rng(seed), []
    for _ in range(steps):
        for parameter in model.parameters().values():
            parameter += rng.normal(size=parameter.shape).astype(parameter.dtype)
        x = rng.normal(size=(6, 3)).astype(model[0].weight.dtype)
        stops.append((x, {k: v.copy() for k, v in model.parameters().items()}))
        yield x
    model.stops = stops


def check_penalty(penalty, model, terms):
    """Compare value and gradient with a sum of terms (weights, centres), by PyTorch."""
    theta = {k: torch.tensor(v.astype(float), requires_grad=True) for k, v in terms[2].items()}
    total = 0.0
    for weights, centres in zip(terms[0], terms[1], strict=True):
        for name, centre in centres.items():
            distance = theta[name] - torch.tensor(centre.astype(float))
            total = total + (torch.tensor(weights[name].astype(float)) * distance**2).sum()
    total = total * penalty.strength / 2
    total.backward()
    parameters = terms[2]
    assert penalty.value(parameters) == pytest.approx(total.item(), rel=1e-9)
    gradients = {name: np.ones_like(array) for name, array in parameters.items()}
    penalty.add_gradient(parameters, gradients)
    for name, array in gradients.items():
        np.testing.assert_allclose(array, 1 + theta[name].grad.numpy(), atol=1e-9)


def elsewhere(model):
    rng = np.random.default_rng(99)
    return {k: v + rng.normal(size=v.shape) for k, v in model.parameters().items()}


def test_ewc_is_a_sum_of_penalties_around_each_solution():
    """Oracle: PyTorch: the Fisher information sample by sample at each stop, the sum of the
    weighted squares and its gradient, biases included."""
    model, penalty = small_model(), EWC(3.0)
    fishers, centres = [], []
    for x in visited(model, 0):
        penalty.consolidate(model, x)
        fishers.append(fisher_by_samples(model, x))
        centres.append({k: v.copy() for k, v in model.parameters().items()})
    check_penalty(penalty, model, (fishers, centres, elsewhere(model)))
    assert penalty.memory == 2 * sum(v.size for v in model.parameters().values())


@pytest.mark.parametrize("decay", [0.0, 0.7, 1.0])
def test_online_ewc_has_one_centre_and_decaying_weights(decay):
    """Oracle: PyTorch, with the recursion F <- decay F + F_t written out."""
    model, penalty = small_model(), EWC(2.0, decay=decay)
    total = None
    for x in visited(model, 1):
        penalty.consolidate(model, x)
        new = fisher_by_samples(model, x)
        total = new if total is None else {k: decay * total[k] + new[k] for k in new}
    centre = {k: v.copy() for k, v in model.parameters().items()}
    check_penalty(penalty, model, ([total], [centre], elsewhere(model)))


def test_ewc_takes_the_outputs_of_one_head():
    """Oracle: the Fisher information of those outputs: none for the others' parameters."""
    model, penalty = small_model(), EWC(1.0)
    penalty.consolidate(model, np.ones((2, 3)), outputs=[0, 1])
    parameters = {k: v.copy() for k, v in model.parameters().items()}
    parameters["2.weight"][2:] += 1.0
    parameters["2.bias"][2:] += 1.0
    assert penalty.value(parameters) == pytest.approx(0.0, abs=1e-12)
    parameters["2.bias"][0] += 1.0
    assert penalty.value(parameters) > 0.01


def test_l2_to_start_is_the_distance_from_the_last_solution():
    """Oracle: PyTorch, weights of one around the last stop only."""
    model, penalty = small_model(), L2ToStart(0.5)
    for _ in visited(model, 2):
        penalty.consolidate(model)
    centre = {k: v.copy() for k, v in model.parameters().items()}
    ones = {k: np.ones_like(v) for k, v in centre.items()}
    check_penalty(penalty, model, ([ones], [centre], elsewhere(model)))
    assert penalty.memory == sum(v.size for v in centre.values())


@pytest.mark.parametrize("penalty", [EWC(1.0), EWC(1.0, decay=0.5), L2ToStart(1.0)])
def test_before_the_first_task_there_is_no_penalty(penalty):
    """Oracle: zero, and untouched gradients."""
    model = small_model()
    gradients = {k: np.full_like(v, 2.0) for k, v in model.parameters().items()}
    penalty.add_gradient(model.parameters(), gradients)
    assert penalty.value(model.parameters()) == 0.0
    assert all((g == 2.0).all() for g in gradients.values())
    assert penalty.memory == 0


def test_penalties_at_their_centre_in_float32():
    """Oracle: nothing, up to rounding, and never less than nothing; float32 stays."""
    model = small_model(dtype=np.float32)
    for penalty in (EWC(1e4), EWC(1e4, decay=0.9), L2ToStart(1e4)):
        for x in visited(model, 3, steps=1):
            arguments = (model, x) if isinstance(penalty, EWC) else (model,)
            penalty.consolidate(*arguments)
        assert 0.0 <= penalty.value(model.parameters()) < 0.1
        gradients = {k: np.zeros_like(v) for k, v in model.parameters().items()}
        penalty.add_gradient(model.parameters(), gradients)
        for g in gradients.values():
            assert g.dtype == np.float32
            np.testing.assert_allclose(g, 0.0, atol=1e-2)


def test_penalties_say_what_is_wrong():
    """Oracle: the messages."""
    with pytest.raises(ValueError, match="strength must lie in"):
        EWC(-1.0)
    with pytest.raises(ValueError, match=r"decay must lie in \[0, 1\], got 1.5"):
        EWC(1.0, decay=1.5)
    with pytest.raises(TypeError, match="penalty must be EWC or L2ToStart"):
        Regularisation(network.L2(0.1))


# --- Distillation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_distillation_is_cross_entropy_and_a_divergence(kind):
    """Oracle: PyTorch's cross_entropy and kl_div, with gradients by autograd."""
    rng = np.random.default_rng(0)
    z, teacher = (rng.normal(size=(6, 5)).astype(kind) for _ in range(2))
    y, heads, groups = rng.integers(5, size=6), [0, 0, 0, 0, 0], [[0, 1], [2, 4]]
    loss = DistillationLoss(heads, groups, strength=0.7, temperature=3.0)
    value = loss.forward(z, memory.with_teacher(y, teacher))
    theirs, fixed = torch.tensor(z, requires_grad=True), torch.tensor(teacher)
    expected = torch.nn.functional.cross_entropy(theirs, torch.tensor(y))
    for g in groups:
        q = torch.log_softmax(theirs[:, g] / 3, 1)
        p = torch.log_softmax(fixed[:, g] / 3, 1)
        divergence = torch.nn.functional.kl_div(q, p, reduction="batchmean", log_target=True)
        expected = expected + 0.7 * 9 * divergence
    expected.backward()
    tolerance = 1e-12 if kind == np.float64 else 1e-5
    assert value == pytest.approx(expected.item(), rel=tolerance)
    np.testing.assert_allclose(loss.backward(), theirs.grad, atol=tolerance)
    assert loss.backward().dtype == kind


def test_distillation_says_what_is_wrong():
    """Oracle: the messages."""
    loss = DistillationLoss([0, 0], [[0, 1]], strength=1.0)
    with pytest.raises(TypeError, match="target must come from with_teacher"):
        loss.forward(np.zeros((1, 2)), np.array([0]))
    with pytest.raises(ValueError, match=r"groups\[0\] must lie in 0\.\.1"):
        DistillationLoss([0, 0], [[2]], strength=1.0)
    with pytest.raises(ValueError, match=r"temperature must lie in \(0"):
        DistillationLoss([0, 0], [[0]], strength=1.0, temperature=0.0)
    with pytest.raises(ValueError, match="strength must lie in"):
        Distillation(-1.0)
    with pytest.raises(ValueError, match="temperature must lie in"):
        Distillation(1.0, temperature=-1.0)
    with pytest.raises(TypeError, match="target must hold integer"):
        memory.with_teacher([0.5], [[1.0, 2.0]])


# --- Replay ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [1, 4])
def test_the_buffer_is_a_uniform_sample_of_the_stream(pieces):
    """Oracle: each of 12 items is kept with probability 5/12, in 4,000 draws to within 4 standard
    errors, whether they come at once or in pieces; and each pair with 5 * 4 / (12 * 11)."""
    kept = np.zeros((12, 12))
    rng = np.random.default_rng(0)
    items = np.arange(12)
    for _ in range(4000):
        buffer = ReplayBuffer(5, rng=rng)
        for part in np.array_split(items, pieces):
            buffer.add(part[:, None], part)
        assert len(buffer) == 5
        kept += np.isin(items, buffer.y)[:, None] & np.isin(items, buffer.y)
        assert np.array_equal(buffer.x[:, 0], buffer.y)
    shares = kept / 4000
    assert np.abs(np.diagonal(shares) - 5 / 12).max() < 4 * np.sqrt(5 / 12 * 7 / 12 / 4000)
    pairs = shares[~np.eye(12, dtype=bool)]
    p = 5 * 4 / (12 * 11)
    assert np.abs(pairs - p).max() < 4.5 * np.sqrt(p * (1 - p) / 4000)


def test_a_balanced_buffer_gives_each_label_its_share():
    """Oracle: counts; a new label takes from the others; a rare one leaves its share free."""
    buffer = ReplayBuffer(7, balanced=True, rng=0)
    buffer.add(np.zeros((50, 2)), np.zeros(50, dtype=int))
    assert np.bincount(buffer.y).tolist() == [7]
    buffer.add(np.ones((50, 2)), np.ones(50, dtype=int))
    assert np.bincount(buffer.y).tolist() == [4, 3]
    buffer.add(np.full((1, 2), 2.0), np.array([2]))
    assert np.bincount(buffer.y).tolist() == [3, 2, 1]
    assert buffer.x[:, 0].tolist() == buffer.y.tolist()


def test_a_balanced_buffer_is_uniform_within_a_label():
    """Oracle: each of 10 items of a label with a share of 2 is kept with probability 1/5."""
    rng, kept = np.random.default_rng(1), np.zeros(20)
    y = np.repeat([0, 1], 10)
    for _ in range(2000):
        buffer = ReplayBuffer(4, balanced=True, rng=rng)
        for half in (slice(0, 20, 2), slice(1, 20, 2)):
            buffer.add(np.arange(20)[half, None], y[half])
        kept[buffer.x[:, 0]] += 1
    assert np.abs(kept / 2000 - 0.2).max() < 4 * np.sqrt(0.16 / 2000)


def test_draws_use_every_item_equally_often():
    """Oracle: counts that differ by one at most; another order for another seed."""
    buffer = ReplayBuffer(4, rng=0)
    buffer.add(np.arange(4)[:, None], np.arange(4))
    x, y = buffer.draw(10, rng=0)
    assert np.array_equal(x[:, 0], y)
    assert sorted(np.bincount(y)) == [2, 2, 3, 3]
    assert not np.array_equal(y, buffer.draw(10, rng=1)[1])
    assert buffer.draw(3, rng=0)[1].shape == (3,)


def test_the_buffer_says_what_is_wrong():
    """Oracle: the messages."""
    buffer = ReplayBuffer(3, rng=0)
    assert len(buffer) == 0
    with pytest.raises(ValueError, match="the buffer is empty"):
        buffer.draw(1, rng=0)
    with pytest.raises(ValueError, match=r"got shapes \(2, 1\) and \(3,\)"):
        buffer.add(np.zeros((2, 1)), np.zeros(3))
    with pytest.raises(ValueError, match="budget must be at least 1"):
        ReplayBuffer(0, rng=0)
    with pytest.raises(ValueError, match="budget must be at least 1"):
        Replay(0)
    with pytest.raises(ValueError, match="components must be at least 1"):
        GenerativeReplay(0)


def test_generated_samples_have_the_moments_of_the_data():
    """Oracle: mean and variance of data from one Gaussian inside the unit cube; equal counts."""
    rng = np.random.default_rng(0)
    x = np.clip(rng.normal([[0.4, 0.6]], [[0.05, 0.1]], size=(4000, 2)), 0, 1)
    y = np.repeat([0, 3], 2000)
    x[2000:] = 1 - x[2000:]
    strategy = GenerativeReplay(1)
    assert strategy.rehearsal(5, rng) is None
    strategy.finish(None, None, 0, x, y, rng)
    new_x, new_y = strategy.rehearsal(8001, rng)
    assert np.bincount(new_y).tolist() == [4001, 0, 0, 4000]
    for label in (0, 3):
        ours, theirs = new_x[new_y == label], x[y == label]
        np.testing.assert_allclose(ours.mean(0), theirs.mean(0), atol=0.01)
        np.testing.assert_allclose(ours.std(0), theirs.std(0), atol=0.01)
    assert new_x.min() >= 0.0
    assert new_x.max() <= 1.0
    # Two mixtures of one Gaussian: two means, two variances, one weight each.
    assert strategy.memory == 2 * 5


# --- Learning in sequence -------------------------------------------------------------------------


class Counting(SGD):
    steps = 0

    def step(self, parameters, gradients):
        Counting.steps += 1
        super().step(parameters, gradients)


STRATEGIES = {
    "fine-tuning": FineTuning,
    "L2": lambda: Regularisation(L2ToStart(0.1)),
    "EWC": lambda: Regularisation(EWC(1.0)),
    "online EWC": lambda: Regularisation(EWC(1.0, decay=0.5)),
    "distillation": lambda: Distillation(1.0),
    "replay": lambda: Replay(9),
    "reservoir": lambda: Replay(9, balanced=False),
    "joint": Replay,
    "generative": lambda: GenerativeReplay(2),
}


def learn(tasks, strategy, scenario="class", *, seed=0, optimiser=Adam, epochs=2, **options):
    outputs = Scenario(scenario, tasks).outputs
    model = mlp([64, 8, outputs], rng=seed, dtype=np.float32)
    matrix = memory.learn_in_sequence(
        model,
        tasks,
        strategy,
        scenario=scenario,
        optimiser=optimiser,
        epochs=epochs,
        rng=seed,
        **options,
    )
    return model, matrix


@pytest.mark.parametrize("scenario", ["task", "domain", "class"])
@pytest.mark.parametrize("name", list(STRATEGIES))
def test_every_strategy_makes_as_many_updates(pairs, name, scenario):
    """Oracle: epochs times images over batch size, rounded up, for each task."""
    Counting.steps = 0
    _, matrix = learn(pairs, STRATEGIES[name](), scenario, optimiser=lambda: Counting(0.1))
    assert Counting.steps == sum(-(-2 * len(task.y_train) // 32) for task in pairs)
    assert matrix.shape == (3, 3)
    assert np.all((matrix >= 0) & (matrix <= 1))


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_no_strategy_looks_at_test_or_validation_images(pairs, name):
    """Oracle: the same parameters, to the last bit, when those images are noise."""
    rng = np.random.default_rng(0)
    spoiled = [
        dataclasses.replace(
            task,
            x_test=rng.random(task.x_test.shape, dtype=np.float32),
            x_val=rng.random(task.x_val.shape, dtype=np.float32),
        )
        for task in pairs
    ]
    (one, _), (other, _) = (learn(t, STRATEGIES[name]()) for t in (pairs, spoiled))
    for key, array in one.parameters().items():
        assert np.array_equal(array, other.parameters()[key])


def test_the_matrix_holds_accuracies_of_the_part_asked_for(pairs):
    """Oracle: the last row measured again by hand, on test and on validation images."""
    for part in ("test", "val"):
        model, matrix = learn(pairs, FineTuning(), "task", part=part, epochs=10)
        for t, task in enumerate(pairs):
            x, y = getattr(task, f"x_{part}"), getattr(task, f"y_{part}")
            head = model(x)[:, 2 * t : 2 * t + 2]
            right = np.array(task.classes)[head.argmax(axis=1)] == y
            assert matrix[2, t] == pytest.approx(right.mean())


def test_rehearsal_takes_the_place_of_new_samples(pairs):
    """Oracle: what the training loop is given: one part in t + 1 of it new, the rest of earlier
    tasks, in all as many as without rehearsal."""
    seen = []

    class Spy(Replay):
        def targets(self, model, scenario, t, x, y):
            seen.append(np.bincount(y // 2, minlength=3))
            return super().targets(model, scenario, t, x, y)

    learn(pairs, Spy(12), epochs=6)
    for t, counts in enumerate(seen):
        total = 6 * len(pairs[t].y_train)
        assert counts.sum() == total
        assert not counts[t + 1 :].any()
        assert np.abs(counts[: t + 1] - total / (t + 1)).max() <= 6


def test_distillation_has_no_teacher_for_the_first_task(pairs):
    """Oracle: plain loss and labels first; then the network's own logits, before training."""
    scenario, strategy = Scenario("class", pairs), Distillation(0.5, temperature=4.0)
    model = mlp([64, 8, 6], rng=0, dtype=np.float32)
    x, y = pairs[1].x_train, scenario.targets(1, pairs[1].y_train)
    loss, targets = strategy.targets(model, scenario, 0, x, y)
    assert type(loss) is HeadLoss
    assert targets is y
    loss, targets = strategy.targets(model, scenario, 1, x, y)
    assert (loss.strength, loss.temperature) == (0.5, 4.0)
    assert [list(g) for g in loss.groups] == [[0, 1]]
    np.testing.assert_allclose(targets["teacher"], model(x), rtol=1e-6)
    assert np.array_equal(targets["label"], y)


def test_what_is_kept_between_tasks(pairs):
    """Oracle: counted by hand: parameters, images of 64 pixels with a label, Gaussians."""
    kept = {}
    for name, make in STRATEGIES.items():
        strategy = make()
        learn(pairs, strategy, epochs=1)
        kept[name] = strategy.memory
    parameters = 64 * 8 + 8 + 8 * 6 + 6
    images = sum(len(task.y_train) for task in pairs)
    assert kept == {
        "fine-tuning": 0,
        "L2": parameters,
        "EWC": 2 * parameters,
        "online EWC": 2 * parameters,
        "distillation": 0,
        "replay": 9 * 65,
        "reservoir": 9 * 65,
        "joint": images * 65,
        "generative": 6 * (2 * (64 + 64) + 2),
    }


def test_learning_is_reproducible(pairs):
    """Oracle: one seed one matrix, another seed another."""
    first, again, other = (learn(pairs, Replay(9), seed=s)[1] for s in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_learning_says_what_is_wrong(pairs):
    """Oracle: the messages."""
    with pytest.raises(ValueError, match="part must be one of 'test', 'val'"):
        learn(pairs, FineTuning(), part="train")
    with pytest.raises(ValueError, match="epochs must be at least 1"):
        learn(pairs, FineTuning(), epochs=0)
    with pytest.raises(ValueError, match="name must be one of"):
        memory.learn_in_sequence(
            mlp([64, 6], rng=0),
            pairs,
            FineTuning(),
            scenario="all",
            optimiser=Adam,
            epochs=1,
            rng=0,
        )
