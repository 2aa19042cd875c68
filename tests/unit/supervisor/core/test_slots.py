"""The index of free slots says what a scan of all hosts and attempts would say, whatever has happened."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from lander.protocol import events as e
from lander.supervisor.core.fold import evolve
from lander.supervisor.core.needs import Need
from lander.supervisor.core.slots import HostSlots, Slots, Taken
from lander.supervisor.core.state import State
from tests.support.histories import experiment, submitted

HOSTS = ("a", "b", "c")
RUNS = [run.id for name in ("x", "y") for run in experiment(name).runs]
CHANGES = st.one_of(
    st.tuples(
        st.just("join"),
        st.sampled_from(HOSTS),
        st.permutations(range(3)),
        st.integers(0, 3),
        st.integers(0, 2),
        st.sampled_from(["", "a" * 12, "b" * 12]),
        st.sets(st.sampled_from(["big", "new"])),
    ),
    st.tuples(st.just("go"), st.sampled_from(HOSTS)),
    st.tuples(
        st.just("start"),
        st.sampled_from(RUNS),
        st.sampled_from(HOSTS),
        st.integers(0, 3),
        st.sampled_from([None, "GPU-0", "GPU-1"]),
        st.sampled_from([None, 30, 30, 70, 99]),
    ),
    st.tuples(st.just("end"), st.sampled_from(RUNS)),
    st.tuples(st.just("quarantine"), st.sampled_from(["y", "host:c"])),
)


GPU_CLASSES = ("d" * 12, "e" * 12)
NEEDS = [
    Need("", share, gpu, labels)
    for share in (0, 30, 100)
    for gpu in (False, True)
    for labels in ((), ("big",), ("big", "new"), ("unheard of",))
]


def scanned(state, need):
    """The hosts with a free slot for a need and those with any, found by looking at every host and every attempt."""
    live = [run.attempt for run in state.runs.values() if run.attempt is not None]
    free, present = [], []
    for host in state.hosts.values():
        here = [attempt for attempt in live if attempt.host == host.name]
        cpus = [cpu for cpu in host.cpus if cpu not in {each.cpu for each in here}]
        used = Counter({gpu.id: 0 for gpu in host.devices})
        for each in here:
            used[each.gpu_id] += each.share
        gpus = [gpu for gpu in host.devices if used[gpu.id] + need.share <= 100]
        wished = set(need.labels) <= set(host.labels) and (host.gpus or not (need.gpu or need.cuda))
        if host.online and host.cpus and wished:
            present.append(host.name)
            if cpus and (gpus or not need.cuda):
                free.append((host.name, cpus, {gpu.bits for gpu in gpus if host.bits}))
    return free, present


def events_of(state, epochs, change):
    """What of a change is possible now, as events."""
    match change:
        case ("join", host, cpus, cores, gpus, bits, labels) if ("host:c", host) != (next(iter(state.quarantined), ""), "c"):
            offer = {"cpus": tuple(cpus)[:cores], "gpus": ("GPU",) * gpus, "bits": bits, "labels": tuple(labels)}
            named = [e.GpuDevice(id=f"GPU-{place}", bits=each) for place, each in enumerate(GPU_CLASSES[:gpus])]
            offer["devices"] = tuple(reversed(named) if cores == 1 else named)
            yield f"host:{host}", e.HostJoined(pid=1, memory_mb=1.0, **offer)
        case ("go", host):
            yield f"host:{host}", e.HostLost(detail="?")
        case ("start", run, host, cpu, gpu, share) if host in state.hosts and run in state.runs and not state.runs[run].live:
            epochs[run] = epochs.get(run, 0) + 1
            on_gpu = {"gpu": int(gpu[-1]), "gpu_id": gpu, "gpu_share": share} if gpu else {}
            yield run, e.AttemptStarted(epoch=epochs[run], host=host, cpu=cpu, **on_gpu)
        case ("end", run) if run in state.runs and state.runs[run].live:
            yield run, e.AttemptEnded(epoch=epochs[run], cause="crashed")
        case ("quarantine", stream):
            yield stream, e.Unreadable("FutureEvent", "of another version")


@settings(deadline=None)
@given(st.lists(CHANGES, max_size=30))
def test_the_index_always_equals_the_scan(changes):
    state, epochs, gone = State(), {}, set()
    for name in ("x", "y"):
        state = evolve(state, e.Recorded(0, name, e.SUPERVISOR, 0, 1, submitted(experiment(name))))
    for change in [*(("join", host, (0, 1), 2, 1, "", ()) for host in HOSTS), *changes]:
        for stream, event in events_of(state, epochs, change):
            if stream in gone:  # a host of which an event cannot be read gets another place when it joins again
                continue
            gone |= {stream} if isinstance(event, e.Unreadable) else set()
            state = evolve(state, e.Recorded(0, stream, e.SUPERVISOR, 0, 1, event))
        slots = state.slots
        for need in NEEDS:
            free, present = scanned(state, need)
            assert [(host.name, host.free_cpus) for host in slots.members(slots.free(need))] == [each[:2] for each in free]
            for bits in GPU_CLASSES if need.cuda else ():
                found = slots.members(slots.free_of_class(need._replace(bits=f"{'a' * 12}+{bits}")))
                of_class = [name for name, _, classes in free if bits in classes and state.hosts[name].bits == "a" * 12]
                assert [host.name for host in found] == of_class
            assert [host.name for host in slots.members(slots.present(need))] == present
        for key in ("a" * 12, "b" * 12, "label:big", "host:b", "host:nobody"):
            assert {host.name for host in slots.members(slots.group(key))} == {
                host.name for host in state.hosts.values() if key in host.groups
            }
        live = {(run.id, run.attempt.epoch) for run in state.runs.values() if run.attempt is not None}
        assert {(taken.run, taken.epoch) for taken in state.slots.all_taken()} == live


def test_the_cores_that_are_free_are_those_that_no_attempt_has():
    assert HostSlots("a", 0, cpus=(0, 1, 2), taken=(Taken("y", 1, 2), Taken("x", 1, 0))).free_cpus == [1]


def test_what_a_change_costs_does_not_grow_with_the_number_of_hosts():
    slots = Slots()
    for number in range(300):
        slots = slots.offered(f"host {number}", (0, 1))
    changed = slots.offered("host 150", (0,))
    assert [new.name for old, new in changed.hosts.changed_since(slots.hosts)] == ["host 150"]
    assert list(changed.changed_since(changed)) == []


def test_a_host_that_is_not_known_is_in_no_set():
    slots = Slots().offered("a", (0,))
    assert [host.name for host in slots.members(slots.named(["nobody", "a", "a"]))] == ["a"]
    assert list(slots.members(slots.named(["nobody"]))) == []
