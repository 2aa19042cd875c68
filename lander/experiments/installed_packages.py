"""Installed packages that environments are made of: their versions, and digests of their content."""

import hashlib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from lander.protocol.code import Package

PLUGINS: Final = "gymnasium.envs"
"""The group of entry points with which packages register environments."""
MAX_HASHED_BYTES: Final = 16 << 20
"""Of a larger package, only the installer's list of its files and their hashes is hashed."""


def packages_of(modules: Iterable[str]) -> tuple[Package, ...]:
    """The distributions of these top-level modules, of Gymnasium, and of its plugins, by name."""
    names = {name for module in modules for name in _distributions(module)}
    names |= {"gymnasium", *(each.dist.name for each in metadata.entry_points(group=PLUGINS) if each.dist is not None)}
    return tuple(sorted(filter(None, map(_package, names)), key=lambda each: each.name))


def _distributions(module: str) -> list[str]:
    try:
        return [metadata.distribution(module).name]
    except metadata.PackageNotFoundError:  # named otherwise than its module, such as Box2D
        return metadata.packages_distributions().get(module, [])


def _package(name: str) -> Package | None:
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    return Package(name=found.name.lower(), version=found.version, sha256=hashlib.sha256(b"".join(_content(found))).hexdigest())


def _content(found: metadata.Distribution) -> Iterator[bytes]:
    """What is hashed of a distribution: each file's name and content, or the list of them."""
    named = {str(file): Path(str(found.locate_file(file))) for file in found.files or [] if file.suffix != ".pyc"}
    files = {name: path for name, path in sorted(named.items()) if path.is_file()}
    if sum(path.stat().st_size for path in files.values()) > MAX_HASHED_BYTES:
        yield (found.read_text("RECORD") or "").encode()
        return
    for name, path in files.items():
        yield name.encode(errors="replace") + hashlib.sha256(path.read_bytes()).digest()
