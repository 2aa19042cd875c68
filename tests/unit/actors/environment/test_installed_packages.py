"""Installed packages by version and content."""

import shutil
from importlib import metadata
from pathlib import Path

import pytest

from lander.actors.environment import installed_packages
from lander.actors.environment.installed_packages import packages_of


def test_gymnasium_is_always_among_them():
    (found,) = [package for package in packages_of([]) if package.name == "gymnasium"]
    assert found.version == metadata.version("gymnasium")


def test_a_module_named_otherwise_than_its_package_is_found():
    assert "pyyaml" in {package.name for package in packages_of(["yaml"])}


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A small installed package, copied to where it can be changed."""
    distribution = metadata.distribution("farama-notifications")
    for file in distribution.files or []:
        if file.suffix != ".pyc":
            target = tmp_path / str(file)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(distribution.locate_file(file)), target)
    monkeypatch.syspath_prepend(tmp_path)
    return next(tmp_path.glob("farama_notifications/*.py"))


def digest():
    return {package.name: package.sha256 for package in packages_of(["farama_notifications"])}["farama-notifications"]


def test_a_file_that_was_changed_in_place_changes_the_digest(copied: Path):
    before = digest()
    copied.write_text(copied.read_text() + "\nCHANGED = True\n")
    assert digest() != before


def test_of_a_large_package_the_list_of_its_files_counts(copied: Path, monkeypatch):
    monkeypatch.setattr(installed_packages, "MAX_HASHED_BYTES", 10)
    before = digest()
    copied.write_text("")
    assert digest() == before


def test_how_a_package_was_installed_and_where_its_scripts_are_does_not_change_the_digest(copied: Path):
    """Else what one installer made of a package would never equal what another made of it."""
    before = digest()
    (beside,) = copied.parents[1].glob("*.dist-info")
    (beside / "INSTALLER").write_text("another")
    with (beside / "RECORD").open("a") as record:
        record.write(f"{beside.name}/REQUESTED,,\n../../bin/script,sha256=abc,3\n{copied.parent.name}/x.cpython-311.pyc,,\n")
    (beside / "REQUESTED").write_text("")
    assert digest() == before
