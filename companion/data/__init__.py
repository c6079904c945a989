"""Data sets of the course: bundled with a package, or made from a seed.

Nothing is downloaded unless a reader asks for the larger MNIST set by name.
"""

from companion.data.images import Split, load_digits, load_photo, place_on_canvas
from companion.data.prose import Text, load_prose
from companion.data.ratings import Ratings, make_ratings
from companion.data.reports import Reports, make_reports
from companion.data.sentences import Sentences, make_sentences
from companion.data.sequences import (
    copy_baseline,
    make_adding,
    make_copy,
    make_delayed_match,
    make_n_back,
)
from companion.data.series import Series, load_co2, load_sunspots
from companion.data.stories import Stories, make_stories
from companion.data.tasks import Task, permuted_tasks, split_tasks
from companion.data.tokens import Vocabulary
from companion.data.translation import Translation, make_translation, number_words

__all__ = [
    "Ratings",
    "Reports",
    "Sentences",
    "Series",
    "Split",
    "Stories",
    "Task",
    "Text",
    "Translation",
    "Vocabulary",
    "copy_baseline",
    "load_co2",
    "load_digits",
    "load_photo",
    "load_prose",
    "load_sunspots",
    "make_adding",
    "make_copy",
    "make_delayed_match",
    "make_n_back",
    "make_ratings",
    "make_reports",
    "make_sentences",
    "make_stories",
    "make_translation",
    "number_words",
    "permuted_tasks",
    "place_on_canvas",
    "split_tasks",
]
