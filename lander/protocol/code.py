"""The code of an experiment's environments, as it was captured: plain recorded values."""

import hashlib
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Final, Self

from pydantic import Field

from lander.protocol.model import Digest, Model

ModuleName = Annotated[str, Field(max_length=200)]
MAX_PACKAGES: Final = 1024
MAX_MODULES: Final = 256
"""With the limit of modules, and those of an arm and of a checkpoint, the order to start a trainer fits into one frame."""
MAX_PACKAGE_BYTES: Final = 256 << 10
"""And so much for all packages together, which an order to another machine names."""
NAMED_PACKAGES: Final = 8
"""How many packages a sentence names; when those are installed, the next attempt names the others."""


class Package(Model):
    """An installed distribution that an environment is made of; `sha256` is a digest of its content."""

    name: str = Field(max_length=200)
    version: str = Field(max_length=200)
    sha256: Digest


class Code(Model):
    """What the environments of an experiment are made of, besides this program.

    `archive` is the artifact with the captured source files, None if all the code is installed. `modules` are its top-level
    modules. `uncaptured` are modules whose source is in no file, such as `__main__`: nobody can train with them again as they
    were.
    """

    archive: Digest | None = None
    modules: Annotated[tuple[ModuleName, ...], Field(max_length=MAX_MODULES)] = ()
    packages: Annotated[tuple[Package, ...], Field(max_length=MAX_PACKAGES)] = ()
    uncaptured: Annotated[tuple[ModuleName, ...], Field(max_length=MAX_MODULES)] = ()

    @property
    def name(self) -> str:
        """How people read it: the first characters of the archive's digest, `installed`, or `uncaptured`."""
        if self.uncaptured:
            return "uncaptured"
        return self.archive[:12] if self.archive else "installed"

    def without_packages(self) -> Self:
        """What a trainer needs of it: its host has compared the packages."""
        return self.model_copy(update={"packages": ()})

    @property
    def package_bytes(self) -> int:
        """The size of all packages on the wire."""
        return sum(len(each.model_dump_json().encode()) for each in self.packages)


def needs_digest(code: Code | None, *environments: str) -> str:
    """What a machine must have to train with this code in these environments, as one digest. Equal needs are met alike."""
    said = "" if code is None else code.model_dump_json()
    return hashlib.sha256("\n".join((said, *environments)).encode(errors="replace")).hexdigest()


def changed_source(old: Code | None, new: Code | None) -> str:
    """In words, that the captured files are others now; empty if they are not, or if one of the two is unknown."""
    if old is None or new is None or (old.archive, old.uncaptured) == (new.archive, new.uncaptured):
        return ""
    names = " and ".join(dict.fromkeys((*old.modules, *new.modules))) or "its environments"
    return f"the code of {names} has changed (captured {old.name}, now {new.name})"


def lacking_module(captured: Code | None, now: Code | None, named: str) -> str:
    """In words, that captured code lacks the module of an environment or a class; empty if it has it, or none is needed."""
    module, separator, _ = named.partition(":")
    name = module.partition(".")[0]
    if not separator or captured is None or now is None:
        return ""
    lacks = name in (*now.modules, *now.uncaptured) and name not in (*captured.modules, *captured.uncaptured)
    return f"{name} is not in the code that was captured with the experiment" if lacks else ""


def changed_packages(old: Code | None, new: Code | None) -> str:
    """In words, which installed packages are others now; empty if none are, or if one of the two is unknown."""
    if old is None or new is None:
        return ""
    before = {package.name: package for package in old.packages}
    changed = [(before[package.name], package) for package in new.packages if before.get(package.name, package) != package]
    return " and ".join(f"{was.name} was {was.version} and is {_now(was, found)}" for was, found in changed)


def lacking_packages(wanted: Iterable[Package], installed: Iterable[Package]) -> str:
    """What a machine lacks of these packages, as a sentence of which it is the subject; empty if it lacks nothing.

    With the commands that would mend it: a package of another content is not installed again unless pip is forced to.
    """
    there = {package.name: package for package in installed}
    lacking = [each for each in wanted if there.get(each.name) != each]
    if not lacking:
        return ""
    named = lacking[:NAMED_PACKAGES]
    words = [_lacks(each, there.get(each.name)) for each in named]
    if more := len(lacking) - len(named):
        words.append(f"and {more} more")
    same_version = [each for each in named if each.name in there and there[each.name].version == each.version]
    others = [each for each in named if each not in same_version]
    commands = [_pip("install", others), _pip("install --force-reinstall --no-deps", same_version)]
    return f"{', '.join(words)}: {' && '.join(filter(None, commands))} there, and start its worker again"


def _lacks(wanted: Package, found: Package | None) -> str:
    if found is None:
        return f"lacks {wanted.name} {wanted.version}"
    if found.version != wanted.version:
        return f"has {wanted.name} {found.version} and not {wanted.version}"
    return f"has another {wanted.name} {wanted.version} (content {found.sha256[:12]} and not {wanted.sha256[:12]})"


def _pip(command: str, packages: Sequence[Package]) -> str:
    """The command line; names come from other machines, so a shell must take each as one word."""
    return " ".join(("pip", command, *(shlex.quote(f"{each.name}=={each.version}") for each in packages))) if packages else ""


def _now(was: Package, found: Package) -> str:
    return found.version if found.version != was.version else f"another {found.version}"


def code_notices(captured: Code | None, now: Code | None, *, changed: str, uncaptured: str) -> Iterator[str]:
    """Notices for runs that train on `captured` code where the code is another `now`, and what follows.

    `changed` says what follows for captured files that are others now, `uncaptured` if none were captured; empty for nothing.
    """
    if source := changed_source(captured, now):
        yield f"{source}; {changed}"
    if uncaptured and captured is None and now is not None and now.archive is not None:
        yield f"the code of {' and '.join(now.modules)} was not captured; {uncaptured}"
    if packages := changed_packages(captured, now):
        yield f"{packages}; its runs train with what is installed"


def uncaptured_notice(code: Code | None, *names_of_code: str) -> str:
    """That the code of these names was not captured, in words; empty if it was, or if there is nothing to capture.

    Experiments of earlier versions captured no code of `module:EnvId`.
    """
    modules = dict.fromkeys(name.partition(":")[0] for name in names_of_code if ":" in name)
    names = code.uncaptured if code is not None else tuple(modules)
    if not names:
        return ""
    return f"the code of {' and '.join(names)} was not captured: what follows is exact only if it has not changed"
