"""The watchdog: progress is not life, a peak is no excess, and time in which the supervisor stood still is no silence."""

import pytest

from lander.protocol.events import ResourcesSampled, TrainerUsage
from lander.supervisor.core.decide import HostGone, HostSilent, LimitReached, Stalled, Tick
from lander.supervisor.core.silence import LOST_SECONDS, SUSPECT_SECONDS
from lander.supervisor.core.watchdog import CPU_SECONDS, MAX_CHECK_INTERVAL, Watch
from tests.support.decision_driver import DecisionDriver
from tests.support.histories import HOST, experiment

A, B = "x/baseline/0", "x/v/0"


class Post:
    """A watch with a driver beside it: looks around each second, as the supervisor does."""

    def __init__(self, **form):
        self.driver = DecisionDriver()
        self.driver.submit(**({"stall_timeout": 60} | form))
        self.watch = Watch()
        self.alarms = self.look()

    def look(self, **how):
        return self.watch.check(self.driver.state, self.driver.look(), **how)

    def wait(self, seconds, each_second=lambda: None, **how):
        """What was said in the meantime."""
        alarms = []
        for _ in range(seconds):
            self.driver.now += 1
            each_second()
            self.driver.look().silence.heard(HOST, self.driver.now)
            alarms += self.look(**how)
        return alarms

    def progress(self, *runs):
        for run in runs:
            self.watch.progressed(run, self.driver.run(run).epoch, self.driver.now)

    def measure(self, run=A, cpu=50.0, memory=100.0, epoch=1, host=HOST):
        usage = TrainerUsage(run=run, epoch=epoch, cpu_percent=cpu, memory_mb=memory)
        sample = ResourcesSampled(cpu_percent=1, memory_percent=1, memory_mb=1, disk_free_mb=1, trainers=(usage,))
        self.watch.measured(host, self.driver.state, sample, self.driver.now)


# --- progress ---------------------------------------------------------------------------------------------------------


def test_who_says_nothing_is_stalled_after_its_time_and_not_before():
    post = Post()
    assert post.wait(60, lambda: post.progress(B)) == []
    assert post.wait(1, lambda: post.progress(B)) == [Stalled(A, 1, 61.0)]
    assert post.wait(200, lambda: post.progress(B)) == [], "it is said once"


def test_its_next_attempt_is_watched_afresh():
    post = Post()
    post.wait(61, lambda: post.progress(B))
    post.driver.crash(A)
    assert post.wait(30, lambda: post.progress(B)) == []
    post.driver.tell(Tick())
    assert post.driver.run(A).epoch == 2
    assert post.wait(61, lambda: post.progress(B)) == [], "to have been started is progress"
    assert post.wait(1, lambda: post.progress(B)) == [Stalled(A, 2, 61.0)]


def test_progress_is_that_of_the_attempt_that_counts():
    post = Post()
    assert post.wait(60, lambda: post.progress(B)) == []
    post.watch.progressed(A, 0, post.driver.now)
    assert post.wait(1, lambda: post.progress(B)) == [Stalled(A, 1, 61.0)]


def test_who_is_being_stopped_is_not_stalled():
    post = Post()
    post.driver.stop("x")
    assert post.wait(100) == []


def test_a_supervisor_that_stood_still_blames_nobody():
    """Control: the same time in small steps ends with an alarm for all of them."""
    post = Post()
    post.wait(50)
    post.driver.now += MAX_CHECK_INTERVAL + 300
    assert post.look() == []
    assert post.wait(60) == []
    assert {alarm.run for alarm in post.wait(1)} == {A, B}
    control = Post()
    assert {type(alarm) for alarm in control.wait(int(50 + MAX_CHECK_INTERVAL + 300))} == {Stalled}


@pytest.mark.parametrize("error", [-86_400.0, 86_400.0])
def test_a_clock_that_is_set_changes_nothing(error):
    post = Post(resource_limits={"wall_hours": 1.0})
    post.wait(50)
    post.driver.clock_error = error
    assert post.wait(10) == []
    assert {alarm.run for alarm in post.wait(1)} == {A, B}
    assert suspect_after(post) == SUSPECT_SECONDS + 1


