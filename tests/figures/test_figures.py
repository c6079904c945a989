"""The shared figures, tested by what they draw: data, labels, colours, sizes."""

import io
import re
import xml.etree.ElementTree as ET

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.colors import LogNorm, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib_inline.config import InlineBackend
from scipy.stats import gmean, gstd
from traitlets.config import Config

from companion import figures


def make(name: str) -> Figure:
    """Return one figure of each kind."""
    rng = np.random.default_rng(0)
    if name == "curves":
        runs = {label: np.exp(rng.normal(size=(3, 20))) for label in ("a", "b", "c")}
        return figures.curves(
            np.arange(20), runs, xlabel="layer", ylabel="gradient norm", yscale="log"
        )
    if name == "dot_intervals":
        groups = {"SGD": rng.normal(size=4), "Adam": rng.normal(size=4)}
        return figures.dot_intervals(groups, xlabel="accuracy")
    if name == "image_grid":
        return figures.image_grid(rng.random(size=(7, 8, 8)), list("abcdefg"))
    if name == "heatmap":
        return figures.heatmap(rng.random(size=(3, 4)), xlabel="depth", ylabel="initialiser")
    return figures.contour_paths(
        lambda x, y: x**2 + 10 * y**2,
        {"SGD": rng.normal(size=(30, 2)), "Adam": rng.normal(size=(30, 2))},
        xlim=(-3, 3),
        ylim=(-2, 2),
        xlabel="$w_1$",
        ylabel="$w_2$",
        minimum=(0, 0),
    )


every_kind = pytest.mark.parametrize(
    "name", ["curves", "dot_intervals", "image_grid", "heatmap", "contour_paths"]
)


def svg_of(figure: Figure) -> str:
    buffer = io.StringIO()
    with figures.style():
        figure.savefig(buffer, format="svg", metadata=figures.SVG_METADATA)
    return buffer.getvalue()


# Style


def test_the_colours_are_those_of_okabe_and_ito_without_yellow() -> None:
    published = {to_hex(colour).upper() for colour in mpl.color_sequences["okabe_ito"]}
    assert set(figures.COLOURS) == published - {"#F0E442"}


def test_every_colour_has_a_dash_and_a_marker_of_its_own() -> None:
    count = len(figures.COLOURS)
    assert len(set(figures.LINE_STYLES)) == len(set(figures.MARKERS)) == count
    assert len(figures.LINE_STYLES) == len(figures.MARKERS) == count


def test_style_is_undone_after_the_block_even_on_an_error() -> None:
    before = dict(mpl.rcParams)

    def fail() -> None:
        with figures.style():
            assert mpl.rcParams["svg.hashsalt"] == figures.STYLE["svg.hashsalt"]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert dict(mpl.rcParams) == before


def test_use_style_sets_every_setting() -> None:
    with mpl.rc_context():
        figures.use_style()
        changed = dict(mpl.rcParams)
    with mpl.rc_context(figures.STYLE):
        assert changed == dict(mpl.rcParams)


# matplotlib_inline watches its own settings in a way that traitlets no longer likes.
@pytest.mark.filterwarnings("ignore:InlineBackend:DeprecationWarning")
def test_in_ipython_figures_are_shown_as_svg_of_the_size_asked_for() -> None:
    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    try:
        with mpl.rc_context():
            figures.use_style()
            data, _ = shell.display_formatter.format(figures.image_grid(np.ones((1, 2, 2))))
        backend = InlineBackend.instance()
        assert backend.figure_formats == {"svg"}
        assert backend.print_figure_kwargs["bbox_inches"] is None
    finally:
        InlineBackend.clear_instance()
        InteractiveShell.clear_instance()
    assert set(data) == {"text/plain", "image/svg+xml"}
    assert 'width="90pt"' in data["image/svg+xml"]  # 5 inches in 4 columns
    assert "<dc:date>" not in data["image/svg+xml"]


@every_kind
def test_a_helper_leaves_no_trace_outside_its_figure(name: str) -> None:
    before, open_figures = dict(mpl.rcParams), plt.get_fignums()
    figure = make(name)
    assert isinstance(figure, Figure)
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == open_figures


@every_kind
def test_two_runs_give_the_same_svg_without_a_date(name: str) -> None:
    first, second = svg_of(make(name)), svg_of(make(name))
    assert first == second
    assert "<dc:date>" not in first
    assert mpl.__version__ not in first


