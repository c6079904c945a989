"""Claims of the sources about memory: two stores, recall, questions, forgetting, consolidation.

The oracle is a closed form, a count, PyTorch, or a baseline. What is trained is small, and what is
compared lies far apart.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from companion import data, records
from companion.memory import (
    FastWeights,
    FineTuning,
    MemN2N,
    Replay,
    Teacher,
    best_stopping_time,
    consolidate,
    consolidation_threshold,
    critical_load,
    dense_recall,
    disturb,
    flip,
    generalisation_error,
    hebbian,
    interrupt,
    learn_in_sequence,
    memory_function,
    memory_read,
    overlap,
    random_patterns,
    recall,
    recall_snr,
    training_error,
)
from companion.network import (
    SGD,
    Adam,
    CrossEntropyLoss,
    Linear,
    MSELoss,
    Sequential,
    Tanh,
    accuracy,
    fit,
    mlp,
    predict,
)
from companion.records import memory_networks as stories_run
from companion.records import working_memory as match_run
from companion.recurrence import RNN, RecurrentLayer

Array = np.ndarray
TIGHT = {"rtol": 0.0, "atol": 1e-12}


def own_overlap(patterns: Array, found: Array) -> Array:
    """Return how far each state agrees with the pattern that it started near."""
    return np.diagonal(overlap(patterns, found))


# --- Short-term and long-term memory -------------------------------------------------------------


@pytest.mark.claim("000-network-simulates-brain")
@pytest.mark.claim("003-network-imitates-brain")
def test_errors_travel_back_through_the_same_weights() -> None:
    """Oracle: PyTorch. With other weights on the way back it is another gradient."""
    rng = np.random.default_rng(0)
    first, second = Linear(4, 6, rng=0), Linear(6, 3, rng=1)
    x, target = rng.standard_normal((5, 4)), rng.standard_normal((5, 3))
    model, loss = Sequential(first, Tanh(), second), MSELoss()
    loss.forward(model(x), target)
    error = loss.backward()
    model.backward(error)
    weight = torch.from_numpy(first.weight.copy()).requires_grad_()
    hidden = torch.tanh(torch.from_numpy(x) @ weight.T + torch.from_numpy(first.bias))
    answer = hidden @ torch.from_numpy(second.weight.T) + torch.from_numpy(second.bias)
    torch.mean((answer - torch.from_numpy(target)) ** 2).backward()
    wanted = weight.grad.numpy()
    slope = 1 - np.tanh(first(x)) ** 2
    np.testing.assert_allclose(((error @ second.weight) * slope).T @ x, wanted, **TIGHT)
    other = rng.standard_normal(second.weight.shape)
    assert not np.allclose(((error @ other) * slope).T @ x, wanted, atol=1e-2)


@pytest.fixture(scope="module")
def matcher() -> Sequential:
    """Return a small GRU that compares a test item with a sample of some steps ago."""
    return match_run.train_match("GRU", "many delays", lr=0.01, seed=0, updates=300)


@pytest.mark.claim("001-rnn-is-stm")
@pytest.mark.claim("001-ffn-is-lgm")
def test_state_and_weights_are_lesioned_apart(matcher: Sequential) -> None:
    """Oracle: chance is one half. The state holds the item, the weights hold what to do."""
    layer, readout = matcher[0], matcher[2]
    assert isinstance(layer, RecurrentLayer)
    x, y = match_run.match_trials(500, 8, rng=99)
    before = {name: array.copy() for name, array in matcher.parameters().items()}

    def judged(states: Array) -> float:
        return accuracy(readout(states[-1]), y)

    assert judged(layer(x)) > 0.95
    assert abs(judged(interrupt(layer, x, 5)) - 0.5) < 0.1
    # The next trial is right again: nothing had been learned, so nothing had to be learned anew.
    assert judged(layer(x)) > 0.95
    assert all(np.array_equal(before[n], array) for n, array in matcher.parameters().items())
    # Noise on the weights is not undone by a new trial.
    broken = disturb(matcher, 10.0, rng=0)
    assert abs(match_run.match_accuracy(broken, 8) - 0.5) < 0.2


@pytest.mark.claim("001-ffn-is-lgm")
def test_a_feed_forward_network_holds_nothing_of_what_it_has_just_seen() -> None:
    """Oracle: the same input alone. A recurrent layer answers otherwise after another input."""
    rng = np.random.default_rng(0)
    question, others = rng.standard_normal((1, 3)), rng.standard_normal((50, 1, 3))
    network, recurrent = mlp([3, 8, 2], rng=0), RNN(3, 8, rng=0)
    alone = network(question)
    for other in others:
        network(other)
        np.testing.assert_array_equal(network(question), alone)
    after = {recurrent(np.stack([other, question]))[-1].tobytes() for other in others}
    assert len(after) == len(others)


@pytest.mark.claim("001-stm-cleared")
def test_whether_distraction_clears_the_state_is_a_matter_of_training() -> None:
    """Oracle: chance is one half. Other symbols are shown in a delay of twelve steps.

    Live a GRU each, and the stored run with three cells and eight networks of each.
    """
    for condition, updates in (("many delays", 300), ("distractors", 500)):
        model = match_run.train_match("GRU", condition, lr=0.01, seed=0, updates=updates)
        assert match_run.match_accuracy(model, 12) > 0.95
        crowded = match_run.match_accuracy(model, 12, 8)
        assert crowded > 0.95 if condition == "distractors" else 0.55 < crowded < 0.9
    stored = records.load("working-memory-delay").results
    assert max(stored["distractors"]) >= 8
    for runs in stored["runs"].values():
        right = {
            condition: np.array([run["by_distractors"] for run in runs[condition]])
            for condition in ("many delays", "distractors")
        }
        assert len(right["distractors"]) >= 5
        assert right["distractors"].min() > 0.9
        means = right["many delays"].mean(axis=0)
        assert means[0] > 0.9
        assert means[-1] < 0.85
        assert (np.diff(means) < 0).all()


@pytest.mark.claim("001-stm-cleared")
def test_fast_weights_fade_and_are_not_cleared() -> None:
    """Oracle: a pair that n others have followed is read with the factor decay to the n."""
    keys = np.eye(6)
    values = np.random.default_rng(0).standard_normal((6, 4))
    store = FastWeights(6, 4, decay=0.8)
    store.write(keys, values)
    share = 0.8 ** np.arange(5, -1, -1)
    np.testing.assert_allclose(store.read(keys), share[:, None] * values, **TIGHT)
    ratio = recall_snr(np.arange(6), 6, 50, 0.8)
    assert (ratio > 1).all()
    np.testing.assert_array_less(ratio[1:], ratio[:-1])


@pytest.mark.claim("003-short-term-definition")
def test_a_state_holds_no_more_inputs_than_it_has_units() -> None:
    """Oracle: the bound of Jaeger, the sum over all lags. A delay line reaches it."""
    units, lags = 12, np.arange(600)
    line = memory_function(np.eye(units, k=-1), np.eye(units)[0], lags)
    np.testing.assert_allclose(line, lags < units, atol=1e-9)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        w, v = rng.standard_normal((units, units)), rng.standard_normal(units)
        w *= 0.9 / np.abs(np.linalg.eigvals(w)).max()
        held = memory_function(w, v, lags)
        assert 0.9 * units < held.sum() < units + 1e-6
        noisy = memory_function(w, v, lags, noise=0.1)
        assert noisy.sum() < 0.9 * held.sum()


@pytest.mark.claim("003-long-term-definition")
def test_a_memory_in_weights_has_no_place_of_its_own() -> None:
    """Oracle: recall itself. Three tenths of the connections are cut, and no pattern is lost.

    And one more pattern changes every weight, where a disk would write to a free place.
    """
    units = 200
    patterns = random_patterns(11, units, rng=0)
    weight = hebbian(patterns[:10])
    uncut = np.triu(np.random.default_rng(1).random((units, units)) > 0.3, 1)
    damaged = weight * (uncut | uncut.T)
    found = recall(damaged, flip(patterns[:10], 0.1, rng=2))
    assert own_overlap(patterns[:10], found.state).min() > 0.99
    changed = ~np.isclose(hebbian(patterns), weight)
    assert changed[~np.eye(units, dtype=bool)].all()


# --- Storing and recalling -----------------------------------------------------------------------


@pytest.mark.claim("000-adjusting-weights-stores")
@pytest.mark.claim("001-differences-data")
@pytest.mark.claim("003-weights-store-and-retrieve")
def test_each_pattern_is_shown_once_and_recalled_from_a_part() -> None:
    """Oracle: the patterns. Each adds one outer product, and a fifth of each cue is wrong."""
    units = 200
    patterns = random_patterns(10, units, rng=0)
    weight = np.zeros((units, units))
    for pattern in patterns:
        weight += (np.outer(pattern, pattern) - np.eye(units)) / units
    np.testing.assert_allclose(weight, hebbian(patterns), **TIGHT)
    cue = flip(patterns, 0.2, rng=1)
    assert own_overlap(patterns, cue).max() < 0.61
    found = recall(weight, cue)
    np.testing.assert_array_equal(found.state, patterns)
    assert found.converged.all()


@pytest.mark.claim("000-adjusting-weights-stores")
@pytest.mark.claim("003-results-summary")
def test_above_its_capacity_hebbs_rule_recalls_nothing() -> None:
    """Oracle: the mean-field load of 0.138. 400 units are tested far below it and far above."""
    units = 400
    assert 0.05 < critical_load() < 0.3
    for load, seed in ((0.05, 0), (0.05, 1), (0.3, 0), (0.3, 1)):
        patterns = random_patterns(round(load * units), units, rng=seed)
        start = flip(patterns[:20], 0.1, rng=9)
        mean = own_overlap(patterns[:20], recall(hebbian(patterns), start).state).mean()
        assert mean > 0.99 if load < critical_load() else mean < 0.5


@pytest.mark.claim("000-future-models")
@pytest.mark.claim("003-results-summary")
def test_an_energy_of_a_higher_power_holds_more() -> None:
    """Oracle: the patterns. At a load of one half Hebb's rule fails and the fourth power does not.

    It keeps the patterns themselves: P times N numbers, and no matrix of weights.
    """
    patterns = random_patterns(100, 200, rng=0)
    start = flip(patterns, 0.1, rng=1)
    assert own_overlap(patterns, recall(hebbian(patterns), start).state).mean() < 0.5
    np.testing.assert_array_equal(dense_recall(patterns, start, 4).state, patterns)


# --- Memory networks -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reader() -> MemN2N:
    """Return a network of one hop that has learned to say where somebody is."""
    plan = stories_run.Plan(1, 0.02, epochs=20, memory_size=20)
    model, _ = stories_run.train("one-fact", plan, 0)
    assert isinstance(model, MemN2N)
    return model


def told(length: int | tuple[int, int]) -> data.Stories:
    """Return stories that no network was trained on."""
    return stories_run.stories("one-fact", "test", 500, stories_run.TEST_SEED, length)


@pytest.mark.claim("003-memory-network")
def test_a_new_sentence_changes_the_answer_and_no_weight(reader: MemN2N) -> None:
    """Oracle: the last move of a person decides. It is told after training."""
    stories = told((4, 9))
    assert stories_run.error(reader, stories) < 0.1
    before = {name: array.copy() for name, array in reader.parameters().items()}
    words = stories.vocabulary
    right = []
    for text, question in zip(stories.texts[:200], stories.questions[:200], strict=True):
        who = words.decode(question).split()[2]
        for place in ("kitchen", "office"):
            sentences = [*text, f"{who} went to the {place}"]
            rows = np.zeros((1, len(sentences), 6), dtype=int)
            for row, sentence in zip(rows[0], sentences, strict=True):
                ids = words.encode(sentence)
                row[: len(ids)] = ids
            answer = stories.answer_names[int(reader((rows, question[None])).argmax())]
            right.append(answer == place)
    assert np.mean(right) > 0.9
    assert all(np.array_equal(before[n], array) for n, array in reader.parameters().items())


@pytest.mark.claim("003-memory-network")
@pytest.mark.claim("003-choice-memory-network")
def test_longer_stories_than_in_training_are_not_read_as_well(reader: MemN2N) -> None:
    """Oracle: the answers, and an LSTM with as many stories. Trained on four to ten sentences.

    Live with one hop; the stored run has three hops and five networks, and three LSTMs.
    """
    assert stories_run.error(reader, told(10)) < 0.1
    assert stories_run.error(reader, told(20)) > 0.2
    stored = records.load("memory-networks-length")
    column = {n: i for i, n in enumerate(stored.settings["lengths"])}
    errors = stored.results["errors"]["one-fact"]
    whole, cut, lstm = (
        np.array(errors[name])
        for name in ("3 hops, all sentences", "3 hops, the last ones", "LSTM")
    )
    assert whole[:, column[8]].max() < 0.05
    assert lstm[:, column[8]].min() > 0.5
    assert whole[:, column[20]].min() > 0.2
    assert cut[:, column[20]].max() < 0.15
    assert whole[:, column[30]].max() < lstm[:, column[30]].min()


@pytest.mark.claim("003-choice-memory-network")
def test_a_read_has_no_distance() -> None:
    """Oracle: the rows in another order. A recurrent state depends on it, a read does not."""
    rng = np.random.default_rng(0)
    query, memory = rng.standard_normal((1, 4)), rng.standard_normal((1, 50, 4))
    output, order = rng.standard_normal((1, 50, 3)), rng.permutation(50)
    read, weights = memory_read(query, memory, output)
    again, moved = memory_read(query, memory[:, order], output[:, order])
    np.testing.assert_allclose(again, read, **TIGHT)
    np.testing.assert_allclose(moved, weights[:, order], **TIGHT)
    layer = RNN(4, 8, rng=0)
    states = [layer(rows.swapaxes(0, 1))[-1] for rows in (memory, memory[:, order])]
    assert not np.allclose(*states, atol=1e-3)


@pytest.mark.claim("003-choice-memory-network")
@pytest.mark.claim("003-challenge-computing")
def test_every_row_of_the_memory_takes_a_share() -> None:
    """Oracle: e^3 / (e^3 + n - 1) for one row that fits better by 3 than n - 1 others."""
    for rows, share in ((10, 0.691), (100, 0.169)):
        memory = np.zeros((1, rows, 2))
        memory[0, rows // 2] = [3.0, 0.0]
        _, weights = memory_read([[1.0, 0.0]], memory, memory)
        best = np.exp(3.0) / (np.exp(3.0) + rows - 1)
        np.testing.assert_allclose(weights[0, rows // 2], best, **TIGHT)
        assert round(float(best), 3) == share
        # No row may be left out: each has a weight above zero, so each has to be computed.
        assert (weights > 0).all()


@pytest.mark.claim("003-challenge-data")
def test_a_thousand_stories_teach_what_a_hundred_do_not() -> None:
    """Oracle: answers to stories that are in no training. Each network makes as many updates."""
    errors = {}
    for n, epochs in ((100, 200), (1000, 20)):
        plan = stories_run.Plan(1, 0.02, n=n, epochs=epochs)
        errors[n] = [
            stories_run.error(stories_run.train("one-fact", plan, seed)[0], told((4, 10)))
            for seed in (0, 1)
        ]
    assert max(errors[1000]) < 0.1
    assert min(errors[100]) > 0.3


@pytest.mark.claim("003-challenge-data")
def test_ten_thousand_stories_lower_the_error_on_every_question() -> None:
    """Oracle: the same networks with a thousand stories, in the stored runs."""
    fewer = records.load("memory-networks-table").results["runs"]["3 hops"]
    more = records.load("memory-networks-parts").results["runs"]["10,000 stories"]
    assert len(more) == 6
    for task, runs in more.items():
        mean = np.mean([run["test"] for run in runs])
        assert mean < 0.5 * np.mean([run["test"] for run in fewer[task]])


@pytest.mark.claim("003-challenge-interpretability")
def test_attention_finds_the_sentence_for_some_questions(reader: MemN2N) -> None:
    """Oracle: the supporting sentence of the story, and a sentence drawn at random.

    In the stored run it does so for the simplest question, and not for yes or no.
    """
    found = stories_run.attended(reader, told((4, 10)))
    assert found["found"] > 0.9
    assert found["chance"] < 0.2
    for runs in records.load("memory-networks-table").results["runs"].values():
        shares = {
            task: [run["found"] for run in runs[task] if "found" in run]
            for task in ("one-fact", "yes-no")
        }
        assert all(share > 0.9 for share in shares["one-fact"])
        assert all(share < 0.5 for share in shares["yes-no"])


# --- Forgetting ----------------------------------------------------------------------------------


@pytest.mark.claim("000-solidify")
def test_weights_come_to_rest_only_where_the_data_ask_for_no_change() -> None:
    """Oracle: least squares. With noise in the data and a constant rate the steps do not shrink."""
    rng = np.random.default_rng(0)
    x, rule = rng.standard_normal((100, 5)), rng.standard_normal((1, 5))
    moved: dict[float, list[float]] = {}
    for noise in (0.0, 1.0):
        y = x @ rule.T + noise * rng.standard_normal((100, 1))
        layer, path = Linear(5, 1, rng=0), []
        for epoch in range(200):
            before = layer.weight.copy()
            fit(layer, MSELoss(), SGD(lr=0.02), x, y, epochs=1, batch_size=10, rng=epoch)
            path.append(float(np.linalg.norm(layer.weight - before)))
        moved[noise] = [float(np.mean(path[20:40])), float(np.mean(path[-20:]))]
    assert moved[0.0][1] < 1e-9
    assert moved[1.0][1] > 0.5 * moved[1.0][0] > 1e-3


@pytest.mark.claim("000-solidify")
def test_long_training_slows_forgetting_and_does_not_prevent_it() -> None:
    """Oracle: test images of the first five digits, before and after training on the others."""
    old, new = data.split_tasks([range(5), range(5, 10)], dtype=np.float32)
    kept: dict[int, list[float]] = {20: [], 100: []}
    for epochs, seed in ((n, s) for n in kept for s in (0, 1, 2)):
        model = mlp([old.features, 50, 10], rng=seed, dtype=np.float32)
        train = partial(fit, model, CrossEntropyLoss(), batch_size=32, rng=seed)
        train(Adam(0.003), old.x_train, old.y_train, epochs=epochs)
        assert accuracy(predict(model, old.x_test), old.y_test) > 0.95
        train(Adam(0.003), new.x_train, new.y_train, epochs=40)
        kept[epochs].append(accuracy(predict(model, old.x_test), old.y_test))
    assert max(kept[20]) < 0.15
    assert max(kept[20]) < min(kept[100])
    assert max(kept[100]) < 0.5


@pytest.fixture(scope="module")
def last_rows() -> dict[str, list[Array]]:
    """Return accuracies on five pairs of digits after the last, two networks for each way."""
    ways = {"one after another": FineTuning, "replay": partial(Replay, 50), "joint": Replay}
    rows: dict[str, list[Array]] = {}
    for name, way in ways.items():
        for seed in (0, 1):
            model = mlp([64, 50, 10], rng=seed, dtype=np.float32)
            matrix = learn_in_sequence(
                model,
                data.split_tasks(dtype=np.float32),
                way(),
                scenario="class",
                optimiser=partial(Adam, 0.003),
                epochs=10,
                rng=seed,
            )
            rows.setdefault(name, []).append(matrix[-1])
    return rows


@pytest.mark.claim("001-challenge-tasks")
@pytest.mark.claim("003-human-memory-limits")
def test_a_network_forgets_what_it_no_longer_sees(last_rows: dict[str, list[Array]]) -> None:
    """Oracle: test images. The same updates on all tasks together leave all of them known.

    In the stored run a network that is told which task an image comes from hardly forgets.
    """
    for row in last_rows["one after another"]:
        assert row[:-1].max() < 0.1
        assert row[-1] > 0.9
    for row in last_rows["joint"]:
        assert row.mean() > 0.8
    stored = records.load("forgetting-split").results
    ends = {
        scenario: np.array(stored[scenario]["fine-tuning"]["matrices"])[:, -1, :-1]
        for scenario in ("class", "task")
    }
    assert ends["class"].max() < 0.1
    assert ends["task"].mean() > 0.95


@pytest.mark.claim("001-advantage")
@pytest.mark.claim("001-challenge-tasks")
def test_replay_of_fifty_images_keeps_the_old_digits(last_rows: dict[str, list[Array]]) -> None:
    """Oracle: test images. Replay is the idea that was taken from the brain."""
    for row, without in zip(last_rows["replay"], last_rows["one after another"], strict=True):
        assert row[:-1].mean() > 0.75
        assert row.mean() > without.mean() + 0.5


# --- Consolidation -------------------------------------------------------------------------------


@pytest.mark.claim("001-lgm-generalises")
@pytest.mark.claim("003-memory-flow")
def test_learning_by_heart_can_be_worse_than_learning_nothing() -> None:
    """Oracle: the closed form, beside students of two hundred weights and their exact errors.

    Half as many examples as weights, and as much noise as there is rule.
    """
    load, ratio, units = 0.5, 1.0, 200
    assert ratio < float(consolidation_threshold(load))
    times = [0.0, best_stopping_time(load, ratio), np.inf]
    nothing, stopped, by_heart = generalisation_error(times, load, ratio)
    assert stopped < nothing < by_heart
    assert [round(float(e), 2) for e in (nothing, stopped, by_heart)] == [1.0, 0.89, 1.25]
    np.testing.assert_allclose(training_error(np.inf, load, ratio), 0.0, atol=1e-12)
    errors = []
    for seed in range(20):
        teacher = Teacher(units, ratio, rng=seed)
        x, y = teacher.examples(round(load * units), rng=100 + seed)
        students = consolidate(x, y, times)
        np.testing.assert_allclose(x @ students[-1], y, atol=1e-8)
        errors.append(teacher.error(students))
    np.testing.assert_allclose(np.mean(errors, axis=0), [1.0, 0.89, 1.25], atol=0.08)


@pytest.mark.claim("001-challenges")
@pytest.mark.claim("003-deep-learning-memory")
def test_a_small_network_learns_random_labels_by_heart() -> None:
    """Oracle: labels dealt out at random, and the true ones of new images; chance is one tenth."""
    split = data.load_digits(rng=0, dtype=np.float32)
    x, y = split.x_train[:300], np.random.default_rng(0).permutation(split.y_train[:300])
    model = mlp([64, 100, 10], rng=0, dtype=np.float32)
    fit(model, CrossEntropyLoss(), Adam(0.003), x, y, epochs=200, batch_size=32, rng=0)
    assert accuracy(predict(model, x), y) > 0.99
    assert accuracy(predict(model, split.x_test), split.y_test) < 0.25
