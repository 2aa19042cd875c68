"""The live view of a notebook: shown in a kernel and nowhere else, and replaced only when something has changed."""

import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from lander.app import status_text
from lander.app.notebook_view import NotebookView, in_notebook
from tests.unit.app.test_live_view import experiment, run, running


class Display:
    """What stands for IPython: keeps what is displayed, and what it is replaced by."""

    def __init__(self, monkeypatch, **shell):
        self.shown = []
        ipython, module = ModuleType("IPython"), ModuleType("IPython.display")
        ipython.get_ipython = lambda: SimpleNamespace(**shell)
        module.display = self._display
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        monkeypatch.setitem(sys.modules, "IPython.display", module)

    def _display(self, picture, *, display_id):
        assert display_id
        self.shown.append(("new", picture))
        return SimpleNamespace(update=lambda picture: self.shown.append(("update", picture)))


def test_only_a_kernel_is_a_notebook(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    Display(monkeypatch)
    assert not in_notebook(), "IPython on a terminal"
    Display(monkeypatch, kernel=object())
    assert in_notebook()


def test_one_output_is_replaced_when_something_has_changed(monkeypatch):
    display, view = Display(monkeypatch, kernel=object()), NotebookView()
    for step in (0, 0, 500, 500, 1000):
        view.show(experiment(running(step=step, percent=step / 10), run("fast")))
    assert [kind for kind, _ in display.shown] == ["new", "update", "update"]
    html = display.shown[1][1]._repr_html_()
    assert '<progress max="100" value="25.0"' in html
    assert "baseline/0" in html
    assert repr(display.shown[1][1]).splitlines()[0] == status_text.heading(experiment(running(), run("fast")))


@pytest.mark.parametrize(("progress", "shown"), [(None, True), (True, True), (False, False)])
def test_it_is_there_by_itself_and_can_be_switched_off(monkeypatch, capsys, progress, shown):
    from lander.api.experiments import _view

    display = Display(monkeypatch, kernel=object())
    with _view(progress) as show:
        show(experiment(running()))
    assert bool(display.shown) == shown
    assert capsys.readouterr().out == ""


def test_elsewhere_ipython_is_not_imported():
    code = "import sys; from lander.api.experiments import _view\nwith _view(None): print('IPython' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
