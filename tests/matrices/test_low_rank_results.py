"""What the lesson *Low rank at work* reports, found again in a smaller form."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import pytest

from companion import data, network
from companion.matrices import LowRankLinear, als, als_step, low_rank_approximation, rmse
from companion.network import Adam, CrossEntropyLoss, Linear, Sequential

SEEDS = range(3)
World = tuple[data.Ratings, np.ndarray]


def _world(seed: int, observed: float = 0.2) -> World:
    """Return made ratings, and their values less the mean of those known for training."""
    made = data.make_ratings(300, 200, rank=4, observed=observed, noise=0.5, rng=seed)
    return made, made.values - made.values[made.train].mean()


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    return [_world(seed) for seed in SEEDS]


def _error(world: World, rank: int, ridge: float, part: str = "test") -> float:
    made, centred = world
    fitted = als(centred, made.train, rank, ridge=ridge)
    return rmse(fitted.predict(), centred, getattr(made, part))


def test_zeros_in_the_holes_are_hardly_better_than_the_mean(worlds: list[World]) -> None:
    """Oracle: the ordering, seed by seed; the truth bounds everything from below."""
    for made, centred in worlds:
        known = np.where(made.train, centred, 0.0)
        zeros = rmse(low_rank_approximation(known, 4), centred, made.test)
        mean = rmse(np.zeros_like(centred), centred, made.test)
        floor = rmse(made.truth, made.values, made.test)
        fitted = _error((made, centred), 4, 1.0)
        assert 0.85 * mean < zeros < mean
        assert floor < fitted < 0.6 * zeros
        assert fitted < 1.25 * floor


def test_user_and_item_means_do_worse_than_one_mean(worlds: list[World]) -> None:
    """Oracle: nothing but noise to estimate: the planted factors have mean zero."""
    for made, centred in worlds:
        known = np.where(made.train, centred, 0.0)
        items = known.sum(axis=0) / made.train.sum(axis=0)
        users = np.where(made.train, centred - items, 0.0).sum(axis=1) / made.train.sum(axis=1)
        means = rmse(users[:, None] + items, centred, made.test)
        assert means > rmse(np.zeros_like(centred), centred, made.test)


def test_the_test_error_is_smallest_at_the_planted_rank(worlds: list[World]) -> None:
    """Oracle: the rank that data.make_ratings planted, at a small and at the chosen ridge."""
    for ridge in (0.1, 1.0):
        for world in worlds:
            errors = {rank: _error(world, rank, ridge) for rank in (2, 3, 4, 5, 8)}
            assert min(errors, key=lambda rank: errors[rank]) == 4


def test_beyond_it_the_training_error_falls_and_the_test_error_rises(worlds: list[World]) -> None:
    """Oracle: the definition of overfitting, seed by seed, and the standard deviation 0.5."""
    for world in worlds:
        train = [_error(world, rank, 0.1, "train") for rank in (4, 8, 12)]
        test = [_error(world, rank, 0.1) for rank in (4, 8, 12)]
        assert 0.5 > train[0] > train[1] > train[2]
        assert test[0] < test[1] < test[2]
        assert _error(world, 12, 3.0) < 0.75 * test[2]


def test_validation_chooses_the_planted_rank(worlds: list[World]) -> None:
    """Oracle: the planted rank; the choice sees validation entries alone."""
    scores = {
        (ridge, rank): np.mean([_error(world, rank, ridge, "val") for world in worlds])
        for ridge in (0.1, 1.0, 3.0, 10.0)
        for rank in (3, 4, 5)
    }
    assert min(scores, key=lambda pair: scores[pair])[1] == 4


def test_a_strong_ridge_chooses_the_rank_itself(worlds: list[World]) -> None:
    """Oracle: the numerical rank of a prediction that was allowed twelve."""
    for made, centred in worlds:
        fitted = als(centred, made.train, 12, ridge=10.0, sweeps=100)
        u, s, vt = np.linalg.svd(fitted.predict(), full_matrices=False)
        assert np.sum(s > 1e-3 * s[0]) == 4
        truth = np.linalg.svd(made.truth - 3, compute_uv=False)[:4]
        assert (s[:4] < 0.55 * truth).all()
        # The shrinking is most of what the ridge costs: the same directions, fitted without one.
        terms = np.stack([np.outer(u[:, k], vt[k]) for k in range(4)])
        refitted = np.linalg.lstsq(terms[:, made.train].T, centred[made.train])[0]
        shrunk = rmse(fitted.predict(), centred, made.test)
        undone = rmse(np.tensordot(refitted, terms, 1), centred, made.test)
        assert shrunk - undone > 0.5 * (shrunk - _error((made, centred), 4, 1.0))


def test_random_starts_fail_where_the_spectral_start_does_not() -> None:
    """Oracle: the noise, and the final objective: the descent failed and not the model."""
    lost = 0
    for seed in range(6):
        made, centred = _world(seed, observed=0.15)
        good, bad = (
            als(centred, made.train, 4, ridge=0.01, start=start, sweeps=30, rng=seed)
            for start in ("spectral", "random")
        )
        assert rmse(good.predict(), centred, made.test) < 0.7
        if rmse(bad.predict(), centred, made.test) > 1.0:
            lost += 1
            assert bad.objective[-1] > good.objective[-1]
            assert np.abs(bad.predict()).max() > 3 * np.abs(good.predict()).max()
    assert lost >= 2


def test_more_sweeps_do_not_mend_most_of_the_random_starts() -> None:
    """Oracle: the error of the mean, about 1.1; the six seeds that the lesson counts as lost."""
    errors = []
    for seed in (1, 5, 6, 7, 8, 9):
        made, centred = _world(seed, observed=0.15)
        fitted = als(centred, made.train, 4, ridge=0.01, start="random", sweeps=300, rng=seed)
        errors.append(rmse(fitted.predict(), centred, made.test))
    assert np.sum(np.array(errors) > 0.8) >= 4


def _unseen(rank: int, ratio: float, seed: int, *, beyond: int = -1) -> float:
    """Return the error at unseen entries, in rows and columns with more than `beyond` known."""
    share = ratio * rank * (120 + 80 - rank) / (0.7 * 120 * 80)
    made = data.make_ratings(120, 80, rank=rank, observed=share, noise=0.0, rng=seed)
    fitted = als(made.values - 3, made.train, rank, ridge=1e-3, sweeps=50)
    counted = (made.train.sum(axis=1)[:, None] > beyond) & (made.train.sum(axis=0) > beyond)
    return rmse(fitted.predict() + 3, made.truth, ~made.train & counted)


@pytest.mark.parametrize("rank", [2, 4, 8])
def test_three_times_the_degrees_of_freedom_are_enough_and_one_is_not(rank: int) -> None:
    """Oracle: the truth, whose standard deviation is one."""
    for seed in range(5):
        assert _unseen(rank, 1.0, seed) > 0.9
        assert _unseen(rank, 3.0, seed) < 0.02


def test_the_threshold_comes_later_for_a_lower_rank() -> None:
    """Oracle: the ordering of the errors at twice the degrees of freedom."""
    means = [np.mean([np.log(_unseen(rank, 2.0, seed)) for seed in range(5)]) for rank in (8, 4, 2)]
    assert means[0] < means[1] < means[2]
    # Rows and columns with too few entries are not the whole reason.
    full = [_unseen(2, 2.0, seed, beyond=2) for seed in range(5)]
    assert np.median(full) > 0.5


def test_each_doubling_of_a_newcomers_ratings_helps(worlds: list[World]) -> None:
    """Oracle: the errors on items that no newcomer rated, averaged over the worlds."""
    errors = []
    for made, centred in worlds:
        items = als(centred[:250], made.train[:250], 4, ridge=1.0).item_factors
        order = np.random.default_rng(0).permuted(np.tile(np.arange(200), (50, 1)), axis=1)
        row = []
        for count in (0, 2, 4, 8, 16, 32):
            users = als_step(centred[250:], order < count, items, ridge=1.0)
            row.append(rmse(users @ items.T, centred[250:], order >= 32))
        errors.append(row)
    mean = np.mean(errors, axis=0)
    assert (np.diff(mean) < 0).all()
    assert mean[2] > 0.75
    assert mean[-1] < 0.62


def test_a_test_set_chosen_by_liking_hides_the_error(worlds: list[World]) -> None:
    """Oracle: the values that the choice left out, which only made ratings can show."""
    for seed, (made, _) in enumerate(worlds):
        rng = np.random.default_rng(seed)
        liking = 1 / (1 + np.exp(-2 * (made.values - 3)))
        known = rng.random(liking.shape) < 0.2 * liking / liking.mean()
        train = known & (rng.random(known.shape) < 0.8)
        mean = made.values[train].mean()
        fitted = als(made.values - mean, train, 4, ridge=1.0).predict() + mean
        seen = rmse(fitted, made.values, known & ~train)
        unseen = rmse(fitted, made.values, ~known)
        offset = np.mean((fitted - made.values)[~known])
        assert unseen > 1.3 * seen
        assert offset > 0.4
        assert offset**2 > 0.5 * (unseen**2 - seen**2)


# --- Low-rank adaptation --------------------------------------------------------------------------


def _paler(x: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * x


def _turned(x: np.ndarray) -> np.ndarray:
    return np.rot90(x.reshape(-1, 8, 8), axes=(1, 2)).reshape(len(x), 64)


Trained = tuple[data.Split, Sequential]


@pytest.fixture(scope="module")
def trained() -> list[Trained]:
    found = []
    for seed in SEEDS:
        digits = data.load_digits(rng=seed)
        model = network.mlp([64, 64, 64, 10], rng=seed)
        seen = digits.x_train, digits.y_train
        network.fit(model, CrossEntropyLoss(), Adam(0.003), *seen, epochs=30, rng=seed)
        found.append((digits, model))
    return found


def _accuracy(model: network.Layer, x: np.ndarray, y: np.ndarray) -> float:
    return network.accuracy(network.predict(model, x), y)


def _with_low_rank(model: Sequential, rank: int, seed: int) -> Sequential:
    return Sequential(
        *(
            LowRankLinear(layer, rank, rng=seed)
            if isinstance(layer, Linear)
            else copy.deepcopy(layer)
            for layer in model
        )
    )


def _adapted(
    task, lr: float, make, trained: list[Trained], *, samples: int | None = 50, epochs: int = 100
) -> Iterator[tuple[float, float]]:
    """Yield the test accuracies on the new and the old task, for each seed."""
    for seed, (digits, model) in enumerate(trained):
        rows = np.random.default_rng(seed).permutation(len(digits.y_train))[:samples]
        x, y = task(digits.x_train[rows]), digits.y_train[rows]
        whole, options = make(model, seed), {"epochs": epochs, "batch_size": 25, "rng": seed}
        network.fit(whole, CrossEntropyLoss(), Adam(lr), x, y, **options)
        new = _accuracy(whole, task(digits.x_test), digits.y_test)
        yield new, _accuracy(whole, digits.x_test, digits.y_test)


def _rank_one(model: Sequential, seed: int) -> Sequential:
    return _with_low_rank(model, 1, seed)


def _rank_eight(model: Sequential, seed: int) -> Sequential:
    return _with_low_rank(model, 8, seed)


def _everything(model: Sequential, seed: int) -> Sequential:
    return copy.deepcopy(model)


def _afresh(model: Sequential, seed: int) -> Sequential:
    return network.mlp([64, 64, 64, 10], rng=seed + 100)


def test_rank_one_adapts_to_paler_images_as_well_as_all_weights(trained: list[Trained]) -> None:
    """Oracle: the measured accuracies, at the rates that validation chose in the lesson."""
    one = np.array(list(_adapted(_paler, 0.003, _rank_one, trained)))
    everything = np.array(list(_adapted(_paler, 0.003, _everything, trained)))
    fresh = np.array(list(_adapted(_paler, 0.01, _afresh, trained)))
    assert abs(one[:, 0].mean() - everything[:, 0].mean()) < 0.02
    assert one[:, 0].mean() > 0.92
    assert (one[:, 0] - fresh[:, 0]).min() > 0.05
    # Low rank does not keep the old task: both forget.
    old = np.array([_accuracy(model, d.x_test, d.y_test) for d, model in trained])
    assert (old - one[:, 1]).mean() > 0.02
    assert abs(one[:, 1].mean() - everything[:, 1].mean()) < 0.04


def test_rank_one_is_not_enough_for_turned_images(trained: list[Trained]) -> None:
    """Oracle: the measured accuracies, at the rates that validation chose in the lesson."""
    one = np.array(list(_adapted(_turned, 0.03, _rank_one, trained)))[:, 0]
    everything = np.array(list(_adapted(_turned, 0.01, _everything, trained)))[:, 0]
    fresh = np.array(list(_adapted(_turned, 0.01, _afresh, trained)))[:, 0]
    assert (everything - one).min() > 0.04
    assert (fresh - one).min() > 0.04
    assert abs(fresh.mean() - everything.mean()) < 0.08


def test_with_more_epochs_rank_eight_is_level_with_all_weights(trained: list[Trained]) -> None:
    """Oracle: the measured accuracies after four times the epochs of the lesson."""
    one, eight, everything = (
        np.mean([new for new, _ in _adapted(_turned, lr, make, trained, epochs=400)])
        for lr, make in ((0.01, _rank_one), (0.003, _rank_eight), (0.01, _everything))
    )
    assert abs(eight - everything) < 0.03
    assert everything - one > 0.05


def test_with_all_images_rank_eight_suffices_and_rank_one_does_not(trained: list[Trained]) -> None:
    """Oracle: the measured accuracies with every training image, at the lesson's rate."""
    one, eight, everything = (
        np.mean([n for n, _ in _adapted(_turned, 0.01, make, trained, samples=None, epochs=20)])
        for make in (_rank_one, _rank_eight, _everything)
    )
    assert eight > 0.93
    assert abs(eight - everything) < 0.04
    assert eight - one > 0.05


