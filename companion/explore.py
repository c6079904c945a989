"""Sliders over a figure: live with a kernel, drawn in advance without one.

``explore`` returns an object that a notebook shows in two forms at once. A front
end with a running kernel shows widgets, and ``draw`` is called again at every move of
a slider. The website, and a notebook that has only been opened, show the frames
drawn when the cell ran, moved by native sliders and a few lines of script.
Without the script the start frame stands there alone and no slider is shown.
"""

from __future__ import annotations

import gzip
import inspect
import io
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from companion import figures

Value = int | float | str

#: More frames than this take too long to draw each time the cell runs.
MAX_FRAMES = 60
#: What one explorer may add to a page, in bytes after gzip.
MAX_BYTES = 300_000

# The outline of a letter, as matplotlib defines it once in each file.
_GLYPH = re.compile(r'<path id="[^"]*" d="[^"]*" transform="scale\(0\.015625\)"/>')

_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

_ROW = "display: flex; gap: 0.25em 0.75em; align-items: center"

_SCRIPT = """
(() => {
  for (const root of document.querySelectorAll("figure.explorer:not([data-ready])")) {
    root.dataset.ready = "";
    const data = JSON.parse(root.querySelector(".explorer-data").textContent);
    const sliders = [...root.querySelectorAll("input[type=range]")];
    const image = root.querySelector(".explorer-frame");
    const text = root.querySelector(".explorer-description");
    const show = () => {
      let index = 0;
      sliders.forEach((slider, k) => {
        const label = data.values[k][slider.value];
        slider.setAttribute("aria-valuetext", label);
        slider.nextElementSibling.textContent = label;
        index = index * data.values[k].length + Number(slider.value);
      });
      const [drawing, description] = data.frames[index];
      const svg = drawing.replace(">", ">" + data.glyphs);
      image.src = "data:image/svg+xml," + encodeURIComponent(svg);
      image.alt = text.textContent = description;
    };
    for (const slider of sliders) slider.addEventListener("input", show);
    root.querySelector(".explorer-controls").style.display = "";
    show();
  }
})();
"""


@dataclass(frozen=True)
class _Parameter:
    name: str
    label: str
    values: tuple[Value, ...]
    texts: tuple[str, ...]
    start: int


@dataclass(frozen=True)
class Frame:
    """One position of the sliders: its values, its drawing and its description.

    Attributes
    ----------
    values : mapping of str to int, float or str
        Value of each parameter.
    svg : str
        The figure as an SVG element.
    description : str
        What the figure shows, in words and numbers.
    """

    values: Mapping[str, Value]
    svg: str
    description: str


