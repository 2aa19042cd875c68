"""Which code and which packages the runs of an experiment trained with, in words."""

from lander.protocol.code import Code, Package
from lander.reports.analysis.captured_code import code_versions, package_versions

OLD = Package(name="gymnasium", version="1.3.0", sha256="a" * 64)
NEW = OLD.model_copy(update={"version": "1.4.0"})
PATCHED = NEW.model_copy(update={"sha256": "b" * 64})


def code(archive, *packages):
    return Code(archive=archive * 64, modules=("cart",), packages=packages)


def test_versions_of_code_are_named_with_their_runs():
    runs = {"x/baseline/0": code("0"), "x/v/0": code("0"), "x/baseline/1": code("1"), "x/v/1": code("0"), "x/v/2": None}
    assert [(version.name, version.runs_in_words) for version in code_versions(runs)] == [
        ("000000000000", "baseline/0, v/0, v/1"),
        ("111111111111", "baseline/1"),
        ("unknown", "seed 2"),
    ]


def test_the_code_of_an_added_arm_is_not_named_by_seeds_that_the_others_have_too():
    runs = {"x/baseline/0": code("0"), "x/v/0": code("0"), "x/wide/0": code("1")}
    assert [version.runs_in_words for version in code_versions(runs)] == ["baseline/0, v/0", "wide/0"]


def test_packages_that_differ_between_runs_are_named():
    runs = {"x/baseline/0": code("0", OLD), "x/v/0": code("0", OLD), "x/baseline/1": code("0", NEW), "x/v/1": code("0", NEW)}
    assert package_versions(runs) == ("gymnasium 1.3.0 (seed 0), 1.4.0 (seed 1)",)
    assert package_versions({"x/v/0": code("0", NEW), "x/v/1": code("0", PATCHED)}) == (
        "gymnasium 1.4.0 of content aaaaaaaa (seed 0), 1.4.0 of content bbbbbbbb (seed 1)",
    )
    assert package_versions({"x/v/0": code("0", NEW), "x/v/1": None, "x/v/2": code("1", NEW)}) == ()
