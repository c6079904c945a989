"""Explorers, tested as a page sees them (parsed HTML) and as a kernel does (widgets)."""

import gzip
import io
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from companion import explore as module
from companion import figures
from companion.explore import Explorer, explore

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
DEPTHS, GAINS = [2, 5, 10], [0.5, 1.0]


def draw(depth: int, gain: float) -> Figure:
    return figures.curves(
        np.arange(depth + 1),
        {"norm": gain ** np.arange(depth + 1)},
        xlabel="layer",
        ylabel="norm",
    )


def describe(depth: int, gain: float) -> str:
    return f"After {depth} layers of gain {gain} the norm is {gain**depth:.3g}."


def example(**change: Any) -> Explorer:
    arguments: dict[str, Any] = {
        "draw": draw,
        "parameters": {"depth": DEPTHS, "gain": GAINS},
        "title": "Depth and gain",
        "describe": describe,
        "start": {"depth": 5},
        "labels": {"depth": "Depth"},
        "formats": {"depth": "{} layers", "gain": "{:.2f}"},
    }
    return explore(**(arguments | change))


def small(**change: Any) -> Explorer:
    """Return an explorer whose frames cost next to nothing to draw."""
    arguments: dict[str, Any] = {
        "draw": lambda n: Figure(figsize=(1, 1)),
        "parameters": {"n": [1, 2]},
        "title": "Small",
        "describe": "n is {n}".format,
    }
    return explore(**(arguments | change))


class Page(HTMLParser):
    """Collects every element as (tag, attributes, own text)."""

    VOID = ("img", "input")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        element = (tag, {name: value or "" for name, value in attributes}, [])
        self.elements.append(element)
        if tag not in self.VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self._open[-1][2].append(data)

    def find(self, tag: str, cls: str | None = None) -> list[tuple[dict[str, str], str]]:
        return [
            (attributes, "".join(text))
            for name, attributes, text in self.elements
            if name == tag and (cls is None or attributes.get("class") == cls)
        ]

    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes, _ in self.elements if "id" in attributes]

    def drawing(self, place: int) -> str:
        """Return the SVG that the script shows in one place."""
        data = self.data()
        return data["frames"][place][0].replace(">", ">" + data["glyphs"], 1)

    def data(self) -> dict[str, Any]:
        ((_, text),) = self.find("script", "explorer-data")
        return json.loads(text)


@pytest.fixture(scope="module")
def explorer() -> Explorer:
    return example()


@pytest.fixture(scope="module")
def page(explorer: Explorer) -> Page:
    return Page(explorer._repr_html_())


# The static form


def test_there_is_a_described_frame_for_every_combination(explorer: Explorer, page: Page) -> None:
    frames = page.data()["frames"]
    assert len(frames) == len(explorer.frames) == 6
    place = 0
    for depth in DEPTHS:
        for gain in GAINS:
            assert frames[place][1] == describe(depth, gain)
            assert dict(explorer.frames[place].values) == {"depth": depth, "gain": gain}
            place += 1
    assert len({svg for svg, _ in frames}) == 6


def test_a_frame_shown_by_the_script_is_the_frame_drawn(explorer: Explorer, page: Page) -> None:
    """Nothing is lost by keeping the letters apart: the same shapes, and each one defined."""
    svg, href = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
    assert "DejaVuSans" in page.data()["glyphs"]
    assert not any("scale(0.015625)" in drawing for drawing, _ in page.data()["frames"])
    for place, frame in enumerate(explorer.frames):
        shown, drawn = ET.fromstring(page.drawing(place)), ET.fromstring(frame.svg)
        assert shown.attrib == drawn.attrib
        defined = {element.attrib.get("id"): element.attrib for element in shown.iter()}
        letters = [e for e in drawn.iter(f"{svg}path") if "scale" in e.attrib.get("transform", "")]
        assert letters
        assert all(defined[letter.attrib["id"]] == letter.attrib for letter in letters)
        uses = [element.attrib[href] for element in shown.iter(f"{svg}use")]
        assert uses == [element.attrib[href] for element in drawn.iter(f"{svg}use")]
        assert {use.removeprefix("#") for use in uses} <= set(defined)