class Explorer:
    """A figure with sliders, made by ``explore``; a notebook knows how to show it.

    Attributes
    ----------
    title : str
        The heading, from which the ids on the page are made.
    frames : tuple of Frame
        One frame for each combination of values, the last parameter changing fastest.
    """

    def __init__(
        self,
        title: str,
        parameters: Sequence[_Parameter],
        draw: Callable[..., Figure],
        describe: Callable[..., str],
        photo: bool = False,
    ) -> None:
        self.title = title
        self._photo = photo
        self._parameters = tuple(parameters)
        self._draw = draw
        self._describe = describe
        self.frames = tuple(
            self._frame(dict(zip((p.name for p in parameters), values, strict=True)))
            for values in itertools.product(*(p.values for p in parameters))
        )

    def _frame(self, values: dict[str, Value]) -> Frame:
        call = ", ".join(f"{name}={value!r}" for name, value in values.items())
        with _no_figure_left_open(), figures.style():
            figure = self._draw(**values)
            if not isinstance(figure, Figure):
                raise TypeError(
                    f"draw({call}) must return a matplotlib Figure, got {type(figure).__name__}"
                )
            svg = _svg(figure)
        description = self._describe(**values)
        if not isinstance(description, str):
            raise TypeError(
                f"describe({call}) must return a string, got {type(description).__name__}"
            )
        if not description.strip():
            raise ValueError(f"describe({call}) must not return an empty string")
        return Frame(MappingProxyType(values), svg, " ".join(description.split()))

    @property
    def _start(self) -> Frame:
        index = 0
        for parameter in self._parameters:
            index = index * len(parameter.values) + parameter.start
        return self.frames[index]

    def __repr__(self) -> str:
        """Return the title and every frame in words."""
        lines = [f"Explorer: {self.title}"]
        for texts, frame in zip(
            itertools.product(*(p.texts for p in self._parameters)), self.frames, strict=True
        ):
            place = ", ".join(
                f"{p.label} = {text}" for p, text in zip(self._parameters, texts, strict=True)
            )
            lines.append(f"{place}: {frame.description}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return the form that needs no kernel: native sliders, frames and a script."""
        name = "explorer-" + re.sub(r"\W+", "-", self.title.lower()).strip("-")
        controls = []
        for p in self._parameters:
            slider = f"{name}-{p.name}"
            text = escape(p.texts[p.start])
            controls.append(
                f'<div class="explorer-control" style="{_ROW}; flex-wrap: wrap">'
                f'<label for="{slider}" style="flex: 0 1 10em">{escape(p.label)}</label>'
                f'<span style="{_ROW}; flex: 1 1 14em">'
                f'<input type="range" id="{slider}" min="0" max="{len(p.values) - 1}" step="1" '
                f'value="{p.start}" aria-valuetext="{text}" autocomplete="off" '
                # Without this JupyterLab takes the arrow keys for itself.
                'data-lm-suppress-shortcuts="true" '
                'style="flex: 1 1 6em; min-width: 0; max-width: 24em">'
                # An output element is a live region; the description already is one.
                f'<output for="{slider}" aria-live="off" style="min-width: 5em">{text}</output>'
                "</span></div>"
            )
        glyphs = dict.fromkeys(g for frame in self.frames for g in _GLYPH.findall(frame.svg))
        data = {
            "values": [p.texts for p in self._parameters],
            # The letters of all frames once: they were most of the weight.
            "glyphs": f'<svg width="0" height="0"><defs>{"".join(glyphs)}</defs></svg>',
            "frames": [[_GLYPH.sub("", f.svg), f.description] for f in self.frames],
        }
        encoded = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        # Two things would end or change the script element in the middle of a string.
        encoded = re.sub("<(?=/script|!--)", r"\\u003c", encoded, flags=re.IGNORECASE)
        start = self._start
        return (
            f'<figure class="explorer" id="{name}">'
            f'<figcaption class="explorer-title"><strong>{escape(self.title)}</strong></figcaption>'
            f'<div class="explorer-controls" style="display: none">{"".join(controls)}</div>'
            f"{_image(start, self._photo)}"
            '<p class="explorer-description" aria-live="polite" style="min-height: 3em">'
            f"{escape(start.description)}</p>"
            "<noscript><p>This figure has sliders where scripts may run: on the website with "
            "JavaScript on, or in a notebook once its cells are run.</p></noscript>"
            f'<script type="application/json" class="explorer-data">{encoded}</script>'
            f"<script>{_SCRIPT}</script>"
            "</figure>"
        )

    def widget(self) -> ipywidgets.VBox:
        """Return the live form: a new box of ipywidgets whose sliders call ``draw``.

        Returns
        -------
        ipywidgets.VBox
            Title, one ``SelectionSlider`` for each parameter, figure, description.
        """
        sliders = [
            ipywidgets.SelectionSlider(
                options=list(zip(p.texts, p.values, strict=True)),
                value=p.values[p.start],
                description=p.label,
                style={"description_width": "initial"},
                layout={"width": "min(32em, 100%)"},
            )
            for p in self._parameters
        ]
        image = ipywidgets.HTML()
        text = ipywidgets.HTML()

        def show(frame: Frame) -> None:
            image.value = _image(frame, self._photo)
            text.value = f'<p aria-live="polite">{escape(frame.description)}</p>'

        def redraw(_change: object) -> None:
            values = {p.name: s.value for p, s in zip(self._parameters, sliders, strict=True)}
            try:
                show(self._frame(values))
            except Exception as error:
                # A callback has no cell to show its traceback in, and a figure
                # that silently stays as it was would be read as the answer.
                image.value = ""
                text.value = escape(f"draw failed: {type(error).__name__}: {error}")

        show(self._start)
        for slider in sliders:
            slider.observe(redraw, names="value")
        title = ipywidgets.HTML(f"<strong>{escape(self.title)}</strong>")
        return ipywidgets.VBox([title, *sliders, image, text])

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.widget().model_id}
        return {"text/plain": repr(self), "text/html": self._repr_html_(), _WIDGET_VIEW: view}


