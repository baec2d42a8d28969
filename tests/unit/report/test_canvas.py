import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from fetal_lm.report.canvas import DOTS_PER_INCH, grid, legend_below, save


def drawn():
    figure, axes = grid(1, 2, (3.0, 2.0), "title")
    for axis in axes:
        axis.plot([1, 10, 100], [1, 2, 3], label="line")
        axis.set(xscale="log", xlabel="x", ylabel="y")
    legend_below(figure, axes)
    return figure


def test_drawn_once_is_drawn_the_same(tmp_path):
    save(drawn(), tmp_path / "once.png")
    FigureCanvasAgg(drawn()).print_figure(tmp_path / "twice.png", format="png")
    once, twice = Image.open(tmp_path / "once.png"), Image.open(tmp_path / "twice.png")
    assert np.array_equal(np.asarray(once), np.asarray(twice.convert("RGB")))
    assert once.mode == "RGB"
    assert round(once.info["dpi"][0]) == DOTS_PER_INCH
