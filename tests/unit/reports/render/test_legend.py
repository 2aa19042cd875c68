"""The names of arms stay within their figure, however many there are and however long they are."""

import numpy as np
import pytest

from lander.reports.render.drawing import figure, settings
from lander.reports.render.legend import BESIDE_AXES, add_legend, lines_of, wrapped

LONGEST = ["w" * 64, "a-name-of-several-parts-as-a-script-makes-it-lr-0.001-batch-256.0", "M" * 64]


@pytest.mark.parametrize("names", [["baseline", "fast"], ["baseline", *LONGEST]])
@pytest.mark.parametrize("arms", [2, 6, 12])
def test_the_legend_is_within_the_figure(arms, names):
    labels = [f"{names[index % len(names)]}"[: 62 if index else 64] + f"{index:02}" for index in range(arms)]
    with settings():
        drawn, (axes,) = figure(4.1, 3.0)
        for label in labels:
            axes.plot([0, 1], [0, 1], label=label)
        height = drawn.get_figheight()
        add_legend(drawn, axes)
        drawn.draw_without_rendering()
        (legend,) = drawn.legends
        assert ["".join(text.get_text().split("\n")) for text in legend.get_texts()] == labels
        box, plot, whole = legend.get_window_extent(), axes.get_window_extent(), drawn.bbox
        assert whole.x0 <= box.x0 < box.x1 <= whole.x1
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1
        assert plot.height / drawn.dpi > 0.6 * height  # what the legend takes is added to the figure


@pytest.mark.parametrize("name", [*LONGEST, "short", "0.00025-0.00030-lr"])
def test_a_name_is_broken_between_its_parts_and_nothing_of_it_is_lost(name):
    lines = wrapped(name, BESIDE_AXES)
    assert lines.replace("\n", "") == name
    assert max(map(len, lines.split("\n"))) <= BESIDE_AXES
    assert lines_of([lines, "short"]) == lines.count("\n") + 1


def test_without_a_name_there_is_no_legend():
    with settings():
        drawn, (axes,) = figure(4.1, 3.0)
        axes.plot(np.arange(3), np.arange(3))
        add_legend(drawn, axes)
    assert drawn.legends == []
