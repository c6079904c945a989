"""What the lesson *Forgetting* reports, found again in another or a smaller form."""

from __future__ import annotations

import numpy as np
import pytest

from companion import memory, records
from companion.memory import FineTuning, HeadLoss, Scenario
from companion.network import Adam, fit, mlp, predict
from companion.records import RUNS
from companion.records.forgetting import KINDS, compare, make_tasks, run

NAMES = [name for name in RUNS if name.startswith("forgetting-")]


def average(results):
    return np.array([memory.average_accuracy(matrix) for matrix in results["matrices"]])


def two_tasks(data, name, seed):
    tasks = make_tasks(data, seed)[:2]
    scenario = Scenario(name, tasks)
    return tasks, scenario, mlp([64, 100, scenario.outputs], rng=seed, dtype=np.float32)


def train(model, scenario, tasks, t, epochs, seed):
    y = scenario.targets(t, tasks[t].y_train)
    loss = HeadLoss(scenario.heads)
    fit(model, loss, Adam(0.001), tasks[t].x_train, y, epochs=epochs, rng=seed)


def first_task(model, scenario, tasks):
    y = scenario.targets(0, tasks[0].y_test)
    return scenario.accuracy(predict(model, tasks[0].x_test), y)


# --- The stored records ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_records_belong_to_the_settings(name):
    """Oracle: the settings of the run as JSON gives them back."""
    import json

    assert records.load(name).settings == json.loads(json.dumps(RUNS[name].full))


@pytest.mark.parametrize("name", ["forgetting-split", "forgetting-permuted"])
def test_settings_were_chosen_on_tasks_that_are_not_reported(name):
    """Oracle: no seed and no sequence of tasks in common (a single pair of digits may be), and the
    setting taken is the best of those tried."""
    settings = records.load(name).settings
    seeds = [settings[key] for key in ("seeds", "choose_seeds")]
    assert not set(seeds[0]) & set(seeds[1])
    first, second = (
        {tuple(t.x_train.tobytes() for t in make_tasks(settings["data"], s)) for s in group}
        for group in seeds
    )
    assert not first & second
    for results in records.load(name).results.values():
        for strategy, result in results.items():
            options = settings["strategies"][strategy]["options"]
            if result["tried"]:
                assert result["option"] == options[int(np.argmax(result["tried"]))]


def test_every_seed_cuts_the_images_in_the_same_way():
    """Oracle: the same test images for two seeds, so none is ever trained on or chosen with."""
    for data in ("split", "permuted"):
        tested, trained = (
            {
                row.tobytes()
                for seed in (0, 100)
                for task in make_tasks(data, seed)
                for part in parts
                for row in np.sort(getattr(task, part))
            }
            for parts in (("x_test",), ("x_train", "x_val"))
        )
        assert tested
        assert not tested & trained


def test_class_incremental_is_solved_by_replay_and_by_nothing_else():
    """Oracle: the headline of the lesson; the same order as van de Ven & Tolias (2019)."""
    one = records.load("forgetting-split").results["class"]
    for name in ("fine-tuning", "distillation"):
        assert np.all(np.abs(average(one[name]) - 0.2) < 0.02)
    for name in ("EWC", "online EWC", "L2 to start"):
        assert average(one[name]).max() < 0.45
    assert average(one["replay, 20 images"]).min() > 0.7
    for name in ("replay, 80 images", "generative replay", "joint training"):
        assert average(one[name]).min() > 0.88
    assert np.all(average(one["generative replay"]) > average(one["replay, 80 images"]))
    # The penalty on all weights keeps by not learning the pairs after the first.
    learned = [np.diagonal(np.array(m))[1:].mean() for m in one["L2 to start"]["matrices"]]
    assert np.mean(learned) < 0.3