def explore(
    draw: Callable[..., Figure],
    parameters: Mapping[str, Sequence[Value]],
    *,
    title: str,
    describe: Callable[..., str],
    start: Mapping[str, Value] | None = None,
    labels: Mapping[str, str] | None = None,
    formats: Mapping[str, str] | None = None,
    photo: bool = False,
) -> Explorer:
    """Show a figure with one or two sliders: live with a kernel, drawn in advance without.

    End a cell with the call. Every combination of values is drawn when the cell runs.

    Parameters
    ----------
    draw : callable
        Takes the parameters by name and returns a matplotlib figure.
    parameters : mapping of str to sequence
        One or two parameters and the values of their sliders: at least two each, no
        value twice, numbers in increasing order, at most ``MAX_FRAMES`` combinations.
    title : str
        Heading. Two explorers on one page need two titles.
    describe : callable
        Takes the parameters by name and returns one sentence that says, with numbers,
        what this frame shows. It is the figure's text for those who do not see it.
    start : mapping of str to value, optional
        Where the sliders stand at first; the first value of a parameter not named.
    labels : mapping of str to str, optional
        What to write beside a slider; the parameter's own name by default.
    formats : mapping of str to str, optional
        How to write a value, with its unit, as for ``str.format``: ``"{} layers"``,
        ``"{:.2f}"``.
    photo : bool, default False
        Whether the figure is a photograph, which the website's dark theme must not turn
        into a negative.

    Returns
    -------
    Explorer

    Raises
    ------
    ValueError
        On no or too many parameters or frames, on values, start, labels or formats that do
        not fit, on figures of different sizes, on a description that is empty or
        always the same, and on frames that weigh more than ``MAX_BYTES`` compressed.
    TypeError
        On arguments of the wrong type, or a ``draw`` that returns no figure.

    Examples
    --------
    >>> import numpy as np
    >>> from companion import figures
    >>> x = np.linspace(0, 1, 20)
    >>> def draw(power):
    ...     return figures.curves(x, {"power": x**power}, xlabel="$x$", ylabel="$x^p$")
    >>> explore(
    ...     draw, {"power": [1, 2, 3]}, title="Powers",
    ...     describe=lambda power: f"Half way the curve is at {0.5**power:.3f}.",
    ... )
    Explorer: Powers
    power = 1: Half way the curve is at 0.500.
    power = 2: Half way the curve is at 0.250.
    power = 3: Half way the curve is at 0.125.
    """
    for name, function in (("draw", draw), ("describe", describe)):
        if not callable(function):
            raise TypeError(f"{name} must be a function, got {type(function).__name__}")
    if not isinstance(title, str):
        raise TypeError(f"title must be a string, got {type(title).__name__}")
    if not re.search(r"\w", title):
        raise ValueError(f"title must hold a letter or a digit, got {title!r}")
    if not isinstance(parameters, Mapping):
        raise TypeError(
            f"parameters must map names to lists of values, got {type(parameters).__name__}"
        )
    if len(parameters) not in (1, 2):
        raise ValueError(f"parameters must name one or two, got {len(parameters)}")
    grid = {name: _values(name, values) for name, values in parameters.items()}
    frames = math.prod(len(values) for values in grid.values())
    if frames > MAX_FRAMES:
        sizes = " x ".join(str(len(values)) for values in grid.values())
        raise ValueError(
            f"parameters must have at most {MAX_FRAMES} combinations, got {sizes} = {frames}: "
            "each is drawn whenever the cell runs"
        )
    for name, function in (("draw", draw), ("describe", describe)):
        _takes(name, function, grid)
    options = {"start": start or {}, "labels": labels or {}, "formats": formats or {}}
    for option, given in options.items():
        if unknown := sorted(set(given) - set(grid)):
            raise ValueError(f"{option} must name parameters only, got {unknown[0]!r}")
    chosen = [
        _parameter(
            name,
            values,
            start=options["start"].get(name, values[0]),
            label=str(options["labels"].get(name, name)),
            pattern=str(options["formats"].get(name, "{}")),
        )
        for name, values in grid.items()
    ]
    explorer = Explorer(title, chosen, draw, describe, photo)
    _check_frames(explorer)
    return explorer


