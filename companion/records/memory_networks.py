"""The long runs of the lesson on memory networks: six kinds of question, and who answers them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from companion import data
from companion._validation import FloatArray, IntArray
from companion.memory.memory_networks import MemN2N, as_sequences, linear_start
from companion.network import (
    Adam,
    CrossEntropyLoss,
    EarlyStopping,
    accuracy,
    fit,
    predict,
    schedules,
)
from companion.recurrence import LSTM, SequenceClassifier

TASKS = ("one-fact", "two-facts", "relations", "yes-no", "counting", "lists")
#: Stories to choose settings on, and stories to report. Their seeds are apart from training.
VALIDATION, TEST = 500, 1000
VALIDATION_SEED, TEST_SEED = 10**6, 10**6 + 1
#: Sentences of the stories in training, least and most; numbers of a word; stories in a batch.
SENTENCES, EMBED_DIM, BATCH = (4, 10), 20, 32

Inputs = tuple[IntArray, IntArray]


@dataclass(frozen=True)
class Plan:
    """How to train one network.

    Attributes
    ----------
    hops : int
        Of the memory network; 0 for an LSTM that reads story and question as one text.
    lr : float
        Of Adam. For the memory network it falls along a cosine to zero.
    n : int
        Stories of training.
    epochs : int
    position, temporal, linear : bool
        Position encoding, temporal encoding, linear start.
    memory_size : int
    hidden : int
        Units of the LSTM.
    dtype : {"float32", "float64"}
    """

    hops: int
    lr: float
    n: int = 1000
    epochs: int = 60
    position: bool = True
    temporal: bool = True
    linear: bool = False
    memory_size: int = SENTENCES[1]
    hidden: int = 40
    dtype: str = "float32"


@lru_cache(maxsize=16)
def stories(
    task: str,
    part: str,
    n: int,
    seed: int,
    sentences: int | tuple[int, int] = SENTENCES,
    any_place: bool = False,
) -> data.Stories:
    """Return stories; the same call returns the same object.

    Parameters
    ----------
    task, part : str
    n, seed : int
    sentences : int or (int, int)
    any_place : bool, default False
        For questions that are answered with no: whether to ask for any other place, and
        not only for one that the story names.

    Returns
    -------
    Stories
    """
    made = data.make_stories(n, task=task, part=part, sentences=sentences, rng=seed)
    if not any_place:
        return made
    random = np.random.default_rng(seed)
    names = sorted({text[-1].split()[-1] for text in made.texts})
    places = made.vocabulary.encode(" ".join(names))
    questions = made.questions.copy()
    last = (questions != 0).sum(axis=1) - 1
    for row, (answer, fact) in enumerate(zip(made.answers, made.supporting[:, 0], strict=True)):
        if made.answer_names[answer] == "no":
            sentence = made.stories[row, fact]
            others = places[~np.isin(places, sentence)]
            questions[row, last[row]] = random.choice(others)
    return replace(made, questions=questions)


def inputs(made: data.Stories) -> Inputs:
    """Return what a memory network reads."""
    return made.stories, made.questions


def train(
    task: str, plan: Plan, seed: int, *, any_place: bool = False
) -> tuple[MemN2N | SequenceClassifier, float]:
    """Train one network on stories of its own.

    Parameters
    ----------
    task : str
    plan : Plan
    seed : int
        Of the stories, the starting values and the order.
    any_place : bool, default False
        See :func:`stories`.

    Returns
    -------
    model : MemN2N or SequenceClassifier
    loss : float
        Of the last epoch of training.
    """
    made = stories(task, "train", plan.n, seed, SENTENCES, any_place)
    held = stories(task, "validation", VALIDATION, VALIDATION_SEED, SENTENCES, any_place)
    loss, optimiser = CrossEntropyLoss(), Adam(plan.lr)
    words, random = len(made.vocabulary), np.random.default_rng(seed)
    options: dict[str, Any] = {"batch_size": BATCH, "rng": random}
    if plan.hops == 0:
        reader = SequenceClassifier(
            words,
            len(made.answer_names),
            embedding_dim=EMBED_DIM,
            hidden_size=plan.hidden,
            cell=LSTM,
            rng=random,
            dtype=np.dtype(plan.dtype),
        )
        history = fit(
            reader,
            loss,
            optimiser,
            as_sequences(*inputs(made)),
            made.answers,
            epochs=plan.epochs,
            # It learns the stories by heart, so its best epoch is kept.
            validation=(as_sequences(*inputs(held)), held.answers),
            early_stopping=EarlyStopping(5),
            max_grad_norm=1.0,
            batch_axis=1,
            output_axis=0,
            **options,
        )
        return reader, history.train_loss[-1]
    model = MemN2N(
        words,
        made.vocabulary.encode(" ".join(made.answer_names)),
        EMBED_DIM,
        plan.memory_size,
        hops=plan.hops,
        position_encoding=plan.position,
        temporal_encoding=plan.temporal,
        rng=random,
        dtype=np.dtype(plan.dtype),
    )
    epochs = plan.epochs
    if plan.linear:
        first = linear_start(
            model,
            loss,
            optimiser,
            inputs(made),
            made.answers,
            validation=(inputs(held), held.answers),
            epochs=epochs // 2,
            **options,
        )
        epochs -= len(first)
    steps = epochs * -(-plan.n // BATCH)
    history = fit(
        model,
        loss,
        optimiser,
        inputs(made),
        made.answers,
        epochs=epochs,
        schedule=schedules.cosine(plan.lr, total_steps=steps),
        **options,
    )
    return model, history.train_loss[-1]


def error(model: MemN2N | SequenceClassifier, made: data.Stories) -> float:
    """Return the share of wrong answers.

    Parameters
    ----------
    model : MemN2N or SequenceClassifier
    made : Stories

    Returns
    -------
    float
    """
    if isinstance(model, SequenceClassifier):
        sequences = as_sequences(*inputs(made))
        logits = predict(model, sequences, batch_axis=1, output_axis=0)
    else:
        logits = predict(model, inputs(made))
    return round(1.0 - accuracy(logits, made.answers), 4)


def attended(model: MemN2N, made: data.Stories) -> dict[str, Any]:
    """Return how often a memory network looks at the sentences that the answer needs.

    Parameters
    ----------
    model : MemN2N
    made : Stories

    Returns
    -------
    dict
        ``"found"``: the share of needed sentences that are among as many sentences with
        the largest weights, each sentence counted by its largest weight of any hop.
        ``"chance"``: the same for sentences drawn at random. ``"hops"``: by hop, for each
        place in the list of needed sentences, how often it has the hop's largest weight.
    """
    model.forward(inputs(made))
    weights: FloatArray = np.asarray(model.attention_weights)
    needed = made.supporting
    counts = (needed >= 0).sum(axis=1)
    # Rows behind the last sentence have the weight zero, so they come last.
    order = np.argsort(-weights.max(axis=1), axis=1, kind="stable")
    rank = np.argsort(order, axis=1)
    place = np.take_along_axis(rank, np.maximum(needed, 0), axis=1)
    hits = ((place < counts[:, None]) & (needed >= 0)).sum()
    largest = weights.argmax(axis=2)
    return {
        "found": round(float(hits / counts.sum()), 4),
        "chance": round(float((counts**2 / made.lengths).sum() / counts.sum()), 4),
        "hops": [
            [
                round(float((largest[k, hop] == needed[k, column]).mean()), 4)
                for column in range(needed.shape[1])
                if (k := needed[:, column] >= 0).any()
            ]
            for hop in range(model.hops)
        ],
    }


def _run(task: str, plan: Plan, seed: int, *, any_place: bool = False) -> dict[str, Any]:
    model, loss = train(task, plan, seed, any_place=any_place)
    held = stories(task, "validation", VALIDATION, VALIDATION_SEED, SENTENCES, any_place)
    test = stories(task, "test", TEST, TEST_SEED, SENTENCES, any_place)
    found = {"loss": round(loss, 5), "validation": error(model, held), "test": error(model, test)}
    return found | (attended(model, test) if isinstance(model, MemN2N) else {})


def _name(hops: int) -> str:
    return "LSTM" if hops == 0 else f"{hops} hop{'s' * (hops > 1)}"


def table(
    tasks: Sequence[str],
    rates: Mapping[str, Sequence[float]],
    seeds: Mapping[str, Sequence[int]],
    *,
    n: int = 1000,
    epochs: Mapping[str, int],
    choose_seeds: Sequence[int] = (100,),
    dtype: str = "float32",
    jobs: int = 1,
) -> dict[str, Any]:
    """Train each kind of network on each task, with several seeds.

    The learning rate of a kind is the one with the smallest validation error, averaged
    over the tasks, with seeds of its own.

    Parameters
    ----------
    tasks : sequence of str
    rates : mapping of str to sequence of float
        By number of hops, ``"0"`` for the LSTM: learning rates to choose from.
    seeds : mapping of str to sequence of int
        The same keys.
    n : int, default 1000
        Stories of training.
    epochs : mapping of str to int
        The same keys.
    choose_seeds : sequence of int
    dtype : {"float32", "float64"}
    jobs : int, default 1

    Returns
    -------
    dict
        ``"rates"`` chosen and the ``"tried"`` mean errors, by kind; ``"majority"``: the
        error of the most frequent answer; ``"runs"``: by kind, by task, for each seed
        the training loss, the errors, and for memory networks what :func:`attended`
        returns.
    """
    pool = Parallel(n_jobs=jobs)
    plans = {
        hops: [Plan(int(hops), lr, n=n, epochs=epochs[hops], dtype=dtype) for lr in options]
        for hops, options in rates.items()
    }
    trials = [
        (hops, plan, task, seed)
        for hops, options in plans.items()
        if len(options) > 1
        for plan, task, seed in product(options, tasks, choose_seeds)
    ]
    tried: dict[str, dict[str, list[float]]] = {}
    done = pool(delayed(_run)(task, plan, seed) for _, plan, task, seed in trials)
    for (hops, plan, _, _), found in zip(trials, done, strict=True):
        errors = tried.setdefault(_name(int(hops)), {}).setdefault(f"{plan.lr:g}", [])
        errors.append(found["validation"])
    means = {
        name: {lr: round(float(np.mean(errors)), 4) for lr, errors in by_rate.items()}
        for name, by_rate in tried.items()
    }
    chosen = {}
    for hops, options in plans.items():
        by_rate = means.get(_name(int(hops)), {})
        chosen[hops] = min(options, key=lambda plan: by_rate.get(f"{plan.lr:g}", 0.0))
    cases = [(hops, task, s) for hops in plans for task in tasks for s in seeds[hops]]
    results = iter(pool(delayed(_run)(task, chosen[hops], s) for hops, task, s in cases))
    tests = {task: stories(task, "test", TEST, TEST_SEED) for task in tasks}
    return {
        "rates": {_name(int(hops)): plan.lr for hops, plan in chosen.items()},
        "tried": means,
        "majority": {
            task: round(1.0 - float(np.bincount(t.answers).max()) / TEST, 4)
            for task, t in tests.items()
        },
        "runs": {
            _name(int(hops)): {task: [next(results) for _ in seeds[hops]] for task in tasks}
            for hops in plans
        },
    }


def parts(
    cases: Mapping[str, Mapping[str, Any]],
    *,
    lr: float,
    seeds: Sequence[int],
    epochs: int = 60,
    jobs: int = 1,
) -> dict[str, Any]:
    """Train networks of three hops with one part taken away, or with more stories.

    Parameters
    ----------
    cases : mapping of str to mapping
        By name: ``"tasks"``, and optionally fields of :class:`Plan` to change,
        ``"any_place"`` as for :func:`stories`, and ``"seeds"`` instead of the common ones.
    lr : float
    seeds : sequence of int
    epochs : int
    jobs : int, default 1

    Returns
    -------
    dict
        ``"runs"``: by case, by task, the training loss and the errors for each seed.
    """
    work = []
    for name, case in cases.items():
        changes = {k: v for k, v in case.items() if k not in ("tasks", "seeds", "any_place")}
        plan = Plan(**({"hops": 3, "lr": lr, "epochs": epochs} | changes))
        options = {"any_place": bool(case.get("any_place", False))}
        for task, seed in product(case["tasks"], case.get("seeds", seeds)):
            work.append((name, task, plan, seed, options))
    done = Parallel(n_jobs=jobs)(
        delayed(_run)(task, plan, seed, **options) for _, task, plan, seed, options in work
    )
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for (name, task, *_), found in zip(work, done, strict=True):
        kept = {key: found[key] for key in ("loss", "validation", "test")}
        runs.setdefault(name, {}).setdefault(task, []).append(kept)
    return {"runs": runs}


def _at_lengths(task: str, plan: Plan, seed: int, lengths: Sequence[int]) -> dict[str, list[float]]:
    model, _ = train(task, plan, seed)
    tests = [stories(task, "test", TEST, TEST_SEED, length) for length in lengths]
    if not isinstance(model, MemN2N):
        return {"LSTM": [error(model, test) for test in tests]}
    return {
        "all sentences": [error(model, test) for test in tests],
        "the last ones": [error(model, test) for test in _cut(tests)],
    }


def _cut(tests: Sequence[data.Stories]) -> Iterator[data.Stories]:
    """Yield the stories without all but the last sentences, as many as in training."""
    for test in tests:
        most = SENTENCES[1]
        yield replace(test, stories=test.stories[:, -most:])


def lengths(
    tasks: Sequence[str],
    lengths: Sequence[int],
    rates: Mapping[str, float],
    seeds: Mapping[str, Sequence[int]],
    *,
    n: int = 1000,
    epochs: Mapping[str, int],
    dtype: str = "float32",
    jobs: int = 1,
) -> dict[str, Any]:
    """Test networks on stories longer than those of training.

    Parameters
    ----------
    tasks : sequence of str
    lengths : sequence of int
        Sentences of the test stories.
    rates : mapping of str to float
        By number of hops, ``"0"`` for the LSTM.
    seeds : mapping of str to sequence of int
        The same keys.
    n : int
    epochs : mapping of str to int
        The same keys.
    dtype : {"float32", "float64"}
    jobs : int, default 1

    Returns
    -------
    dict
        ``"errors"``: by task, by number of hops and ``"all sentences"`` or ``"the last
        ones"`` (as many as in training), or ``"LSTM"``: for each seed a list by length.
    """
    work = [(task, hops, seed) for task in tasks for hops in rates for seed in seeds[hops]]
    most = max(*lengths, SENTENCES[1])
    done = Parallel(n_jobs=jobs)(
        delayed(_at_lengths)(
            task,
            Plan(int(hops), rates[hops], n=n, epochs=epochs[hops], memory_size=most, dtype=dtype),
            seed,
            lengths,
        )
        for task, hops, seed in work
    )
    errors: dict[str, dict[str, list[list[float]]]] = {task: {} for task in tasks}
    for (task, hops, _), found in zip(work, done, strict=True):
        for name, values in found.items():
            key = name if hops == "0" else f"{_name(int(hops))}, {name}"
            errors[task].setdefault(key, []).append(values)
    return {"errors": errors}


def about_people(made: data.Stories, rng: np.random.Generator) -> tuple[IntArray, list[str]]:
    """Return for each story the question where somebody is, and the answer.

    Parameters
    ----------
    made : Stories
        In which people move.
    rng : Generator
        Chooses the person.

    Returns
    -------
    questions : ndarray of int, shape (N, Q)
        As long as those of the stories.
    places : list of str
        Where the last move of the person led.
    """
    questions, places = np.zeros_like(made.questions), []
    for row, text in zip(questions, made.texts, strict=True):
        moves = [words for sentence in text if (words := sentence.split())[2] == "to"]
        person = str(rng.choice([words[0] for words in moves]))
        row[:3] = made.vocabulary.encode(f"where is {person}")
        places.append([words[-1] for words in moves if words[0] == person][-1])
    return questions, places


def readers(
    tasks: Mapping[str, int],
    people: Mapping[str, int],
    *,
    epochs: int,
    lr: float,
    seeds: Sequence[int],
) -> dict[str, Any]:
    """Train a network of three hops on several tasks at once, with and without more questions.

    Parameters
    ----------
    tasks : mapping of str to int
        Stories of each task.
    people : mapping of str to int
        How many stories of some of these tasks get a second question, where somebody is.
    epochs : int
    lr : float
    seeds : sequence of int
        Of starting values and order. The network with the lowest training loss is kept.

    Returns
    -------
    dict
        ``"answers"``: what the logits stand for. ``"readers"``: without and with the
        second questions, the ``"losses"`` of all seeds, and of the one that is kept the
        ``"embedding"`` and ``"temporal"``, rounded, and the test ``"errors"`` by task and
        for the second question.
    """
    random = np.random.default_rng(0)
    told = {task: stories(task, "train", n, 0) for task, n in tasks.items()}
    tests = {task: stories(task, "test", TEST, TEST_SEED) for task in tasks}
    answers = sorted({name for made in told.values() for name in made.answer_names})
    lessons = [(*inputs(made), list(made.answer_texts)) for made in told.values()]
    second = []
    for task, n in people.items():
        questions, places = about_people(told[task], random)
        second.append((told[task].stories[:n], questions[:n], places[:n]))
    vocabulary = next(iter(told.values())).vocabulary
    found = {}
    for name, chosen in (("without", lessons), ("with", lessons + second)):
        x = tuple(np.concatenate([part[k] for part in chosen]) for k in (0, 1))
        y = np.array([answers.index(text) for part in chosen for text in part[2]])
        steps = epochs * -(-len(y) // BATCH)
        trained: list[tuple[float, MemN2N]] = []
        for seed in seeds:
            model = reader(vocabulary, answers, rng=seed)
            history = fit(
                model,
                CrossEntropyLoss(),
                Adam(lr),
                x,
                y,
                epochs=epochs,
                batch_size=BATCH,
                schedule=schedules.cosine(lr, total_steps=steps),
                rng=seed,
            )
            trained.append((history.train_loss[-1], model))
        model = min(trained, key=lambda pair: pair[0])[1]
        errors = {}
        for task, test in tests.items():
            pairs: dict[str, tuple[IntArray, Sequence[str]]] = {
                task: (test.questions, test.answer_texts)
            }
            if task in people:
                pairs[f"{task}, where somebody is"] = about_people(test, random)
            for key, (questions, texts) in pairs.items():
                logits = predict(model, (test.stories, questions))
                wanted = np.array([answers.index(text) for text in texts])
                errors[key] = round(1.0 - accuracy(logits, wanted), 4)
        arrays = {key: a.round(4).tolist() for key, a in model.parameters().items()}
        losses = [round(value, 5) for value, _ in trained]
        found[name] = arrays | {"losses": losses, "errors": errors}
    return {"answers": answers, "readers": found}


def reader(
    vocabulary: data.Vocabulary,
    answers: Sequence[str],
    stored: Mapping[str, Any] | None = None,
    *,
    rng: int = 0,
) -> MemN2N:
    """Return a network of three hops, with the numbers that :func:`readers` stored or new ones.

    Parameters
    ----------
    vocabulary : Vocabulary
    answers : sequence of str
    stored : mapping, optional
        One of the ``"readers"``.
    rng : int, default 0

    Returns
    -------
    MemN2N
    """
    tokens = vocabulary.encode(" ".join(answers))
    model = MemN2N(len(vocabulary), tokens, EMBED_DIM, SENTENCES[1], hops=3, rng=rng)
    if stored is not None:
        for name, array in model.parameters().items():
            array[...] = stored[name]
    return model
