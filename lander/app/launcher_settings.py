"""`lander.toml` of a home: the engines that start workers, each under a name of its own, and how their files travel.

Each field is checked.
"""

from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from lander.app.durations import seconds_in
from lander.home.file_rate import checked_rate
from lander.home.layout import SETTINGS
from lander.home.settings import settings_of
from lander.protocol.errors import ConfigurationError
from lander.protocol.experiment import Identifier, Labels
from lander.protocol.refusals import did_you_mean, shown
from lander.protocol.text import named
from lander.supervisor.launchers import placeholders
from lander.transfer.object_store import check_url

FILE: Final = SETTINGS
IDLE_SECONDS: Final = 300.0
POLL_SECONDS: Final = 30.0
MAX_WORKERS: Final = 8
_NAME_CHARACTERS: Final = 24
"""So that the names of jobs, which are longer, are names of hosts."""


def _seconds(value: object) -> object:
    if isinstance(value, str):
        found = seconds_in(value, "smhd")
        if not found:
            raise ValueError("is no time such as 90s, 30m or 4h")
        return found
    return value


def _command(allowed: frozenset[str]) -> AfterValidator:
    def check(words: tuple[str, ...]) -> tuple[str, ...]:
        if problem := placeholders.problem(words, allowed):
            raise ValueError(problem)
        return words

    return AfterValidator(check)


def _host(host: str) -> str:
    if not host or host.startswith("-") or any(character.isspace() or character == "/" for character in host):
        raise ValueError("is no host as ssh takes it, such as gpu1 or ada@gpu1")
    return host


Duration = Annotated[float, BeforeValidator(_seconds), Field(gt=0, allow_inf_nan=False)]
Slots = Annotated[int, Field(ge=1, le=100_000)]
Words = tuple[str, ...]


class _Settings(BaseModel):
    """What every engine is told. Fields that are `options` are passed on to the engine as lists of words."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    min_workers: int = Field(default=0, ge=0)
    max_workers: int = Field(default=MAX_WORKERS, ge=0, le=100_000)
    slots: Slots | None = None
    walltime: Duration | None = None
    idle_seconds: Duration = IDLE_SECONDS
    poll_seconds: Duration = POLL_SECONDS
    labels: Labels = ()

    @property
    def options(self) -> dict[str, Words]:
        """What only this engine is told."""
        own = {
            name: getattr(self, name) for name in type(self).model_fields.keys() - _Settings.model_fields.keys() - {"engine"}
        }
        return {name: (value,) if isinstance(value, str) else value for name, value in sorted(own.items()) if value}

    @property
    def most_workers(self) -> int:
        """How many workers there can be at once."""
        return self.max_workers


class Local(_Settings):
    """Workers on the supervisor's own machine."""

    engine: Literal["local"]
    slots: Slots | None = 1


class Ssh(_Settings):
    """Workers on machines that can be reached over SSH, one on each."""

    engine: Literal["ssh"]
    hosts: Annotated[tuple[Annotated[str, AfterValidator(_host)], ...], Field(min_length=1)]
    ssh_options: Words = ()
    program: Words = ()
    home: str = ""

    @property
    def most_workers(self) -> int:
        """One on each host."""
        return min(self.max_workers, len(self.hosts))


class Command(_Settings):
    """Workers that commands of the user start, list and end."""

    engine: Literal["command"]
    launch: Annotated[Words, _command(placeholders.FOR_LAUNCH)]
    alive: Annotated[Words, _command(placeholders.FOR_ALIVE)]
    cancel: Annotated[Words, _command(placeholders.FOR_CANCEL)]
    program: Words = ()
    home: str = ""


class Slurm(_Settings):
    """Workers as jobs of Slurm."""

    engine: Literal["slurm"]
    partition: str = ""
    account: str = ""
    arguments: Words = ()
    program: Words = ()
    home: str = ""


class Ray(_Settings):
    """Workers as actors of Ray."""

    engine: Literal["ray"]
    address: str = ""
    python: str = ""
    program: Words = ()
    home: str = ""


LauncherSettings = Local | Ssh | Slurm | Ray | Command
_BY_ENGINE: Final = {get_args(each.model_fields["engine"].annotation)[0]: each for each in get_args(LauncherSettings)}
_ONE: Final[TypeAdapter[LauncherSettings]] = TypeAdapter(Annotated[LauncherSettings, Field(discriminator="engine")])


def checked(settings: dict[str, Any], source: str) -> LauncherSettings:
    """The settings of a launcher; raises `ConfigurationError` with a line for each field of `source` that is wrong."""
    try:
        return _ONE.validate_python(settings)
    except ValidationError as error:
        problems = [_problem(source, str(settings.get("engine", "")), each) for each in error.errors()]
        raise ConfigurationError("\n".join(problems), file=source) from error


def _problem(source: str, engine: str, error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"] if part != engine)
    if error["type"] == "union_tag_not_found":
        return f"{source}.engine: missing; an engine is one of local, ssh, slurm, ray, command"
    if error["type"] == "union_tag_invalid":
        return f"{source}.engine: {named(engine)}: no such engine; there are local, ssh, slurm, ray, command"
    if error["type"] == "extra_forbidden":
        known = tuple(sorted(_BY_ENGINE[engine].model_fields))
        hint = did_you_mean(error["loc"][-1], known) or f"; there are {', '.join(known)}"
        return f"{source}.{place}: no such setting of {engine}{hint}"
    if error["type"] == "tuple_type":
        return f"{source}.{place}: found {shown(error['input'])}; must be a list"
    found = f"{named(str(error['input']))}: " if isinstance(error["input"], str | int | float) else ""
    said = error["msg"].removeprefix("Value error, ")
    return f"{source}.{place}: {found}{said[:1].lower()}{said[1:]}"


def read(home: Path) -> dict[str, LauncherSettings]:
    """The launchers of a home's `lander.toml`, by name; empty where there is no such file. Raises `ConfigurationError`."""
    path, content = home / FILE, settings_of(home)
    found = content.get("launchers", {})
    checked_rate(content.get("file_rate"), str(path))
    wrong = next(iter(content.keys() - {"launchers", "store", "file_rate"}), None if isinstance(found, dict) else "launchers")
    if wrong is not None:
        allowed = "there may be tables [launchers.NAME], and store and file_rate before them"
        raise ConfigurationError(f"{path}: {named(wrong)}: {allowed}", file=str(path))
    return {
        _name(path, name): checked(each if isinstance(each, dict) else {}, f"{path}: launchers.{name}")
        for name, each in found.items()
    }


def object_store(home: Path) -> str:
    """The object store that a home's `lander.toml` names; empty if it names none. Raises `UsageError` if that is none."""
    found = settings_of(home).get("store", "")
    return check_url(str(found), f"{home / FILE}: store") if found != "" else ""


def _name(path: Path, name: str) -> str:
    try:
        TypeAdapter(Identifier).validate_python(name)
        fits = len(name) <= _NAME_CHARACTERS
    except ValidationError:
        fits = False
    if not fits:
        allowed = f"a name is letters, digits, . _ -, at most {_NAME_CHARACTERS}"
        raise ConfigurationError(f"{path}: launchers.{named(name)}: {allowed}", file=str(path))
    return name
