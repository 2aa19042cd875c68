"""The class of bits of a machine: computed once, and again whenever something could have changed it."""

import time

import pytest

from lander.actors.host import bits_process, host_bits
from lander.actors.host.bits_process import ComputedBits
from lander.actors.host.gpus import Gpus
from lander.protocol.errors import LanderError

BITS = ComputedBits(versions={"torch": "2.13.0"}, machine="x86_64", processor="AVX512", digests={"matmul": "0" * 16})


@pytest.fixture
def computed(monkeypatch):
    """Counts how often the operations are computed."""
    times = []
    monkeypatch.setattr(host_bits, "compute_bits", lambda given_up: times.append(1) or BITS)
    return times


def test_they_are_computed_once_and_again_when_libraries_are_told_to_compute_otherwise(tmp_path, computed, monkeypatch):
    assert not host_bits.are_kept(tmp_path)
    assert [host_bits.host_bits(tmp_path, [].append) for _ in range(2)] == [BITS, BITS]
    assert host_bits.are_kept(tmp_path)
    assert len(computed) == 1
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    host_bits.host_bits(tmp_path, [].append)
    assert len(computed) == 2
    monkeypatch.setattr(host_bits, "version", lambda package: "9.9")
    host_bits.host_bits(tmp_path, [].append)
    assert len(computed) == 3


def test_what_cannot_be_read_is_computed_again(tmp_path, computed):
    (tmp_path / "bits.json").write_text('{"classes": []}')
    assert host_bits.host_bits(tmp_path, [].append) == BITS
    assert len(computed) == 1


def test_a_class_is_of_the_digests_and_the_versions_and_of_nothing_else():
    other = [
        BITS.model_copy(update={"digests": {"matmul": "1" * 16}}),
        BITS.model_copy(update={"versions": {"torch": "2.12.0"}}),
        BITS.model_copy(update={"processor": "AVX2"}),
    ]
    found = [host_bits.bits_class(each) == host_bits.bits_class(BITS) for each in other]
    assert found == [False, False, True]
    assert len(host_bits.bits_class(BITS)) == 12


def test_a_machine_whose_operations_fail_says_nothing_of_its_bits_and_why(tmp_path, monkeypatch):
    def fails(given_up):
        raise LanderError("they fail here")

    monkeypatch.setattr(host_bits, "compute_bits", fails)
    logged = []
    assert host_bits.said_of_bits(tmp_path, None, logged.append) == {}
    assert logged[1:] == ["this host cannot be compared with others: they fail here"]


def test_that_they_are_measured_is_said_before_and_only_then(tmp_path, computed):
    logged = []
    for _ in range(2):
        assert host_bits.said_of_bits(tmp_path, Gpus(), logged.append)["bits"] != ""
    (said,) = logged
    assert "measuring what this machine computes" in said
    assert "about 10 s, once for each installation" in said


def test_who_gives_it_up_is_told_no_reason_and_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(host_bits, "compute_bits", bits_process.compute_bits)
    began, logged = time.monotonic(), []
    assert host_bits.said_of_bits(tmp_path, None, logged.append, lambda: True) == {}
    assert time.monotonic() - began < 2, "it takes more seconds to import torch"
    assert len(logged) == 1
    assert not host_bits.are_kept(tmp_path)
