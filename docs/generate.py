"""The reference of the documentation, generated from the code while MkDocs builds the site (`make docs`).

MkDocs calls `on_config`, `on_files` and `on_page_markdown`. Each page is a function that returns Markdown, so a test can read
it, too.
"""

import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin

import click

# Everything of lander that the reference shows comes from here.
from lander.cli.main import INTERRUPTED, cli
from lander.experiments.environment_settings import BESIDE_ENVIRONMENT
from lander.experiments.schema import whole_schema
from lander.protocol import commands, errors, events, lifecycle, states
from lander.protocol.model import Message, Model
from lander.store.projections import headline, status

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[1]
PROGRAM: Final = "lander-ctl"
COMMON: Final = frozenset(
    {"--home", "--verbose", "--quiet", "--help"}
)  # options that every command has; the page lists them once


# --- what MkDocs calls ------------------------------------------------------------------------------------------------


def on_config(config: "MkDocsConfig") -> "MkDocsConfig":
    """Lists every decision in the navigation."""
    decisions = sorted(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs" / "decisions").glob("0*.md"))
    for entry in config.nav or []:
        if isinstance(entry.get("Decisions"), str):
            entry["Decisions"] = [entry["Decisions"], *decisions]
    return config


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Adds the generated pages to the files of the site."""
    from mkdocs.structure.files import File

    for path, page in PAGES.items():
        files.append(File.generated(config, path, content=page()))
    return files


def on_page_markdown(markdown: str, page: "Page", **_: Any) -> str:
    """Shows the table in place of the drawing, which only GitHub can draw without a script from elsewhere."""
    if page.file.src_uri != "architecture.md":
        return markdown
    return re.sub(r"```mermaid\n.*?```", "[The table](reference/states.md) lists every transition.", markdown, flags=re.DOTALL)


# --- Markdown ---------------------------------------------------------------------------------------------------------


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head)]
    lines += [["---"] * len(lines[0]), *map(list, rows)]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    """One line, in which `|` ends no cell. Python-Markdown knows that it ends none in code."""
    return _outside_code(text.replace("\n", " "), r"\|", r"\\|")


def _code(text: object) -> str:
    return f"`{text}`"


def _text(words: str) -> str:
    """Words as Markdown that shows them as they are; what stands in backquotes is code already."""
    return _outside_code(words, r"([<>*_\[\]])", r"\\\1")


def _outside_code(text: str, pattern: str, replacement: str) -> str:
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(pattern, replacement, part) for part in parts)


def _page(title: str, *parts: str) -> str:
    return "\n\n".join((f"# {title}", *parts)) + "\n"


def _doc(thing: object) -> str:
    return inspect.getdoc(thing) or ""


# --- the command line -------------------------------------------------------------------------------------------------


def cli_page() -> str:
    """Every command: what it is for, its usage, examples and options."""
    context = click.Context(cli, info_name=PROGRAM, help_option_names=["-h", "--help"])
    named = {name: command for name in cli.list_commands(context) if (command := cli.get_command(context, name))}
    index = _table(
        ("command", "what it does"),
        ((f"[`{name}`](#{name})", _text(command.get_short_help_str(200))) for name, command in named.items()),
    )
    return _page(
        "Command line",
        f"`{PROGRAM} COMMAND --help` prints the same. A TARGET is EXPERIMENT, EXPERIMENT/ARM or EXPERIMENT/ARM/SEED.",
        index,
        "Every command has these options. They may stand before or after the name of the command.",
        _options(context, common=True),
        *(_command(click.Context(command, info_name=name, parent=context)) for name, command in named.items()),
    )


def _command(context: click.Context) -> str:
    command = context.command
    usage = " ".join((context.command_path, *command.collect_usage_pieces(context)))
    parts = [f"## {context.info_name}", f"```text\n{usage}\n```", *_paragraphs(inspect.cleandoc(command.help or ""))]
    return "\n\n".join((*parts, _options(context)))


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs of help; click's mark for a block that is not to be wrapped begins an example."""
    for paragraph in text.split("\n\n"):
        title, _, block = paragraph.removeprefix("\b\n").partition("\n")
        if paragraph.startswith("\b\n"):
            yield f"{title}\n\n```bash\n{inspect.cleandoc(chr(10) + block)}\n```"
        else:
            yield _text(paragraph)


def _options(context: click.Context, common: bool = False) -> str:
    found = []
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[1] and common != COMMON.isdisjoint(parameter.opts):
            found.append((_code(record[0]), _text(record[1])))
    return _table(("option", "meaning"), found) if found else ""


def exit_codes_page() -> str:
    """What the command line returns, from its help and from the classes of errors."""
    paragraph = re.search(r"Exit codes: (.*?)\.(?:\n\n|$)", inspect.cleandoc(cli.help or ""), re.DOTALL)
    assert paragraph is not None
    codes = [each.strip().split(" ", 1) for each in " ".join(paragraph[1].split()).split(";")]
    assert str(INTERRUPTED) in dict(codes)
    classes = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, errors.LanderError)]
    rows = [(_code(each.__name__), str(each.exit_code), _text(_doc(each).split("\n\n")[0])) for each in classes]
    return _page(
        "Exit codes",
        _table(("code", "meaning"), codes),
        "Errors go to standard error, one plain line for each. From Python the same errors are exceptions:",
        _table(("exception", "exit code", "when"), rows),
    )