def test_strengths_at_the_end_of_their_list():
    """Oracle: what the lesson says of the stars beside the strengths chosen."""
    record = records.load("forgetting-split")
    at_the_end = {
        (scenario, name)
        for scenario, results in record.results.items()
        for name, result in results.items()
        if len(options := record.settings["strategies"][name]["options"]) > 1
        and result["option"] in (options[0], options[-1])
    }
    assert at_the_end == {
        ("task", "L2 to start"),
        ("task", "online EWC"),
        ("task", "distillation"),
        ("class", "L2 to start"),
        ("class", "distillation"),
    }
    for name in ("L2 to start", "EWC", "online EWC", "distillation"):
        assert np.ptp(record.results["task"][name]["tried"][:3]) < 0.005
    assert np.ptp(record.results["class"]["distillation"]["tried"]) == 0
    assert np.argmax(record.results["class"]["L2 to start"]["tried"]) == 4


def test_task_incremental_has_little_to_forget_and_domain_incremental_lies_between():
    """Oracle: the headline of the lesson."""
    results = records.load("forgetting-split").results
    means = {s: average(results[s]["fine-tuning"]).mean() for s in ("task", "domain", "class")}
    assert means["task"] > 0.95 > 0.8 > means["domain"] > 0.5 > means["class"]
    shared = results["domain"]
    four = ("EWC", "online EWC", "L2 to start", "distillation")
    for name in four:
        assert np.all(average(shared["replay, 20 images"]) > average(shared[name]))
        ahead = average(shared[name]) > average(shared["fine-tuning"])
        assert np.all(ahead) == (name == "online EWC")


def test_what_is_kept_is_counted():
    """Oracle: 80 images of 64 pixels with a label; ten mixtures of four Gaussians; two numbers
    a parameter."""
    one = records.load("forgetting-split").results["class"]
    assert one["replay, 80 images"]["memory"] == 80 * 65
    assert one["generative replay"]["memory"] == 10 * 4 * (64 + 64 + 1)
    assert one["EWC"]["memory"] == 2 * (64 * 100 + 100 + 100 * 10 + 10)


def test_a_short_training_flatters_ewc():
    """Oracle: the lesson: the shorter the better, and near one pair's share at 100 epochs."""
    lengths = records.load("forgetting-lengths").results
    short = average(lengths["10"]["EWC"])
    long = average(records.load("forgetting-split").results["class"]["EWC"])
    assert short.mean() > 0.4
    assert long.mean() < 0.3


def test_too_strong_a_penalty_is_as_bad_as_none():
    """Oracle: the lesson: the mean accuracy rises and falls with the strength, and at the largest
    one it is below that at the smallest."""
    rows = np.array(records.load("forgetting-strengths").results["domain"])
    means = rows[:, :, -1].mean(axis=(1, 2))
    best = int(np.argmax(means))
    assert 0 < best < len(means) - 1
    assert means[best] > means[0] + 0.1 > means[-1] + 0.1


def test_ewc_helps_with_permuted_pixels_and_a_small_buffer_helps_more():
    """Oracle: the lesson."""
    results = records.load("forgetting-permuted").results["domain"]
    ewc, fine = average(results["EWC"]), average(results["fine-tuning"])
    assert ewc.min() > fine.max()
    assert average(results["replay, 400 images"]).min() > ewc.max()
    # Distillation is worse than nothing, and the stronger the worse.
    assert np.all(average(results["distillation"]) < fine)
    assert np.all(np.diff(results["distillation"]["tried"]) < 0)


def test_accuracy_grows_with_the_budget():
    """Oracle: the lesson: means over seeds that rise with every doubling."""
    for rows in records.load("forgetting-budgets").results.values():
        means = np.array(rows)[:, :, -1].mean(axis=(1, 2))
        assert np.all(np.diff(means) > 0)


# --- The functions, with tiny settings ------------------------------------------------------------


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_runs(kind):
    """Oracle: a matrix of accuracies for five tasks; the same again."""
    option = {"components": 1} if kind == "generative replay" else {}
    option = {"strength": 1.0} if kind[0] in "LEod" else option
    first, again = (run("split", "class", kind, option, 1, 0, "val") for _ in range(2))
    assert first == again
    assert np.shape(first[0]) == (5, 5)