def test_a_full_disk_counts_against_nobody():
    post = Post()
    assert post.wait(500, recording_stopped=True) == []
    assert post.wait(60) == []
    assert {alarm.run for alarm in post.wait(1)} == {A, B}


# --- limits -----------------------------------------------------------------------------------------------------------


def test_too_much_memory_is_noticed_at_once_and_said_once():
    post = Post(resource_limits={"memory_mb": 1000})
    post.measure(memory=1000.0)
    assert post.wait(1) == []
    post.measure(memory=1001.0)
    assert post.wait(1) == [LimitReached(A, 1, "memory_mb", 1001.0, 1000.0)]
    post.measure(memory=2000.0)
    assert post.wait(1) == []


def test_a_busy_core_is_too_much_only_if_it_stays_so():
    post = Post(resource_limits={"cpu_percent": 80})
    peaks = [90.0, 90.0, 90.0, 90.0, 50.0] * 5
    assert post.wait(len(peaks), lambda: post.measure(cpu=peaks.pop())) == []
    post.measure(cpu=50.0)
    assert post.wait(int(CPU_SECONDS), lambda: post.measure(cpu=90.0)) == []
    assert post.wait(1, lambda: post.measure(cpu=91.0)) == [LimitReached(A, 1, "cpu_percent", 91.0, 80.0)]


def test_time_on_the_wall_counts_from_the_attempts_start():
    post = Post(resource_limits={"wall_hours": 0.01}, stall_timeout=9999)
    assert post.wait(36) == []
    assert {(alarm.run, alarm.limit) for alarm in post.wait(1)} == {(A, "wall_hours"), (B, "wall_hours")}


def test_time_on_the_wall_counts_over_all_attempts_but_not_while_nobody_trains():
    """Nor does anybody know what the wall clock says meanwhile."""
    post = Post(resource_limits={"wall_hours": 0.01}, stall_timeout=9999)
    for how in ({"cause": "stopped"}, {"lost": True, "exit_code": None, "signal": "SIGKILL"}):
        post.wait(15)
        post.driver.pause(B)
        post.driver.exit(A, **how)
        post.driver.clock_error += 86_400.0
        post.wait(60)
        post.driver.tell(Tick())
        assert post.driver.run(A).state == "starting"
    assert post.driver.run(A).seconds == 30.0
    assert post.wait(6) == []
    assert post.wait(1) == [LimitReached(A, 3, "wall_hours", 37 / 3600, 0.01)]


def test_what_its_checkpoints_take_counts_over_all_attempts():
    post = Post(resource_limits={"disk_gb": 1.0})
    post.driver.train(A)
    post.driver.checkpoint(A, 100, written_bytes=1 << 29)
    post.driver.checkpoint(A, 200, written_bytes=1 << 29)
    assert post.wait(1) == []
    post.driver.checkpoint(A, 300, written_bytes=1 << 28)
    assert post.wait(1) == [LimitReached(A, 1, "disk_gb", 1.25, 1.0)]


def test_without_limits_nothing_is_too_much():
    post = Post(stall_timeout=99999)
    for _ in range(20):
        post.measure(cpu=1e5, memory=1e9)
        assert post.wait(1) == []


def test_a_measurement_of_what_is_not_watched_is_no_news():
    post = Post(resource_limits={"memory_mb": 1})
    post.measure(epoch=7, memory=100.0)
    post.measure(run="nobody/at/0", memory=100.0)
    assert post.wait(1) == []


# --- hosts ------------------------------------------------------------------------------------------------------------


def hostless(post, seconds, hosts=(HOST,)):
    """Which hosts may be given up after a time in which these were not heard, and all others were."""
    for _ in range(int(seconds)):
        post.driver.now += 1
        for name in post.driver.state.hosts.keys() - hosts:
            post.driver.look().silence.heard(name, post.driver.now)
        alarms = post.look()
    return [alarm.name for alarm in alarms if isinstance(alarm, HostSilent)]


