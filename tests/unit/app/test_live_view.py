"""The live view: what it shows of a status, on a terminal and elsewhere."""

import io

import pytest
from rich.console import Console

from lander.app import live_view, status_text
from lander.app.screen import MOST_LISTED, OVERVIEW_LINES, screen, whole
from lander.cli.commands import status
from lander.store.projections.headline import Activity, headline


def run(name="baseline", seed=0, **fields):
    empty = dict.fromkeys(
        ("cause", "detail", "why", "steps_per_second", "eta_seconds", "mean_return", "resume", "host", "device", "pid")
    )
    rest = {"state": "queued", "phase": None, "step": 0, "total_steps": 1000, "percent": 0.0, "episodes": 0, "attempt": 0}
    return (
        empty
        | rest
        | dict.fromkeys(("checkpoint", "resources", "replay"))
        | {"id": f"x/{name}/{seed}", "arm": name, "seed": seed}
        | fields
    )


def running(name="baseline", seed=0, **fields):
    busy = {
        "state": "running",
        "phase": "training",
        "step": 500,
        "percent": 50.0,
        "steps_per_second": 100.0,
        "eta_seconds": 5.0,
        "attempt": 1,
    }
    resources = {"cpu_percent": 98.0, "memory_mb": 280.4, "gpu_percent": None}
    return run(name, seed, **(busy | {"mean_return": -12.34, "resources": resources} | fields))


def experiment(*runs, name="x", state="running", hypothesis="More is\nbetter", quarantine=None, holders=()):
    said = headline(state, [Activity(each["state"], each["phase"]) for each in runs], holders)
    return {"id": name, **said, "hypothesis": hypothesis, "quarantine": quarantine, "runs": list(runs)}


def drawn(*experiments, width=120, height=40, last=False):
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None, force_terminal=True)
    shown = whole(experiments) if last else screen(experiments, height - 1)
    console.print(live_view.picture(shown, width))
    return console.file.getvalue().splitlines()


def test_the_table_shows_every_number_of_a_run():
    heading, _, first, second, overall = drawn(experiment(running(), run("fast")))
    assert heading == "x: running (1 of 2) – More is better"
    for cell in ("baseline/0", "running", "━", "500/1,000", "50%", "100", "-12.3", "0:05", "98%", "280 MB"):
        assert cell in first
    assert second.split()[:2] == ["fast/0", "queued"]
    assert overall == "  25%, about 0:15 left at 100 steps/s – 2 runs: 1 running, 1 queued"


@pytest.mark.parametrize("width", [50, 60, 80, 110, 160, 200])
def test_the_table_fits_its_screen(width):
    status = experiment(*(running(seed=seed, state="completed" if seed < 20 else "running") for seed in range(50)))
    lines = drawn(status, width=width, height=24)
    assert len(lines) == 23
    assert all(len(line.rstrip()) <= width for line in lines)
    assert "  … and 31 more: 11 running, 20 completed" in lines
    assert "baseline/20" in lines[2]


@pytest.mark.parametrize("width", [50, 80, 110, 160])
def test_no_heading_shrinks_and_no_number_is_cut(width):
    words = "starting (attempt 2, replaying 412,000 steps, 12%, 0:52 left)"
    replay = {"played": 49_440, "total": 412_000, "seconds_left": 52.0}
    status = experiment(running(), run("fast", state="starting", phase="replaying", attempt=2, replay=replay))
    _, head, first, second, _ = drawn(status, width=width)
    names = head.split()
    assert set(names) <= set(status_text.HEADINGS)
    assert names[:2] == ["run", "state"]
    assert len(first.split()) == len(names) + ("━" in first) + ("memory" in names)
    said = second.strip().removeprefix("fast/0").strip()
    assert said.startswith(words) or (words.startswith(said.partition(" …")[0]) and width == 50)


def test_a_narrow_screen_leaves_out_whole_columns():
    status = experiment(running(), run("fast"))
    heads = {width: drawn(status, width=width)[1].split() for width in (50, 80, 160)}
    assert heads[160] == list(status_text.HEADINGS)
    assert heads[80] == ["run", "state", "steps", "done", "steps/s", "return", "left"]
    assert heads[50] == ["run", "state", "done", "left"]