@every_kind
def test_text_is_legible_on_a_phone(name: str) -> None:
    """At 320 pixels wide no text is smaller than nine pixels."""
    figure = make(name)
    figure.draw_without_rendering()
    shrink = min(1.0, 320 / (figure.get_figwidth() * 96))
    texts = [text for text in figure.findobj(mpl.text.Text) if text.get_text().strip()]
    sizes = {text.get_text(): text.get_fontsize() * 96 / 72 * shrink for text in texts}
    assert texts
    assert min(sizes.values()) >= 9, sizes


@every_kind
def test_the_background_is_opaque_white(name: str) -> None:
    root = ET.fromstring(svg_of(make(name)))
    background = next(root.iter("{http://www.w3.org/2000/svg}path"))
    assert "fill: #ffffff" in background.attrib["style"]
    assert "opacity" not in background.attrib["style"]


# curves


def test_curves_draw_mean_and_standard_deviation() -> None:
    runs = np.random.default_rng(1).normal(size=(5, 7))
    figure = figures.curves(np.arange(7), {"a": runs}, xlabel="x", ylabel="y")
    (axes,) = figure.axes
    np.testing.assert_allclose(axes.lines[0].get_ydata(), np.mean(runs, axis=0))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x", "y")
    band = axes.collections[0].get_paths()[0].vertices
    deviation = np.sqrt(np.sum((runs - runs.mean(axis=0)) ** 2, axis=0) / 4)
    for k in range(7):
        heights = band[band[:, 0] == k][:, 1]
        np.testing.assert_allclose(heights.max(), runs.mean(axis=0)[k] + deviation[k])
        np.testing.assert_allclose(heights.min(), runs.mean(axis=0)[k] - deviation[k])


def test_curves_on_a_log_axis_use_geometric_mean_and_deviation() -> None:
    runs = np.exp(3 * np.random.default_rng(2).normal(size=(6, 4)))
    figure = figures.curves(
        [1, 2, 3, 4], {"a": runs}, xlabel="x", ylabel="y", xscale="log", yscale="log"
    )
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    np.testing.assert_allclose(axes.lines[0].get_ydata(), gmean(runs, axis=0))
    band = axes.collections[0].get_paths()[0].vertices
    assert (band[:, 1] > 0).all()
    for k in range(4):
        np.testing.assert_allclose(
            band[band[:, 0] == k + 1][:, 1].max(), (gmean(runs, axis=0) * gstd(runs, axis=0))[k]
        )


def test_a_single_run_has_no_band_and_a_single_curve_no_legend() -> None:
    figure = figures.curves([0, 1], {"a": [1.0, 2.0]}, xlabel="x", ylabel="y", ylim=(0, 3))
    assert not figure.axes[0].collections
    assert not figure.legends
    assert figure.axes[0].get_ylim() == (0, 3)


def test_a_point_that_any_seed_lacks_is_a_gap() -> None:
    runs = np.ones((3, 4))
    runs[1, 2] = np.nan
    figure = figures.curves(np.arange(4), {"a": runs}, xlabel="x", ylabel="y", yscale="log")
    line = np.asarray(figure.axes[0].lines[0].get_ydata())
    np.testing.assert_array_equal(np.isnan(line), [False, False, True, False])


def test_curves_differ_in_colour_dash_and_marker() -> None:
    figure = figures.curves([0, 1], {str(k): [k, k] for k in range(7)}, xlabel="x", ylabel="y")
    lines = figure.axes[0].lines
    assert len({line.get_color() for line in lines}) == 7
    assert len({line.get_marker() for line in lines}) == 7
    svg = svg_of(figure)
    dashes = set(re.findall(r"stroke-dasharray: ([^;\"]+)", svg))
    assert len(dashes) == 6  # and one unbroken line


@pytest.mark.parametrize("points", [1, 2, 9, 50, 1000])
def test_every_curve_shows_markers_but_not_one_a_point(points: int) -> None:
    figure = figures.curves(
        np.arange(points),
        {str(k): np.full(points, k) for k in range(7)},
        xlabel="x",
        ylabel="y",
    )
    for line in figure.axes[0].lines:
        first, step = line.get_markevery()
        shown = len(range(points)[first::step])
        assert 1 <= shown <= 16