def test_a_change_of_rank_eight_could_undo_most_of_a_quarter_turn(trained: list[Trained]) -> None:
    """Oracle: Eckart and Young on the effect on the images; accuracies with the known turn."""
    permutation = _turned(np.eye(64))
    for digits, model in trained:
        change = model[0].weight @ (permutation - np.eye(64))
        x = _turned(digits.x_train)
        _, s, vt = np.linalg.svd(x @ change.T, full_matrices=False)
        accuracy = {}
        for rank in (1, 8):
            kept = vt[:rank].T @ vt[:rank] @ change
            left = np.sum((x @ (change - kept).T) ** 2)
            assert left == pytest.approx(np.sum(s[rank:] ** 2), rel=1e-8)
            repaired = copy.deepcopy(model)
            repaired[0].weight[...] += kept
            accuracy[rank] = _accuracy(repaired, _turned(digits.x_test), digits.y_test)
        assert accuracy[1] < 0.4
        assert accuracy[8] > 0.9


def test_a_quarter_turn_needs_a_change_of_rank_48(trained: list[Trained]) -> None:
    """Oracle: sixteen cycles of four pixels: 64 - 16; the changed network gives the old outputs."""
    permutation = _turned(np.eye(64))
    for digits, model in trained:
        change = model[0].weight @ permutation - model[0].weight
        s = np.linalg.svd(change, compute_uv=False)
        assert np.sum(s > 1e-10 * s[0]) == 48
        assert s[0] ** 2 < 0.2 * np.sum(s**2)
        repaired = copy.deepcopy(model)
        repaired[0].weight[...] += change
        np.testing.assert_allclose(
            repaired(_turned(digits.x_test)), model(digits.x_test), atol=1e-10
        )


def test_paler_images_are_undone_by_rank_one_in_closed_form(trained: list[Trained]) -> None:
    """Oracle: a never inked pixel times two is the constant one; what is left is W x / 2."""
    for digits, model in trained:
        blank = np.flatnonzero(digits.x_train.max(axis=0) == 0)[0]
        repaired = copy.deepcopy(model)
        repaired[0].weight[...] -= np.outer(
            0.5 * model[0].weight.sum(axis=1), 2 * np.eye(64)[blank]
        )
        halved = model(0.5 * digits.x_test)
        np.testing.assert_allclose(repaired(_paler(digits.x_test)), halved, atol=1e-10)
        before = _accuracy(model, digits.x_test, digits.y_test)
        assert abs(_accuracy(repaired, _paler(digits.x_test), digits.y_test) - before) < 0.015
        assert _accuracy(model, _paler(digits.x_test), digits.y_test) < 0.6