# --- the experiment file ----------------------------------------------------------------------------------------------

Schema = Mapping[str, Any]


def experiment_page() -> str:
    """Every setting of an experiment file, and what each algorithm accepts."""
    schema = whole_schema()
    settings, definitions = schema["properties"], schema["definitions"]
    arm = definitions["arm"]["properties"]
    own = [name for name in settings if name not in arm and "$ref" not in str(settings[name]) and name != "arms"]
    spellings = [name for name in settings if name not in arm and name not in own]
    parts = [
        f"`{PROGRAM} schema` prints the schema from which this page is generated: [experiment.schema.json]"
        "(experiment.schema.json). A file is JSON, YAML or TOML.",
        "## Settings of an arm",
        "They may stand at the top level, for all arms, or in an arm. In the short form, variants take the settings of the "
        "baseline, too. A variant with another algorithm does not take the hyperparameters of the baseline.",
        _settings(arm, arm),
        "## Settings of the experiment",
        _settings(settings, own),
        "## Arms",
        "A file uses one of three forms: `baseline` with `variants` or `variant`; `baseline_config` with `variant_config`; or "
        "`arms`.",
        _table(("setting", "meaning"), ((_code(name), _text(settings[name]["description"])) for name in spellings)),
        "## resource_limits",
        _settings(settings["resource_limits"]["properties"], settings["resource_limits"]["properties"]),
        "## hosts",
        _settings(arm["hosts"]["properties"], arm["hosts"]["properties"]),
        "## Hyperparameters",
        "They are the constructor arguments of Stable-Baselines3 and sb3-contrib, with the defaults that those have. Not "
        "arguments are `n_envs`, the number of environments (default 1), `normalize`, which puts a VecNormalize around them, "
        "and what may also stand beside `environment`: " + ", ".join(map(_code, BESIDE_ENVIRONMENT)) + ". "
        "`lin_3e-4` is a schedule, as in RL Baselines3 Zoo: `progress * 3e-4`, where the remaining progress falls from 1 to 0 "
        "over the training.",
    ]
    for algorithm in (name for name in definitions if name != "arm"):
        parts += [f"### {algorithm}", _table(("hyperparameter", "allowed"), _hyperparameters(definitions[algorithm]))]
    return _page("Experiment file", *parts)


def _settings(schemas: Mapping[str, Schema], names: Iterable[str]) -> str:
    rows = ((_code(name), _kind(schemas[name]), _default(schemas[name]), _text(schemas[name]["description"])) for name in names)
    return _table(("setting", "type", "default", "meaning"), rows)


def _default(schema: Schema) -> str:
    default = schema.get("default")
    return _code(default) if default and not isinstance(default, Mapping) else ""