def test_the_sliders_run_over_the_values_and_say_them(page: Page) -> None:
    depth, gain = (attributes for attributes, _ in page.find("input"))
    assert {depth["type"], gain["type"]} == {"range"}
    assert (depth["min"], depth["max"], depth["step"], depth["value"]) == ("0", "2", "1", "1")
    assert (gain["min"], gain["max"], gain["value"]) == ("0", "1", "0")
    assert (depth["aria-valuetext"], gain["aria-valuetext"]) == ("5 layers", "0.50")
    assert page.data()["values"] == [["2 layers", "5 layers", "10 layers"], ["0.50", "1.00"]]


def test_every_slider_has_a_label_and_an_output(page: Page) -> None:
    sliders = [attributes["id"] for attributes, _ in page.find("input")]
    labels = page.find("label")
    assert [attributes["for"] for attributes, _ in labels] == sliders
    assert [text for _, text in labels] == ["Depth", "gain"]
    outputs = page.find("output")
    assert [attributes["for"] for attributes, _ in outputs] == sliders
    assert [text for _, text in outputs] == ["5 layers", "0.50"]


def test_without_a_script_the_start_frame_stands_there_and_no_slider(
    explorer: Explorer, page: Page
) -> None:
    ((image, _),) = page.find("img", "explorer-frame")
    start = explorer.frames[2]
    assert dict(start.values) == {"depth": 5, "gain": 0.5}
    prefix = "data:image/svg+xml,"
    assert image["src"].startswith(prefix)
    assert unquote(image["src"].removeprefix(prefix)) == start.svg
    assert not re.search(r"""[<>"'#\s]""", image["src"])
    assert image["alt"] == start.description
    ((description, text),) = page.find("p", "explorer-description")
    assert description["aria-live"] == "polite"
    assert text == start.description
    ((controls, _),) = page.find("div", "explorer-controls")
    assert controls["style"] == "display: none"
    assert page.find("noscript")


def test_the_image_has_the_size_of_the_figure(page: Page) -> None:
    ((image, _),) = page.find("img")
    width, height = draw(5, 0.5).get_size_inches() * 96
    assert (int(image["width"]), int(image["height"])) == (round(width), round(height))


@pytest.mark.parametrize(
    ("photo", "classes"), [(False, "explorer-frame"), (True, "explorer-frame photo")]
)
def test_a_photograph_is_marked_as_one_in_both_forms(photo: bool, classes: str) -> None:
    """The style sheet turns every other image round in the dark theme."""
    explorer = small(photo=photo)
    assert f'<img class="{classes}" ' in explorer._repr_html_()
    image = explorer.widget().children[-2]
    assert f'<img class="{classes}" ' in image.value


def test_the_script_needs_nothing_from_outside(page: Page) -> None:
    (_, (_, script)) = page.find("script")
    assert not re.search(r"https?:|\bimport\b|\brequire\b|\bfetch\b", script)
    assert all("src" not in attributes for attributes, _ in page.find("script"))


def test_two_explorers_share_no_id() -> None:
    one, two = Page(example()._repr_html_()), Page(example(title="Gain again")._repr_html_())
    assert len(one.ids()) == len(set(one.ids())) == 3
    assert not set(one.ids()) & set(two.ids())


@pytest.mark.parametrize("text", ['<b> & "quoted"', "</script><!-- <script>", "梯度 δ ≥ 1"])
def test_any_text_survives_the_page(text: str) -> None:
    page = Page(
        small(
            title=text + "x",
            labels={"n": text},
            formats={"n": text + "{}"},
            describe=lambda n: f"{text} {n}",
        )._repr_html_()
    )
    assert [title for _, title in page.find("strong")] == [text + "x"]
    assert [label for _, label in page.find("label")] == [text]
    assert [output for _, output in page.find("output")] == [text + "1"]
    ((_, description),) = page.find("p", "explorer-description")
    assert description == f"{text} 1"
    assert page.find("img")[0][0]["alt"] == f"{text} 1"
    assert [frame[1] for frame in page.data()["frames"]] == [f"{text} 1", f"{text} 2"]
    assert not any(" " in found for found in page.ids())


