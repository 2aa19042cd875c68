"""The live view: what it shows of a status, on a terminal and elsewhere."""

import io

import pytest
from rich.console import Console

from lander.app import live_view, status_text


def run(name="baseline", seed=0, **fields):
    empty = dict.fromkeys(
        ("cause", "detail", "steps_per_second", "eta_seconds", "mean_return", "resume", "host", "device", "pid")
    )
    rest = {"state": "queued", "step": 0, "total_steps": 1000, "percent": 0.0, "episodes": 0, "attempt": 0}
    return (
        empty
        | rest
        | dict.fromkeys(("checkpoint", "resources", "replay"))
        | {"id": f"x/{name}/{seed}", "arm": name, "seed": seed}
        | fields
    )


def running(name="baseline", seed=0, **fields):
    busy = {"state": "running", "step": 500, "percent": 50.0, "steps_per_second": 100.0, "eta_seconds": 5.0, "attempt": 1}
    resources = {"cpu_percent": 98.0, "memory_mb": 280.4, "gpu_percent": None}
    return run(name, seed, **(busy | {"mean_return": -12.34, "resources": resources} | fields))


def experiment(*runs, state="running", hypothesis="More is\nbetter", quarantine=None):
    return {"id": "x", "state": state, "hypothesis": hypothesis, "quarantine": quarantine, "runs": list(runs)}


def drawn(status, width=120, height=40):
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None, force_terminal=True)
    console.print(live_view.picture([status], width, height))
    return console.file.getvalue().splitlines()


def test_the_table_shows_every_number_of_a_run():
    heading, _, first, second, overall = drawn(experiment(running(), run("fast")))
    assert heading == "x: running – More is better"
    for cell in ("baseline/0", "running", "━", "500/1,000", "50%", "100", "-12.3", "0:05", "98%", "280 MB"):
        assert cell in first
    assert second.split()[:2] == ["fast/0", "queued"]
    assert overall == " 25%, about 0:15 left at 100 steps/s – 2 runs: 1 running, 1 queued"


@pytest.mark.parametrize("width", [60, 80, 110, 200])
def test_the_table_fits_its_screen(width):
    status = experiment(*(running(seed=seed, state="completed" if seed < 20 else "running") for seed in range(50)))
    lines = drawn(status, width, height=24)
    assert len(lines) <= 23
    assert all(len(line.rstrip()) <= width for line in lines)
    assert any("… and 31 more" in line for line in lines)
    assert "baseline/20" in lines[2]


def test_the_bar_gives_way_to_a_long_cause():
    line = drawn(experiment(running(state="failed", cause="environment_error")), width=110)[2]
    for cell in ("failed: environment_error", "500/1,000", "50%", "280 MB"):
        assert cell in line


def test_the_last_picture_is_whole():
    status = experiment(*(run(seed=seed, state="completed") for seed in range(50)), state="completed")
    assert sum("completed" in line for line in drawn(status, height=24)[2:-1]) == 50


def test_lines_tell_each_change_once(capsys):
    lines = live_view.Lines()
    lines.show(experiment(run(), state="queued"))
    lines.show(experiment(run(state="starting", attempt=1)))
    lines.show(experiment(running()))
    lines.show(experiment(running(step=700)))
    lines.show(experiment(running(state="completed", cause="completed", step=1000), state="completed"))
    assert capsys.readouterr().out.splitlines() == [
        "x: queued – More is better",
        "x: running – More is better",
        "x/baseline/0: starting",
        "x/baseline/0: running",
        "x/baseline/0: completed after 1,000 steps, mean return -12.3",
        "x: completed – More is better",
    ]


def test_lines_tell_of_progress_now_and_then(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(live_view.time, "monotonic", lambda: now[0])
    lines = live_view.Lines()
    for second in range(31):
        now[0] = float(second)
        lines.show(experiment(running()))
    told = [line for line in capsys.readouterr().out.splitlines() if "about" in line]
    assert told == ["x: 50%, about 0:05 left at 100 steps/s – 1 run: 1 running"] * 3


def test_lines_go_on_in_silence_when_nobody_reads(monkeypatch):
    class Closed(io.StringIO):
        def write(self, status_text):
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Closed())
    lines = live_view.Lines()
    lines.show(experiment(run()))
    lines.show(experiment(running()))


def test_quiet_shows_nothing(capsys):
    with live_view.live_view(quiet=True) as show:
        show(experiment(running()))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"state": "completed", "cause": "completed", "attempt": 2}, "completed"),
        ({"state": "stopped", "cause": "stopped", "attempt": 1}, "stopped"),
        ({"state": "failed", "cause": "crashed(SIGKILL)", "attempt": 4}, "failed: crashed(SIGKILL)"),
        ({"state": "queued", "cause": "crashed(SIGKILL)", "attempt": 1}, "queued: crashed(SIGKILL)"),
        ({"state": "running", "attempt": 2}, "running (attempt 2)"),
    ],
)
def test_a_state_tells_what_it_alone_does_not(fields, words):
    assert status_text.state(run(**fields)) == words


@pytest.mark.parametrize(("seconds", "written"), [(0.2, "0:00"), (7, "0:07"), (750, "12:30"), (11_100, "3:05:00")])
def test_durations(seconds, written):
    assert status_text.duration(seconds) == written


def test_numbers_that_are_none_are_dashes():
    assert (status_text.number(None), status_text.number(float("nan")), status_text.number(-1234.56)) == ("–", "–", "-1,234.6")


def test_of_an_experiment_in_quarantine_only_the_reason_is_shown():
    status = experiment(state="quarantined", quarantine="event 7 (Haunted): unknown")
    assert drawn(status) == ["x: quarantined – event 7 (Haunted): unknown"]


def test_a_hypothesis_that_wants_to_be_obeyed_is_shown(capsys):
    status = experiment(run(), hypothesis="\x1b[31mred \u202eesrow")
    assert drawn(status)[0] == r"x: running – \u001b[31mred \u202eesrow"
    live_view.Lines().show(status)
    assert r"\u001b[31mred \u202eesrow" in capsys.readouterr().out