@pytest.mark.parametrize("length", [3, 20, 45])
def test_the_legend_fits_the_width_and_the_axes_keep_their_height(length: int) -> None:
    names = [letter * length for letter in "abcdefg"]
    plain = figures.curves([0, 1], {"a": [0, 1]}, xlabel="x", ylabel="y")
    figure = figures.curves([0, 1], {name: [0, 1] for name in names}, xlabel="x", ylabel="y")
    for drawn in (plain, figure):
        drawn.draw_without_rendering()
    (legend,) = figure.legends
    if length < 45:  # beyond that not even one column fits
        assert legend.get_window_extent().width <= figure.bbox.width
    heights = [drawn.axes[0].get_window_extent().height for drawn in (plain, figure)]
    assert heights[1] == pytest.approx(heights[0], rel=0.1)
    assert [text.get_text() for text in legend.get_texts()] == names


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": [[0, 1]]}, ValueError, "x must have 1 axes"),
        ({"x": [0, np.inf]}, ValueError, "x must be finite"),
        ({"x": ["a", "b"]}, TypeError, "x must hold real numbers"),
        ({"runs": {}}, ValueError, "runs must have 1 to 7 entries, got 0"),
        ({"runs": {str(k): [0, 1] for k in range(8)}}, ValueError, "1 to 7 entries, got 8"),
        ({"runs": [[0, 1]]}, TypeError, "runs must map labels to values, got list"),
        ({"runs": {"a": [0, 1, 2]}}, ValueError, r"runs\['a'\] must have shape \(2,\) or \(s"),
        ({"runs": {"a": np.zeros((0, 2))}}, ValueError, r"got \(0, 2\)"),
        ({"runs": {"a": np.zeros((2, 1, 2))}}, ValueError, r"got \(2, 1, 2\)"),
        ({"runs": {"a": [0, np.inf]}}, ValueError, "must not be infinite; use NaN"),
        ({"runs": {"a": [0.0, 1.0]}, "yscale": "log"}, ValueError, "positive when yscale is 'log'"),
        ({"x": [-1, 1], "xscale": "log"}, ValueError, "x must be positive when xscale is 'log'"),
        ({"yscale": "loglog"}, ValueError, "yscale must be one of 'linear', 'log', got 'loglog'"),
        ({"xscale": "symlog"}, ValueError, "xscale must be one of"),
    ],
)
def test_curves_refuse(change: dict, error: type[Exception], message: str) -> None:
    arguments = {"x": [0, 1], "runs": {"a": [1.0, 2.0]}, "xlabel": "x", "ylabel": "y"} | change
    with pytest.raises(error, match=message):
        figures.curves(**arguments)


# dot_intervals


def test_dot_intervals_show_mean_deviation_and_every_seed() -> None:
    groups = {"SGD": [1.0, 2.0, 6.0], "Adam": [4.0, 4.0, 4.0]}
    figure = figures.dot_intervals(groups, xlabel="accuracy")
    (axes,) = figure.axes
    seeds = next(line.get_xdata() for line in axes.lines if line.get_marker() == "|")
    np.testing.assert_array_equal(seeds, groups["SGD"])
    container = axes.containers[0]
    assert container.lines[0].get_xdata()[0] == pytest.approx(3.0)
    (segment,) = container.lines[2][0].get_segments()
    spread = np.sqrt(((1 - 3) ** 2 + (2 - 3) ** 2 + (6 - 3) ** 2) / 2)
    np.testing.assert_allclose(segment[:, 0], [3 - spread, 3 + spread])
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["SGD", "Adam"]
    # The first group stands at the top.
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_dot_intervals_grow_with_the_rows_unless_told_a_size() -> None:
    few = figures.dot_intervals({"a": [0, 1]}, xlabel="x")
    many = figures.dot_intervals({str(k): [0, 1] for k in range(9)}, xlabel="x")
    assert many.get_figheight() > few.get_figheight()
    told = figures.dot_intervals({"a": [1, 2]}, xlabel="x", size=(4, 2), xscale="log")
    assert tuple(told.get_size_inches()) == (4, 2)
    assert told.axes[0].get_xscale() == "log"


