"""What the lesson *Attention* reports: its long runs as stored, and its short ones again."""

from __future__ import annotations

import re

import numpy as np
import pytest

from companion import data, network, records
from companion.records.attention import (
    baselines,
    careful_rule,
    right_translations,
    summaries,
    train_scorer,
    train_translator,
    translation,
)
from companion.recurrence import dot_product_attention

SHORT = records.RUNS["attention-numbers"].short
TINY = {"hidden_size": 4, "epochs": 1}


@pytest.fixture(scope="module")
def pairs():
    return data.make_translation(SHORT["n"], **SHORT["train"], rng=0)


@pytest.fixture(scope="module")
def models(pairs):
    """The two translators that the lesson trains."""
    return {
        name: train_translator(pairs, seed=0, **options) for name, options in SHORT["runs"].items()
    }


@pytest.fixture(scope="module")
def tests():
    return {
        digits: data.make_translation(**options, part="test", rng=0)
        for digits, options in SHORT["tests"].items()
    }


@pytest.mark.parametrize("length", [4, 64, 1024])
def test_scores_grow_with_the_root_of_the_length(length):
    """Closed form: the variance of a dot product of independent entries is their number."""
    rng = np.random.default_rng(0)
    query = rng.normal(size=(4000, 1, length))
    key = rng.normal(size=(4000, 10, length))
    assert (query @ key.swapaxes(1, 2)).std() == pytest.approx(np.sqrt(length), rel=0.03)
    plain, divided = (
        dot_product_attention(query, key, key, scale=scale)[1].max(axis=2).mean()
        for scale in (1.0, None)
    )
    assert 0.25 < divided < 0.36
    assert length < 1024 or plain > 0.9


def test_attention_translates_what_one_vector_does_not(models, tests):
    """Oracle: the pairs; with attention nearly all, without it fewer the longer the number."""
    shares = {
        name: [right_translations(model, test)[0].mean() for test in tests.values()]
        for name, model in models.items()
    }
    assert min(shares["dot product"]) > 0.9
    assert shares["no attention"][0] > shares["no attention"][-1] + 0.3
    assert shares["no attention"][-1] < 0.6


def test_the_map_is_an_alignment_where_a_digit_decides(models, tests):
    """Oracle: the place of each word in the name of a number; and other digits put in."""
    six, model = tests["6"], models["dot product"]
    figure = six.source - 3
    plain = (figure > 0).all(axis=0) & (figure[[1, 4]] > 1).all(axis=0)
    source, target = six.source[:, plain], six.target[:-1, plain]
    for k in np.flatnonzero(plain)[:5]:
        words = six.target_texts[k].split()
        assert [words[j] for j in (1, 2, 5, 7, 8)] == [
            "hundred",
            "and",
            "thousand",
            "hundred",
            "and",
        ]
    before = network.softmax(model.forward((source, target)))
    attended = model.attention_weights.argmax(axis=2).T
    says = {0: 0, 3: 1, 4: 2, 6: 3, 9: 4, 10: 5}
    assert np.mean([(attended[t] == s).mean() for t, s in says.items()]) > 0.85
    change = np.zeros((6, len(target), source.shape[1]))
    for s in range(6):
        other = source.copy()
        other[s] = np.where(source[s] == 12, 5, source[s] + 1)
        change[s] = np.abs(network.softmax(model.forward((other, target))) - before).sum(axis=2) / 2
    effect = np.take_along_axis(change, attended[None], axis=0)[0]
    assert effect[list(says)].mean() > 0.85
    assert effect[[1, 2, 5, 7, 8, 11]].mean() < 0.1


def test_a_beam_finds_texts_that_score_higher(models):
    """Invariant: no score falls; a model in doubt gets some texts that score higher."""
    hard = data.make_translation(100, min_digits=6, max_digits=6, part="validation", rng=0)
    _, first = right_translations(models["no attention"], hard)
    _, best = right_translations(models["no attention"], hard, width=8)
    assert (best >= first - 1e-6).all()
    assert (best > first + 1e-6).any()


