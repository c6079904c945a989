"""The training loop: replayed against PyTorch, stopped at the right epoch, and the same for every
seed."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from companion import network as cn
from companion.network import schedules
from tests.network.oracles import assert_close, copy_parameters, tensor


def data(n=23, features=4, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, features)), rng.integers(classes, size=n)


def regression(n=12, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    return x, x @ [[1.0], [-2.0]] + 0.5


def orders(seed, n, epochs):
    """Return the order of the samples in each epoch: one permutation an epoch, from one generator.
    Return the order of the samples in each epoch: one permutation an epoch, from one generator."""
    rng = np.random.default_rng(seed)
    return [rng.permutation(n) for _ in range(epochs)]


@pytest.mark.parametrize("max_grad_norm", [None, 0.5])
@pytest.mark.parametrize("penalised", [False, True])
def test_every_number_equals_a_loop_in_torch(penalised, max_grad_norm):
    """Oracle: the loop written out in torch on the same batches: parameters, losses, gradient
    norms, rates, validation."""
    (x, y), (x_val, y_val) = data(), data(7, seed=1)
    epochs, size, l1, l2 = 4, 5, 0.01, 0.02
    model = cn.mlp([4, 6, 3], activation="tanh", norm="batch", rng=0)
    module = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3)).double()
    copy_parameters(model, module, {})
    history = cn.fit(
        model,
        cn.CrossEntropyLoss(),
        cn.Adam(lr=0.5),
        x,
        y,
        epochs=epochs,
        batch_size=size,
        rng=7,
        validation=(x_val, y_val),
        metric=cn.accuracy,
        schedule=schedules.exponential_decay(0.05, gamma=0.9),
        penalties=[cn.L1(l1), cn.L2(l2)] if penalised else (),
        max_grad_norm=max_grad_norm,
    )

    optimiser = torch.optim.Adam(module.parameters(), lr=0.05)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.9)
    expected = cn.History()
    for order in orders(7, len(x), epochs):
        module.train()
        losses, norms = [], []
        for batch in np.split(order, range(size, len(x), size)):
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(module(tensor(x[batch])), tensor(y[batch]))
            if penalised:
                weights = [w for w in module.parameters() if w.ndim == 2]
                loss = loss + sum(l1 * w.abs().sum() + l2 / 2 * (w**2).sum() for w in weights)
            loss.backward()
            limit = math.inf if max_grad_norm is None else max_grad_norm
            norm = torch.nn.utils.get_total_norm([w.grad for w in module.parameters()])
            if norm > limit:
                for w in module.parameters():
                    w.grad *= limit / norm
            rate = optimiser.param_groups[0]["lr"]
            optimiser.step()
            scheduler.step()
            losses += [loss.item()] * len(batch)
            norms.append(norm.item())
        module.eval()
        with torch.no_grad():
            logits = module(tensor(x_val))
        expected.train_loss.append(np.mean(losses))
        expected.grad_norm.append(np.mean(norms))
        expected.lr.append(rate)
        expected.val_loss.append(nn.functional.cross_entropy(logits, tensor(y_val)).item())
        expected.val_metric.append((logits.argmax(1) == tensor(y_val)).double().mean().item())

    if max_grad_norm is not None:
        assert min(expected.grad_norm) > max_grad_norm
    for name in ("train_loss", "grad_norm", "lr", "val_loss", "val_metric"):
        np.testing.assert_allclose(
            getattr(history, name), getattr(expected, name), rtol=1e-9, err_msg=name
        )
    for name, array in (model.parameters() | model.buffers()).items():
        # The bias before the normalisation has no gradient but rounding, which Adam scales up;
        # the running mean follows it.
        tolerance = 1e-8 if name in ("0.bias", "1.running_mean") else 1e-10
        assert_close(array, module.state_dict()[name], tolerance=tolerance)
    assert len(history) == epochs
    assert history.best_epoch is None
    assert history.stopped_early is False


def test_float32_stays_float32():
    """Oracle: the dtype of every parameter after training, and torch's loop in float32."""
    x, y = (a.astype(np.float32) for a in regression())
    model = cn.Linear(2, 1, rng=0, dtype=np.float32)
    theirs = copy_parameters(model, nn.Linear(2, 1), {})
    cn.fit(model, cn.MSELoss(), cn.SGD(lr=0.1, momentum=0.5), x, y, epochs=3, batch_size=4, rng=1)
    optimiser = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.5)
    for order in orders(1, len(x), 3):
        for batch in np.split(order, range(4, len(x), 4)):
            optimiser.zero_grad()
            nn.functional.mse_loss(theirs(tensor(x[batch])), tensor(y[batch])).backward()
            optimiser.step()
    for name, array in model.parameters().items():
        assert_close(array, theirs.state_dict()[name])


