"""What is to be mended before runs go on that came to nothing, as `status` says it."""

import pytest

from lander.app.ways_on import ways_on
from lander.cli.main import main
from lander.protocol import events as e
from lander.protocol.code import Code
from lander.store.log.event_store import batch_of
from lander.store.log.reader import Reader
from lander.store.projections.status import status
from tests.support.histories import experiment, submitted
from tests.support.written_homes import OTHER, RUN, attempt, write_log

CAPTURED = Code(archive="0" * 64, modules=("cart",))


def ended(home, cause, end, code=None, runs=(RUN, OTHER), exceeded=()):
    """An experiment whose runs came to this end."""
    wanted = experiment("x").model_copy(update={"code": code})
    write_log(home, batch_of("x", submitted(wanted)), *(batch_of(run.id, e.RunQueued()) for run in wanted.runs))
    for run in runs:
        limits = [e.ResourceLimitExceeded(epoch=1, limit=limit, value=2.0, allowed=1.0) for limit in exceeded]
        first, second = list(attempt(1, run=run, ended=False))
        asked = [e.StopRequested(reason="limit")] if exceeded else []
        write_log(home, first, second, batch_of(run, *limits, *asked, e.AttemptEnded(epoch=1, cause=cause), end))


def lines(home):
    with Reader(home) as reader:
        return list(ways_on(reader, status(reader)["experiments"]))


FAILED = e.RunFailed(cause="environment_error", detail="")


@pytest.mark.parametrize(
    ("code", "runs", "line"),
    [
        (CAPTURED, (RUN, OTHER), "once the environment of x is mended, lander-ctl retry x --new-code begins them anew"),
        (CAPTURED, (RUN,), f"once the environment of {RUN} is mended, lander-ctl retry {RUN} --new-code begins it anew"),
        (Code(), (RUN, OTHER), "once the environment of x is mended, lander-ctl retry x tries them again"),
        (None, (RUN,), f"once the environment of {RUN} is mended, lander-ctl retry {RUN} tries it again"),
    ],
)
def test_after_an_error_of_the_environment_the_way_on_is_new_code_if_some_was_captured(tmp_path, capsys, code, runs, line):
    ended(tmp_path, "environment_error", FAILED, code, runs)
    assert lines(tmp_path) == [line]
    assert main(["status", "x", "--home", str(tmp_path)]) == 0
    said = line.replace("lander-ctl retry", f"lander-ctl retry --home {tmp_path}")
    assert f"lander-ctl: {said}" in " ".join(capsys.readouterr().err.split())


def test_watching_says_it_too(tmp_path, capsys):
    ended(tmp_path, "environment_error", FAILED)
    said = []
    for options in ((), ("--watch",)):
        assert main(["status", "x", *options, "--home", str(tmp_path)]) == 0
        said.append(capsys.readouterr().err)
    assert "once the environment of x is mended, " in said[0]
    assert said[0] == said[1]


@pytest.mark.parametrize("end", [e.RunStopped(reason="limit"), e.RunPaused(reason="limit")])
def test_after_a_limit_was_exceeded_the_setting_is_named_and_where_it_stands(tmp_path, end):
    ended(tmp_path, "limit_exceeded", end, exceeded=("memory_mb", "wall_hours"))
    changes = "resource_limits.memory_mb=N resource_limits.wall_hours=N"
    assert lines(tmp_path) == [
        "before lander-ctl resume x goes on with what exceeded a limit, raise resource_limits.memory_mb and"
        f" resource_limits.wall_hours in the experiment file, or by lander-ctl run x {changes}"
    ]


def test_of_what_has_failed_otherwise_nothing_is_said(tmp_path):
    ended(tmp_path, "crashed", e.RunFailed(cause="crashed", detail=""), CAPTURED)
    assert lines(tmp_path) == []