def test_the_text_form_names_every_frame() -> None:
    assert repr(example()).splitlines() == [
        "Explorer: Depth and gain",
        "Depth = 2 layers, gain = 0.50: After 2 layers of gain 0.5 the norm is 0.25.",
        "Depth = 2 layers, gain = 1.00: After 2 layers of gain 1.0 the norm is 1.",
        "Depth = 5 layers, gain = 0.50: After 5 layers of gain 0.5 the norm is 0.0312.",
        "Depth = 5 layers, gain = 1.00: After 5 layers of gain 1.0 the norm is 1.",
        "Depth = 10 layers, gain = 0.50: After 10 layers of gain 0.5 the norm is 0.000977.",
        "Depth = 10 layers, gain = 1.00: After 10 layers of gain 1.0 the norm is 1.",
    ]


def test_numpy_values_read_like_pythons() -> None:
    explorer = small(parameters={"n": np.array([1, 2])})
    assert repr(explorer) == "Explorer: Small\nn = 1: n is 1\nn = 2: n is 2"
    assert type(explorer.frames[0].values["n"]) is int


def test_strings_make_a_slider_in_the_order_given() -> None:
    explorer = small(parameters={"n": ["ReLU", "tanh", "GELU"]}, start={"n": "tanh"})
    page = Page(explorer._repr_html_())
    assert page.data()["values"] == [["ReLU", "tanh", "GELU"]]
    assert page.find("output")[0][1] == "tanh"


def test_line_breaks_in_a_description_are_spaces() -> None:
    explorer = small(describe=lambda n: f"  one\n   and {n} ")
    assert explorer.frames[0].description == "one and 1"


# Sameness and size

SCRIPT = """
import sys
sys.path.insert(0, {root!r})
from tests.explore.test_explore import example
bundle = example()._repr_mimebundle_()
sys.stdout.write(bundle["text/plain"] + bundle["text/html"])
"""


def test_another_process_gives_the_same_bytes() -> None:
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    texts = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT.format(root=root)],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONUTF8": "1", "MPLBACKEND": "agg"},
            capture_output=True,
            check=True,
            cwd=root,
        ).stdout.decode()
        for seed in ("1", "2")
    }
    explorer = example()
    assert texts == {repr(explorer) + explorer._repr_html_()}


def test_twenty_frames_of_five_curves_stay_far_below_the_budget() -> None:
    def five(n: int) -> Figure:
        x = np.linspace(0, 5, 50)
        return figures.curves(
            x, {f"method {k}": np.exp(-n * k * x / 20) for k in range(5)}, xlabel="x", ylabel="y"
        )

    explorer = explore(
        five, {"n": range(20)}, title="Twenty", describe=lambda n: f"The rate is {n}."
    )
    assert len(gzip.compress(explorer._repr_html_().encode())) < module.MAX_BYTES / 2


def test_too_heavy_frames_are_refused_with_their_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = len(gzip.compress(small()._repr_html_().encode(), mtime=0))
    monkeypatch.setattr(module, "MAX_BYTES", weight)
    small()
    monkeypatch.setattr(module, "MAX_BYTES", weight - 1)
    with pytest.raises(ValueError, match=f"'Small' take {weight} bytes compressed, more than"):
        small()