class Recorder(cn.Layer):
    """Passes its input on; notes mode and batch of every pass."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x):
        self.seen.append((self.training, np.array(x)))
        return np.asarray(x, dtype=float)

    def backward(self, grad_output):
        return np.asarray(grad_output)


def train_recorder(n, **options):
    recorder = Recorder()
    model = cn.Sequential(recorder, cn.Linear(1, 1, rng=0))
    x = np.arange(n, dtype=float)[:, None]
    settings = {"epochs": 2, "rng": 3, **options}
    history = cn.fit(model, cn.MSELoss(), cn.SGD(lr=1e-6), x, x, **settings)
    return history, recorder.seen


@pytest.mark.parametrize(
    ("n", "size", "batches"), [(7, 3, [3, 3, 1]), (6, 3, [3, 3]), (2, 5, [2]), (5, 1, [1] * 5)]
)
def test_batches_cover_each_epoch_once(n, size, batches):
    """Oracle: the generator's permutations, cut every `size` samples, the rest in a smaller batch.
    Oracle: the generator's permutations, cut every `size` samples, the rest in a smaller batch."""
    _, seen = train_recorder(n, batch_size=size)
    assert [len(x) for _, x in seen] == batches * 2
    assert all(training for training, _ in seen)
    drawn = np.concatenate([x[:, 0] for _, x in seen])
    assert np.array_equal(drawn, np.concatenate(orders(3, n, 2)))


def test_batch_size_is_32_unless_told():
    """Oracle: 70 samples make batches of 32, 32 and 6."""
    _, seen = train_recorder(70, epochs=1)
    assert [len(x) for _, x in seen] == [32, 32, 6]


def test_validation_comes_after_each_epoch_in_evaluation_mode():
    """Oracle: the modes and batches that a recording layer has seen."""
    validation = (np.full((3, 1), -1.0), np.zeros((3, 1)))
    history, seen = train_recorder(4, batch_size=2, validation=validation)
    assert [(training, len(x)) for training, x in seen] == [(True, 2), (True, 2), (False, 3)] * 2
    assert np.array_equal(seen[2][1], validation[0])
    assert len(history.val_loss) == 2
    assert history.val_metric == []
    assert train_recorder(4)[0].val_loss == []


def test_train_loss_weighs_each_sample_alike():
    """Oracle: a zero model that cannot learn: the mean of y^2 over samples, whatever the batches.
    Oracle: a zero model that cannot learn: the mean of y^2 over samples, whatever the batches."""
    x, y = np.ones((5, 1)), np.array([[1.0], [2.0], [3.0], [4.0], [5.0]])
    model = cn.Linear(1, 1, weight_init=_zeros, rng=0)
    history = cn.fit(model, cn.MSELoss(), cn.SGD(lr=1e-300), x, y, epochs=2, batch_size=2, rng=0)
    assert history.train_loss == pytest.approx([11.0, 11.0])


def _zeros(shape, *, rng, dtype):
    return np.zeros(shape, dtype)


def test_grad_norm_is_the_mean_over_steps_before_clipping():
    """Oracle: a model that cannot learn: two batches whose gradients are worked out by hand."""
    x, y = np.ones((3, 1)), np.array([[1.0], [1.0], [1.0]])
    for limit in (None, 0.1):
        model = cn.Linear(1, 1, weight_init=_zeros, rng=0)
        history = cn.fit(
            model,
            cn.MSELoss(),
            cn.SGD(lr=1e-300),
            x,
            y,
            epochs=1,
            batch_size=2,
            rng=0,
            max_grad_norm=limit,
        )
        # d/dw and d/db of (0 - 1)^2 are both -2, in either batch.
        assert history.grad_norm == pytest.approx([math.sqrt(8)])


def test_the_step_is_clipped():
    """Oracle: with plain gradient descent the parameters move by lr times max_grad_norm."""
    model = cn.Linear(1, 1, weight_init=_zeros, rng=0)
    cn.fit(
        model, cn.MSELoss(), cn.SGD(lr=0.5), [[1.0]], [[1.0]], epochs=1, rng=0, max_grad_norm=0.1
    )
    moved = math.hypot(model.weight[0, 0], model.bias[0])
    assert moved == pytest.approx(0.05)


