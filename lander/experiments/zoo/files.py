"""Where entries of the zoo come from: the files of the installed `rl_zoo3`, or a file of one's own.

The files lie inside the package, and are read without importing it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from lander.experiments.file_formats import read_text
from lander.experiments.zoo.conversion import algorithm_of, converted, lines_of
from lander.experiments.zoo.names import file_stem, is_atari, without_module
from lander.experiments.zoo.yaml_entries import Entry, parse_entries
from lander.protocol.refusals import did_you_mean, shown

KEYS: Final = ("algorithm", "environment", "file")
ATARI: Final = "atari"
DEFAULT: Final = "default"
INSTALL: Final = "pip install rl_zoo3"


@dataclass(frozen=True)
class ZooEntry:
    """One entry as the settings of an arm, with the line of each, its file and its name there."""

    settings: Mapping[str, object]
    lines: Mapping[str, int]
    file: Path
    name: str
    environment: str

    @property
    def notices(self) -> tuple[str, ...]:
        """That the environment has no entry of its own, as the zoo would say."""
        if self.name == self.environment:
            return ()
        return (f"{self.file.name} has no entry {self.environment}; taking its entry {self.name}, as the zoo does",)

    def place(self, setting: str) -> str:
        """The file and the line of a setting."""
        line = self.lines.get(setting)
        return f"{self.file}, entry {self.name}" if line is None else f"{self.file}, line {line}"


class ZooFiles:
    """The files that one experiment names; each is read once. A relative one is looked for in `places`, the first one first."""

    def __init__(self, *places: Path) -> None:
        self._places = places
        self._found: dict[tuple[str, ...], ZooEntry] = {}

    def entry(self, written: object, where: str) -> ZooEntry:
        """The entry that `zoo: {algorithm, environment, file}` names.

        Raises `ValueError` that begins with `where`, or with the file and its line.
        """
        names = _names(written, where)
        key = tuple(names.get(name, "") for name in KEYS)
        if key not in self._found:
            self._found[key] = self._read(names, where)
        return self._found[key]

    def _read(self, names: Mapping[str, str], where: str) -> ZooEntry:
        stem = file_stem(names["algorithm"])
        try:
            path = _own_file(names["file"], self._places or (Path.cwd(),)) if "file" in names else _installed_file(stem)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        return find_entry(path, stem, names["environment"])


def find_entry(path: Path, stem: str, environment: str) -> ZooEntry:
    """The entry of a file for an environment; `stem` names the algorithm, as a file of the zoo is called.

    Raises `ValueError` that begins with the file, and names the line where there is one.
    """
    try:
        entries = entries_of(path)
        name = _name_of_entry(entries, without_module(environment), is_atari(environment))
        entry = entries[name]
        settings = converted(entry, algorithm_of(stem, entry), environment, stem)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror or error}") from None
    except RecursionError:
        raise ValueError(f"{path}: nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return ZooEntry(settings, lines_of(entry), path, name, without_module(environment))


def entries_of(path: Path) -> dict[str, Entry]:
    """All entries of a file by name; raises `OSError`, `RecursionError`, or `ValueError` with the line."""
    return parse_entries(read_text(path))


def _names(written: object, where: str) -> dict[str, str]:
    if not isinstance(written, Mapping):
        raise ValueError(f"{where}: found {shown(written)}; must be a mapping of algorithm, environment and perhaps file")
    for key, value in written.items():
        if key not in KEYS:
            raise ValueError(f"{where}.{key}: unknown key; must be one of {', '.join(KEYS)}")
        if not isinstance(value, str) or not value:
            raise ValueError(f"{where}.{key}: found {shown(value)}; must be text")
    for key in KEYS[:2]:
        if key not in written:
            raise ValueError(f"{where}.{key}: missing; must be given, as in {{algorithm: ppo, environment: LunarLander-v3}}")
    return dict(written)


def _name_of_entry(entries: Mapping[str, Entry], environment: str, atari: bool) -> str:
    """As the zoo chooses: the environment's own entry, that of Atari games, or the default one."""
    for name in (environment, *([ATARI] if atari else []), DEFAULT):
        if name in entries:
            return name
    hint = did_you_mean(environment, tuple(entries)) or f"; there are {', '.join(list(entries)[:20])}"
    raise ValueError(f"no entry {environment}, and none called {DEFAULT}{hint}")


def _own_file(name: str, places: Sequence[Path]) -> Path:
    candidates = [place / Path(name).expanduser() for place in places]
    found = next((file for file in candidates if file.is_file()), None)
    if found is None:
        where = " or ".join(dict.fromkeys(str(file.parent) for file in candidates))
        raise ValueError(f"found the file {shown(name)}; there is no {Path(name).name} in {where}")
    return found


def _installed_file(stem: str) -> Path:
    directory = installed_directory()
    if directory is None:
        raise ValueError(f"the files of RL Baselines3 Zoo are not installed: {INSTALL}, or name one of yours as file")
    known = tuple(sorted(file.stem for file in directory.glob("*.yml")))
    if stem not in known:
        raise ValueError(f"the zoo has no algorithm {shown(stem)}{did_you_mean(stem, known) or '; it has ' + ', '.join(known)}")
    return directory / f"{stem}.yml"


def installed_directory() -> Path | None:
    """Where the installed zoo keeps its files; None without it."""
    found = find_spec("rl_zoo3")  # finds a package without importing it
    if found is None or found.origin is None:
        return None
    directory = Path(found.origin).parent / "hyperparams"
    return directory if directory.is_dir() else None