def test_compacting_moves_no_coordinate_by_more_than_half_a_hundredth() -> None:
    with figures.style():
        figure = Figure()
        left, right = figure.subplots(1, 2)
        left.plot(np.random.default_rng(0).normal(size=20), alpha=0.371, marker="o")
        left.set_ylabel("$\\|x\\|$")
        right.imshow(np.eye(3))
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata=figures.SVG_METADATA)
    compact = module._compacted(buffer.getvalue())
    full = re.sub(r"<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL)

    def attributes(text: str) -> list[tuple[str, str, str]]:
        root = ET.fromstring(text)
        return [
            (element.tag, name, "".join(value.split()) if "base64" in value else value)
            for element in root.iter()
            for name, value in sorted(element.attrib.items())
        ]

    number = re.compile(r"-?\d+\.?\d*")
    exact = re.compile(r"(?:scale|matrix)\([^)]*\)|base64,.*")
    pairs = list(zip(attributes(full), attributes(compact), strict=True))
    assert any("base64" in value for (_, _, value), _ in pairs)
    for (tag, name, value), (compact_tag, compact_name, compact_value) in pairs:
        assert (tag, name) == (compact_tag, compact_name)
        assert exact.findall(value) == exact.findall(compact_value)
        value, compact_value = exact.sub("", value), exact.sub("", compact_value)
        assert number.sub("", value).split() == number.sub("", compact_value).split()
        np.testing.assert_allclose(
            [float(x) for x in number.findall(compact_value)],
            [float(x) for x in number.findall(value)],
            atol=0.005001,
            rtol=0,
        )
    assert len(compact) < 0.8 * len(buffer.getvalue())


# The live form


def parts(explorer: Explorer) -> tuple[Any, list[Any], Any, Any]:
    title, *sliders, image, text = explorer.widget().children
    return title, sliders, image, text


def test_the_widget_starts_where_the_page_does(explorer: Explorer) -> None:
    title, sliders, image, text = parts(explorer)
    assert "Depth and gain" in title.value
    assert [slider.description for slider in sliders] == ["Depth", "gain"]
    assert [slider.value for slider in sliders] == [5, 0.5]
    assert [list(slider.options) for slider in sliders] == [
        [("2 layers", 2), ("5 layers", 5), ("10 layers", 10)],
        [("0.50", 0.5), ("1.00", 1.0)],
    ]
    assert image.value in explorer._repr_html_()
    assert describe(5, 0.5) in text.value


def test_moving_a_slider_draws_again() -> None:
    calls: list[tuple[int, float]] = []

    def counted(depth: int, gain: float) -> Figure:
        calls.append((depth, gain))
        return draw(depth, gain)

    explorer = example(draw=counted)
    _, (depth, gain), image, text = parts(explorer)
    before = image.value
    calls.clear()
    depth.value = 10
    assert calls == [(10, 0.5)]
    assert image.value != before
    assert describe(10, 0.5) in text.value
    assert Page(image.value).find("img")[0][0]["alt"] == describe(10, 0.5)
    gain.value = 1.0
    assert calls == [(10, 0.5), (10, 1.0)]
    # Live or drawn before: it is the same picture.
    src = Page(image.value).find("img")[0][0]["src"]
    assert unquote(src).endswith(explorer.frames[5].svg)


def test_a_drawing_that_fails_says_so_instead_of_keeping_the_old_figure() -> None:
    broken: list[int] = []

    def sometimes(n: int) -> Figure:
        if broken:
            raise RuntimeError("no <data>")
        return Figure(figsize=(1, 1))

    _, (slider,), image, text = parts(small(draw=sometimes))
    broken.append(1)
    slider.value = 2
    assert image.value == ""
    assert text.value == "draw failed: RuntimeError: no &lt;data&gt;"
    broken.clear()
    slider.value = 1
    assert "n is 1" in image.value


def test_the_bundle_holds_all_three_forms(explorer: Explorer) -> None:
    bundle = explorer._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", WIDGET_VIEW}
    assert bundle["text/plain"] == repr(explorer)
    assert bundle["text/html"] == explorer._repr_html_()
    assert bundle[WIDGET_VIEW]["model_id"] not in bundle["text/html"] + bundle["text/plain"]


def test_a_kernel_shows_an_explorer_and_a_figure_once_each() -> None:
    import nbformat
    from nbclient import NotebookClient

    cells = [
        "from companion import figures\nfrom companion.explore import explore\n"
        "import matplotlib.pyplot as plt\nfigures.use_style()",
        "def draw(n):\n    fig, ax = plt.subplots()\n    ax.plot([0, n])\n    return fig\n"
        "explore(draw, {'n': [1, 2]}, title='One', describe='n is {n}'.format)",
        "figures.heatmap([[1.0, 2.0]])",
        "fig, ax = plt.subplots()\nax.plot([1, 2]);",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": root}}
    ).execute()
    forms = [[set(output["data"]) for output in cell.outputs] for cell in notebook.cells]
    assert forms == [
        [],
        [{"text/plain", "text/html", WIDGET_VIEW}],
        [{"text/plain", "image/svg+xml"}],
        [{"text/plain", "image/svg+xml"}],
    ]
    for cell in notebook.cells[2:]:
        svg = cell.outputs[0]["data"]["image/svg+xml"]
        assert "<dc:date>" not in svg
        # Not cropped: the size asked for.
        assert 'width="360pt"' in svg


# Manners


def test_nothing_outside_is_changed() -> None:
    own = plt.figure()
    before, numbers = dict(mpl.rcParams), plt.get_fignums()

    def through_pyplot(n: int) -> Figure:
        figure, axes = plt.subplots(figsize=(1, 1))
        plt.figure()
        axes.plot([0, n])
        return figure

    small(draw=through_pyplot)
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == numbers
    plt.close(own)


def test_figures_are_closed_when_drawing_fails() -> None:
    def fails(n: int) -> Figure:
        plt.figure()
        raise RuntimeError("no data")

    numbers = plt.get_fignums()
    with pytest.raises(RuntimeError, match="no data"):
        small(draw=fails)
    assert plt.get_fignums() == numbers


def test_frames_are_drawn_in_the_course_style() -> None:
    seen: list[Any] = []

    def look(n: int) -> Figure:
        seen.append(mpl.rcParams["svg.hashsalt"])
        return Figure(figsize=(1, 1))

    small(draw=look)
    assert seen == [figures.STYLE["svg.hashsalt"]] * 2


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"draw": None}, TypeError, "draw must be a function, got NoneType"),
        ({"describe": "text"}, TypeError, "describe must be a function, got str"),
        ({"draw": lambda m: None}, TypeError, "draw must take n by name"),
        ({"describe": lambda: ""}, TypeError, "describe must take n by name"),
        ({"draw": lambda n: None}, TypeError, r"draw\(n=1\) must return a matplotlib Figure, got"),
        ({"describe": lambda n: n}, TypeError, r"describe\(n=1\) must return a string, got int"),
        ({"describe": lambda n: " \n"}, ValueError, r"describe\(n=1\) must not return an empty"),
        ({"describe": lambda n: "same"}, ValueError, "describe must tell the frames apart"),
        ({"draw": lambda n: Figure(figsize=(n, 1))}, ValueError, "figures of one size, got"),
        ({"title": 3}, TypeError, "title must be a string, got int"),
        ({"title": "?!"}, ValueError, "title must hold a letter or a digit"),
        ({"parameters": [1, 2]}, TypeError, "parameters must map names to lists of values"),
        ({"parameters": {}}, ValueError, "parameters must name one or two, got 0"),
        (
            {"parameters": {"a": [1, 2], "b": [1, 2], "c": [1, 2]}},
            ValueError,
            "parameters must name one or two, got 3",
        ),
        ({"parameters": {"n": []}}, ValueError, "must hold at least two values, got 0"),
        ({"parameters": {"n": [1]}}, ValueError, "must hold at least two values, got 1"),
        ({"parameters": {"n": "abc"}}, TypeError, r"parameters\['n'\] must be a list of values"),
        ({"parameters": {"n": 3}}, TypeError, "must be a list of values, got int"),
        ({"parameters": {"n": [1, "a"]}}, TypeError, "only numbers or only strings"),
        ({"parameters": {"n": [False, True]}}, TypeError, "only numbers or only strings"),
        ({"parameters": {"n": [None, 1]}}, TypeError, "only numbers or only strings"),
        ({"parameters": {"n": [2, 1]}}, ValueError, "must increase"),
        ({"parameters": {"n": [1, 1]}}, ValueError, "must increase"),
        ({"parameters": {"n": [1.0, float("nan")]}}, ValueError, "must increase"),
        ({"parameters": {"n": ["a", "b", "a"]}}, ValueError, "must not repeat a value"),
        ({"parameters": {"n": range(61)}}, ValueError, "at most 60 combinations, got 61 = 61"),
        ({"start": {"n": 3}}, ValueError, r"start\['n'\] must be one of \[1, 2\], got 3"),
        ({"start": {"m": 1}}, ValueError, "start must name parameters only, got 'm'"),
        ({"labels": {"m": "M"}}, ValueError, "labels must name parameters only, got 'm'"),
        ({"formats": {"m": "{}"}}, ValueError, "formats must name parameters only, got 'm'"),
        ({"formats": {"n": "{:q}"}}, ValueError, r"formats\['n'\] must format one value"),
        ({"formats": {"n": "{} {}"}}, ValueError, r"formats\['n'\] must format one value"),
        ({"formats": {"n": "{m}"}}, ValueError, r"formats\['n'\] must format one value"),
        ({"formats": {"n": "layers"}}, ValueError, r"formats\['n'\] writes two values alike"),
    ],
)
def test_bad_arguments_are_named(change: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        small(**change)


def test_sixty_frames_are_allowed_and_the_product_counts() -> None:
    sixty = small(parameters={"n": range(60)})
    assert len(sixty.frames) == 60
    with pytest.raises(ValueError, match="got 6 x 11 = 66"):
        example(parameters={"depth": range(6), "gain": range(11)})