@pytest.mark.parametrize("width", [50, 57])
def test_the_share_that_is_done_outlasts_the_progress_bar(width):
    long = "ten-passes-over-each-rollout"
    _, head, line, _ = drawn(experiment(running(long)), width=width)
    assert head.split()[:3] == ["run", "state", "done"]
    assert "50%" in line
    assert all(len(each) <= width for each in (head, line))


def test_notices_stand_below_and_nothing_is_pushed_off_the_screen():
    said = "no supervisor is running: this is how things stood; lander-ctl up carries on"
    file = io.StringIO()
    console = Console(file=file, width=50, height=8, color_system=None, force_terminal=True)
    with live_view.tables(console) as draw:
        draw(several(7), notices=lambda shown: [said])
    lines = file.getvalue().rpartition("\x1b[2K")[2].partition("\x1b[?25h")[0].splitlines()
    assert len(lines) <= 7
    assert lines[0].startswith("cart: running (1 of 2)")
    assert " ".join(" ".join(lines[-2:]).split()).startswith(said)


def test_notices_leave_half_of_the_screen_to_the_experiments():
    file = io.StringIO()
    console = Console(file=file, width=80, height=13, color_system=None, force_terminal=True)
    with live_view.tables(console) as draw:
        draw(several(7), notices=lambda shown: [f"{block.experiment['id']} is to be mended" for block in shown.blocks] * 2)
    lines = file.getvalue().rpartition("\x1b[2K")[2].partition("\x1b[?25h")[0].splitlines()
    assert len(lines) <= 12
    said = [line for line in lines if "is to be mended" in line]
    assert len(said) == 5
    assert lines[-1].startswith("… and ")
    assert lines[-1].endswith(" more notices: lander-ctl status has them")


def test_a_question_is_cut_between_words():
    status = experiment(run(), hypothesis="Ten passes over each rollout learn more than one")
    assert drawn(status, width=50)[0] == "x: waiting for a slot – Ten passes over each …"


def test_the_numbers_give_way_to_a_long_cause():
    line = drawn(experiment(running(state="failed", phase=None, cause="environment_error")), width=110)[2]
    for cell in ("failed: environment_error", "500/1,000", "50%", "-12.3"):
        assert cell in line


def test_the_last_picture_is_whole():
    status = experiment(*(run(seed=seed, state="completed") for seed in range(50)), state="completed")
    assert sum("completed" in line for line in drawn(status, height=24, last=True)[2:-1]) == 50


# --- many experiments -------------------------------------------------------------------------------------------------


def several(count, live=2):
    """So many experiments of four runs; the last ones train, and the others wait for the first of these."""
    waiting = [experiment(*(run(seed=seed) for seed in range(4)), name=f"e{n}", holders=["cart"]) for n in range(count - live)]
    return [*waiting, *(experiment(running(), run("fast"), name=name) for name in ("cart", "pole", "car")[:live])]


@pytest.mark.parametrize("width", [50, 80, 160])
@pytest.mark.parametrize("height", [4, 6, 12, 24, 60])
@pytest.mark.parametrize("count", [2, 7, 200])
def test_what_is_hidden_of_many_experiments_is_told(count, height, width):
    lines = drawn(*several(count), width=width, height=height)
    assert len(lines) <= height - 1
    assert all(len(line) <= width for line in lines)
    assert any(line.startswith("cart: running (1 of 2)") for line in lines)
    shown = sum(not line.startswith((" ", "…")) for line in lines)
    more = [line for line in lines if line.startswith("…")]
    assert [line.split(" experiment")[0] for line in more] == ([f"… and {count - shown} more"] if shown < count else [])


def test_of_many_experiments_those_that_train_have_tables_and_the_others_say_what_they_wait_for():
    lines = drawn(*several(7), height=24)
    assert [line for line in lines if "waiting" in line] == [f"e{n}: waiting for cart – More is better" for n in range(5)]
    assert [line.split()[0] for line in lines if "─" in line] == ["baseline/0", "fast/0"] * 2


