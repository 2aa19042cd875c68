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
"""Of a larger package, only the digests of its files are hashed that its installer has recorded."""
_INSTALLERS_OWN: Final = frozenset(
    ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "provenance_url.json", "uv_cache.json")
)
"""Files beside a package that say how it was installed, and not what it is: the same package may have others elsewhere."""


def packages_of(modules: Iterable[str]) -> tuple[Package, ...]:
    """The distributions of these top-level modules, of Gymnasium, and of its plugins, by name."""
    names = {name for module in modules for name in _distributions(module)}
    names |= {"gymnasium", *(each.dist.name for each in metadata.entry_points(group=PLUGINS) if each.dist is not None)}
    return named_packages(names)


def named_packages(names: Iterable[str]) -> tuple[Package, ...]:
    """Those of these distributions that are installed, by name."""
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
    """What is hashed of a distribution: of each of its files the name, and the content or its recorded digest."""
    named = {str(file): file for file in found.files or [] if _is_its_own(file)}
    places = {name: Path(str(file.locate())) for name, file in sorted(named.items())}
    files = {name: path for name, path in places.items() if path.is_file()}
    large = sum(path.stat().st_size for path in files.values()) > MAX_HASHED_BYTES
    for name, path in files.items():
        recorded = named[name].hash
        content = (recorded.value if recorded else "").encode() if large else hashlib.sha256(path.read_bytes()).digest()
        yield name.encode(errors="replace") + content


def _is_its_own(file: metadata.PackagePath) -> bool:
    """Whether a file came with the package, into its directory: compiled files and scripts differ from machine to machine."""
    return file.suffix != ".pyc" and ".." not in file.parts and file.name not in _INSTALLERS_OWN
