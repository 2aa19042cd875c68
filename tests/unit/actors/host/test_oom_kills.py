"""Which SIGKILL was the kernel's, for want of memory: each of its kills explains one death."""

from lander.actors.host.linux_process import OomKills, _oom_kills_of, count_oom_kills


class Kernel:
    """Counts as the control group does."""

    def __init__(self, killed=0):
        self.killed = killed
        self.oom = OomKills(lambda: self.killed)


def test_a_kill_by_the_kernel_explains_one_death():
    kernel = Kernel()
    at_start = kernel.oom.so_far()
    kernel.killed += 1
    assert kernel.oom.explains(at_start)
    assert not kernel.oom.explains(at_start), "a plain kill -9 of its sibling afterwards"


def test_two_kills_explain_two_deaths():
    kernel = Kernel()
    kernel.killed += 2
    assert [kernel.oom.explains(0) for _ in range(3)] == [True, True, False]


def test_a_plain_kill_is_not_the_kernels():
    assert not Kernel(killed=7).oom.explains(7)


def test_what_was_killed_before_a_process_started_does_not_explain_its_death():
    kernel = Kernel()
    kernel.killed += 3  # somebody else's processes
    assert not kernel.oom.explains(kernel.oom.so_far())
    kernel.killed += 1
    assert kernel.oom.explains(3)


def test_the_count_can_be_had_here_or_is_nought():
    assert count_oom_kills() >= 0


def test_a_group_without_a_count_is_counted_by_the_group_around_it(tmp_path):
    """The control for it: a count of its own comes first."""
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "outer" / "memory.events").write_text("low 0\noom_kill 3\n")
    assert _oom_kills_of(inner, "memory.events") == 3
    (inner / "memory.events").write_text("low 0\noom_kill 1\n")
    assert _oom_kills_of(inner, "memory.events") == 1
