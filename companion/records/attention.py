"""The long runs of the lesson on attention: translators, and networks that choose a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion import data
from companion._validation import FloatArray
from companion.network import Adam, CrossEntropyLoss, fit, predict, schedules
from companion.network.layers import Layer
from companion.recurrence import (
    EncoderDecoder,
    SentenceScorer,
    SequenceCrossEntropyLoss,
    beam_search,
    exact_match,
)

MOST_SENTENCES = 8


def train_translator(
    pairs: data.Translation,
    *,
    attention: str | None,
    epochs: int,
    seed: int,
    hidden_size: int = 64,
    embedding_dim: int = 32,
    lr: float = 0.01,
    batch_size: int = 64,
) -> EncoderDecoder:
    """Return an encoder and decoder, trained on pairs in float32.

    Parameters
    ----------
    pairs : Translation
    attention : {"dot", "additive", None}
    epochs, seed : int
    hidden_size, embedding_dim, batch_size : int
    lr : float
        The first rate; it falls to zero along a cosine.

    Returns
    -------
    EncoderDecoder

    Examples
    --------
    >>> pairs = data.make_translation(20, rng=0)
    >>> train_translator(pairs, attention="dot", epochs=1, seed=0, hidden_size=4)
    EncoderDecoder(13, 35, 32, 4, attention='dot')
    """
    sizes = len(pairs.source_vocabulary), len(pairs.target_vocabulary)
    model = EncoderDecoder(
        *sizes,
        embedding_dim,
        hidden_size,
        attention=attention,
        bidirectional=True,
        rng=seed,
        dtype=np.float32,
    )
    steps = epochs * -(-pairs.source.shape[1] // batch_size)
    fit(
        model,
        SequenceCrossEntropyLoss(ignore_index=0),
        Adam(lr),
        (pairs.source, pairs.target[:-1]),
        pairs.target[1:].T,
        epochs=epochs,
        batch_size=batch_size,
        schedule=schedules.cosine(lr, total_steps=steps),
        max_grad_norm=1.0,
        batch_axis=1,
        rng=seed,
    )
    return model


def right_translations(
    model: EncoderDecoder, pairs: data.Translation, *, width: int = 1
) -> tuple[NDArray[np.bool_], FloatArray]:
    """Return which pairs a model translates without any mistake, and the scores of its texts.

    Parameters
    ----------
    model : EncoderDecoder
    pairs : Translation
    width : int, default 1
        Of the beam; 1 is greedy.

    Returns
    -------
    right : ndarray of bool, shape (N,)
    scores : ndarray, shape (N,)
    """
    limit = len(pairs.target) + 2
    texts, scores = beam_search(model, pairs.source, width=width, max_length=limit)
    return exact_match(texts, pairs.target[1:]), scores


def translation(
    *,
    n: int,
    train: dict[str, Any],
    tests: dict[str, dict[str, Any]],
    runs: dict[str, dict[str, Any]],
    seeds: list[int],
    widths: dict[str, list[int]],
) -> dict[str, Any]:
    """Return how many held-out pairs translators get exactly right.

    Parameters
    ----------
    n : int
        Pairs for training.
    train : dict
        What they are like: options of :func:`~companion.data.make_translation`.
    tests : dict of str to dict
        The same for each test, the number `n` of pairs included.
    runs : dict of str to dict
        What to train, by name: options of :func:`train_translator`.
    seeds : list of int
        For the pairs, the first weights and the order.
    widths : dict of str to list of int
        Beams to try, by test.

    Returns
    -------
    dict
        ``"right"``: for each run and test, the share of exact translations, one entry a
        seed. ``"parameters"`` for each run. ``"beam"``: for each run, test and width the
        same shares, and the mean scores.
    """
    right: dict[str, dict[str, list[float]]] = {run: {test: [] for test in tests} for run in runs}
    beam: dict[str, Any] = {
        run: {
            test: {str(width): {"right": [], "score": []} for width in tried}
            for test, tried in widths.items()
        }
        for run in runs
    }
    parameters: dict[str, int] = {}
    for seed in seeds:
        pairs = data.make_translation(n, **train, rng=seed)
        for run, options in runs.items():
            model = train_translator(pairs, seed=seed, **options)
            parameters[run] = _size(model)
            for test, wanted in tests.items():
                held_out = data.make_translation(**wanted, part="test", rng=seed)
                right[run][test].append(float(right_translations(model, held_out)[0].mean()))
                for width in widths.get(test, []):
                    hits, scores = right_translations(model, held_out, width=width)
                    found = beam[run][test][str(width)]
                    found["right"].append(float(hits.mean()))
                    found["score"].append(float(scores.mean()))
    return {"right": right, "parameters": parameters, "beam": beam}


def train_scorer(
    reports: data.Reports,
    *,
    attention: bool,
    epochs: int,
    seed: int,
    hidden_size: int = 64,
    embedding_dim: int = 32,
    lr: float = 0.005,
    batch_size: int = 32,
) -> SentenceScorer:
    """Return a network that chooses a sentence, trained on reports in float32.

    Parameters
    ----------
    reports : Reports
    attention : bool
    epochs, seed : int
    hidden_size, embedding_dim, batch_size : int
    lr : float
        The first rate; it falls to zero along a cosine.

    Returns
    -------
    SentenceScorer

    Examples
    --------
    >>> reports = data.make_reports(20, rng=0)
    >>> train_scorer(reports, attention=True, epochs=1, seed=0, hidden_size=4)
    SentenceScorer(54, 32, 4, 8, attention=True)
    """
    model = SentenceScorer(
        len(reports.vocabulary),
        embedding_dim,
        hidden_size,
        MOST_SENTENCES,
        attention=attention,
        rng=seed,
        dtype=np.float32,
    )
    steps = epochs * -(-len(reports.keep) // batch_size)
    fit(
        model,
        CrossEntropyLoss(),
        Adam(lr),
        (reports.tokens, reports.sentence),
        reports.keep,
        epochs=epochs,
        batch_size=batch_size,
        schedule=schedules.cosine(lr, total_steps=steps),
        max_grad_norm=1.0,
        batch_axis=1,
        output_axis=0,
        rng=seed,
    )
    return model


def baselines(reports: data.Reports) -> dict[str, float]:
    """Return how often simple rules choose the sentence to keep.

    Parameters
    ----------
    reports : Reports

    Returns
    -------
    dict of str to float
        For a guess, the first and the last sentence, the largest figure, and the largest
        figure whose station no sentence with the word "figure" names.
    """
    largest = [_largest(text, careful=False) for text in reports.texts]
    careful = [_largest(text, careful=True) for text in reports.texts]
    return {
        "guess": float((1 / reports.counts).mean()),
        "first sentence": float((reports.keep == 0).mean()),
        "last sentence": float((reports.keep == reports.counts - 1).mean()),
        "largest figure": float((reports.keep == largest).mean()),
        "largest without a remark": float((reports.keep == careful).mean()),
    }


_FIGURES = {data.number_words(figure): figure for figure in range(1, 21)}


def _largest(text: str, *, careful: bool) -> int:
    """Return which sentence states the largest figure, leaving out remarked ones if careful."""
    return int(np.argmax(_figures_of(text, careful=careful)))


def _figures_of(text: str, *, careful: bool) -> list[int]:
    """Return the figure of each sentence, 0 where it has none or is left out."""
    sentences = [sentence.split() for sentence in text.removesuffix(" .").split(" . ")]
    remarked = {words[3] for words in sentences if words[1] == "figure"} if careful else set()
    return [0 if remarked & set(words) else _FIGURES.get(words[-1], 0) for words in sentences]


def careful_rule(reports: data.Reports) -> float:
    """Return how often the largest figure without a remark is right, or else the largest.

    The last rule of :func:`baselines` takes the first sentence where every figure has a
    remark. This one takes the largest figure there.

    Parameters
    ----------
    reports : Reports

    Returns
    -------
    float

    Examples
    --------
    >>> reports = data.make_reports(200, rng=0)
    >>> careful_rule(reports) > baselines(reports)["largest figure"]
    True
    """
    chosen = [
        _largest(text, careful=any(_figures_of(text, careful=True))) for text in reports.texts
    ]
    return float((reports.keep == chosen).mean())


def summaries(
    *, n: int, n_test: int, runs: dict[str, dict[str, Any]], seeds: list[int], examples: int
) -> dict[str, Any]:
    """Return how often networks choose the sentence to keep of held-out reports.

    Parameters
    ----------
    n, n_test : int
        Reports for training and for testing.
    runs : dict of str to dict
        What to train, by name: options of :func:`train_scorer`.
    seeds : list of int
        For the reports, the first weights and the order.
    examples : int
        How many test reports to return in full, for the first seed and each run with
        attention: of those in which the largest figure is withdrawn.

    Returns
    -------
    dict
        ``"baselines"``, one entry a seed; ``"right"``: for each run the shares on ``"all"``
        reports and those in which the largest figure ``"stands"`` or is ``"withdrawn"``;
        ``"parameters"`` and ``"examples"``.
    """
    simple: dict[str, list[float]] = {}
    right: dict[str, dict[str, list[float]]] = {run: {} for run in runs}
    parameters: dict[str, int] = {}
    shown: list[dict[str, Any]] = []
    for seed in seeds:
        reports = data.make_reports(n, rng=seed)
        test = data.make_reports(n_test, part="test", rng=seed)
        for rule, share in baselines(test).items():
            simple.setdefault(rule, []).append(share)
        for run, options in runs.items():
            model = train_scorer(reports, seed=seed, **options)
            parameters[run] = _size(model)
            x = test.tokens, test.sentence
            scores = predict(model, x, batch_axis=1, output_axis=0)
            hits = scores.argmax(axis=1) == test.keep
            groups = {
                "all": hits,
                "stands": hits[~test.withdrawn],
                "withdrawn": hits[test.withdrawn],
            }
            for group, values in groups.items():
                right[run].setdefault(group, []).append(float(values.mean()))
            if seed == seeds[0] and options["attention"]:
                chosen = np.flatnonzero(test.withdrawn & (test.counts <= 5))[:examples]
                shown += [_example(model, test, run, int(k)) for k in chosen]
    return {"baselines": simple, "right": right, "parameters": parameters, "examples": shown}


def _example(model: SentenceScorer, test: data.Reports, run: str, index: int) -> dict[str, Any]:
    length, count = int(test.lengths[index]), int(test.counts[index])
    x = test.tokens[:length, [index]], test.sentence[:length, [index]]
    scores = model.forward(x)[0, :count]
    weights = model.attention_weights
    assert weights is not None  # only runs with attention come here
    return {
        "run": run,
        "text": test.texts[index],
        "keep": int(test.keep[index]),
        "scores": np.round(scores.astype(float), 3).tolist(),
        "weights": np.round(weights[0, :count].astype(float), 4).tolist(),
    }


def _size(model: Layer) -> int:
    return sum(array.size for array in model.parameters().values())