def test_the_schedule_sets_the_rate_of_every_step():
    """Oracle: a schedule that records its calls, and the rates an optimiser has seen."""
    asked, used = [], []

    class Spy(cn.SGD):
        def step(self, parameters, gradients):
            used.append(self.lr)
            super().step(parameters, gradients)

    def schedule(step):
        asked.append(step)
        return 1e-3 / (step + 1)

    x, y = regression(5)
    optimiser = Spy(lr=1.0)
    history = cn.fit(
        cn.Linear(2, 1, rng=0),
        cn.MSELoss(),
        optimiser,
        x,
        y,
        epochs=2,
        batch_size=2,
        rng=0,
        schedule=schedule,
    )
    assert asked == list(range(6))
    assert used == [1e-3 / (t + 1) for t in range(6)]
    assert history.lr == [used[2], used[5]]
    history = cn.fit(cn.Linear(2, 1, rng=0), cn.MSELoss(), cn.SGD(lr=0.25), x, y, epochs=2, rng=0)
    assert history.lr == [0.25, 0.25]


def test_the_penalty_is_part_of_the_loss_in_training_only():
    """Oracle: a model that cannot learn: train loss has the penalty in it, validation loss does
    not."""
    model = cn.Linear(1, 1, weight_init=lambda s, *, rng, dtype: np.full(s, 3.0), rng=0)
    x, y = np.ones((2, 1)), np.full((2, 1), 3.0)
    penalties = [cn.L1(0.1), cn.L2(2.0)]
    history = cn.fit(
        model,
        cn.MSELoss(),
        cn.SGD(lr=1e-300),
        x,
        y,
        epochs=1,
        rng=0,
        validation=(x, y),
        penalties=penalties,
    )
    assert history.train_loss == pytest.approx([0.3 + 9.0])
    assert history.val_loss == pytest.approx([0.0])
    assert history.grad_norm == pytest.approx([0.1 + 6.0])


# Early stopping


class Scripted(cn.MSELoss):
    """A loss whose values on the validation set (told apart by its size) are given in advance."""

    def __init__(self, values):
        self.values = iter(values)

    def forward(self, prediction, target):
        value = super().forward(prediction, target)
        return next(self.values) if len(target) == 2 else value


def stop(values, *, epochs=None, **options):
    """Train a moving model against scripted validation losses; return history and weights after
    each epoch."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 1)), rng.normal(size=(4, 1))
    model, weights = cn.Linear(1, 1, rng=0), []

    def metric(prediction, target):
        weights.append(model.weight[0, 0])
        return 0.0

    history = cn.fit(
        model,
        Scripted(values),
        cn.SGD(lr=0.01),
        x,
        y,
        epochs=len(values) if epochs is None else epochs,
        batch_size=1,
        rng=0,
        validation=(x[:2], y[:2]),
        metric=metric,
        early_stopping=cn.EarlyStopping(**options),
    )
    assert len(set(weights)) == len(weights) == len(history)
    return history, weights, model.weight[0, 0]


@pytest.mark.parametrize(
    ("values", "options", "length", "best", "stopped"),
    [
        # Patience counts epochs since the best: 1 stops at the first that is no better.
        ([3, 2, 1, 2, 0], {"patience": 1}, 4, 2, True),
        ([3, 2, 1, 2, 0], {"patience": 2}, 5, 4, False),
        ([3, 2, 1, 2, 2, 0], {"patience": 2}, 5, 2, True),
        ([3, 2, 1, 2, 2, 0], {"patience": 3}, 6, 5, False),
        # An equal value is no improvement.
        ([3, 3, 3, 3], {"patience": 2}, 3, 0, True),
        # First the best, first the worst.
        ([1, 2, 3, 4, 5, 6, 7], {}, 6, 0, True),
        ([7, 6, 5, 4, 3, 2, 1], {"patience": 1}, 7, 6, False),
        # A fall must exceed min_delta; a fall of just that size does not.
        ([4, 3.5, 3, 2.5], {"patience": 2, "min_delta": 0.5}, 4, 2, False),
        ([4, 3.5, 3.25], {"patience": 2, "min_delta": 0.5}, 3, 2, False),
        ([4, 3.5, 3.5], {"patience": 2, "min_delta": 0.5}, 3, 0, True),
        ([4, 3.49, 3], {"patience": 2, "min_delta": 0.5}, 3, 1, False),
        # The best is remembered over several rises.
        ([5, 2, 3, 1, 4, 4, 4, 4], {"patience": 3}, 7, 3, True),
        # The last epoch may be the one that runs out of patience.
        ([1, 2], {"patience": 1}, 2, 0, True),
        ([1, 2], {"patience": 2}, 2, 0, False),
        # A loss that is never a number is no best epoch; patience then counts from the start.
        ([math.nan] * 4, {"patience": 2}, 3, None, True),
    ],
)
@pytest.mark.parametrize("restore", [True, False])
def test_early_stopping(values, options, length, best, stopped, restore):
    """Oracle: the epochs counted by hand; the weights that were there after the best epoch, or
    after the last."""
    history, weights, final = stop(values, restore_best=restore, **options)
    assert len(history) == length
    assert history.best_epoch == best
    assert history.stopped_early is stopped
    assert history.val_loss == pytest.approx(values[:length], nan_ok=True)
    assert final == weights[best if restore and best is not None else -1]


def test_early_stopping_restores_buffers_too():
    """Oracle: running averages after the first epoch, which was the best."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 2)), rng.normal(size=(6, 2))
    states = []
    model = cn.BatchNorm1d(2)

    def metric(prediction, target):
        states.append({k: v.copy() for k, v in (model.parameters() | model.buffers()).items()})
        return 0.0

    for restore, kept in ((True, 0), (False, -1)):
        states.clear()
        cn.fit(
            model,
            Scripted([1.0, 2.0, 3.0]),
            cn.SGD(lr=0.1),
            x,
            y,
            epochs=3,
            rng=0,
            validation=(x[:2], y[:2]),
            metric=metric,
            early_stopping=cn.EarlyStopping(restore_best=restore),
        )
        for name, array in (model.parameters() | model.buffers()).items():
            assert np.array_equal(array, states[kept][name])
            assert not np.array_equal(array, states[1][name])


