"""Sentences of a small English grammar, to be told apart by sentiment or by topic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from companion._validation import IntArray, Seed, choice, generator, integer
from companion.data.tokens import PAD, PARTS, Vocabulary, draw_distinct, part_of, pick

SENTIMENTS = ("negative", "positive")
# Words that say what someone thinks, by what training shows of them: all uses, only uses without
# negation, or none. In each pair the bad words stand first, as in SENTIMENTS.
ADJECTIVES = {
    "usual": (
        ("bad", "boring", "clumsy", "cold", "dull", "stale", "ugly", "weak"),
        ("charming", "clever", "fresh", "funny", "good", "lovely", "strong", "warm"),
    ),
    "plain": (("awful", "hollow", "messy", "tedious"), ("bright", "graceful", "superb", "witty")),
    "held-out": (("bland", "crude", "dreary", "lame"), ("elegant", "splendid", "tender", "vivid")),
}
VERBS = {
    "usual": (("dislike", "hate", "resent"), ("admire", "enjoy", "like")),
    "plain": (("despise", "loathe"), ("praise", "treasure")),
    "held-out": (("detest", "mock"), ("adore", "relish")),
}
THINGS = (
    *("acting", "cast", "dialogue", "ending", "film", "hero"),
    *("music", "opening", "plot", "script", "story", "villain"),
)
PEOPLE = ("children", "critics", "friends", "people", "students", "viewers")
BEFORE_ADJECTIVES = ("", "", "quite", "rather", "really", "truly", "very")
BEFORE_VERBS = ("", "", "really", "truly")
ASSENTS = ("i think that", "everyone says that", "it is true that", "i am sure that")
DENIALS = ("i doubt that", "nobody says that", "it is false that", "i do not think that")
# Whether a clause is negated in itself, and from outside.
_NONE: tuple[tuple[int, int], ...] = ((0, 0),)
_FREE: tuple[tuple[int, int], ...] = ((0, 0), (0, 0), (0, 1), (1, 0), (1, 0), (1, 1))
_NEGATED: tuple[tuple[int, int], ...] = ((0, 1), (1, 0), (1, 1))
# The longest clause is "i do not think that critics do not really like the film".
LONGEST_CLAUSE = 12
LONGEST_TRAINED = 2 * LONGEST_CLAUSE + 1

TOPICS = ("cooking", "music", "sailing", "sport")
# Per topic: who, does what, to what. The second half of each line is held out of training.
TOPIC_WORDS = {
    "cooking": (
        ("baker", "chef", "cook", "waiter", "brewer", "butcher"),
        ("baked", "boiled", "fried", "tasted", "roasted", "seasoned"),
        ("bread", "cake", "sauce", "soup", "omelette", "stew"),
    ),
    "music": (
        ("conductor", "pianist", "singer", "violinist", "cellist", "drummer"),
        ("composed", "performed", "recorded", "sang", "hummed", "rehearsed"),
        ("ballad", "melody", "sonata", "song", "anthem", "waltz"),
    ),
    "sailing": (
        ("captain", "mate", "pilot", "sailor", "fisherman", "navigator"),
        ("anchored", "boarded", "moored", "steered", "launched", "towed"),
        ("boat", "ferry", "ship", "yacht", "canoe", "trawler"),
    ),
    "sport": (
        ("coach", "goalkeeper", "runner", "striker", "defender", "referee"),
        ("kicked", "scored", "trained", "won", "dribbled", "tackled"),
        ("ball", "goal", "match", "race", "penalty", "tournament"),
    ),
}
DESCRIPTIONS = ("", "famous", "new", "old", "quiet", "small", "young")
TIMES = ("", "at noon", "last week", "on monday", "this morning", "yesterday")


@dataclass(frozen=True)
class Sentences:
    """Sentences and the class of each.

    Attributes
    ----------
    tokens : ndarray of int, shape (T, N)
        One sentence a column, 0 below its end.
    lengths : ndarray of int, shape (N,)
        Words of each sentence.
    labels : ndarray of int, shape (N,)
        Class of each sentence.
    texts : tuple of str
        The N sentences, words parted by spaces.
    vocabulary : Vocabulary
        All words of the grammar, those that training holds out included.
    classes : tuple of str
        Names of the classes.
    """

    tokens: IntArray
    lengths: IntArray
    labels: IntArray
    texts: tuple[str, ...]
    vocabulary: Vocabulary
    classes: tuple[str, ...]

    def __repr__(self) -> str:
        """Return the sizes."""
        return (
            f"Sentences({len(self.texts)}, longest={len(self.tokens)}, "
            f"vocabulary={len(self.vocabulary)}, classes={len(self.classes)})"
        )


def make_sentences(n: int, *, task: str = "sentiment", part: str = "train", rng: Seed) -> Sentences:
    """Return different sentences with their sentiment or topic, made by a grammar.

    **Sentiment.** A clause praises or blames: "the plot is very dull", "critics enjoy the plot".
    Each of "not", "never", "hardly" and "i doubt that" and the like turns it round, so two of
    them cancel; "very" and "i think that" and the like change nothing. Of "A but B" the sentence
    says B, of "A although B" it says A, and "but" parts before "although" does. The label follows
    as the sentence is composed. Both sentiments have the same chance, whatever the other words.

    **Topic.** Someone does something to something, all from one of four topics, in one or two
    clauses.

    Training sentences have one or two clauses. What a network has learnt from them is tested by

    - ``'validation'`` and ``'test'``: other sentences of the same kind;
    - ``'negated'`` (sentiment only): the clause that decides negates, once or (in a third of the
      sentences) twice, a word that training never shows under a negation;
    - ``'held-out'``: the word that decides (for topics, each word that tells the topic) does not
      occur in training, so nothing but chance can be expected of its embedding. A network takes
      each such word for good or bad as its starting values fall, and there are twelve of them, so
      one network may be far from one half: only the mean over several is close;
    - ``'longer'``: known words in three or four clauses, more words than any training sentence.

    No sentence is in two parts, whatever the seeds.

    Parameters
    ----------
    n : int
        Number of sentences.
    task : {'sentiment', 'topic'}
        What the label says.
    part : {'train', 'validation', 'test', 'negated', 'held-out', 'longer'}
        Which sentences.
    rng : Generator or int
        Source of randomness, or a seed for one.

    Returns
    -------
    Sentences

    Raises
    ------
    ValueError
        If an option is unknown, or `n` is below 1 or above the number of different sentences.

    References
    ----------
    The test sets follow B. Lake and M. Baroni, "Generalization without Systematicity", ICML 2018,
    arXiv:1711.00350: known words in new combinations, and longer sequences.

    Examples
    --------
    >>> sentences = make_sentences(1000, part="train", rng=0)
    >>> sentences
    Sentences(1000, longest=22, vocabulary=90, classes=2)
    >>> sentences.texts[0]
    'i am sure that the story is truly good but people treasure the acting'
    >>> sentences.classes[sentences.labels[0]]
    'positive'
    >>> make_sentences(9, task="topic", part="held-out", rng=0).texts[0]
    'the young fisherman launched the quiet trawler this morning'
    """
    count, random = integer("n", n), generator("rng", rng)
    parts: tuple[str, ...] = (*PARTS, "held-out", "longer")
    classes: tuple[str, ...]
    if choice("task", task, ("sentiment", "topic")) == "sentiment":
        compose, vocabulary, classes = _opinion, _SENTIMENT_VOCABULARY, SENTIMENTS
        parts = (*parts, "negated")
    else:
        compose, vocabulary, classes = _event, _TOPIC_VOCABULARY, TOPICS
    choice("part", part, parts)

    def admit(example: tuple[str, int]) -> bool:
        text, _ = example
        if part == "longer":
            return len(text.split()) > LONGEST_TRAINED
        return part not in PARTS or part_of(text) == part

    examples = draw_distinct(count, lambda: compose(random, part), admit)
    texts = tuple(text for text, _ in examples)
    tokens, lengths = vocabulary.pad(texts)
    labels = np.array([label for _, label in examples], dtype=np.int64)
    return Sentences(tokens, lengths, labels, texts, vocabulary, classes)


def _clauses(random: np.random.Generator, part: str) -> int:
    return pick(random, (3, 4) if part == "longer" else (1, 2))


def _opinion(random: np.random.Generator, part: str) -> tuple[str, int]:
    """Return a sentence and 1 for praise or 0 for blame."""
    joints = [pick(random, ("but", "although")) for _ in range(_clauses(random, part) - 1)]
    # What stands after the last "but" counts, and there the first clause.
    deciding = len(joints) - joints[::-1].index("but") if "but" in joints else 0
    words, label = [], 0
    for position, joint in enumerate(["", *joints]):
        special = position == deciding and part in ("negated", "held-out")
        clause, polarity = _clause(random, part if special else "train")
        words += [joint, clause]
        if position == deciding:
            label = polarity
    return " ".join(" ".join(words).split()), label


def _clause(random: np.random.Generator, part: str) -> tuple[str, int]:
    """Return a clause and 1 for praise or 0 for blame."""
    if part == "negated":
        group, negations = "plain", _NEGATED
    elif part == "held-out":
        group, negations = "held-out", _FREE
    else:
        group, negations = pick(random, (("usual", _FREE), ("usual", _FREE), ("plain", _NONE)))
    inner, outer = pick(random, negations)
    polarity = pick(random, (0, 1))
    thing = pick(random, THINGS)
    if random.random() < 0.7:
        negation = pick(random, ("not", "never", "hardly")) if inner else ""
        degree = pick(random, BEFORE_ADJECTIVES)
        clause = f"the {thing} is {negation} {degree} {pick(random, ADJECTIVES[group][polarity])}"
    else:
        negation = pick(random, ("do not", "never", "hardly")) if inner else ""
        degree, verb = pick(random, BEFORE_VERBS), pick(random, VERBS[group][polarity])
        clause = f"{pick(random, PEOPLE)} {negation} {degree} {verb} the {thing}"
    frame = pick(random, DENIALS) if outer else pick(random, ("", "", *ASSENTS))
    return f"{frame} {clause}", polarity ^ inner ^ outer


def _event(random: np.random.Generator, part: str) -> tuple[str, int]:
    """Return a sentence and the position of its topic."""
    label = pick(random, range(len(TOPICS)))
    half = slice(4, None) if part == "held-out" else slice(4)
    clauses = []
    for _ in range(_clauses(random, part)):
        who, does, what = (pick(random, words[half]) for words in TOPIC_WORDS[TOPICS[label]])
        one, other = pick(random, DESCRIPTIONS), pick(random, DESCRIPTIONS)
        clauses.append(f"the {one} {who} {does} the {other} {what} {pick(random, TIMES)}")
    return " ".join(pick(random, (" and ", " while ")).join(clauses).split()), label


def _vocabulary(*texts: str) -> Vocabulary:
    return Vocabulary((PAD, *sorted({word for text in texts for word in text.split()})))


_SENTIMENT_VOCABULARY = _vocabulary(
    *("but although the is not never hardly do", *THINGS, *PEOPLE, *ASSENTS, *DENIALS),
    *(*BEFORE_ADJECTIVES, *BEFORE_VERBS),
    *(word for pairs in (ADJECTIVES, VERBS) for pair in pairs.values() for s in pair for word in s),
)
_TOPIC_VOCABULARY = _vocabulary(
    *("and while the", *DESCRIPTIONS, *TIMES),
    *(word for lines in TOPIC_WORDS.values() for words in lines for word in words),
)
