"""The documents tell the truth: what they show is generated, and what they name exists."""

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import click
import pytest
import yaml

from lander.cli.command_names import COMMANDS
from lander.cli.main import cli
from lander.cli.options import CommandSettings
from lander.experiments.file_formats import parse_yaml
from lander.experiments.hyperparameter_tables import ALGORITHMS
from lander.experiments.hyperparameters import accepted
from lander.experiments.meanings import MEANINGS
from lander.experiments.parsing import parse_experiment, read_experiment
from lander.protocol.commands import COMMAND_TYPES
from lander.protocol.digests import digest
from lander.protocol.events import EVENT_TYPES
from lander.protocol.lifecycle import EXPERIMENT_TRANSITIONS, RUN_TRANSITIONS
from lander.protocol.states import TERMINAL
from tests.support.recorded import recorded

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
BLOCKS = [
    (page, language, body) for page in PAGES for language, body in re.findall(r"```(\w+)\n(.*?)```", page.read_text(), re.S)
]


def _generator():
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATED = {path: page() for path, page in _generator().PAGES.items()}


def name(value):
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else None


# --- what the pages name --------------------------------------------------------------------------------------------------


def test_the_drawing_of_a_runs_life_is_the_table():
    drawn = re.findall(r"^    (\S+) --> (\S+)(?:: (\w+))?$", (DOCS / "architecture.md").read_text(), re.MULTILINE)
    table = [(before, after, kind) for (before, kind), after in RUN_TRANSITIONS.items()]
    ends = [(state, "[*]", "") for state in sorted(TERMINAL)]
    assert drawn == [("[*]", "queued", "ExperimentSubmitted"), *table, *ends]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_and_every_path_in_the_documents_exists(page):
    text = page.read_text()
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        target = (page.parent / link).resolve()
        assert target.exists() or str(target.relative_to(DOCS)) in GENERATED, link
    for path in re.findall(r"`((?:tests|benchmarks|examples)/[\w./-]+\.\w+)`", text):
        assert (ROOT / path).exists(), path


def test_every_page_of_the_site_is_in_its_navigation():
    def listed(part):
        if isinstance(part, str):
            yield part
        for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            yield from listed(each)

    navigation = set(listed(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    written = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} - {"sample-report/report.md"}
    decisions = {page for page in written if page.startswith("decisions/0")}  # these are listed when the site is built
    assert navigation == (written | GENERATED.keys()) - decisions


# --- commands -------------------------------------------------------------------------------------------------------------


def _command_lines():
    """Every `lander-ctl …` that a page shows as typed, as its words."""
    for page, language, body in [*BLOCKS, *_generated_blocks()]:
        typed = {"console": r"^\$ (.*)", "bash": r"^\s*(.*)"}.get(language)
        for line in re.findall(typed, body, re.MULTILINE) if typed else ():
            for words in re.findall(r"lander-ctl [^)]*", re.sub(r"\s#.*|\|.*|>.*", "", line)):
                for part in re.split(r"&&|;", words):
                    if part.strip().startswith("lander-ctl ") and "--version" not in part:
                        yield pytest.param(shlex.split(part)[1:], id=f"{name(page) or page}: {part.strip()}")


def _generated_blocks():
    for path, text in GENERATED.items():
        for language, body in re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL):
            yield path, language, body


@pytest.mark.parametrize("words", list(_command_lines()))
def test_every_command_in_the_documents_is_understood(words, monkeypatch):
    """Parsed, and not carried out: its options exist, their values have the right types, and nothing is missing."""
    monkeypatch.chdir(ROOT)
    context = cli.make_context("lander-ctl", list(words), obj=CommandSettings())
    command, *rest = [*context._protected_args, *context.args]
    assert command in COMMANDS
    cli.get_command(context, command).make_context(command, rest, parent=context)
    for word in rest:
        assert not word.startswith("examples/") or Path(word).exists(), word


def test_every_command_has_an_example():
    assert {param.values[0][0] for param in _command_lines()} == set(COMMANDS)


def test_wrong_commands_would_be_found():
    context = cli.make_context("lander-ctl", ["status"], obj=CommandSettings())
    with pytest.raises(click.UsageError):
        cli.get_command(context, "status").make_context("status", ["--wach"], parent=context)


# --- experiment files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "body"), [(page, body) for page, kind, body in BLOCKS if kind == "yaml"], ids=name)
def test_every_experiment_in_the_documents_can_be_read(page, body):
    data = yaml.safe_load(body)
    if data is None:
        assert body.startswith("# yaml-language-server")
    elif "environment" in data:
        assert parse_experiment(parse_yaml(body), source=page.name)[0].arms
    else:
        assert data.keys() <= MEANINGS.keys()