def test_early_stopping_defaults_and_checks():
    """Oracle: the documented defaults; messages that name the field."""
    assert cn.EarlyStopping() == cn.EarlyStopping(patience=5, min_delta=0.0, restore_best=True)
    assert cn.EarlyStopping(patience=1).patience == 1
    with pytest.raises(ValueError, match=r"^patience must be at least 1, got 0$"):
        cn.EarlyStopping(patience=0)
    with pytest.raises(TypeError, match=r"^patience must be an integer, got 2\.5$"):
        cn.EarlyStopping(patience=2.5)
    with pytest.raises(ValueError, match=r"^min_delta must lie in \[0, inf\), got -0\.1$"):
        cn.EarlyStopping(min_delta=-0.1)


# A new kind of layer


class ToyRecurrent(cn.Layer):
    """h_t = tanh(x_t + w h_{t-1}) for sequences (T, N, C): a kind of layer the package does not
    have."""

    def __init__(self, size):
        super().__init__()
        self._parameters["w"] = np.full(size, 0.5)

    def forward(self, x):
        self._x, h = x, np.zeros(x.shape[1:])
        self._h = [h]
        for x_t in x:
            h = np.tanh(x_t + self._parameters["w"] * h)
            self._h.append(h)
        return np.stack(self._h[1:])

    def backward(self, grad_output):
        grad_h, out = np.zeros_like(self._h[0]), np.zeros_like(self._x)
        grad_w = np.zeros_like(self._parameters["w"])
        for t in reversed(range(len(out))):
            out[t] = (grad_output[t] + grad_h) * (1 - self._h[t + 1] ** 2)
            grad_w += (out[t] * self._h[t]).sum(axis=0)
            grad_h = out[t] * self._parameters["w"]
        self._gradients["w"] = grad_w
        return out


class LastStep(cn.Layer):
    """Keeps the last of T steps."""

    def forward(self, x):
        self._shape = x.shape
        return x[-1]

    def backward(self, grad_output):
        out = np.zeros(self._shape)
        out[-1] = grad_output
        return out


