"""An experiment spread over three machines: they leave at home what one machine alone would have, whatever their clocks say."""

import csv
import io
import json
import re
import shutil

import pytest

from tests.hosts import clocks
from tests.hosts.attempts import attempts
from tests.hosts.cluster import lander, machines_with_a_head
from tests.support.bits import Bits
from tests.support.live_home import experiment
from tests.support.networks import MISSING
from tests.support.video_reading import read_video

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600), pytest.mark.skipif(bool(MISSING), reason=MISSING)]
PPO = {"n_steps": 256, "batch_size": 64}
REST = {
    "environment": "CartPole-v1",
    "algorithm": "PPO",
    "training_steps": 6144,
    "checkpoint_frequency": 1024,
    "seeds": [0, 1, 2],
    "eval_episodes": 2,
    "eval_frequency": 2048,
}
FILE = REST | {
    "experiment_id": "x",
    "baseline": {"hyperparameters": PPO},
    "variants": {"variant": {"hyperparameters": {"learning_rate": 1e-3}}},
}
WANTED = experiment("x", PPO, **REST)
HOUR = 3600
CLOCKS = {"w1": HOUR, "w2": -HOUR}
MEASURED = {"wall_seconds", "cpu_seconds", "steps_per_second"}
"""What a report says of how long training took, which is never the same twice."""
OF_THE_LOG = {"position"}
"""How long the log is: it has more samples of the resources, the longer training takes."""
IN_WORDS_AND_PICTURES = {"report.html", "report.json", "report.md", "resources.png", "resources.svg"}
"""The files of a report in which they stand, too; the pages say what the findings say."""
LONGEST_SECONDS = 900.0
"""What no run can have taken here, since the whole test may not."""


@pytest.fixture(scope="module")
def at_home(tmp_path_factory):
    """The home of the same runs, trained on one machine without a disturbance."""
    directory = tmp_path_factory.mktemp("undisturbed")
    file = directory / "x.json"
    file.write_text(json.dumps(FILE))
    assert lander(directory / "home", "run", file)[0] == 0
    return directory / "home"


def train_on_three(cluster, environments=None):
    """Have the experiment trained, by the workers alone."""
    cluster.start(environments)
    cluster.leave_all_to_workers()
    cluster.submit(FILE)
    cluster.wait_completed()
    hosts = [attempt.host for run in attempts(cluster.home).values() for attempt in run]
    assert set(hosts) == {"w1", "w2", "w3"}
    assert len(hosts) == len(WANTED.runs)


def assert_same(home, other):
    for run in WANTED.runs:
        ours, theirs = Bits.of(home, run.id), Bits.of(other, run.id)
        assert ours.digests == theirs.digests
        assert ours.differences(theirs) == []


def reported(home):
    """All that a report says, by form and file, without what was measured by a clock."""
    code, findings = lander(home, "report", "x", "--format", "json")
    assert code == 0
    found = {"json": without(json.loads(findings), MEASURED | OF_THE_LOG)}
    for form in ("csv", "html"):
        assert lander(home, "report", "x", "--format", form)[0] == 0
    for path in (home / "experiments" / "x" / "reports").iterdir():
        if path.suffix == ".csv":
            found[path.name] = table(path.read_text())
        elif path.name not in IN_WORDS_AND_PICTURES:
            found[path.name] = path.read_bytes()
    lines = [" ".join(line.split()) for line in lander(home, "report", "x")[1].splitlines()]
    return found | {"text": [re.sub(r"(\d+:)+\d\d [\d,]+$", "TIME", line) for line in lines]}


def without(tree, names):
    """Plain data without the fields of these names; the seconds among them are possible ones."""
    match tree:
        case dict():
            assert all(0 < tree[name] < LONGEST_SECONDS for name in names & tree.keys() if name.endswith("_seconds"))
            return {name: without(value, names) for name, value in tree.items() if name not in names}
        case list():
            return [without(value, names) for value in tree]
    return tree


def table(text):
    rows = [row for row in csv.DictReader(io.StringIO(text)) if not row.get("name", "").startswith("time/")]
    return [{name: value for name, value in row.items() if name not in MEASURED} for row in rows]


def test_three_machines_leave_what_one_would_have_and_are_needed_no_more(tmp_path, at_home):
    with machines_with_a_head(4, tmp_path) as cluster:
        train_on_three(cluster)
    home = cluster.home
    for name in cluster.processes:
        shutil.rmtree(tmp_path / name)
    assert_same(home, at_home)
    assert reported(home) == reported(at_home)
    code, said = lander(home, "report", "x", "--format", "html", "--videos")
    assert code == 0
    films = sorted((home / "experiments" / "x" / "videos").glob("*.mp4"))
    assert len(films) == 6, "the best, the median and the worst of each arm"
    assert all(len(read_video(film)[1]) > 1 for film in films)
    for run in ("x/baseline/0", "x/variant/2"):
        code, said = lander(home, "verify", run)
        assert code == 0, said
        assert f"{run}: steps 1 to 6,144 come out the same once more: 6,144 steps and 6 checkpoints compared" in said
    assert lander(home, "check")[0] == 0


@pytest.mark.skipif(clocks.COMPILER is None, reason="needs a C compiler")
def test_clocks_that_are_wrong_by_an_hour_change_nothing_in_a_report(tmp_path, at_home):
    library = clocks.build(tmp_path)
    with machines_with_a_head(4, tmp_path) as cluster:
        train_on_three(cluster, {name: clocks.wrong_by(library, error) for name, error in CLOCKS.items()})
    assert_same(cluster.home, at_home)
    assert reported(cluster.home) == reported(at_home)
    seen = {
        attempt.host: round((attempt.trained_at - attempt.started_at) / 1e6 / HOUR)
        for run in attempts(cluster.home).values()
        for attempt in run
    }
    assert seen == {"w1": 1, "w2": -1, "w3": 0}, "they were wrong"