def test_the_short_forms_run():
    """Oracle: shapes; a choice of the better of two settings, for one that prevents learning."""
    for name in ("forgetting-budgets", "forgetting-lengths"):
        short = {**RUNS[name].short, "epochs": 1 if name.endswith("budgets") else [1]}
        assert RUNS[name](short)
    strategies = {"EWC": {"kind": "L2 to start", "options": [{"strength": s} for s in (1e4, 0.0)]}}
    found = compare("split", ["task"], strategies, 2, [0], choose_seeds=[100])["task"]["EWC"]
    assert found["option"] == {"strength": 0.0}
    assert len(found["tried"]) == 2
    assert len(found["matrices"]) == 1


# --- What the lesson measures live ----------------------------------------------------------------


@pytest.mark.parametrize("seed", [7, 8])
def test_fine_tuning_loses_every_old_pair(seed):
    """Oracle: the lesson, for other seeds: the last row is zero but for its last entry."""
    tasks = make_tasks("split", seed)
    matrix = memory.learn_in_sequence(
        mlp([64, 100, 10], rng=seed, dtype=np.float32),
        tasks,
        FineTuning(),
        scenario="class",
        optimiser=Adam,
        epochs=50,
        rng=seed,
    )
    assert np.all(np.diagonal(matrix) > 0.95)
    assert np.all(matrix[-1, :-1] < 0.1)


def test_gradients_oppose_each_other_among_all_classes_and_not_with_separate_outputs():
    """Oracle: the lesson, for other seeds; the old gradient is much shorter than the new one."""
    cosines = {}
    for name in ("task", "class"):
        cosines[name] = []
        for seed in (7, 8, 9):
            tasks, scenario, model = two_tasks("split", name, seed)
            train(model, scenario, tasks, 0, 30, seed)
            both = [(a.x_train, scenario.targets(t, a.y_train)) for t, a in enumerate(tasks)]
            loss = HeadLoss(scenario.heads)
            cosines[name].append(memory.gradient_overlap(model, loss, *both))
            old, new = (np.linalg.norm(memory.gradient_vector(model, loss, *d)) for d in both)
            assert old < 0.1 * new
    assert max(cosines["class"]) < -0.1
    assert max(np.abs(cosines["task"])) < 0.05


def test_repetition_slows_forgetting_and_does_not_stop_it():
    """Oracle: the lesson, for another seed: a pair learned for 160 epochs outlasts one learned for
    5 at first; after a long training on the next pair most of it is gone, and most of its weights
    have moved (those of units that never answer do not)."""
    left = {}
    for epochs in (5, 160):
        tasks, scenario, model = two_tasks("split", "class", 7)
        train(model, scenario, tasks, 0, epochs, 7)
        before = model[0].weight.copy()
        left[epochs] = [first_task(model, scenario, tasks)]
        for more in (5, 150):
            train(model, scenario, tasks, 1, more, 7)
            left[epochs].append(first_task(model, scenario, tasks))
        seen = np.any(tasks[1].x_train, axis=0)
        assert np.mean(model[0].weight[:, seen] != before[:, seen]) > 0.7
    assert min(left[5][0], left[160][0]) > 0.95
    assert left[160][1] > left[5][1] + 0.3
    assert max(left[5][2], left[160][2]) < 0.4


def test_what_was_forgotten_is_learned_again_in_less_time():
    """Oracle: the lesson, for another seed: after one epoch the network that once knew the task
    is ahead of a new one, of one that has learned another task only, and of a new one that has
    got as far."""
    found = {}
    for path in ("A", "BA", "ABA"):
        tasks, scenario, model = two_tasks("permuted", "domain", 7)
        for letter in path[:-1]:
            train(model, scenario, tasks, "AB".index(letter), 8, 7)
        before = first_task(model, scenario, tasks)
        train(model, scenario, tasks, 0, 1, 7)
        found[path] = before, first_task(model, scenario, tasks)
    assert found["ABA"][1] > found["A"][1] + 0.05
    assert found["ABA"][1] > found["BA"][1] + 0.05
    assert found["ABA"][0] < 0.9
    # Not only because some of it was left: from there a new network gains less.
    tasks, scenario, model = two_tasks("permuted", "domain", 7)
    while first_task(model, scenario, tasks) < found["ABA"][0]:
        train(model, scenario, tasks, 0, 1, 7)
    train(model, scenario, tasks, 0, 1, 7)
    assert found["ABA"][1] > first_task(model, scenario, tasks) + 0.02