@pytest.mark.parametrize(("page", "example"), [("README.md", "ppo-learning-rate.yaml"), ("docs/tutorial.md", "cartpole.yaml")])
def test_the_experiment_on_the_page_is_the_example(page, example):
    (written,) = [body for of, kind, body in BLOCKS if of == ROOT / page and kind == "yaml"]
    expected, _ = read_experiment(ROOT / "examples" / example)
    assert digest(recorded(parse_yaml(written))) == digest(expected)


@pytest.mark.parametrize("example", sorted((ROOT / "examples").iterdir()), ids=lambda path: path.name)
def test_every_example_can_be_read(example):
    experiment, _ = read_experiment(example)
    assert experiment.variants


# --- Python ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "body"), [(page, body) for page, kind, body in BLOCKS if kind == "python"], ids=name)
def test_every_python_block_compiles_and_imports_names_that_exist(page, body):
    import lander

    compile(body, page.name, "exec")
    for names in re.findall(r"^from lander import (.*)$", body, re.MULTILINE):
        assert {each.strip() for each in names.split(",")} <= set(lander.__all__)


def test_the_environment_of_the_how_to_is_an_environment(monkeypatch, tmp_path):
    import gymnasium
    from gymnasium.utils.env_checker import check_env

    page = DOCS / "how-to" / "own-environment.md"
    (module, *_) = [body for of, kind, body in BLOCKS if of == page and kind == "python"]
    (tmp_path / "corridor.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        environment = gymnasium.make("corridor:Corridor-v0", length=12, render_mode="rgb_array")
        check_env(environment.unwrapped, skip_close_check=True)
        assert environment.reset(seed=0)[0] == environment.reset(seed=0)[0]
    finally:
        sys.modules.pop("corridor", None)
        gymnasium.registry.pop("Corridor-v0", None)


# --- the generated reference ------------------------------------------------------------------------------------------------


def section(page, heading):
    """What stands under a heading of a generated page, up to the next of its level."""
    pattern = rf"^{re.escape(heading)}$(.*?)(?=^{heading.split()[0]} |\Z)"
    found = re.search(pattern, GENERATED[f"reference/{page}.md"], re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    return found[1]


def test_the_reference_lists_every_command_with_every_option():
    context = click.Context(cli, info_name="lander-ctl")
    for command in COMMANDS:
        for parameter in cli.get_command(context, command).params:
            option = parameter.opts[-1]
            shown = option.startswith("--") and not parameter.hidden
            if shown and option not in ("--verbose", "--quiet", "--output-dir"):
                assert option in section("cli", f"## {command}")


@pytest.mark.parametrize(("page", "kinds"), [("events", EVENT_TYPES), ("commands", COMMAND_TYPES)], ids=["events", "commands"])
def test_the_reference_lists_every_message_with_every_field(page, kinds):
    for kind, message in kinds.items():
        assert all(f"| `{field}` |" in section(page, f"## {kind}") for field in message.model_fields)


def test_the_reference_lists_every_setting_and_every_hyperparameter():
    page = GENERATED["reference/experiment-file.md"]
    assert all(f"| `{setting}` |" in page for setting in MEANINGS if setting not in ("name", "role"))
    for algorithm in ALGORITHMS:
        names = [*accepted(algorithm), *(f"policy_kwargs.{each}" for each in accepted(algorithm, ("policy_kwargs",)))]
        assert all(f"| `{each}` |" in section("experiment-file", f"### {algorithm}") for each in names)


def test_the_reference_shows_every_transition():
    rows = re.findall(r"^\| `(\w+)` \| \[`(\w+)`\]\(\S+\) \| `(\w+)` \|$", GENERATED["reference/states.md"], re.MULTILINE)
    tables = [*RUN_TRANSITIONS.items(), *EXPERIMENT_TRANSITIONS.items()]
    assert rows == [(before, kind, after) for (before, kind), after in tables]


def test_the_exit_codes_are_those_of_the_help():
    assert re.findall(r"^\| (\d+) \|", GENERATED["reference/exit-codes.md"], re.MULTILINE) == ["0", "1", "2", "3", "130", "141"]


def test_the_site_builds_without_a_warning(tmp_path):
    """Every link and every anchor leads somewhere: MkDocs checks them, and a warning is an error."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path / "site"), strict=True)
    build(config)
    assert (tmp_path / "site" / "reference" / "experiment.schema.json").exists()
    outside = re.findall(r'(?:src|<link[^>]*href)="(https?://[^"]+)"', (tmp_path / "site" / "index.html").read_text())
    assert outside == []
