"""`lander-ctl doctor` as a process of its own: on a machine that is good, and on one on which everything is wrong."""

import json
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from lander.actors.host.bits import OPERATIONS
from lander.app import known_bits
from lander.cli.main import main
from tests.support.command_line import LANDER, lander
from tests.support.written_homes import queued_experiment

OLDER_PROCESSOR = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}
"""Has the libraries compute as they would on one."""


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """What the doctor says here, of a home that does not exist, and the table with this machine's bits."""
    place = tmp_path_factory.mktemp("here")
    said = lander(place / "none" / "yet", "doctor", "--json", "--record-bits", place / "bits.json")
    assert list(place.iterdir()) == [place / "bits.json"]
    return said, place / "bits.json"


def test_this_machine_is_good_and_nothing_is_left_behind(here):
    (code, output, errors), table = here
    said = json.loads(output)
    assert code == 0
    assert "problem" not in {each["level"] for each in said["diagnoses"]}
    assert all(each["advice"] for each in said["diagnoses"] if each["level"] != "ok")
    assert errors == f"examining this machine …\nlander-ctl: {table}: has the bits of this machine\n"
    (recorded,) = known_bits.read(table).classes
    assert recorded.digests == said["bits"]["digests"]
    assert list(recorded.digests) == list(OPERATIONS)


@pytest.fixture
def read_only(tmp_path):
    """A home in which nothing can be written, by root neither, and what is put before a command that is to see it so."""
    home = tmp_path / "home"
    queued_experiment(home)
    script = f'mount --bind "{home}" "{home}" && mount -o remount,ro,bind "{home}" && exec "$@"'
    before = ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh"]
    if subprocess.run([*before, "true"], capture_output=True, check=False).returncode != 0:
        return Path("/sys/kernel"), []  # no mount can be made here; this is as good, but has no log
    return home, before


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the variables are for the processors of this kind")
def test_whatever_is_wrong_is_named_with_what_to_do_and_nothing_is_changed(here, read_only):
    """Few files, one core, a home that can only be read, and an older processor than that of the table."""
    _, table = here
    home, before = read_only
    files = {path: path.stat().st_mtime_ns for path in home.rglob("*")} if before else {}

    def confine():
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    command = [*before, *LANDER, "doctor", "--home", str(home), "--known-bits", str(table)]
    done = subprocess.run(
        command, env=os.environ | OLDER_PROCESSOR, preexec_fn=confine, capture_output=True, text=True, timeout=90, check=False
    )
    assert (done.returncode, done.stderr) == (1, "examining this machine …\n")
    found = {line[:12].strip(): line[13:] for line in done.stdout.splitlines()}
    assert found["open files"].startswith("problem  at most 200 ")
    assert found["cores"].startswith("ok       1 ")
    assert found["home"].startswith(f"problem  {home}: ")
    assert found["disk speed"].startswith("warning  not measured: ")
    different, _, advice = found["bits"].partition("; ")
    assert all(name in different for name in ("warning  differ from", "matmul", "convolution", "softmax", "orthogonal"))
    assert "generators" not in different
    assert advice.startswith("unset ATEN_CPU_CAPABILITY MKL_CBWR ONEDNN_MAX_CPU_ISA: ")
    assert all("; " in line for line in found.values() if line.startswith(("problem", "warning")))
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_a_table_that_is_none_is_refused_before_anything_else(tmp_path, capsys):
    (tmp_path / "table.json").write_text("[]")
    for name in ("table.json", "none.json"):
        assert main(["--home", str(tmp_path / "home"), "doctor", "--known-bits", str(tmp_path / name)]) == 2
        printed = capsys.readouterr()
        assert (printed.out, len(printed.err.splitlines())) == ("", 1)
        assert f"{name}: " in printed.err


def test_torch_is_imported_in_a_process_of_its_own():
    code = "import sys, lander.app.doctor; print({'torch', 'gymnasium', 'stable_baselines3'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
