"""The style of the course's figures, and the figures that several lessons share.

Every helper returns a ``matplotlib.figure.Figure`` that pyplot does not
know about. A cell that ends in one therefore shows it once, and no figure
stays open behind the reader's back.

The background is white rather than transparent, because notebooks are also
read in dark JupyterLab, VS Code and Colab, where black text on nothing cannot
be read; the website turns the colours round in its dark theme.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from companion._validation import FloatArray, choice, float_array, integer, real

#: The palette of Okabe and Ito (2008) without its yellow, which vanishes on
#: white, in an order that puts the darkest first.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
#: The second cue. Whoever cannot tell two colours apart can tell two dashes apart.
LINE_STYLES: tuple[Any, ...] = (
    "-",
    (0, (5, 2)),
    (0, (1, 1.2)),
    (0, (7, 2, 1.5, 2)),
    (0, (3, 1)),
    (0, (4, 1, 1, 1, 1, 1)),
    (0, (9, 3)),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

#: Width and height in inches. At this width 11-point text is still legible when
#: a phone shrinks the figure to 320 pixels.
SIZE = (5.0, 3.0)

#: Two runs of one figure give the same bytes, since ids come from the salt and not from chance.
SVG_METADATA: dict[str, str | None] = {"Date": None, "Creator": None}

#: Settings for matplotlib, as ``matplotlib.rc_context`` takes them.
STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#444444",
    "axes.facecolor": "white",
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=COLOURS) + cycler(linestyle=LINE_STYLES),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "figure.figsize": SIZE,
    "font.size": 11,
    "grid.color": "#d9d9d9",
    "grid.linewidth": 0.7,
    "image.cmap": "cividis",
    "image.interpolation": "none",
    "legend.fontsize": 10.5,
    "legend.frameon": False,
    "legend.handlelength": 2.8,
    "lines.linewidth": 2.0,
    "lines.markersize": 6.0,
    "svg.fonttype": "path",
    "svg.hashsalt": "matrices-and-memory",
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the course's style inside a ``with`` block, and in the old one after it.

    Examples
    --------
    >>> import matplotlib
    >>> with style():
    ...     matplotlib.rcParams["font.size"]
    11.0
    """
    with mpl.rc_context(STYLE):
        yield


def use_style() -> None:
    """Set the course's style for the rest of a notebook: once, in its imports cell.

    Outside IPython only matplotlib's settings change. In a notebook figures
    are shown as SVG as well, without the date that would make two runs differ.
    """
    mpl.rcParams.update(STYLE)
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is not None:
        from IPython.core.pylabtools import select_figure_formats
        from matplotlib_inline.config import InlineBackend

        # Without bbox_inches=None IPython crops a figure to what is drawn.
        options: Any = {"bbox_inches": None, "metadata": SVG_METADATA}
        select_figure_formats(shell, {"svg"}, **options)  # type: ignore[no-untyped-call]
        # pyplot's first figure sets the formats again, from this configuration.
        backend = InlineBackend.instance(parent=shell)
        backend.print_figure_kwargs = options
        backend.figure_formats = {"svg"}