def test_a_new_kind_of_layer_joins_without_a_change_to_the_loop():
    """Oracle: the gradient check of the new layer, and torch's loop on sequences (T, N, C) with
    samples on axis 1."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 9, 2)), rng.integers(3, size=9)
    model = cn.Sequential(ToyRecurrent(2), LastStep(), cn.Linear(2, 3, rng=0))
    assert cn.gradient_check(model, cn.CrossEntropyLoss(), x, y).passed
    w = tensor(model.parameters()["0.w"], grad=True)
    head = copy_parameters(model[2], nn.Linear(2, 3).double(), {})
    history = cn.fit(
        model,
        cn.CrossEntropyLoss(),
        cn.SGD(lr=0.5),
        x,
        y,
        epochs=3,
        batch_size=4,
        rng=2,
        batch_axis=1,
    )
    optimiser, losses = torch.optim.SGD([w, *head.parameters()], lr=0.5), []
    for order in orders(2, 9, 3):
        for batch in np.split(order, range(4, 9, 4)):
            h = torch.zeros(len(batch), 2, dtype=torch.float64)
            for x_t in tensor(x[:, batch]):
                h = torch.tanh(x_t + w * h)
            loss = nn.functional.cross_entropy(head(h), tensor(y[batch]))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses += [loss.item()] * len(batch)
    assert_close(model.parameters()["0.w"], w, tolerance=1e-11)
    assert_close(model.parameters()["2.weight"], head.weight, tolerance=1e-11)
    np.testing.assert_allclose(
        history.train_loss, np.reshape(losses, (3, 9)).mean(axis=1), rtol=1e-11
    )


def test_validation_and_predict_follow_the_batch_axis():
    """Oracle: the recurrent layer's outputs for all samples at once, and its validation loss."""
    x = np.random.default_rng(1).normal(size=(4, 7, 2))
    model = ToyRecurrent(2)
    expected = model.forward(x)
    for size in (1, 3, 7, 100):
        assert np.array_equal(cn.predict(model, x, batch_size=size, batch_axis=1), expected)
    history = cn.fit(
        cn.Sequential(model, LastStep()),
        cn.MSELoss(),
        cn.SGD(lr=1e-300),
        x,
        np.zeros((7, 2)),
        epochs=1,
        rng=0,
        validation=(x[:, :3], np.zeros((3, 2))),
        batch_axis=1,
    )
    assert history.val_loss == pytest.approx([np.mean(expected[-1, :3] ** 2)])


def test_long_validation_sequences_are_not_cut_in_time():
    """Oracle: the last step of 1,030, more than a batch of predict holds, of one forward pass."""
    x = np.random.default_rng(1).normal(size=(1030, 2, 1))
    model = cn.Sequential(ToyRecurrent(1), LastStep())
    target = model(x)
    history = cn.fit(
        model,
        cn.MSELoss(),
        cn.SGD(lr=1e-300),
        x,
        target,
        epochs=1,
        rng=0,
        validation=(x, target),
        batch_axis=1,
    )
    assert history.val_loss == [0.0]


def test_one_row_for_each_sequence_comes_out_in_order():
    """Oracle: one forward pass over all samples, where predict needs several batches; and the
    validation loss made of it."""
    x = np.random.default_rng(1).normal(size=(3, 7, 2))
    model = cn.Sequential(ToyRecurrent(2), LastStep())
    expected = model.forward(x)
    for size in (1, 3, 7):
        rows = cn.predict(model, x, batch_size=size, batch_axis=1, output_axis=0)
        np.testing.assert_array_equal(rows, expected)
    many = np.random.default_rng(2).normal(size=(3, 1030, 2))
    target = model.forward(many)
    history = cn.fit(
        model,
        cn.MSELoss(),
        cn.SGD(lr=1e-300),
        x,
        expected,
        epochs=1,
        rng=0,
        validation=(many, target),
        batch_axis=1,
        output_axis=0,
    )
    assert history.val_loss == [0.0]


