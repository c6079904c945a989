"""What the lesson *A CNN, trained* reports, found again in a smaller form."""

from __future__ import annotations

import numpy as np
import pytest

from companion import data, network
from companion.convolution import Conv2d, doubly_block_toeplitz, equivariance_error, lenet
from companion.network import Adam, Sequential, accuracy, fit, mlp, predict, schedules


def _train(model: Sequential, split: data.Split, lr: float, epochs: int, seed: int) -> Sequential:
    steps = epochs * -(-len(split.y_train) // 32)
    fit(
        model,
        network.CrossEntropyLoss(),
        Adam(lr),
        split.x_train,
        split.y_train,
        epochs=epochs,
        batch_size=32,
        schedule=schedules.cosine(lr, total_steps=steps),
        rng=seed,
    )
    return model


def _on_canvas(x: np.ndarray, offsets: object, size: int = 12) -> np.ndarray:
    images = data.place_on_canvas(x.reshape(-1, 8, 8), size, offsets=offsets)
    return images.reshape(len(x), -1)


def _train_on_canvas(
    model: Sequential, split: data.Split, epochs: int, *, moved: bool
) -> Sequential:
    rng, optimiser = np.random.default_rng(0), Adam(0.01)
    rates = schedules.cosine(0.01, total_steps=epochs)
    for epoch in range(epochs):
        places = rng.integers(5, size=(len(split.y_train), 2)) if moved else (2, 2)
        x = _on_canvas(split.x_train, places)
        optimiser.lr = rates(epoch)
        fit(model, network.CrossEntropyLoss(), optimiser, x, split.y_train, epochs=1, rng=rng)
    return model


def _accuracies(model: Sequential, split: data.Split) -> tuple[float, float]:
    """Return the test accuracy in the middle, and the mean over the four corners."""
    middle, *corners = (
        accuracy(predict(model, _on_canvas(split.x_test, place)), split.y_test)
        for place in ((2, 2), (0, 0), (0, 4), (4, 0), (4, 4))
    )
    return middle, float(np.mean(corners))


@pytest.fixture(scope="module")
def digits() -> data.Split:
    return data.load_digits(rng=10, dtype=np.float32)


@pytest.fixture(scope="module")
def trained(digits: data.Split) -> Sequential:
    return _train(lenet(rng=10, dtype=np.float32), digits, 0.01, 20, 10)


def test_the_cnn_reads_the_digits(trained: Sequential, digits: data.Split) -> None:
    """Oracle: the lesson's 0.98 on average over five splits, less a margin for a single one."""
    assert accuracy(predict(trained, digits.x_test), digits.y_test) > 0.965


def test_a_network_of_the_same_size_without_convolution_is_close_behind(
    digits: data.Split,
) -> None:
    """Oracle: parameters counted by hand; the lesson's gain is about one percentage point."""
    dense = mlp([64, 120, 10], rng=10, dtype=np.float32)
    sizes = [sum(a.size for a in m.parameters().values()) for m in (dense, lenet(rng=0))]
    assert sizes == [64 * 120 + 120 + 1200 + 10, 160 + 48 * (16 * 9 + 1) + 10 * (48 * 4 + 1)]
    model = _train(dense, digits, 0.03, 60, 10)
    assert 0.95 < accuracy(predict(model, digits.x_test), digits.y_test) < 0.995


def test_a_convolution_is_a_sparse_matrix_of_few_numbers() -> None:
    """Oracle: counted by hand: along each axis, three places at eight pixels less two at the
    edges."""
    conv = Conv2d(1, 16, 3, padding=1, rng=0)
    matrix = doubly_block_toeplitz(conv.weight, (8, 8), padding=1)
    assert matrix.shape == (1024, 64)
    assert matrix.nnz == 16 * (3 * 8 - 2) ** 2
    assert len(np.unique(matrix.data)) == conv.weight.size == 144


def test_only_multiples_of_the_strides_survive(trained: Sequential, digits: data.Split) -> None:
    """Oracle: the theorem, on the trained layers: 1, 2 and 4 pixels for no, one and two strides."""
    images = digits.x_test[:30].reshape(-1, 8, 8)
    canvas = data.place_on_canvas(images, 32, offsets=(12, 12))[:, None]
    for layers, stride in ((1, 1), (3, 2), (6, 4)):
        stage = Sequential(*trained.layers[1 : 1 + layers])
        for shift in range(1, 5):
            error = equivariance_error(
                stage, canvas, (0, shift), stride=stride, border=1 if stride == 4 else 2
            )
            assert error < 1e-6 if shift % stride == 0 else error > 0.1


def test_the_averaging_head_is_invariant_under_multiples_of_four(digits: data.Split) -> None:
    """Oracle: the theorem; the flat head, and shifts between, change the logits."""
    images = digits.x_test[:30]
    for head in ("average", "flatten"):
        model = lenet((1, 24, 24), head=head, rng=0, dtype=np.float32)
        logits = [model(_on_canvas(images, (8, 8 + d), 24)) for d in (0, 1, 4)]
        between, whole = (network.relative_error(z, logits[0]) for z in logits[1:])
        assert between > 0.01
        assert whole < 1e-5 if head == "average" else whole > 0.1


def test_silenced_kernels_stand_in_for_each_other(trained: Sequential, digits: data.Split) -> None:
    """Oracle: each kernel's own cost, measured by itself; together they cost far more."""
    weight, bias = trained[1].weight, trained[1].bias

    def without(kernels: list[int]) -> float:
        kept = weight.copy(), bias.copy()
        weight[kernels], bias[kernels] = 0.0, 0.0
        found = accuracy(predict(trained, digits.x_test), digits.y_test)
        weight[...], bias[...] = kept
        return found

    full = without([])
    costs = np.array([full - without([k]) for k in range(16)])
    idle = [k for k in range(16) if costs[k] < 0.01]
    assert len(idle) > 8
    assert full - without(idle) > 0.3


@pytest.mark.parametrize("moved", [False, True])
def test_moved_digits(digits: data.Split, moved: bool) -> None:
    """Oracle: the lesson's order: dense networks fall to a guess, the CNN falls less, training on
    moved digits repairs both, and the CNN needs fewer parameters and epochs for it."""
    make = {"dtype": np.float32, "rng": 10}
    cnn = _train_on_canvas(lenet((1, 12, 12), **make), digits, 10, moved=moved)
    dense = _train_on_canvas(mlp([144, 256, 10], **make), digits, 40, moved=moved)
    (middle, corner), (dense_middle, dense_corner) = (
        _accuracies(model, digits) for model in (cnn, dense)
    )
    assert min(middle, dense_middle) > 0.93
    if not moved:
        assert dense_corner < 0.15 < corner < 0.5
        return
    assert min(corner, dense_corner) > 0.9
    small = _train_on_canvas(mlp([144, 72, 10], **make), digits, 10, moved=True)
    assert max(_accuracies(small, digits)) < 0.9
