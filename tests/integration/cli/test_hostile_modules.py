"""Modules of environments that crash, leave or never end: each command says so in one line, and nothing is started."""

import pytest

from lander.actors.host import requirements_process
from lander.actors.host.bounded_process import Ending
from lander.actors.host.linux_process import resident_memory_mb
from lander.actors.host.requirements_process import build_everything, check
from lander.cli.main import main
from lander.protocol.errors import ConfigurationError
from tests.support.recorded import recorded

HOSTILE = {
    "segfaults": ("import ctypes; ctypes.string_at(0)", 'ended by SIGSEGV: File "'),
    "leaves": (
        "import sys; print('so long \\x1b[31m'); sys.exit(0)",
        r"ended the process that built it, with exit status 0; it printed last: so long \x1b[31m",
    ),
    "leaves_at_once": ("import os; os._exit(0)", "ended the process that built it, with exit status 0"),
    "is_killed": ("import os; os.kill(os.getpid(), 9)", "ended by SIGKILL"),
    "never_ends": (
        "import time; time.sleep(1000)",
        "cannot be built within 2 s; stall_timeout: SECONDS in the file gives it more",
    ),
}
FORM = "environment: {}:Own-v0\nalgorithm: PPO\ntraining_steps: 64\nseeds: [0]\nstall_timeout: 2\nvariant: {{}}\n"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("command", "name"), [*(("validate", name) for name in HOSTILE), ("submit", "leaves"), ("run", "leaves")]
)
def test_code_that_ends_its_process_is_a_line_and_exit_code_2(command, name, tmp_path, capsys):
    code, words = HOSTILE[name]
    (tmp_path / f"{name}.py").write_text(code)
    (tmp_path / "x.yaml").write_text(FORM.format(name))
    assert main([command, "x.yaml", "--home", "home"]) == 2
    output, errors = capsys.readouterr()
    (line,) = (line for line in errors.splitlines() if not line.startswith("warning: "))
    assert (output, line.startswith("lander-ctl: x.yaml: baseline.environment: cannot be built")) == ("", True)
    assert words in line
    assert not (tmp_path / "home").exists()


def experiment(environment="CartPole-v1", /, **rest):
    hyperparameters = rest.pop("hyperparameters", {})
    form = {"environment": environment, "algorithm": "PPO", "training_steps": 64, "seeds": [0], "variant": {}}
    return recorded(form | {"hyperparameters": hyperparameters} | rest)


def test_what_a_module_prints_is_not_our_output(tmp_path, capfd):
    code = "import gymnasium; print('hello')\ngymnasium.register('Own-v0', 'gymnasium.envs.classic_control:CartPoleEnv')\n"
    (tmp_path / "prints.py").write_text(code)
    check(experiment("prints:Own-v0"), "x")
    assert [each.arm for each in build_everything(experiment("prints:Own-v0"), "x")] == ["baseline", "variant"]
    assert capfd.readouterr() == ("", "")


def test_too_many_environments_are_a_line(tmp_path):
    with pytest.raises(ConfigurationError, match=r"^x: baseline.hyperparameters.n_envs: cannot be built within 2 s;"):
        build_everything(experiment(hyperparameters={"n_envs": 1_000_000}, stall_timeout=2), "x")


def test_networks_that_are_too_large_are_a_line(monkeypatch):
    monkeypatch.setattr(requirements_process, "available_memory_mb", lambda: 900.0)
    with pytest.raises(
        ConfigurationError, match=r"^x: baseline.hyperparameters: cannot be built with the 810 MB of memory that"
    ):
        build_everything(experiment(hyperparameters={"policy_kwargs": {"net_arch": [100_000_000]}}), "x")


def test_the_environments_of_gymnasium_need_no_process_to_be_checked(monkeypatch):
    """So that a submission takes no longer. All others do: nothing of them may run here."""
    started = []
    monkeypatch.setattr(requirements_process, "run_bounded", lambda *task: started.append(task) or Ending())
    check(experiment(), "x")
    with pytest.raises(ConfigurationError, match="did you mean CartPole-v1"):
        check(experiment("CartPol-v1"), "x")
    assert started == []
    for others in (experiment("nothing:Own-v0"), experiment(evaluation_environment="nothing:Own-v0")):
        with pytest.raises(ConfigurationError, match="ended the process that built it, with exit status 0"):
            check(others, "x")
    assert len(started) == 2


def test_what_a_module_starts_is_ended_though_it_left_its_session_and_cleared_its_environment(tmp_path):
    started = "subprocess.Popen(['sleep', '1000'], start_new_session=True, env={})"
    code = f"import os, subprocess; open('pid', 'w').write(str({started}.pid))\nimport gymnasium\n"
    register = "gymnasium.register('Own-v0', 'gymnasium.envs.classic_control:CartPoleEnv')\n"
    (tmp_path / "starts.py").write_text(code + register)
    check(experiment("starts:Own-v0"), "x")
    assert resident_memory_mb(int((tmp_path / "pid").read_text())) == 0