@pytest.mark.parametrize(
    ("groups", "options", "error", "message"),
    [
        ({"a": [1.0]}, {}, ValueError, "at least two seeds, got 1"),
        ({"a": [1.0, np.nan]}, {}, ValueError, r"groups\['a'\] must be finite"),
        ({"a": [[1.0, 2.0]]}, {}, ValueError, "must have 1 axes"),
        ({"a": [-1.0, 2.0]}, {"xscale": "log"}, ValueError, "must be positive"),
        ({}, {}, ValueError, "at least 1 entries, got 0"),
        ([1, 2], {}, TypeError, "groups must map labels to values"),
    ],
)
def test_dot_intervals_refuse(
    groups: dict, options: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        figures.dot_intervals(groups, xlabel="x", **options)


# image_grid


@settings(max_examples=10)
@given(st.integers(1, 9), st.integers(1, 7), st.integers(1, 6), st.integers(1, 6))
def test_image_grid_shows_every_image_in_reading_order(
    count: int, columns: int, height: int, width: int
) -> None:
    images = np.arange(count * height * width, dtype=float).reshape(count, height, width)
    figure = figures.image_grid(images, [str(k) for k in range(count)], columns=columns)
    assert len(figure.axes) == count
    for k, axes in enumerate(figure.axes):
        np.testing.assert_array_equal(axes.images[0].get_array(), images[k])
        assert axes.images[0].get_clim() == (images.min(), images.max())
        assert axes.get_title() == str(k)
        place = axes.get_subplotspec()
        assert place.num1 == k
        assert place.get_gridspec().ncols == min(columns, count)


def test_image_grid_takes_limits_and_no_titles() -> None:
    figure = figures.image_grid(np.zeros((2, 3, 3)), limits=(-1, 1))
    assert figure.axes[0].images[0].get_clim() == (-1, 1)
    assert figure.axes[0].get_title() == ""


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"images": np.zeros((3, 3))}, ValueError, "images must have 3 axes"),
        ({"images": np.zeros((0, 3, 3))}, ValueError, "images must not be empty"),
        ({"images": np.full((1, 2, 2), np.nan)}, ValueError, "images must be finite"),
        ({"images": np.zeros((2, 3, 3)), "titles": ["a"]}, ValueError, "2 strings, got 1"),
        ({"images": np.zeros((2, 3, 3)), "columns": 0}, ValueError, "columns must be at least 1"),
        ({"images": np.zeros((2, 3, 3)), "columns": 2.5}, TypeError, "columns must be an integer"),
    ],
)
def test_image_grid_refuses(arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        figures.image_grid(**arguments)


# heatmap


def relative_luminance(colour: object) -> float:
    """Return WCAG's relative luminance, channel by channel."""
    weighted = 0.0
    for weight, channel in zip((0.2126, 0.7152, 0.0722), to_rgb(colour), strict=True):
        low = channel <= 0.04045
        weighted += weight * (channel / 12.92 if low else ((channel + 0.055) / 1.055) ** 2.4)
    return weighted


@pytest.mark.parametrize("centre", [None, 0.0])
def test_heatmap_writes_every_value_legibly_in_its_cell(centre: float | None) -> None:
    matrix = np.linspace(-1, 2, 30).reshape(5, 6)
    figure = figures.heatmap(matrix, centre=centre, annotations="{:.3f}", colour_label="weight")
    axes, bar = figure.axes
    assert bar.get_ylabel() == "weight"
    mesh = axes.collections[0]
    figure.draw_without_rendering()
    faces = mesh.get_facecolor().reshape(5, 6, 4)
    for text in axes.texts:
        x, y = text.get_position()
        i, j = int(y), int(x)
        assert text.get_text() == f"{matrix[i, j]:.3f}"
        bright, dark = sorted(
            map(relative_luminance, (text.get_color(), faces[i, j][:3])), reverse=True
        )
        assert (bright + 0.05) / (dark + 0.05) >= 4.5
    # The first row stands at the top, as it is printed.
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_heatmap_names_rows_and_columns() -> None:
    figure = figures.heatmap(
        [[1.0, 2.0]], rows=["He"], columns=["2", "5"], xlabel="depth", ylabel="initialiser"
    )
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["He"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["2", "5"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("depth", "initialiser")


def test_heatmap_scales() -> None:
    log = figures.heatmap([[1e-8, 1.0]], scale="log").axes[0].collections[0]
    assert isinstance(log.norm, LogNorm)
    assert log.get_clim() == (1e-8, 1.0)
    two_sided = figures.heatmap([[0.0, 3.0]], centre=1.0).axes[0].collections[0]
    assert two_sided.norm(1.0) == 0.5
    assert two_sided.get_clim() == (-1.0, 3.0)
    constant = figures.heatmap([[2.0, 2.0]], centre=2.0).axes[0].collections[0]
    assert constant.norm(2.0) == 0.5


def test_heatmap_takes_texts_or_none_and_leaves_nan_grey() -> None:
    matrix = [[1.0, np.nan]]
    own = figures.heatmap(matrix, annotations=[["one", "diverged"]], size=(4, 2))
    assert [text.get_text() for text in own.axes[0].texts] == ["one", "diverged"]
    assert tuple(own.get_size_inches()) == (4, 2)
    bare = figures.heatmap(matrix, annotations=None)
    assert {text.get_text() for text in bare.axes[0].texts} == {""}
    dashed = figures.heatmap(matrix)
    assert dashed.axes[0].texts[1].get_text() == "-"
    dashed.draw_without_rendering()
    grey = dashed.axes[0].collections[0].get_facecolor()[1]
    assert to_hex(grey) == "#e6e6e6"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"matrix": [1.0, 2.0]}, "matrix must have 2 axes"),
        ({"matrix": [[np.nan]]}, "matrix must hold finite values"),
        ({"matrix": [[1.0, np.inf]]}, "matrix must hold finite values"),
        ({"matrix": np.zeros((0, 3))}, "matrix must hold finite values"),
        ({"matrix": [[0.0, 1.0]], "scale": "log"}, "matrix must be positive"),
        ({"scale": "log", "centre": 1.0}, "centre must be None when scale is 'log'"),
        ({"scale": "square"}, "scale must be one of"),
        ({"rows": ["a", "b"]}, "rows must hold 1 names, got 2"),
        ({"columns": ["a"]}, "columns must hold 2 names, got 1"),
        ({"annotations": [["a"]]}, r"annotations must have shape \(1, 2\)"),
    ],
)
def test_heatmap_refuses(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        figures.heatmap(**({"matrix": [[1.0, 2.0]]} | change))


# contour_paths


def valley(**change: object) -> Figure:
    arguments: dict = {
        "surface": lambda x, y: x**2 + 100 * y**2,
        "paths": {"SGD": [[2.0, 1.0], [1.0, 0.5], [0.5, 0.2]]},
        "xlim": (-3, 3),
        "ylim": (-2, 2),
        "xlabel": "$w_1$",
        "ylabel": "$w_2$",
    }
    return figures.contour_paths(**(arguments | change))


def test_contour_paths_follow_the_surface_and_the_way() -> None:
    figure = valley(minimum=(0, 0))
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[2.0, 1.0], [1.0, 0.5], [0.5, 0.2]])
    contour = axes.collections[0]
    top = 9 + 100 * 4
    for level, path in zip(contour.levels, contour.get_paths(), strict=True):
        x, y = path.vertices.T
        if len(x):
            # On a grid a level line is found by linear interpolation: exact to a cell.
            np.testing.assert_allclose(x**2 + 100 * y**2, level, atol=0.01 * top)
    assert sum(len(path.vertices) > 0 for path in contour.get_paths()) >= 10
    assert (axes.get_xlim(), axes.get_ylim()) == ((-3, 3), (-2, 2))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["SGD", "minimum"]