def test_what_is_hidden_is_counted_by_its_state():
    paused = [experiment(run(state="paused"), name="idle", state="running")]
    lines = drawn(*ended(3), *several(4, live=3), *paused, height=8)
    assert lines[-1] == "… and 5 more experiments: 1 queued, 1 paused, 3 completed"


def ended(count, state="completed"):
    return [experiment(run(state=state, step=400), name=f"old{n}", state=state) for n in range(count)]


def test_of_what_has_ended_the_latest_have_a_line_and_the_last_a_table_if_nothing_is_under_way():
    headings = [line for line in drawn(*ended(3)) if not line.startswith(" ")]
    assert headings == [f"old{n}: completed – More is better" for n in range(3)]
    assert len(drawn(*ended(3))) == 6
    assert drawn(*ended(3), height=3)[0] == "old2: completed – More is better"
    assert drawn(*ended(3), height=3)[-1] == "… and 2 more experiments: 2 completed"


def test_what_has_ended_has_no_table_beside_what_trains_and_only_the_latest_have_a_line():
    lines = drawn(*ended(14, "stopped"), *several(7), height=60)
    assert [line for line in lines if line.startswith("old")] == [
        f"old{n}: stopped, 40% – More is better" for n in range(4, 14)
    ]
    assert lines[-1] == "… and 4 more experiments: 4 stopped"
    assert [line.split()[0] for line in lines if "─" in line] == ["baseline/0", "fast/0"] * 2


def test_what_has_ended_hides_nothing_that_is_under_way():
    for height in (4, 6, 12):
        lines = drawn(*ended(14), *several(7), height=height)
        assert any(line.startswith("old") for line in lines) <= any(line.startswith("e4: waiting") for line in lines)
        assert len(lines) <= height - 1


def test_a_quarantine_is_shown_before_what_ended_later():
    strange = experiment(name="strange", state="quarantined", quarantine="event 7 (Haunted): unknown")
    lines = drawn(strange, *ended(14), *several(2), height=24)
    assert lines[0] == "strange: quarantined – event 7 (Haunted): unknown"
    assert lines[-1].endswith("completed")


@pytest.mark.parametrize("width", [50, 80, 160, None])
@pytest.mark.parametrize("count", [1, 7, 200])
def test_what_is_printed_of_everything_is_an_overview_of_what_a_screen_shows(count, width):
    shown = screen([*ended(count), *several(count, live=min(count, 3))], OVERVIEW_LINES)
    lines = status._plain(shown, width).splitlines()
    assert len(lines) <= OVERVIEW_LINES
    assert all(len(line) <= width for line in lines if width)
    assert sum(line.startswith("old") for line in lines) == min(count, MOST_LISTED)
    assert sum("waiting for" in line for line in lines) == min(count - min(count, 3), MOST_LISTED)
    assert any(line.startswith("cart: running (1 of 2)") for line in lines)
    assert any(line.startswith("… and ") for line in lines) == (count == 200) == bool(shown.hidden)
    assert "\n\n\n" not in status._plain(shown, width)


def test_an_overview_is_whole_only_with_every_run():
    assert screen([experiment(running(), run("fast"))], OVERVIEW_LINES).is_whole
    assert not screen([experiment(*(run(seed=seed) for seed in range(OVERVIEW_LINES)))], OVERVIEW_LINES).is_whole
    assert not screen([*ended(1), *several(1, live=1)], OVERVIEW_LINES).is_whole
    assert not screen(several(200), OVERVIEW_LINES).is_whole


def test_an_experiment_in_one_line_tells_its_progress():
    lines = drawn(experiment(running(), run("fast")), height=4)
    assert lines == ["x: running (1 of 2), 25%, about 0:15 left at 100 steps/s – More is better"]


# --- progress ---------------------------------------------------------------------------------------------------------