def test_rules_for_reports():
    """Oracle: the reports read by regular expressions."""
    reports = data.make_reports(300, rng=0)
    names = {data.number_words(k): k for k in range(1, 21)}
    hits = {"largest figure": [], "largest without a remark": [], "last sentence": []}
    or_largest = []
    for text, keep in zip(reports.texts, reports.keep, strict=True):
        sentences = re.findall(r"[^.]+(?= \.)", text)
        remarked = re.findall(r"the figure from (\w+)", text)
        figures = [names.get(sentence.split()[-1], 0) for sentence in sentences]
        spared = [
            figure * (not any(re.search(rf"\b{station}\b", sentence) for station in remarked))
            for figure, sentence in zip(figures, sentences, strict=True)
        ]
        hits["largest figure"].append(figures.index(max(figures)) == keep)
        hits["largest without a remark"].append(spared.index(max(spared)) == keep)
        best = spared if max(spared) > 0 else figures
        or_largest.append(best.index(max(best)) == keep)
        hits["last sentence"].append(len(sentences) - 1 == keep)
    found = baselines(reports)
    for rule, values in hits.items():
        assert found[rule] == pytest.approx(np.mean(values)), rule
    assert careful_rule(reports) == pytest.approx(np.mean(or_largest))
    assert found["largest figure"] == pytest.approx(1 - reports.withdrawn.mean())
    assert found["first sentence"] == pytest.approx(np.mean(reports.keep == 0))
    assert found["guess"] == pytest.approx(np.mean(1 / reports.counts))


def test_the_functions_of_the_runs_with_small_settings():
    """Oracle: the same once more, and the parameters counted by hand."""
    options = {
        "n": 30,
        "train": {"task": "dates"},
        "tests": {"a": {"n": 10, "task": "dates"}},
        "runs": {"x": {"attention": "dot", **TINY}, "y": {"attention": None, **TINY}},
        "seeds": [0, 1],
        "widths": {"a": [1, 3]},
    }
    found = translation(**options)
    assert found == translation(**options)
    assert {len(found["right"][name]["a"]) for name in "xy"} == {2}
    narrow, wide = (found["beam"]["x"]["a"][width]["score"] for width in "13")
    assert all(high >= low for low, high in zip(narrow, wide, strict=True))
    assert found["parameters"]["x"] - found["parameters"]["y"] == 2 * 4 * 4

    options = {"n": 20, "n_test": 60, "seeds": [0, 1], "examples": 2}
    runs = {"x": {"attention": True, **TINY}, "y": {"attention": False, **TINY}}
    found = summaries(**options, runs=runs)
    assert found == summaries(**options, runs=runs)
    assert [example["run"] for example in found["examples"]] == ["x", "x"]
    for example in found["examples"]:
        weights = np.array(example["weights"])
        assert weights.shape == (len(example["scores"]), len(example["text"].split()))
        assert weights.sum(axis=1) == pytest.approx(1.0, abs=0.01)
    assert set(found["right"]["y"]) == {"all", "stands", "withdrawn"}
    assert found["parameters"]["x"] - found["parameters"]["y"] == 4 * 4 * 4


def test_training_is_the_same_twice():
    """Oracle: the same seed once more."""
    reports = data.make_reports(20, rng=0)
    first, second = (
        train_scorer(reports, attention=True, seed=3, **TINY).parameters() for _ in range(2)
    )
    assert all((first[name] == second[name]).all() for name in first)