def curves(
    x: ArrayLike,
    runs: Mapping[str, ArrayLike],
    *,
    xlabel: str,
    ylabel: str,
    xscale: str = "linear",
    yscale: str = "linear",
    ylim: tuple[float, float] | None = None,
    size: tuple[float, float] = SIZE,
) -> Figure:
    """Plot one curve per method: the mean over seeds, with a band of one standard deviation.

    On a logarithmic y axis mean and standard deviation are those of the
    logarithm, so that one large run does not decide the curve and the band
    stays positive.

    Parameters
    ----------
    x : array_like, shape (points,)
        Positions, finite.
    runs : mapping of str to array_like, shape (points,) or (seeds, points)
        Label of a curve and its values. NaN means "no value": a point at which
        any seed is NaN is left out, since the mean of the others would mislead.
    xlabel, ylabel : str
        Axis labels with units.
    xscale, yscale : {"linear", "log"}
        Scales of the axes.
    ylim : (float, float), optional
        Limits of the y axis.
    size : (float, float)
        Width and height in inches, without the legend, which adds its own height.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        On shapes that do not fit, infinite values, values that are not
        positive on a logarithmic axis, or more than seven curves.
    TypeError
        On values that are not real numbers.

    Examples
    --------
    >>> figure = curves(
    ...     [1, 2, 3],
    ...     {"sigmoid": [[0.5, 0.25, 0.12], [0.6, 0.2, 0.1]], "ReLU": [1.0, 0.9, 0.8]},
    ...     xlabel="layer", ylabel="gradient norm", yscale="log",
    ... )
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['sigmoid', 'ReLU']
    """
    positions = float_array("x", x, ndim=1, finite=True)
    _scale("xscale", xscale, positions, "x")
    _named("runs", runs, most=len(COLOURS))
    with style():
        figure, axes = _blank(size, xlabel, ylabel)
        for k, (name, values) in enumerate(runs.items()):
            array = np.atleast_2d(float_array(f"runs[{name!r}]", values))
            if array.shape[1:] != positions.shape or not array.size:
                raise ValueError(
                    f"runs[{name!r}] must have shape ({positions.size},) or "
                    f"(seeds, {positions.size}), got {np.shape(values)}"
                )
            if np.isinf(array).any():
                raise ValueError(f"runs[{name!r}] must not be infinite; use NaN to leave a gap")
            _scale("yscale", yscale, array, f"runs[{name!r}]")
            middle, low, high = _mean_and_band(array, log=yscale == "log")
            axes.plot(
                positions,
                middle,
                label=name,
                marker=MARKERS[k],
                # About eight markers, at another place on each curve, so that
                # curves that coincide can still be told apart.
                markevery=_marker_places(positions.size, k),
            )
            if len(array) > 1:
                axes.fill_between(positions, low, high, color=COLOURS[k], alpha=0.18, linewidth=0)
        axes.set_xscale(xscale)
        axes.set_yscale(yscale)
        axes.set_ylim(ylim)
        _legend_below(figure, len(runs))
    return figure


def _mean_and_band(array: FloatArray, *, log: bool) -> tuple[FloatArray, FloatArray, FloatArray]:
    values = np.log10(array) if log else array
    mean = values.mean(axis=0)
    spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros_like(mean)
    bands = np.stack([mean, mean - spread, mean + spread])
    middle, low, high = 10.0**bands if log else bands
    return middle, low, high


