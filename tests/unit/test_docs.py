"""The documents tell the truth: what they show is generated, and what they name exists."""

import re
from pathlib import Path

import pytest

from lander.cli.main import COMMANDS
from lander.experiments.parsing import read_experiment
from lander.protocol.digests import digest
from lander.protocol.lifecycle import RUN_TRANSITIONS
from lander.protocol.states import TERMINAL
from tests.support.recorded import recorded

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_drawing_of_a_runs_life_is_the_table():
    drawn = re.findall(r"^    (\S+) --> (\S+)(?:: (\w+))?$", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE)
    table = [(before, after, kind) for (before, kind), after in RUN_TRANSITIONS.items()]
    ends = [(state, "[*]", "") for state in sorted(TERMINAL)]
    assert drawn == [("[*]", "queued", "ExperimentSubmitted"), *table, *ends]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_every_link_in_the_documents_exists(page):
    text = page.read_text()
    for command in re.findall(r"^\$ lander-ctl (\w+)", text, re.MULTILINE):
        assert command in COMMANDS
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (page.parent / link).exists(), link
    for path in re.findall(r"`((?:tests|benchmarks|examples)/[\w./-]+\.\w+)`", text):
        assert (ROOT / path).exists(), path


def test_the_readmes_experiment_is_the_example():
    written = re.search(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert written is not None
    shown = ROOT / "examples" / "ppo-learning-rate.yaml"
    example, _ = read_experiment(shown)
    import yaml

    assert digest(recorded(yaml.safe_load(written[1]))) == digest(example)


@pytest.mark.parametrize("example", sorted((ROOT / "examples").iterdir()), ids=lambda path: path.name)
def test_every_example_can_be_read(example):
    experiment, _ = read_experiment(example)
    assert experiment.variants
