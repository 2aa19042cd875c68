"""What a machine looks at before it trains a run: packages, captured code, modules, and room on its disk."""

import errno
import os
import shutil
from types import SimpleNamespace

import pytest

from lander.actors.environment.installed_packages import packages_of
from lander.actors.host import fitness
from lander.actors.host.fitness import Fitness
from lander.actors.sb3 import algorithm_table
from lander.home.artifacts import write_artifact
from lander.home.captured_code import pack
from lander.protocol.code import Code
from lander.protocol.commands import TrainerOrder
from tests.support.histories import experiment

HERE = packages_of([])
PATCHED = tuple(each.model_copy(update={"sha256": "0" * 64}) for each in HERE)


def order(code=None, environment="CartPole-v1", directory=""):
    return TrainerOrder(
        run="x/baseline/0",
        epoch=1,
        host="gpu3",
        arm=experiment().arms[0].model_copy(update={"environment": environment}),
        seed=0,
        cpu=0,
        monitoring=True,
        shortcuts=True,
        directory=directory,
        code=code,
        checkpoint_frequency=1000,
    )


@pytest.fixture
def captured(tmp_path):
    """Code that was captured, in the home."""
    archive = write_artifact(tmp_path, pack({"0/cart.py": b"x = 1"}))
    return Code(archive=archive, modules=("cart",), packages=HERE)


async def lacks(home, wanted):
    return await Fitness(home).unfit_for(wanted) or ("", "")


async def test_a_machine_with_the_packages_that_were_submitted_is_fit(tmp_path):
    assert await lacks(tmp_path, order(Code(packages=HERE))) == ("", "")
    assert await lacks(tmp_path, order()) == ("", "")


async def test_one_with_other_packages_is_not(tmp_path):
    lack, problem = await lacks(tmp_path, order(Code(packages=PATCHED)))
    assert (lack, "has another gymnasium" in problem) == ("packages", True)
    missing = HERE[0].model_copy(update={"name": "no-such-package"})
    assert (await lacks(tmp_path, order(Code(packages=(missing,)))))[1].startswith("lacks no-such-package ")


async def test_packages_are_compared_once_for_all_runs_with_the_same(tmp_path, monkeypatch):
    compared = []
    monkeypatch.setattr(fitness, "named_packages", lambda names: compared.append(list(names)) or HERE)
    fit = Fitness(tmp_path)
    for code in (Code(packages=HERE), Code(packages=HERE, modules=("a",)), Code(packages=PATCHED)):
        await fit.unfit_for(order(code))
    assert len(compared) == 2


async def test_captured_code_is_unpacked_or_it_is_said_that_it_cannot_be(tmp_path, captured):
    assert await lacks(tmp_path, order(captured, "cart:Cart-v0")) == ("", "")
    assert (tmp_path / "code" / captured.archive / "0" / "cart.py").exists()
    shutil.rmtree(tmp_path / "code")
    (path,) = tmp_path.glob(f"artifacts/??/{captured.archive}")
    path.unlink()
    path.write_bytes(b"damaged")
    lack, problem = await lacks(tmp_path, order(captured, "cart:Cart-v0"))
    assert (lack, problem.startswith("cannot use the captured code of cart: ")) == ("code", True)
    path.unlink()
    assert (await lacks(tmp_path, order(captured, "cart:Cart-v0")))[0] == "code"


async def test_a_module_that_was_not_captured_must_be_there(tmp_path):
    wanted = order(environment="nowhere_at_all:Cart-v0", directory=str(tmp_path))
    lack, problem = await lacks(tmp_path, wanted)
    assert (lack, problem.startswith("has no module nowhere_at_all, which was not captured")) == ("module", True)
    (tmp_path / "nowhere_at_all.py").write_text("raise SystemExit")  # it is found, and not run
    assert await lacks(tmp_path, wanted) == ("", "")


async def test_a_disk_without_room_is_said_and_so_is_one_that_code_does_not_fit_on(tmp_path, captured, monkeypatch):
    def full(home, archive):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(fitness, "unpacked", full)
    lack, problem = await lacks(tmp_path, order(captured, "cart:Cart-v0"))
    assert (lack, problem.startswith("has no room on its disk: [Errno 122]")) == ("disk", True)
    monkeypatch.setattr(fitness.shutil, "disk_usage", lambda path: SimpleNamespace(free=12 << 20))
    assert await lacks(tmp_path, order()) == ("disk", "has no room on its disk: 12 MB are free, and a run begins with 64")


async def test_whatever_goes_wrong_while_it_looks_ends_no_agent(tmp_path, monkeypatch):
    def broken(names):
        raise KeyError("Name")

    monkeypatch.setattr(fitness, "named_packages", broken)
    found = await lacks(tmp_path, order(Code(packages=HERE)))
    assert found == ("packages", "cannot find out what is installed there: KeyError('Name')")


async def test_a_machine_without_the_package_of_the_algorithm_says_which(tmp_path, monkeypatch):
    monkeypatch.setattr(algorithm_table, "find_spec", lambda _: None)
    wanted = order()
    arm = wanted.arm.model_copy(update={"algorithm": "TQC"})
    lack, words = await lacks(tmp_path, wanted.model_copy(update={"arm": arm}))
    assert (lack, words.split(",")[0]) == ("module", "has no module sb3_contrib")