def test_nothing_is_100_percent_before_it_is_done():
    evaluating = running(phase="evaluating", step=6144, total_steps=6000, percent=99.99, eta_seconds=None)
    assert status_text.cells(evaluating)[1:4] == ("running (evaluating)", "6,144/6,000", "99%")
    assert status_text.overall(experiment(evaluating)) == "99% – 1 run: 1 running"
    done = run(state="completed", step=6144, total_steps=6000, percent=100.0)
    assert status_text.overall(experiment(done, state="completed")) == "100% – 1 run: 1 completed"
    assert status_text.overall(experiment(done, evaluating)) == "99% – 2 runs: 1 completed, 1 running"


def test_the_time_left_is_told_as_soon_as_one_run_can_be_judged():
    early = running(eta_seconds=None, steps_per_second=9000.0)
    assert status_text.progress(experiment(early)) == "50%"
    assert status_text.progress(experiment(early, running())) == "50%, about 0:05 left at 200 steps/s"


# --- lines ------------------------------------------------------------------------------------------------------------


def test_lines_tell_each_change_once(capsys):
    lines = live_view.Lines()
    lines.show(experiment(run(), state="queued"))
    lines.show(experiment(run(state="starting", attempt=1)))
    lines.show(experiment(running()))
    lines.show(experiment(running(step=700)))
    lines.show(experiment(running(step=800, phase="evaluating")))
    lines.show(experiment(running(step=800)))
    lines.show(experiment(running(step=1000, phase="evaluating")))
    lines.show(experiment(running(state="completed", phase=None, cause="completed", step=1000), state="completed"))
    assert capsys.readouterr().out.splitlines() == [
        "x: waiting for a slot – More is better",
        "x/baseline/0: starting",
        "x: running – More is better",
        "x/baseline/0: running",
        "x/baseline/0: running (evaluating)",
        "x/baseline/0: completed after 1,000 steps, mean return -12.3",
        "x: completed – More is better",
    ]


def test_lines_tell_each_notice_once_as_long_as_it_holds(capsys):
    said = iter((["a"], ["a", "b"], ["b"], ["a"]))
    lines = live_view.Lines(lambda experiment: next(said))
    for _ in range(4):
        lines.show(experiment(run(), state="queued"))
    lines.show(experiment(run(state="completed", cause="completed", step=1000), state="completed"))
    assert capsys.readouterr().err.splitlines() == ["a", "b", "a"]


def test_lines_tell_nothing_of_what_had_ended_before(capsys):
    """As where seeds or an arm are added, or an experiment that has completed is run again."""
    done = [run(seed=seed, state="completed", cause="completed", step=1000) for seed in range(3)]
    live_view.Lines().show(experiment(*done, state="completed"))
    assert capsys.readouterr().out == "x: completed – More is better\n"
    lines = live_view.Lines()
    lines.show(experiment(*done, run(seed=3)))
    lines.show(experiment(*done, running(seed=3)))
    lines.show(experiment(*done, run(seed=3, state="completed", cause="completed", step=1000), state="completed"))
    assert capsys.readouterr().out.splitlines() == [
        "x: waiting for a slot (1 of 4) – More is better",
        "x: running (1 of 4) – More is better",
        "x/baseline/3: running",
        "x/baseline/3: completed after 1,000 steps",
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


def test_that_nobody_reads_is_not_kept_from_the_caller(monkeypatch):
    class Closed(io.StringIO):
        def write(self, status_text):
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Closed())
    with pytest.raises(BrokenPipeError):
        live_view.Lines().show(experiment(run()))


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
        ({"state": "running", "phase": "training", "attempt": 1}, "running"),
        ({"state": "running", "phase": "evaluating", "attempt": 2}, "running (evaluating, attempt 2)"),
        ({"state": "stopped", "phase": "owes an evaluation", "attempt": 1}, "stopped (owes an evaluation)"),
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
    assert drawn(status)[0] == r"x: waiting for a slot – \u001b[31mred \u202eesrow"
    live_view.Lines().show(status)
    assert r"\u001b[31mred \u202eesrow" in capsys.readouterr().out