def _values(name: str, values: Sequence[Value]) -> tuple[Value, ...]:
    if isinstance(values, str) or not isinstance(values, (Sequence, np.ndarray)):
        raise TypeError(
            f"parameters[{name!r}] must be a list of values, got {type(values).__name__}"
        )
    # numpy's scalars print with their type, Python's own as what they are.
    plain = tuple(v.item() if isinstance(v, np.generic) else v for v in values)
    if len(plain) < 2:
        raise ValueError(f"parameters[{name!r}] must hold at least two values, got {len(plain)}")
    numbers = [v for v in plain if isinstance(v, (int, float)) and not isinstance(v, bool)]
    strings = [v for v in plain if isinstance(v, str)]
    if len(plain) not in (len(numbers), len(strings)):
        raise TypeError(
            f"parameters[{name!r}] must hold only numbers or only strings, got {list(plain)}"
        )
    if any(not b > a for a, b in itertools.pairwise(numbers)):
        raise ValueError(f"parameters[{name!r}] must increase, got {list(plain)}")
    if len(set(strings)) < len(strings):
        raise ValueError(f"parameters[{name!r}] must not repeat a value, got {list(plain)}")
    return plain


def _takes(name: str, function: Callable[..., Any], grid: Mapping[str, Any]) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:
        # Some functions written in C, str.format among them, do not say what they take.
        return
    try:
        signature.bind(**grid)
    except TypeError as error:
        raise TypeError(f"{name} must take {', '.join(grid)} by name: {error}") from None


def _parameter(
    name: str, values: tuple[Value, ...], *, start: Value, label: str, pattern: str
) -> _Parameter:
    if start not in values:
        raise ValueError(f"start[{name!r}] must be one of {list(values)}, got {start!r}")
    try:
        texts = tuple(pattern.format(value) for value in values)
    except (ValueError, IndexError, KeyError) as error:
        raise ValueError(
            f"formats[{name!r}] must format one value, got {pattern!r}: {error!r}"
        ) from None
    if len(set(texts)) < len(texts):
        raise ValueError(f"formats[{name!r}] writes two values alike: {', '.join(texts)}")
    return _Parameter(name, label, values, texts, values.index(start))


def _check_frames(explorer: Explorer) -> None:
    sizes = {_pixels(frame.svg) for frame in explorer.frames}
    if len(sizes) > 1:
        raise ValueError(f"draw must return figures of one size, got {sorted(sizes)} pixels")
    if len({frame.description for frame in explorer.frames}) == 1:
        raise ValueError("describe must tell the frames apart, got one sentence for all")
    weight = len(gzip.compress(explorer._repr_html_().encode(), mtime=0))
    if weight > MAX_BYTES:
        raise ValueError(
            f"the frames of {explorer.title!r} take {weight} bytes compressed, more than "
            f"{MAX_BYTES}: draw fewer points or fewer frames"
        )


@contextmanager
def _no_figure_left_open() -> Iterator[None]:
    """Close what ``draw`` opened through pyplot: the notebook would show it as well."""
    before = set(plt.get_fignums())
    try:
        yield
    finally:
        for number in set(plt.get_fignums()) - before:
            plt.close(number)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=figures.SVG_METADATA)
    return _compacted(buffer.getvalue())


def _compacted(svg: str) -> str:
    """Return the SVG element of a file without what a page has no use for."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s*\n\s*", " ", svg.replace("base64,\n", "base64,")).strip()
    svg = re.sub(r"(?<=>) (?=<)", "", svg)
    # A hundredth of a point is not to be seen. Scales and matrices multiply
    # large numbers, so theirs stay.
    return re.sub(r"(?:scale|matrix)\([^)]*\)|\d+\.\d{3,}", _two_decimals, svg)


def _two_decimals(found: re.Match[str]) -> str:
    text = found[0]
    return text if text.endswith(")") else f"{float(text):.2f}".rstrip("0").rstrip(".")


def _pixels(svg: str) -> tuple[int, int]:
    width, height = re.findall(r'(?:width|height)="([\d.]+)pt"', svg)[:2]
    return round(float(width) * 4 / 3), round(float(height) * 4 / 3)


def _image(frame: Frame, photo: bool) -> str:
    """Return the frame as an image: as a document of its own, its ids clash with no other's."""
    width, height = _pixels(frame.svg)
    address = "data:image/svg+xml," + quote(frame.svg, safe="!$()*+,/:;=?@")
    return (
        f'<img class="explorer-frame{" photo" if photo else ""}" alt="{escape(frame.description)}" '
        f'width="{width}" height="{height}" style="max-width: 100%; height: auto" '
        f'src="{address}">'
    )