def _kind(schema: Schema) -> str:
    """The type of a setting in a few words."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(each) for each in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(map(_code, schema["enum"]))
    kinds = schema.get("type", [])
    kind = next((each for each in ([kinds] if isinstance(kinds, str) else kinds) if each != "null"), "null")
    least, most = schema.get("minimum"), schema.get("maximum", schema.get("exclusiveMaximum"))
    bounds = "" if least is None else f" ≥ {least}" if most is None else f" from {least} to {most - ('maximum' not in schema)}"
    above = f" > {schema['exclusiveMinimum']}" if "exclusiveMinimum" in schema else ""
    match kind:
        case "integer" | "number":
            return ("whole number" if kind == "integer" else "number") + bounds + above
        case "array":
            return f"list of {_kind(schema['items']).replace('whole number', 'whole numbers')}" if "items" in schema else "list"
        case _:
            return {"object": "mapping", "string": "text", "boolean": "true or false"}.get(kind, _code(kind))


def _hyperparameters(group: Schema, prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, schema in group["properties"].items():
        choices = [each for each in (schema, *schema.get("anyOf", ())) if "properties" in each]
        if "description" in schema:
            yield _code(prefix + name), _text(schema["description"])
        elif choices:
            yield _code(prefix + name), "a mapping of:"
        for choice in choices:
            yield from _hyperparameters(choice, f"{prefix}{name}.")


# --- events and commands ----------------------------------------------------------------------------------------------


def events_page() -> str:
    """Every event that the log may hold."""
    return _page("Events", _module(events), *_messages(get_args(events.Event)), *_values(get_args(events.Event)))


def commands_page() -> str:
    """Every command and answer that processes exchange."""
    names = {commands.CLIENT: "a client", commands.HOST: "a host", commands.TRAINER: "a trainer"}
    senders = {each: who for group, who in names.items() for each in group}
    everything = get_args(commands.Command)
    described = [model for each in get_args(events.Event) for model in _models(each)]
    parts = [*_messages(everything, senders), *_values(everything, described)]
    return _page("Commands", _module(commands), "[Events](events.md) describes the values of experiments.", *parts)


def _module(module: object) -> str:
    """The first paragraphs of a module's docstring: what it is about. The rest is for those who change the code."""
    first, *_ = _doc(module).split("\n\n")
    return first


def _messages(types: Iterable[type[Message]], senders: Mapping[Any, str] | None = None) -> Iterator[str]:
    for each in types:
        yield f"## {each.kind}"
        if senders and each in senders:
            yield f"Sent by {senders[each]}."
        yield _doc(each)
        yield from _fields(each)


def _values(types: Iterable[type[Message]], elsewhere: Iterable[type[Model]] = ()) -> Iterator[str]:
    """The models that stand in the fields of messages."""
    for each in dict.fromkeys(inner for outer in types for inner in _models(outer)):
        if each not in elsewhere:
            yield f"## {each.__name__}"
            yield f"A value in the fields above. {_doc(each)}"
            yield from _fields(each)


def _models(annotation: Any) -> Iterator[type[Model]]:
    """The models, messages apart, that a field's type or the fields of a model name."""
    inside = get_args(annotation)
    if inspect.isclass(annotation) and not inside and issubclass(annotation, Model):
        inside = tuple(field.annotation for field in annotation.model_fields.values())
        if not issubclass(annotation, Message):
            yield annotation
    for each in inside:
        yield from _models(each)


def _fields(model: type[Model]) -> Iterator[str]:
    rows = [(_code(name), _code(_annotation(field.annotation)), _given(field)) for name, field in model.model_fields.items()]
    if rows:
        yield _table(("field", "type", "default"), rows)


def _annotation(annotation: Any) -> str:
    """A type as Python writes it, without the bounds of numbers and the modules of classes."""
    arguments = get_args(annotation)
    match get_origin(annotation):
        case typing.Annotated:
            return _annotation(arguments[0])
        case typing.Literal:
            return " | ".join(map(repr, arguments))
        case typing.Union | types.UnionType:
            return " | ".join(map(_annotation, arguments))
        case None:
            names = {types.NoneType: "None", Ellipsis: "...", Any: "Any"}
            return names.get(annotation) or str(getattr(annotation, "__name__", annotation))
        case origin:
            return f"{origin.__name__}[{', '.join(map(_annotation, arguments))}]"


