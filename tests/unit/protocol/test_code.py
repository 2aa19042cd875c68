"""What is said of a machine whose installed packages are not those that an experiment was submitted with."""

import pytest

from lander.protocol.code import NAMED_PACKAGES, Code, Package, lacking_packages, needs_digest

MUJOCO = Package(name="mujoco", version="3.1.2", sha256="a" * 64)
OLDER = MUJOCO.model_copy(update={"version": "3.0.0"})
PATCHED = MUJOCO.model_copy(update={"sha256": "b" * 64})
NUMPY = Package(name="numpy", version="2.0", sha256="c" * 64)
AGAIN = "there, and start its worker again"


@pytest.mark.parametrize(
    ("installed", "words"),
    [
        ([MUJOCO], ""),
        ([MUJOCO, NUMPY], ""),
        ([], f"lacks mujoco 3.1.2: pip install mujoco==3.1.2 {AGAIN}"),
        ([OLDER], f"has mujoco 3.0.0 and not 3.1.2: pip install mujoco==3.1.2 {AGAIN}"),
        (
            [PATCHED],
            "has another mujoco 3.1.2 (content bbbbbbbbbbbb and not aaaaaaaaaaaa):"
            f" pip install --force-reinstall --no-deps mujoco==3.1.2 {AGAIN}",
        ),
    ],
)
def test_packages_are_compared_by_name_version_and_content(installed, words):
    assert lacking_packages([MUJOCO], installed) == words


def test_each_package_gets_the_command_that_mends_it():
    assert lacking_packages([MUJOCO, NUMPY], [PATCHED]).endswith(
        f": pip install numpy==2.0 && pip install --force-reinstall --no-deps mujoco==3.1.2 {AGAIN}"
    )


def test_of_many_packages_the_first_are_named_and_no_name_is_obeyed_by_a_shell():
    many = [Package(name=f"p{number}; rm -r x", version="1", sha256="a" * 64) for number in range(NAMED_PACKAGES + 2)]
    words = lacking_packages(many, [])
    assert ", and 2 more: pip install 'p0; rm -r x==1' " in words
    assert words.count("'p") == NAMED_PACKAGES


def test_needs_are_the_code_with_its_packages_and_the_environments():
    code = Code(packages=(MUJOCO,))
    others = [needs_digest(code, "b"), needs_digest(Code(packages=(PATCHED,)), "a"), needs_digest(None, "a")]
    assert needs_digest(code, "a") == needs_digest(Code(packages=(MUJOCO,)), "a")
    assert len({needs_digest(code, "a"), needs_digest(code, "a", "b"), *others}) == 5