class Pair(cn.Layer):
    """A model of two inputs: a linear layer of the first, plus the second."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = cn.Linear(2, 1, rng=0)

    def children(self):
        return {"linear": self.linear}

    def forward(self, x):
        first, second = x
        return self.linear.forward(first) + second

    def backward(self, grad_output):
        return self.linear.backward(grad_output)


def test_a_model_of_several_inputs_gets_a_tuple():
    """Oracle: the linear layer alone, trained on the same target with the second input taken off,
    which has the same gradients."""
    rng = np.random.default_rng(0)
    x, shift, y = rng.normal(size=(9, 2)), rng.normal(size=(9, 1)), rng.normal(size=(9, 1))
    both, alone = Pair(), cn.Linear(2, 1, rng=0)
    options = {"epochs": 4, "batch_size": 4, "rng": 1}
    history = cn.fit(
        both, cn.MSELoss(), cn.SGD(lr=0.1), (x, shift), y, validation=((x, shift), y), **options
    )
    other = cn.fit(
        alone, cn.MSELoss(), cn.SGD(lr=0.1), x, y - shift, validation=(x, y - shift), **options
    )
    assert_close(both.linear.weight, alone.weight, tolerance=1e-12)
    np.testing.assert_allclose(history.train_loss, other.train_loss, rtol=1e-12)
    np.testing.assert_allclose(history.val_loss, other.val_loss, rtol=1e-12)
    for size in (2, 100):
        np.testing.assert_allclose(
            cn.predict(both, (x, shift), batch_size=size), both.forward((x, shift)), rtol=1e-13
        )
    with pytest.raises(ValueError, match=r"x must hold arrays of as many samples each, got \[9, 8"):
        cn.fit(both, cn.MSELoss(), cn.SGD(lr=0.1), (x, shift[:8]), y, **options)
    with pytest.raises(ValueError, match=r"x must have samples along axis 0, got shape \(0, 1\)"):
        cn.predict(both, (x, shift[:0]))


def test_nested_tuples_of_numbers_are_one_input():
    """Invariant: rows given as tuples are the array that they would make."""
    model = cn.Linear(2, 1, rng=0)
    rows = ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0))
    np.testing.assert_array_equal(cn.predict(model, rows), model(np.array(rows)))


# Modes, progress, failure, seeds


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_in_its_mode(training):
    """Oracle: the mode before, also after an error; training itself in training mode."""
    x, y = regression()
    model = cn.Sequential(Recorder(), cn.Linear(2, 1, rng=0)).train(training)
    cn.fit(model, cn.MSELoss(), cn.SGD(lr=0.1), x, y, epochs=1, rng=0, validation=(x, y))
    assert model.training is model[0].training is model[1].training is training
    assert [mode for mode, _ in model[0].seen] == [True, False]
    cn.predict(model, x)
    assert model.training is model[1].training is training
    assert model[0].seen[-1][0] is False
    with pytest.raises(ValueError, match="target"):
        cn.fit(model, cn.MSELoss(), cn.SGD(lr=0.1), x, y[:, 0], epochs=1, rng=0)
    with pytest.raises(ValueError, match="in_features"):
        cn.predict(model, np.ones((2, 5)))
    assert model.training is model[0].training is model[1].training is training


def test_predict_works_in_batches():
    """Oracle: one pass over everything; the sizes of the batches a recording layer has seen."""
    x = np.random.default_rng(0).normal(size=(10, 2))
    recorder = Recorder()
    model = cn.Sequential(recorder, cn.Linear(2, 3, rng=0))
    for size, batches in ((4, [4, 4, 2]), (5, [5, 5]), (1, [1] * 10), (10, [10]), (11, [10])):
        recorder.seen.clear()
        np.testing.assert_allclose(cn.predict(model, x, batch_size=size), model[1](x), rtol=1e-13)
        assert [len(seen) for _, seen in recorder.seen] == batches
    recorder.seen.clear()
    cn.predict(model, np.zeros((1025, 2)))
    assert [len(seen) for _, seen in recorder.seen] == [1024, 1]
    dropout = cn.Dropout(0.9, rng=0)
    assert np.array_equal(cn.predict(dropout, x), x)


def test_progress_is_quiet_unless_asked_for(capsys):
    """Oracle: what reaches the terminal: nothing, or a bar over the epochs."""
    x, y = regression()
    for progress in (False, True):
        cn.fit(
            cn.Linear(2, 1, rng=0),
            cn.MSELoss(),
            cn.SGD(lr=0.1),
            x,
            y,
            epochs=3,
            rng=0,
            progress=progress,
        )
        out, err = capsys.readouterr()
        assert out == ""
        assert ("epochs: 100%" in err and "3/3" in err) if progress else err == ""
    cn.fit(cn.Linear(2, 1, rng=0), cn.MSELoss(), cn.SGD(lr=0.1), x, y, epochs=1, rng=0)
    assert capsys.readouterr() == ("", "")


def test_divergence_is_told_with_its_place():
    """Oracle: the epoch and step at which a torch loop of the same network overflows; the mode is
    restored."""
    x, y = regression(8)
    model = cn.Linear(2, 1, weight_init=_zeros, rng=0).eval()
    w = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    batches = [
        (epoch, batch)
        for epoch, order in enumerate(orders(0, 8, 100))
        for batch in np.split(order, range(3, 8, 3))
    ]
    for step, (epoch, batch) in enumerate(batches):  # noqa: B007
        loss = ((tensor(x[batch]) @ w[:2] + w[2] - tensor(y[batch, 0])) ** 2).mean()
        if not torch.isfinite(loss):
            break
        (g,) = torch.autograd.grad(loss, w)
        with torch.no_grad():
            w -= 1e6 * g
    assert step > 3
    message = (
        rf"^the loss became inf in epoch {epoch}, step {step}: "
        r"try a smaller learning rate, a better initialiser or gradient clipping$"
    )
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match=message):
        cn.fit(model, cn.MSELoss(), cn.SGD(lr=1e6), x, y, epochs=100, batch_size=3, rng=0)
    assert model.training is False


def test_a_nan_in_the_data_is_told_at_once():
    """Oracle: the first step; the parameters have not been touched."""
    model = cn.Linear(2, 1, rng=0)
    kept = model.weight.copy()
    with pytest.raises(FloatingPointError, match=r"^the loss became nan in epoch 0, step 0: "):
        cn.fit(model, cn.MSELoss(), cn.SGD(lr=0.1), [[math.nan, 1.0]], [[1.0]], epochs=3, rng=0)
    assert np.array_equal(model.weight, kept)


def test_a_seed_repeats_everything():
    """Oracle: bitwise equal histories and parameters for one seed, different ones for another."""
    x, y = data()

    def run(seed):
        model = cn.mlp([4, 8, 3], dropout=0.3, rng=seed)
        history = cn.fit(
            model, cn.CrossEntropyLoss(), cn.AdamW(), x, y, epochs=3, batch_size=4, rng=seed
        )
        return history, model.parameters()

    (first, a), (second, b), (other, _) = run(5), run(5), run(6)
    assert first == second
    assert first != other
    for name in a:
        assert np.array_equal(a[name], b[name])
    generator = np.random.default_rng(5)
    model = cn.mlp([4, 8, 3], dropout=0.3, rng=5)
    third = cn.fit(
        model, cn.CrossEntropyLoss(), cn.AdamW(), x, y, epochs=3, batch_size=4, rng=generator
    )
    assert third == first


def test_it_learns():
    """Oracle: the line behind the data, recovered to six digits; and the training data is left
    alone."""
    x, y = regression(50)
    kept = x.copy(), y.copy()
    model = cn.Linear(2, 1, rng=0)
    history = cn.fit(model, cn.MSELoss(), cn.SGD(lr=0.1), x, y, epochs=60, batch_size=10, rng=0)
    np.testing.assert_allclose(model.weight, [[1.0, -2.0]], atol=1e-6)
    np.testing.assert_allclose(model.bias, [0.5], atol=1e-6)
    assert history.train_loss[-1] < 1e-10 < history.train_loss[0]
    assert np.array_equal(x, kept[0])
    assert np.array_equal(y, kept[1])


def test_history_starts_empty():
    """Oracle: the fields of a new object, and that two objects share no list."""
    history = cn.History()
    assert (len(history), history.best_epoch, history.stopped_early) == (0, None, False)
    for name in ("train_loss", "val_loss", "val_metric", "lr", "grad_norm"):
        assert getattr(history, name) == []
        assert getattr(history, name) is not getattr(cn.History(), name)


def test_accuracy():
    """Oracle: counted by hand; of equal logits the first wins, as in numpy.argmax."""
    logits = [[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [0.0, 0.0, 0.0], [1.0, 2.0, 9.0]]
    for target, share in (([0, 1, 0, 2], 1.0), ([0, 1, 1, 2], 0.75), ([1, 0, 2, 0], 0.0)):
        assert cn.accuracy(logits, target) == share
    assert type(cn.accuracy(logits, [0, 0, 0, 0])) is float
    message = r"^prediction and target must have shapes \(N, K\) and \(N,\) with N >= 1, got "
    for prediction, target, shapes in (
        ([1.0, 2.0], [0, 1], r"\(2,\) and \(2,\)$"),
        ([[1.0, 2.0]], [0, 1], r"\(1, 2\) and \(2,\)$"),
        ([[1.0, 2.0]], [[0]], r"\(1, 2\) and \(1, 1\)$"),
        (np.ones((0, 2)), [], r"\(0, 2\) and \(0,\)$"),
    ):
        with pytest.raises(ValueError, match=message + shapes):
            cn.accuracy(prediction, target)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 0}, ValueError, r"^epochs must be at least 1, got 0$"),
        ({"epochs": 1.5}, TypeError, r"^epochs must be an integer, got 1\.5$"),
        ({"epochs": True}, TypeError, r"^epochs must be an integer, got True$"),
        ({"batch_size": 0}, ValueError, r"^batch_size must be at least 1, got 0$"),
        ({"batch_size": None}, TypeError, r"^batch_size must be an integer, got None$"),
        (
            {"rng": None},
            TypeError,
            r"^rng must be a numpy.random.Generator or an integer seed, got None$",
        ),
        ({"rng": -1}, ValueError, r"^rng must be a non-negative seed, got -1$"),
        ({"max_grad_norm": 0.0}, ValueError, r"^max_grad_norm must lie in \(0, inf\), got 0\.0$"),
        ({"max_grad_norm": "1"}, TypeError, r"^max_grad_norm must be a real number, got '1'$"),
        (
            {"early_stopping": cn.EarlyStopping()},
            ValueError,
            r"^early_stopping needs validation=\(x, y\), got None$",
        ),
        ({"metric": cn.accuracy}, ValueError, r"^metric needs validation=\(x, y\), got None$"),
        ({"batch_axis": 2}, ValueError, r"^x must have samples along axis 2, got shape \(12, 2\)$"),
        ({"batch_axis": -1}, ValueError, r"^batch_axis must be at least 0, got -1$"),
        ({"batch_axis": "0"}, TypeError, r"^batch_axis must be an integer, got '0'$"),
        (
            {"x": np.ones((0, 2))},
            ValueError,
            r"^x must have samples along axis 0, got shape \(0, 2\)$",
        ),
        ({"x": 1.0}, ValueError, r"^x must have samples along axis 0, got shape \(\)$"),
        (
            {"y": np.ones((11, 1))},
            ValueError,
            r"^y must have one entry for each of the 12 samples, got shape \(11, 1\)$",
        ),
        (
            {"y": 1.0},
            ValueError,
            r"^y must have one entry for each of the 12 samples, got shape \(\)$",
        ),
    ],
)
def test_fit_refuses(options, error, message):
    """Oracle: the message names the argument; nothing has been trained."""
    x, y = regression()
    model = cn.Linear(2, 1, rng=0)
    kept = model.weight.copy()
    settings = {"x": x, "y": y, "epochs": 1, "rng": 0, **options}
    with pytest.raises(error, match=message):
        cn.fit(
            model, cn.MSELoss(), cn.SGD(lr=0.1), settings.pop("x"), settings.pop("y"), **settings
        )
    assert np.array_equal(model.weight, kept)


@pytest.mark.parametrize(
    ("x", "options", "error", "message"),
    [
        (
            np.ones((0, 2)),
            {},
            ValueError,
            r"^x must have samples along axis 0, got shape \(0, 2\)$",
        ),
        (3.0, {}, ValueError, r"^x must have samples along axis 0, got shape \(\)$"),
        (
            np.ones((2, 2)),
            {"batch_axis": 2},
            ValueError,
            r"^x must have samples along axis 2, got shape \(2, 2\)$",
        ),
        (np.ones((2, 2)), {"batch_size": 0}, ValueError, r"^batch_size must be at least 1, got 0$"),
        (
            np.ones((2, 2)),
            {"batch_size": 2.0},
            TypeError,
            r"^batch_size must be an integer, got 2\.0$",
        ),
    ],
)
def test_predict_refuses(x, options, error, message):
    """Oracle: the message names the argument, what was expected and what came."""
    with pytest.raises(error, match=message):
        cn.predict(cn.Linear(2, 1, rng=0), x, **options)


@pytest.mark.parametrize(
    ("validation", "error", "words"),
    [
        (np.ones((4, 3)), TypeError, r"validation must be a pair \(x, y\), got ndarray"),
        ((np.ones((4, 3)),), TypeError, "validation must be a pair"),
        ((np.ones((0, 3)), np.ones((0, 2))), ValueError, r"validation\[0\] must have samples"),
        ((np.ones((4, 3)), np.ones((5, 2))), ValueError, r"validation\[1\] .* the 4 samples"),
    ],
)
def test_a_malformed_validation_set_is_refused_before_training(
    validation: object, error: type[Exception], words: str
) -> None:
    """Oracle: the message, and weights that did not move."""
    model = cn.Linear(3, 2, rng=0)
    before = model.weight.copy()
    with pytest.raises(error, match=words):
        cn.fit(
            model,
            cn.MSELoss(),
            cn.SGD(lr=0.1),
            np.ones((6, 3)),
            np.zeros((6, 2)),
            epochs=1,
            rng=0,
            validation=validation,
        )
    np.testing.assert_array_equal(model.weight, before)