def _given(field: Any) -> str:
    return "" if field.is_required() else _code(repr(field.get_default(call_default_factory=True)))


# --- states -----------------------------------------------------------------------------------------------------------


def states_page() -> str:
    """The life of a run and of an experiment, from the tables."""
    meaning: list[tuple[str, str]] = [
        (
            state,
            "a process exists, or is about to" if state in states.LIVE else "ended" if state in states.TERMINAL else "waits",
        )
        for state in get_args(states.RunState)
    ]
    return _page(
        "States",
        "`lander-ctl status` shows the state of each run. A run changes its state through the events in this table.",
        "## States of a run",
        _table(("state", "meaning"), ((_code(state), words) for state, words in meaning)),
        "## Transitions of a run",
        _transitions(lifecycle.RUN_TRANSITIONS),
        *_headlines(),
        "## Transitions of an experiment",
        "These are recorded.",
        _transitions(lifecycle.EXPERIMENT_TRANSITIONS),
        "An experiment is `quarantined` if this version cannot read all of its events. No event leads there.",
        "## Why an attempt ended",
        "An attempt is one process that trains a run. `AttemptEnded` names one of these causes. `crashed` carries the signal, "
        "as in `crashed(SIGKILL)`.",
        ", ".join(map(_code, get_args(events.Cause))) + ".",
        "`host_unfit` is no failure of the run: its host lacked something and started nothing, and the run is tried elsewhere. "
        "`lander-ctl hosts` says what to install there.",
    )


def _headlines() -> Iterator[str]:
    """What `status` says of an experiment and of its runs, from the tables."""
    after, share, at_last = status.ETA_AFTER_SECONDS, status.ETA_AFTER_SHARE, status.ETA_AT_LAST_SECONDS
    yield "## What `status` says of an experiment"
    yield "`status --json` has four fields for each experiment. They follow from its runs; only how it ended is recorded."
    yield "`state`: while it is under way, the first of these states that one of its runs is in."
    yield _table(("state", "meaning for an experiment"), ((_code(name), words) for name, words in headline.STATES.items()))
    yield "`phase`: the first of these that one of its runs is in, or null. Each run has a `phase` of its own."
    yield _table(("phase", "meaning for a run"), ((_code(name), words) for name, words in headline.PHASES.items()))
    yield (
        "`waiting_for`: set while it is `queued`. It is the experiment that holds slots (`cart`, or `cart and 1 more`), "
        "`a slot` if none does, `host local to join` while the supervisor has just started that, "
        f"`{headline.FIT_HOST}` if there is none but hosts that lack something, or `its next attempt`, "
        "if each queued run failed and is tried again after a delay. "
        f"While no supervisor is running, it is `{headline.A_SUPERVISOR}`."
    )
    yield (
        "`summary`: the same in words, with the number of runs if not all, and whether it is archived: "
        "`paused (11 of 12), 1 skipped`, `completed, archived`."
    )
    yield (
        "Of a run, `percent` is 100 only when it has completed. `eta_seconds` is null unless it trains, and in the first "
        f"{after:.0f} seconds of each attempt; then until {share:.0%} of its steps, or {at_last:.0f} seconds, are done."
    )


def _transitions(table: Mapping[tuple[Any, str], Any]) -> str:
    rows = ((_code(before), f"[`{kind}`](events.md#{kind.lower()})", _code(after)) for (before, kind), after in table.items())
    return _table(("state", "event", "next state"), rows)


# --- numbers ----------------------------------------------------------------------------------------------------------


def numbers_page() -> str:
    """The last results of the benchmarks."""
    return (ROOT / "benchmarks" / "RESULTS.md").read_text().replace("# Results", "# Numbers", 1)


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "reference/cli.md": cli_page,
    "reference/experiment-file.md": experiment_page,
    "reference/states.md": states_page,
    "reference/exit-codes.md": exit_codes_page,
    "reference/events.md": events_page,
    "reference/commands.md": commands_page,
    "reference/numbers.md": numbers_page,
}
"""The generated pages by their path in the site."""
