"""What the lesson *A CNN, trained* reports, found again in a smaller form."""

from __future__ import annotations

import numpy as np
import pytest

from companion import data, network
from companion.convolution import Conv2d, doubly_block_toeplitz, equivariance_error, lenet
from companion.network import Adam, Sequential, accuracy, fit, mlp, predict, schedules

SEEDS = range(10, 15)  # the lesson's


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


def _map(model: Sequential, split: data.Split) -> np.ndarray:
    """Return the test accuracy at each of the 5 x 5 places."""
    rates = np.empty((5, 5))
    for place in np.ndindex(5, 5):
        logits = predict(model, _on_canvas(split.x_test, place))
        rates[place] = accuracy(logits, split.y_test)
    return rates


def _test_accuracy(model: Sequential, split: data.Split) -> float:
    return accuracy(predict(model, split.x_test), split.y_test)


@pytest.fixture(scope="module")
def splits() -> list[data.Split]:
    return [data.load_digits(rng=seed, dtype=np.float32) for seed in SEEDS]


@pytest.fixture(scope="module")
def cnns(splits: list[data.Split]) -> list[Sequential]:
    return [
        _train(lenet(rng=seed, dtype=np.float32), split, 0.01, 20, seed)
        for seed, split in zip(SEEDS, splits, strict=True)
    ]


@pytest.fixture(scope="module")
def digits(splits: list[data.Split]) -> data.Split:
    return splits[0]


@pytest.fixture(scope="module")
def trained(cnns: list[Sequential]) -> Sequential:
    return cnns[0]


def test_the_cnn_is_a_point_ahead_of_a_network_of_its_size(
    splits: list[data.Split], cnns: list[Sequential]
) -> None:
    """Oracle: the lesson's table over five splits, with margins for another processor's rounding;
    parameters counted by hand."""
    rates = np.array([_test_accuracy(m, s) for m, s in zip(cnns, splits, strict=True)])
    assert 0.976 < rates.mean() < 0.986
    assert rates.min() > 0.968
    others = []
    for seed, split in zip(SEEDS, splits, strict=True):
        dense = mlp([64, 120, 10], rng=seed, dtype=np.float32)
        others.append(_test_accuracy(_train(dense, split, 0.03, 60, seed), split))
    assert 0.966 < np.mean(others) < 0.978
    assert 0.002 < np.mean(rates - others) < 0.016
    sizes = [sum(a.size for a in m.parameters().values()) for m in (dense, cnns[0])]
    assert sizes == [64 * 120 + 120 + 1200 + 10, 160 + 48 * (16 * 9 + 1) + 10 * (48 * 4 + 1)]


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


def test_silenced_kernels_stand_in_for_each_other(
    splits: list[data.Split], cnns: list[Sequential]
) -> None:
    """Oracle: each kernel's own cost, measured by itself; together they cost far more, in each of
    the five networks."""
    for model, split in zip(cnns, splits, strict=True):
        weight, bias = model[1].weight, model[1].bias
        kept = weight.copy(), bias.copy()

        def without(kernels, model=model, split=split, weight=weight, bias=bias, kept=kept):
            weight[kernels], bias[kernels] = 0.0, 0.0
            found = _test_accuracy(model, split)
            weight[...], bias[...] = kept
            return found

        full = without([])
        idle = [k for k in range(16) if full - without([k]) < 0.01]
        assert len(idle) > 8
        assert full - without(idle) > 0.2


def test_trained_in_the_middle_both_kinds_fall(digits: data.Split) -> None:
    """Oracle: the lesson's order: the dense network falls to a guess, the CNN falls less, and the
    averaging layer keeps most of what is left two pixels away."""
    nets = {
        "dense": (mlp([144, 256, 10], dtype=np.float32, rng=10), 40),
        "flat": (lenet((1, 12, 12), dtype=np.float32, rng=10), 10),
        "average": (lenet((1, 12, 12), head="average", dtype=np.float32, rng=10), 10),
    }
    maps = {
        name: _map(_train_on_canvas(model, digits, epochs, moved=False), digits)
        for name, (model, epochs) in nets.items()
    }
    rows, columns = np.indices((5, 5)) - 2
    border = np.maximum(abs(rows), abs(columns)) == 2
    far = {name: rates[border].mean() for name, rates in maps.items()}
    assert min(rates[2, 2] for rates in maps.values()) > 0.92
    assert far["dense"] < 0.15 < 0.2 < far["flat"] < 0.4 < 0.5 < far["average"] < 0.75


def test_trained_on_moved_digits_the_cnn_needs_fewer_parameters_and_epochs(
    digits: data.Split,
) -> None:
    """Oracle: the lesson's order: the CNN as good as the large dense network, which is worse after
    as many epochs as the CNN, or with as many parameters."""

    def everywhere(model: Sequential, epochs: int) -> float:
        return float(_map(_train_on_canvas(model, digits, epochs, moved=True), digits).mean())

    options = {"dtype": np.float32, "rng": 10}
    cnn = everywhere(lenet((1, 12, 12), **options), 10)
    dense = everywhere(mlp([144, 256, 10], **options), 40)
    assert min(cnn, dense) > 0.94
    assert abs(cnn - dense) < 0.02
    assert cnn - everywhere(mlp([144, 256, 10], **options), 10) > 0.04
    assert cnn - everywhere(mlp([144, 72, 10], **options), 40) > 0.02