def suspect_after(post):
    """After how many seconds without a word the host is suspect."""
    before = post.driver.now
    while HOST not in post.driver.timers.silence.suspects:
        hostless(post, 1)
    return post.driver.now - before


def test_a_silent_host_is_suspect_first_and_overdue_much_later_and_neither_once_it_is_heard():
    post = Post(stall_timeout=9999)
    silence = post.driver.timers.silence
    assert suspect_after(post) == SUSPECT_SECONDS + 1
    hostless(post, LOST_SECONDS - SUSPECT_SECONDS - 1)
    assert (silence.suspects, silence.overdue) == ({HOST}, frozenset())
    hostless(post, 1)
    assert (silence.suspects, silence.overdue) == ({HOST}, {HOST})
    silence.heard(HOST, post.driver.now)
    assert (silence.suspects, silence.overdue) == (frozenset(), frozenset())
    assert suspect_after(post) == SUSPECT_SECONDS + 1, "it is watched again"


def test_an_overdue_host_is_an_alarm_only_once_its_runs_can_go_elsewhere():
    post = Post(stall_timeout=9999)
    assert hostless(post, LOST_SECONDS + 500) == []
    post.driver.join(cpus=1, host="other")
    assert hostless(post, 1) == [HOST]
    assert hostless(post, 1) == [HOST], "until it is given up"
    post.driver.tell(HostSilent(HOST))
    assert hostless(post, 1) == []


def test_a_trainer_on_a_silent_host_is_not_stalled():
    """Else it would be ended when its host returns. Its control is a trainer that is silent on a host that is heard."""
    post = Post(stall_timeout=60)
    for _ in range(300):
        post.driver.now += 1
        assert post.look() == []
    post.driver.look().silence.heard(HOST, post.driver.now)
    assert post.wait(60) == []
    assert {alarm.run for alarm in post.wait(1)} == {A, B}


def test_a_host_that_is_known_to_be_gone_is_not_missed():
    post = Post()
    post.driver.tell(HostGone(HOST, "its process ended"))
    hostless(post, 300)
    assert post.driver.timers.silence.suspects == frozenset()


@pytest.mark.parametrize("recording_stopped", [True, False])
def test_time_in_which_a_host_could_not_be_heard_is_not_counted_as_silence(recording_stopped):
    post = Post()
    hostless(post, SUSPECT_SECONDS - 1)
    for _ in range(60):
        post.driver.now += 4 if recording_stopped else MAX_CHECK_INTERVAL + 300
        assert post.look(recording_stopped=recording_stopped) == []
    assert suspect_after(post) == 2
    control = Post()
    hostless(control, SUSPECT_SECONDS - 1)
    assert suspect_after(control) == 2, "as if nothing had been in between"


def test_for_a_new_supervisor_the_silence_of_all_hosts_begins_and_each_is_suspect_until_it_is_heard():
    post = Post(stall_timeout=9999)
    hostless(post, LOST_SECONDS + 500)
    post.driver.restart()
    silence = post.driver.timers.silence
    assert (silence.suspects, silence.overdue) == ({HOST}, frozenset())
    hostless(post, LOST_SECONDS)
    assert (silence.suspects, silence.overdue) == ({HOST}, frozenset())
    silence.heard(HOST, post.driver.now)
    assert silence.suspects == frozenset()
    assert suspect_after(post) == SUSPECT_SECONDS + 1


def test_a_new_supervisor_starts_nothing_on_a_host_that_it_has_not_heard():
    driver = DecisionDriver()
    driver.restart()
    driver.submit(seeds=[0])
    assert not driver.hosts_of(), "it may have gone, or have no way here any more"
    driver.join(host="new")
    assert set(driver.hosts_of().values()) == {"new"}, "one that joins is heard"
    driver.hear(HOST, "new")
    driver.submit(experiment("y", seeds=[0]))
    assert {attempt.host for run, attempt in driver.state.attempts() if run.experiment == "y"} == {HOST}