def test_the_stored_numbers():
    """Oracle: the record; what the lesson says of it."""
    right = records.load("attention-numbers").results["right"]
    eight = {name: found["8"] for name, found in right.items()}
    assert min(eight["dot product"]) > 0.9
    assert max(eight["no attention"]) < 0.6
    assert np.mean(eight["no attention"]) < np.mean(eight["no attention, 30 epochs"])
    assert max(eight["no attention, 30 epochs"]) < min(eight["dot product"])
    assert max(share for found in right.values() for share in found["9"]) < 0.1
    for name in ("no attention", "no attention, 30 epochs"):
        means = [np.mean(right[name][str(k)]) for k in range(3, 10)]
        assert means[0] > means[3] > means[5] >= means[6]
    beam = records.load("attention-numbers").results["beam"]
    for found in beam.values():
        scores = [np.mean(found["8"][width]["score"]) for width in "1248"]
        assert scores == sorted(scores)


def test_the_stored_dates():
    """Oracle: the record."""
    right = records.load("attention-dates").results["right"]
    assert min(right["dot product"]["dates"]) > 0.95
    assert max(right["no attention"]["dates"]) < 0.6


def test_the_stored_reports():
    """Oracle: the record; without attention hardly better than a rule, with it better than all."""
    results = records.load("attention-reports").results
    best_rule = np.max(list(results["baselines"].values()))
    assert min(results["right"]["attention"]["all"]) > best_rule + 0.1
    rule = np.mean(results["baselines"]["largest without a remark"])
    assert abs(np.mean(results["right"]["no attention"]["all"]) - rule) < 0.08
    settings = records.load("attention-reports").settings
    careful = [
        careful_rule(data.make_reports(settings["n_test"], part="test", rng=seed))
        for seed in settings["seeds"]
    ]
    assert abs(np.mean(results["right"]["no attention"]["all"]) - np.mean(careful)) < 0.03
    wide = records.load("attention-reports-wide").results
    assert max(wide["right"]["no attention, wide"]["all"]) < best_rule + 0.1
    sizes = results["parameters"]["attention"], wide["parameters"]["no attention, wide"]
    assert 0.95 < sizes[1] / sizes[0] < 1.05


def test_the_stored_examples():
    """Oracle: the texts; the withdrawn figure's sentence looks at the one that withdraws it."""
    names = {data.number_words(k): k for k in range(1, 21)}
    for example in records.load("attention-reports").results["examples"]:
        words = example["text"].split()
        sentences = [s.split() for s in example["text"].removesuffix(" .").split(" . ")]
        figures = [names.get(sentence[-1], 0) for sentence in sentences]
        largest = figures.index(max(figures))
        assert largest != example["keep"]
        assert example["scores"][largest] < example["scores"][example["keep"]]
        seen = int(np.argmax(example["weights"][largest]))
        place = words[:seen].count(".")
        assert sentences[place][1] == "figure"
        assert sentences[place][3] in sentences[largest]


def test_the_stored_numbers_the_other_way():
    """From words to digits attention closes the gap, no length is new to it, and without it this
    direction is the easier one."""
    back = records.load("attention-words").results["right"]
    there = records.load("attention-numbers").results["right"]
    for digits in "345678":
        assert np.mean(back["dot product"][digits]) > 0.9
    assert max(back["no attention"]["8"]) < min(back["dot product"]["8"]) - 0.3
    assert min(back["no attention"]["8"]) > max(there["no attention"]["8"]) + 0.1
    assert max(back["dot product"]["8"]) < 1.0
    for shares in back.values():
        assert max(shares["9"]) < 0.02


def test_the_learning_rate_is_not_what_holds_one_vector_back(pairs, models):
    """Oracle: the short run without attention at half and at twice the rate, on validation pairs;
    with attention it is far ahead of all three."""
    held_out = data.make_translation(
        300, task="numbers", min_digits=4, max_digits=6, part="validation", rng=0
    )
    options = SHORT["runs"]["no attention"]
    half, twice = (train_translator(pairs, seed=0, lr=lr, **options) for lr in (0.005, 0.02))
    half, once, twice, dot = (
        right_translations(model, held_out)[0].mean()
        for model in (half, models["no attention"], twice, models["dot product"])
    )
    assert half < once - 0.1
    assert abs(twice - once) < 0.08
    assert dot > max(once, twice) + 0.3