def test_a_way_that_diverges_is_drawn_as_far_as_it_is_finite() -> None:
    figure = valley(paths={"SGD": [[1.0, 1.0], [50.0, -40.0], [np.inf, np.nan]]})
    assert len(figure.axes[0].lines[0].get_xydata()) == 2
    assert figure.axes[0].get_xlim() == (-3, 3)
    assert not figure.legends


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"surface": 3}, TypeError, "surface must be a function of x and y, got int"),
        ({"surface": lambda x, y: 0 * x}, ValueError, "surface must not be flat"),
        ({"surface": lambda x, y: x[0]}, ValueError, r"surface\(x, y\) must have shape"),
        ({"surface": lambda x, y: x * np.nan}, ValueError, r"surface\(x, y\) must be finite"),
        ({"xlim": (1, 1)}, ValueError, r"xlim must increase, got \(1, 1\)"),
        ({"ylim": (1, 0)}, ValueError, "ylim must increase"),
        ({"paths": {"a": [1.0, 2.0]}}, ValueError, r"paths\['a'\] must have shape \(any, 2\)"),
        ({"paths": {}}, ValueError, "paths must have 1 to 7 entries"),
    ],
)
def test_contour_paths_refuse(change: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        valley(**change)


@pytest.mark.parametrize("ylim", [(-1.3, 2.5), (-1.0, 2.0), (0.0, 0.3), (-130.0, 250.0)])
def test_no_label_is_cut_off_beside_a_legend(ylim: tuple[float, float]) -> None:
    """Oracle: the figure's own box, inside of which everything drawn must lie."""
    x = np.linspace(-4, 4, 50)
    with figures.style():
        figure = figures.curves(
            x,
            {name: k * np.tanh(x) for k, name in enumerate(("sigmoid", "tanh", "ReLU", "GELU"))},
            xlabel="z",
            ylabel="f(z)",
            ylim=ylim,
        )
        figure.draw_without_rendering()
        drawn = figure.axes[0].get_tightbbox()
    assert drawn.x0 >= 0
    assert drawn.y1 <= figure.bbox.height
