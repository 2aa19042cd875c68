"""The doctor's checks, one by one: each finds what it is there for, and finds nothing where nothing is wrong."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lander.actors.host import bits_process, control_group
from lander.actors.host.bits_process import ComputedBits
from lander.actors.host.bounded_process import Ending
from lander.actors.host.machine_limits import ProcessLimit, core_quota, process_limits
from lander.app import home_checks, known_bits, machine_checks
from lander.app.doctor import Doctor
from lander.app.known_bits import KnownBits, MachineClass
from lander.home import keys
from lander.protocol.errors import ConfigurationError, LanderError
from lander.store.log.reader import DATABASE
from tests.support.written_homes import queued_experiment

GB = 1 << 30
NOW = 1_800_000_000.0
BITS = ComputedBits(
    versions={"torch": "2.13.0", "numpy": "2.4.6"},
    machine="x86_64",
    processor="AVX512, glibc 2.36",
    digests={"matmul": "aa", "convolution": "bb"},
)
WITH_CUDA = BITS.model_copy(update={"cuda": "12.8"})


def known(**changes):
    same = BITS.model_dump(exclude={"cuda"}) | {"processor": "AVX2, glibc 2.31"}
    return KnownBits(classes=(MachineClass(**(same | changes)),))


# --- the machine ------------------------------------------------------------------------------------------------------


def test_installed_libraries_are_as_tested_and_others_are_named():
    assert machine_checks.python().level == "ok"
    found = machine_checks.libraries()
    assert found.level == "ok"
    assert "torch 2." in found.detail
    wrong = machine_checks.libraries(["numpy>=999", "no-such-library>=1", "torch>=2", 'nor-this>=1; extra == "dev"'])
    assert wrong.level == "problem"
    assert "numpy" in wrong.detail
    assert "older than what is tested (>=999); no-such-library is missing" in wrong.detail
    assert "nor-this" not in wrong.detail
    assert "pip install" in wrong.advice


@pytest.mark.parametrize(
    ("quota", "level", "advice"),
    [(None, "ok", ""), (4.0, "ok", ""), (1.5, "warning", "--max-workers 1 "), (0.5, "warning", "--max-workers 1 ")],
)
def test_a_quota_below_the_usable_cores_is_a_warning(quota, level, advice):
    found = machine_checks.cores_of(2, 8, quota)
    assert found.level == level
    assert found.detail.startswith("2 of 8 cores can be used")
    assert advice in found.advice


def test_quotas_and_limits_are_read_from_control_groups_of_both_versions(tmp_path):
    inner, outer, old = tmp_path / "a" / "b", tmp_path / "a", tmp_path / "old"
    inner.mkdir(parents=True)
    old.mkdir()
    assert core_quota([inner, outer]) is None
    (inner / "cpu.max").write_text("max 100000\n")
    assert core_quota([inner, outer]) is None
    (outer / "cpu.max").write_text("150000 100000\n")
    (old / "cpu.cfs_quota_us").write_text("50000\n")
    (old / "cpu.cfs_period_us").write_text("100000\n")
    assert core_quota([inner, outer]) == 1.5
    assert core_quota([old]) == 0.5
    (old / "cpu.cfs_quota_us").write_text("-1\n")
    assert core_quota([old]) is None
    (inner / "pids.max").write_text("40\n")
    (inner / "pids.current").write_text("38\n")
    assert ProcessLimit(40, 38, "the control group of this process") in process_limits([inner, outer])


@pytest.mark.parametrize(
    ("limits", "level", "advice"),
    [
        ([], "ok", ""),
        ([ProcessLimit(4000, 100, "this user")], "ok", ""),
        ([ProcessLimit(4000, 100, "this user"), ProcessLimit(100, 44, "the group")], "warning", "--max-workers 3"),
        ([ProcessLimit(100, 99, "this user")], "problem", "ulimit -u"),
        ([ProcessLimit(100, 200, "this user")], "problem", "ulimit -u"),
    ],
)
def test_the_limit_that_leaves_least_decides(limits, level, advice):
    found = machine_checks.processes_of(limits, runs=4)
    assert found.level == level
    assert advice in found.advice


@pytest.mark.parametrize(
    ("names", "bits", "driver", "level", "detail"),
    [
        ([], BITS, False, "ok", "none"),
        (["A100", "A100", "T4"], WITH_CUDA, True, "ok", "2 × A100, 1 × T4, and torch was built for CUDA 12.8"),
        (["A100"], BITS, True, "warning", "without CUDA"),
        ([], WITH_CUDA, True, "warning", "NVML finds no GPU"),
        (["A100"], None, True, "warning", "A100; torch gave no answer, so it is not known whether"),
        ([], None, False, "ok", "none"),
    ],
)
def test_a_gpu_that_torch_cannot_use_is_a_warning_and_what_is_not_known_is_not_claimed(names, bits, driver, level, detail):
    found = machine_checks.gpus_of(names, bits, driver)
    assert found.level == level
    assert detail in found.detail


@pytest.mark.parametrize(
    ("now", "drift", "last_event", "level", "detail"),
    [
        (NOW, 0.0001, None, "ok", "within 0.1 ms"),
        (NOW, 0.0, NOW - 5, "ok", "go alike"),
        (NOW, 3600.0, None, "warning", "was set by +3600.0 s"),
        (NOW, 0.0, NOW + 7200, "warning", "is 7,200 s in the future"),
        (1000.0, 0.0, None, "warning", "was never set"),
    ],
)
def test_a_clock_that_was_set_is_a_warning(now, drift, last_event, level, detail):
    found = machine_checks.clock_of(now, drift, last_event)
    assert found.level == level
    assert detail in found.detail
    assert bool(found.advice) == (level != "ok")


# --- the home ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "free", "files", "level", "words"),
    [
        ("ext4", 100 * GB, 10**6, "ok", "ext4"),
        ("btrfs", 100 * GB, None, "ok", "btrfs"),
        ("nfs4", 100 * GB, None, "warning", "network"),
        ("fuse.sshfs", 100 * GB, None, "warning", "network"),
        ("tmpfs", 100 * GB, None, "warning", "memory"),
        ("ext4", GB, 10**6, "warning", "gc --delete"),
        ("ext4", 100 * GB, 12, "warning", "12 more files"),
        ("nfs4", 1000, None, "problem", "make room"),
    ],
)
def test_a_disk_that_is_full_or_not_here_is_found(kind, free, files, level, words):
    found = home_checks.disk_of(kind, free, files)
    assert found.level == level
    assert words in f"{found.detail}; {found.advice}"


def test_the_file_system_of_a_directory_is_that_of_the_nearest_mount():
    assert home_checks._file_system(Path("/proc/self")) == "proc"
    assert home_checks._file_system(Path("/sys")) == "sysfs"


def test_one_slow_flush_is_no_slow_disk():
    assert home_checks.speed_of([0.001] * 19 + [0.5]).level == "ok"
    slow = home_checks.speed_of([0.001] + [0.05] * 19)
    assert (slow.level, slow.detail) == (
        "warning",
        "fsync takes 50.00 ms (median of 20, slowest 50.0 ms): commits will be slow",
    )


def test_a_home_that_works_is_left_as_it_was(tmp_path):
    queued_experiment(tmp_path / "home")
    keys.load_or_create(tmp_path / "home", "client")
    (tmp_path / "home").chmod(0o700)
    before = _tree(tmp_path)
    for home in (tmp_path / "home", tmp_path / "none" / "yet"):
        place = home_checks.place_of(home)
        checks = (home_checks.location(home, place), home_checks.disk(place), home_checks.flushes(place))
        assert [each.level for each in (*checks[::2], home_checks.write_ahead_log(place), home_checks.secrets(home))] == [
            "ok"
        ] * 4
        assert checks[1].level in ("ok", "warning")
    assert home_checks.supervisor(tmp_path / "none").level == "ok"
    assert home_checks.supervisor(tmp_path / "home").advice == "lander-ctl up"
    assert home_checks.last_event(tmp_path / "home") > 0
    assert home_checks.last_event(tmp_path / "none") is None
    assert _tree(tmp_path) == before


def test_a_log_that_cannot_be_read_is_named_with_what_brings_it_up_to_date(tmp_path):
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        connection.execute("PRAGMA user_version = 1")
    found = home_checks.supervisor(tmp_path)
    assert (found.level, found.advice) == ("warning", "lander-ctl up brings it up to date")
    assert "written by an older version" in found.detail


def _tree(root):
    return {path: path.is_file() and path.read_bytes() for path in root.rglob("*") if not path.name.startswith("events.db-")}


def test_where_nothing_can_be_written_there_is_no_home(tmp_path):
    for home in (Path("/sys/kernel/lander"), tmp_path / "file" / "home", tmp_path / "file"):
        (tmp_path / "file").write_text("not a directory")
        place = home_checks.place_of(home)
        found = home_checks.location(home, place)
        assert (found.level, found.advice) == ("problem", home_checks.ANOTHER)
        assert str(home) in found.detail
        assert home_checks.flushes(place).level == home_checks.write_ahead_log(place).level == "warning"


def test_a_home_that_others_may_write_into_is_a_warning(tmp_path):
    tmp_path.chmod(0o770)
    found = home_checks.location(tmp_path, home_checks.place_of(tmp_path))
    assert (found.level, found.advice) == ("warning", f"chmod go-w {tmp_path}")


def test_a_disk_without_a_write_ahead_log_is_a_problem(tmp_path, monkeypatch):
    """SQLite is made to do without shared memory, as on a disk that has none: it keeps its old journal and raises nothing."""
    connect = sqlite3.connect
    place = home_checks.place_of(tmp_path)
    assert home_checks.write_ahead_log(place).level == "ok"
    monkeypatch.setattr(sqlite3, "connect", lambda name, **options: connect(f"{name}&vfs=unix-dotfile", **options))
    found = home_checks.write_ahead_log(place)
    assert found.level == "problem"
    assert "its journal is delete" in found.detail
    assert list(tmp_path.iterdir()) == []


def test_keys_that_others_may_read_are_a_problem(tmp_path):
    assert home_checks.secrets(tmp_path).detail.startswith("none yet")
    keys.load_or_create(tmp_path, "client")
    keys.load_or_create(tmp_path, "host")
    assert home_checks.secrets(tmp_path).detail == "client, host: for their owner alone"
    (tmp_path / "keys" / "host.key").chmod(0o644)
    found = home_checks.secrets(tmp_path)
    assert (found.level, found.advice) == ("problem", "run chmod 600 on it")
    assert "host.key: others may read this secret (mode 0644)" in found.detail


# --- bits -------------------------------------------------------------------------------------------------------------


def test_equal_digests_agree_whatever_the_processor_is_called():
    found = known_bits.compare(BITS, known())
    assert found.level == "ok"
    assert "agree with x86_64 with AVX2, glibc 2.31 in all 2 operations" in found.detail


def test_an_altered_digest_differs_and_is_named(monkeypatch):
    altered = known(digests={"matmul": "aa", "convolution": "b0"})
    found = known_bits.compare(BITS, altered)
    assert found.level == "warning"
    assert "differ from x86_64 with AVX2, glibc 2.31 in convolution: runs are exact here" in found.detail
    assert found.advice == "train all runs of an experiment on machines of one kind"
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    assert known_bits.compare(BITS, altered).advice.startswith("unset ATEN_CPU_CAPABILITY: ")
    both = KnownBits(classes=(*altered.classes, *known().classes))
    assert known_bits.compare(BITS, both).level == "ok"


@pytest.mark.parametrize(
    "other",
    [
        {"versions": {"torch": "2.14.0", "numpy": "2.4.6"}},
        {"machine": "aarch64"},
        {"digests": {"matmul": "aa", "convolution of old": "bb"}},
    ],
)
def test_what_cannot_be_compared_is_unknown(other):
    found = known_bits.compare(BITS, known(**other))
    assert found.level == "warning"
    assert found.detail.startswith("unknown: no x86_64 machine with torch 2.13.0, numpy 2.4.6 is known")
    assert "--record-bits" in found.advice


def test_a_machine_is_recorded_once_and_read_again(tmp_path):
    table = tmp_path / "table.json"
    for _ in range(2):
        known_bits.record(table, BITS)
    assert [each.digests for each in known_bits.read(table).classes] == [BITS.digests]
    assert known_bits.compare(BITS, known_bits.read(table)).level == "ok"


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"classes": [{"machine": 1}]}', b"\xff\xfe", b" " * (known_bits.MAX_BYTES + 1)]
)
def test_a_file_that_is_no_table_is_refused_by_its_name(tmp_path, content):
    table = tmp_path / "table.json"
    table.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"table\.json: "):
        known_bits.read(table)


def test_the_table_that_is_shipped_can_be_read():
    shipped = known_bits.read(known_bits.SHIPPED)
    assert shipped.classes
    assert len(set(map(repr, shipped.classes))) == len(shipped.classes)


def test_where_no_control_group_can_be_made_the_doctor_says_what_that_means():
    assert machine_checks.control_group_of("").level == "ok"
    found = machine_checks.control_group_of("Read-only file system")
    assert (found.name, found.level) == ("cgroup", "warning")
    assert "no control group can be made (Read-only file system)" in found.detail
    assert "Delegate=yes" in found.advice


def test_to_try_whether_one_can_be_made_leaves_none_behind(tmp_path):
    if problem := control_group.why_none(tmp_path):
        pytest.skip(f"no control group can be made here: {problem}")
    assert list(control_group.own_group().glob(f"{control_group.name_of(tmp_path)}*")) == []


# --- all of it --------------------------------------------------------------------------------------------------------


def test_one_check_that_fails_keeps_no_other_from_being_made(tmp_path, monkeypatch):
    def fail():
        raise LanderError("the operations that training is made of fail here: no such library")

    monkeypatch.setattr("lander.app.doctor.compute_bits", fail)
    announced = []
    found = {each.name: each for each in Doctor(tmp_path / "home", known(), announced.append).diagnoses()}
    assert [each for each in announced if ":" not in each] == list(found)
    assert (found["bits"].level, found["bits"].detail.rpartition(": ")[2]) == ("problem", "no such library")
    assert found["clock"].level == "ok"
    assert not (tmp_path / "home").exists()


def test_what_is_only_slow_is_a_warning(tmp_path, monkeypatch):
    """By what the process that computes the bits raises; that it computes none is a problem, as above."""
    monkeypatch.setattr(bits_process, "run_bounded", lambda *arguments: Ending(exceeded="time"))
    found = {each.name: each for each in Doctor(tmp_path / "home", known()).diagnoses()}
    assert found["bits"].level == "warning"
    assert "were not computed: it took more than 60 seconds" in found["bits"].detail
    assert "less busy" in found["bits"].advice
    assert home_checks.speed_of([9.0] * 20).level == "warning"


def test_a_gpu_that_is_missing_is_said_though_others_are_there():
    found = machine_checks.gpus_of(["A100"], WITH_CUDA, True, ("GPU 1: GPU is lost",))
    assert (found.level, found.detail) == ("warning", "GPU 1: GPU is lost; one other is offered")