def _marker_places(points: int, curve: int) -> tuple[int, int]:
    step = max(1, points // 8)
    return (curve * max(1, step // 3)) % step, step


def dot_intervals(
    groups: Mapping[str, ArrayLike],
    *,
    xlabel: str,
    xscale: str = "linear",
    size: tuple[float, float] | None = None,
) -> Figure:
    """Compare methods by the mean over seeds, one standard deviation, and every seed.

    Parameters
    ----------
    groups : mapping of str to array_like, shape (seeds,)
        Label of a row and its value for each seed; at least two seeds.
    xlabel : str
        Axis label with its unit.
    xscale : {"linear", "log"}
        Scale of the axis. The mean is the arithmetic one on either.
    size : (float, float), optional
        Width and height in inches. By default the height follows the number of rows.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        On fewer than two seeds, values that are not finite, or values that are
        not positive on a logarithmic axis.
    TypeError
        On values that are not real numbers.

    Examples
    --------
    >>> figure = dot_intervals(
    ...     {"SGD": [0.95, 0.96, 0.94], "Adam": [0.97, 0.96, 0.98]}, xlabel="test accuracy"
    ... )
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['SGD', 'Adam']
    """
    _named("groups", groups)
    if size is None:
        size = (SIZE[0], 1.1 + 0.42 * len(groups))
    with style():
        figure, axes = _blank(size, xlabel, "")
        for row, (name, values) in enumerate(groups.items()):
            array = float_array(f"groups[{name!r}]", values, ndim=1, finite=True)
            if array.size < 2:
                raise ValueError(f"groups[{name!r}] must hold at least two seeds, got {array.size}")
            _scale("xscale", xscale, array, f"groups[{name!r}]")
            colour = COLOURS[row % len(COLOURS)]
            mean, spread = array.mean(), array.std(ddof=1)
            rows = np.full(array.size, row - 0.22)
            axes.plot(array, rows, "|", color=colour, markersize=8, markeredgewidth=1.5)
            axes.errorbar(
                mean,
                row,
                xerr=spread,
                fmt=MARKERS[row % len(MARKERS)],
                color=colour,
                markersize=8,
                elinewidth=2,
                capsize=4,
            )
        axes.set_xscale(xscale)
        axes.set_yticks(range(len(groups)), list(groups))
        axes.set_ylim(len(groups) - 0.5, -0.6)
        axes.grid(visible=False, axis="y")
    return figure


def image_grid(
    images: ArrayLike,
    titles: Sequence[str] | None = None,
    *,
    columns: int = 5,
    limits: tuple[float, float] | None = None,
    cmap: str = "gray_r",
) -> Figure:
    """Show images side by side on one scale of brightness.

    Parameters
    ----------
    images : array_like, shape (n, height, width)
        The images, in reading order; the smallest value is drawn white.
    titles : sequence of str, length n, optional
        What to write over each image.
    columns : int
        Images in a row.
    limits : (float, float), optional
        The values drawn white and black; the smallest and largest by default.
    cmap : str
        Name of a matplotlib colour map.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        On a wrong shape, values that are not finite, or a wrong number of titles.
    TypeError
        On values that are not real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> figure = image_grid(np.zeros((3, 8, 8)), ["0", "1", "2"], columns=3)
    >>> [axes.get_title() for axes in figure.axes]
    ['0', '1', '2']
    """
    array = float_array("images", images, ndim=3, finite=True)
    if not array.size:
        raise ValueError(f"images must not be empty, got shape {array.shape}")
    columns = min(integer("columns", columns), len(array))
    if titles is not None and len(titles) != len(array):
        raise ValueError(f"titles must hold {len(array)} strings, got {len(titles)}")
    low, high = limits if limits is not None else (array.min(), array.max())
    rows = -(-len(array) // columns)
    cell = SIZE[0] / max(columns, 4)
    lines = 1 + max(title.count("\n") for title in titles) if titles else 0
    with style():
        height = rows * (cell * array.shape[1] / array.shape[2] + 0.1 + 0.18 * lines)
        figure = Figure(figsize=(columns * cell, height))
        for k, image in enumerate(array):
            axes = figure.add_subplot(rows, columns, k + 1)
            axes.imshow(image, cmap=cmap, vmin=low, vmax=high)
            axes.set_axis_off()
            if titles is not None:
                axes.set_title(titles[k], fontsize=10.5, pad=3)
    return figure


def heatmap(
    matrix: ArrayLike,
    *,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    xlabel: str = "",
    ylabel: str = "",
    colour_label: str = "",
    scale: str = "linear",
    centre: float | None = None,
    annotations: Sequence[Sequence[str]] | str | None = "{:.2f}",
    size: tuple[float, float] | None = None,
) -> Figure:
    """Show a matrix as coloured cells with its numbers written in them.

    Parameters
    ----------
    matrix : array_like, shape (m, n)
        The values. NaN means "no value": the cell stays grey.
    rows, columns : sequence of str, length m and n, optional
        Names of rows and columns.
    xlabel, ylabel, colour_label : str
        Labels of the axes and the colour bar, with units.
    scale : {"linear", "log"}
        Scale of the colours.
    centre : float, optional
        The value that two-sided colours meet at (red above, blue below).
    annotations : str, sequence of sequence of str, or None
        A format for each value, the texts themselves, shape (m, n), or nothing.
        NaN is written as a dash.
    size : (float, float), optional
        Width and height in inches. By default the height follows the rows.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        On a wrong shape or wrong numbers of names, infinite values, no value at
        all, values that are not positive on a logarithmic scale, or ``centre``
        with a logarithmic scale.
    TypeError
        On values that are not real numbers.

    Examples
    --------
    >>> figure = heatmap([[1.0, 0.5], [0.25, float("nan")]], rows=["a", "b"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1.00', '0.50', '0.25', '-']
    """
    array = float_array("matrix", matrix, ndim=2)
    if not np.isfinite(array).any() or np.isinf(array).any():
        raise ValueError("matrix must hold finite values, or NaN where there is none")
    _scale("scale", scale, array, "matrix")
    for name, names, length in (("rows", rows, len(array)), ("columns", columns, array.shape[1])):
        if names is not None and len(names) != length:
            raise ValueError(f"{name} must hold {length} names, got {len(names)}")
    texts = _cell_texts(array, annotations)
    low, high = float(np.nanmin(array)), float(np.nanmax(array))
    norm: Normalize
    if centre is None:
        norm = LogNorm(low, high) if scale == "log" else Normalize(low, high)
    else:
        middle = real("centre", centre)
        if scale == "log":
            raise ValueError("centre must be None when scale is 'log'")
        reach = max(abs(low - middle), abs(high - middle)) or 1.0
        norm = TwoSlopeNorm(middle, middle - reach, middle + reach)
    with style():
        figure, axes = _blank(size or (SIZE[0], 1.5 + 0.4 * len(array)), xlabel, ylabel)
        cmap = mpl.colormaps["cividis" if centre is None else "RdBu_r"].with_extremes(bad="#e6e6e6")
        # Squares drawn one by one stay sharp at any size; an image would be resampled.
        mesh = axes.pcolormesh(np.ma.masked_invalid(array), cmap=cmap, norm=norm)
        mesh.set_edgecolor("white")
        for (i, j), value in np.ndenumerate(array):
            axes.text(
                j + 0.5,
                i + 0.5,
                texts[i][j],
                ha="center",
                va="center",
                color=_ink(cmap(norm(value))) if np.isfinite(value) else "black",
            )
        axes.set_xticks(*_ticks(columns, array.shape[1]))
        axes.set_yticks(*_ticks(rows, len(array)))
        axes.tick_params(length=0)
        axes.invert_yaxis()
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        bar = figure.colorbar(mesh, ax=axes, label=colour_label)
        bar.outline.set_visible(False)
    return figure


def _ink(paper: ArrayLike) -> str:
    """Return the colour of text, black or white, that stands out more (WCAG's contrast)."""
    channels = np.asarray(paper)[:3]
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    return "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "black"


def _cell_texts(
    array: FloatArray, annotations: Sequence[Sequence[str]] | str | None
) -> Sequence[Sequence[str]]:
    if isinstance(annotations, str):
        return [
            ["-" if np.isnan(value) else annotations.format(value) for value in row]
            for row in array
        ]
    if annotations is None:
        return [[""] * array.shape[1]] * len(array)
    if [len(row) for row in annotations] != [array.shape[1]] * len(array):
        raise ValueError(f"annotations must have shape {array.shape}, like matrix")
    return annotations


def _ticks(names: Sequence[str] | None, length: int) -> tuple[list[float], list[str]]:
    labels = [str(k) for k in range(length)] if names is None else list(names)
    return [k + 0.5 for k in range(length)], labels


def contour_paths(
    surface: Callable[[FloatArray, FloatArray], FloatArray],
    paths: Mapping[str, ArrayLike],
    *,
    xlim: tuple[float, float],
    ylim: tuple[float, float],
    xlabel: str,
    ylabel: str,
    minimum: tuple[float, float] | None = None,
    size: tuple[float, float] = (5.0, 3.5),
) -> Figure:
    """Draw the level lines of a surface and the ways that optimisers took over it.

    The levels are spaced evenly in the logarithm of the height over the lowest
    point in view, so that the floor of a narrow valley shows as well as its walls.

    Parameters
    ----------
    surface : callable
        Takes two arrays of shape (m, n), x and y, and returns the height, (m, n).
    paths : mapping of str to array_like, shape (steps, 2)
        Label and positions of each way, the start first. A way may leave the
        view; positions that are not finite are left out.
    xlim, ylim : (float, float)
        The part of the plane to show.
    xlabel, ylabel : str
        Axis labels.
    minimum : (float, float), optional
        Where to draw a star for the lowest point.
    size : (float, float)
        Width and height in inches, without the legend, which adds its own height.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        On limits that do not increase, a surface that returns a wrong shape,
        is not finite or is flat, or paths of a wrong shape.
    TypeError
        On a surface that cannot be called, or paths that are not real numbers.

    Examples
    --------
    >>> figure = contour_paths(
    ...     lambda x, y: x**2 + 10 * y**2, {"SGD": [[2.0, 1.0], [1.0, 0.2]]},
    ...     xlim=(-3, 3), ylim=(-2, 2), xlabel="$w_1$", ylabel="$w_2$", minimum=(0, 0),
    ... )
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['SGD', 'minimum']
    """
    if not callable(surface):
        raise TypeError(f"surface must be a function of x and y, got {type(surface).__name__}")
    for name, (left, right) in (("xlim", xlim), ("ylim", ylim)):
        if not left < right:
            raise ValueError(f"{name} must increase, got ({left}, {right})")
    _named("paths", paths, most=len(COLOURS))
    x, y = np.meshgrid(np.linspace(*xlim, 121), np.linspace(*ylim, 121))
    height = float_array("surface(x, y)", surface(x, y), shape=x.shape, finite=True)
    low, high = height.min(), height.max()
    if low == high:
        raise ValueError(f"surface must not be flat, got {low:g} everywhere")
    with style():
        figure, axes = _blank(size, xlabel, ylabel)
        levels = low + (high - low) * np.geomspace(1e-3, 1.0, 13)
        axes.contour(x, y, height, levels=levels, colors="#9a9a9a", linewidths=0.8)
        for k, (name, path) in enumerate(paths.items()):
            points = float_array(f"paths[{name!r}]", path, shape=(None, 2))
            points = points[np.isfinite(points).all(axis=1)]
            axes.plot(
                points[:, 0],
                points[:, 1],
                label=name,
                marker=MARKERS[k],
                markevery=_marker_places(len(points), k),
                markersize=5,
            )
        if minimum is not None:
            axes.plot(*minimum, "*", color="black", markersize=13, label="minimum")
        axes.set_xlim(xlim)
        axes.set_ylim(ylim)
        axes.grid(visible=False)
        _legend_below(figure, len(paths) + (minimum is not None))
    return figure


def _blank(size: tuple[float, float], xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size)
    axes = figure.add_subplot()
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    return figure, axes


def _legend_below(figure: Figure, entries: int) -> None:
    """Put the legend under the axes: it hides no curve and costs no width on a phone."""
    if entries < 2:
        return
    for axes in figure.axes:
        if axes.get_yscale() == "linear":
            # The number of ticks must not depend on the height that the legend leaves, or the
            # layout makes room for labels other than those it then draws.
            axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    columns = min(entries, 4)
    legend = figure.legend(loc="outside lower center", ncols=columns)
    while columns > 1 and legend.get_window_extent().width > figure.bbox.width:
        columns -= 1
        legend.remove()
        legend = figure.legend(loc="outside lower center", ncols=columns)
    extent = legend.get_window_extent()
    figure.set_figheight(figure.get_figheight() + extent.height / figure.dpi)


def _named(argument: str, mapping: Mapping[str, Any], *, most: int | None = None) -> None:
    if not isinstance(mapping, Mapping):
        raise TypeError(f"{argument} must map labels to values, got {type(mapping).__name__}")
    if not mapping or (most is not None and len(mapping) > most):
        limit = "at least 1" if most is None else f"1 to {most}"
        raise ValueError(f"{argument} must have {limit} entries, got {len(mapping)}")


def _scale(argument: str, scale: str, values: FloatArray, of: str) -> None:
    choice(argument, scale, ("linear", "log"))
    # NaN compares false, so gaps pass.
    if scale == "log" and (values <= 0).any():
        raise ValueError(
            f"{of} must be positive when {argument} is 'log', got {np.nanmin(values):g}; "
            "use NaN to leave a gap"
        )
