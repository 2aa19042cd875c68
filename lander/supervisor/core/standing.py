"""The standing of each run, experiment and host: the values that the state is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from lander.protocol import events as e
from lander.protocol.code import Code
from lander.protocol.experiment import Arm, Experiment
from lander.protocol.states import LIVE, LOCAL, TERMINAL, UNDER_WAY, ExperimentState, RunState
from lander.supervisor.core.annotations import Annotations
from lander.supervisor.core.gpu_shares import Gpu
from lander.supervisor.core.needs import WHOLE, Need, class_key, host_class, label_key
from lander.supervisor.core.stop_reasons import MEANINGS

LOCAL_HOST: Final = LOCAL
"""The name of the host on the supervisor's own machine, which no other may have."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One process that trains a run, from the decision to start it (`at`, seconds since 1970) until its exit is recorded.

    `at` is by the wall clock, so it is no measure of how long it has run: `timers.py` has that.
    """

    epoch: int
    host: str
    cpu: int
    gpu: int | None
    at: float
    bits: str
    """The key of the class of bits of its host, or of its GPU there."""
    gpu_id: str = ""
    """What CUDA knows its GPU by."""
    share: int = 0
    """The hundredths of that GPU that it has."""
    model_saved: bool = False
    reported_end: e.TrainingEnded | None = None
    stop_reason: str | None = None
    """Why it was asked to end: a `StopReason`, or `resumed` if an operator has since asked for the run to go on."""
    exceeded: tuple[e.ResourceLimitExceeded, ...] = ()
    key_revoked: bool = False
    """Whether its trainer is heard no more."""
    lease: float | None = None
    """For how many seconds each of its leases is granted; None: it needs none, or an older log does not say it."""

    @classmethod
    def of(cls, event: e.AttemptStarted, at: float) -> "Attempt":
        """The attempt that an event has started. Of its GPU, older logs have the number alone."""
        bits = class_key(event.bits, event.host, event.gpu_bits)
        gpu = ("", 0) if event.gpu is None else (event.gpu_id or str(event.gpu), event.gpu_share or WHOLE)
        return cls(event.epoch, event.host, event.cpu, event.gpu, at, bits, *gpu, lease=event.lease)


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that failed: after how many seconds of all the run's attempts, why, and at which timestep if that is known."""

    after: float
    cause: e.Cause
    step: int | None
    checkpoint_since: bool = False
    """Whether a checkpoint was committed after it."""


@dataclass(frozen=True, slots=True)
class RunStanding:
    """One arm with one seed; `place` is its position in the starting order of its experiment."""

    id: str
    experiment: str
    arm: Arm
    seed: int
    place: int
    origin: e.CheckpointCommitted | None = None
    """The checkpoint of another run from which this one was forked; None if it starts at timestep 0."""
    origin_bits: str = ""
    """The key of the class of bits with which that checkpoint was computed; empty if there is none, or that is not known."""
    code: Code | None = None
    """What it trains on, from its first attempt to its last; None if that was not captured."""
    needs: str = ""
    """What a host must have to train it, as one digest."""
    state: RunState = "queued"
    epoch: int = 0
    trained: int = 0
    """Epoch of the last attempt whose training started: only its checkpoints are added to `checkpoints`."""
    placed_on: str = ""
    """The key of the class of bits on which its last attempt was placed."""
    trained_on: tuple[tuple[int, str], ...] = ()
    """The steps from which on it trained on another class of bits than before, each with the key of that class."""
    other_code: int = 0
    """Epoch of the last attempt that trained on other code: a checkpoint of it is not continued from."""
    checkpoints: tuple[e.CheckpointCommitted, ...] = ()
    """The checkpoints it may continue from, the latest first."""
    written_bytes: int = 0
    """Bytes written for all its checkpoints."""
    seconds: float = 0.0
    """Duration of all its ended attempts, as it was measured."""
    failures: tuple[Failure, ...] = ()
    """Failures since it was submitted or last resumed."""
    not_before: float = 0.0
    """When it may start by the wall clock (seconds since 1970)."""
    delay: float = 0.0
    """For how many seconds it waits while it is queued, from when it was queued."""
    leased_until: float = 0.0
    """Until when an attempt that is out of reach may still act, by the wall clock: nothing starts it before that."""
    attempt: Attempt | None = None
    stop_reason: str | None = None
    """Why it was stopped; None unless it is."""
    exceeded: tuple[e.LimitName, ...] = ()
    """The resource limits for which its last attempt was ended."""

    @property
    def pair(self) -> str:
        """What names the runs with which it is compared: its seed, in a suite with its task."""
        return self.id.removeprefix(f"{self.experiment}/{self.arm.name}/")

    @property
    def bits(self) -> str:
        """The key of the class of bits on which it has trained last; empty if it has not."""
        return self.trained_on[-1][1] if self.trained_on else ""

    def bits_at(self, step: int) -> str:
        """The key of the class of bits with which its checkpoint at this step was computed; empty if that is not known."""
        return next((bits for since, bits in reversed(self.trained_on) if since < step), self.origin_bits)

    @property
    def continues_on(self) -> str:
        """The key of the class of bits on which it has to go on to stay exact; empty if it begins anew at step 0.

        A fork on the CPU may come from a run on a GPU: then the class of the host is what can be kept.
        """
        if self.checkpoints:
            return self.bits
        return self.origin_bits if self.arm.device == "cuda" else host_class(self.origin_bits)

    @property
    def stands_on(self) -> str:
        """The key of the class of bits on which it trains, or else has to go on; empty if none is decided."""
        return self.attempt.bits if self.attempt is not None else self.continues_on

    @property
    def live(self) -> bool:
        """A trainer exists or is about to start."""
        return self.state in LIVE

    @property
    def over(self) -> bool:
        """The run has ended, and does not go on by itself."""
        return self.state in TERMINAL

    @property
    def expected(self) -> RunState:
        """The state it will have once it has ended as requested; its current state if no end was requested."""
        reason = self.attempt.stop_reason if self.attempt is not None else None
        return self.state if reason is None else MEANINGS[reason].becomes or self.state


@dataclass(frozen=True, slots=True)
class ExperimentStanding:
    """An experiment, its execution, its state, and the sets of its runs that are queued, live or paused.

    `order` is the order in which its runs start. A set of runs is an integer with one bit per place in that order, so that
    adding a run, removing one and finding the first are cheap. `pairs` are the sets of the runs of one seed.
    """

    experiment: Experiment
    execution: e.Execution
    order: tuple[str, ...]
    pairs: Mapping[str, int]
    kept_on: Mapping[str, str] = field(default_factory=dict)
    """The keys of the classes of bits on which the runs of one seed are kept, by pair (`pairs.py`)."""
    needs: Mapping[Need, int] = field(default_factory=dict)
    """The sets of queued runs that need the same of a host."""
    queued: int = 0
    live: int = 0
    paused: int = 0
    state: ExperimentState = "queued"
    annotations: Annotations = field(default_factory=Annotations)

    @property
    def under_way(self) -> bool:
        """Not yet ended."""
        return self.state in UNDER_WAY

    @property
    def exhausted(self) -> bool:
        """Every run is over."""
        return not (self.queued | self.live | self.paused)

    def need(self, run: RunStanding) -> Need:
        """What the run needs of a host: its own past decides on which class of bits, else the other runs of its seed do."""
        wishes = self.experiment.wishes(run.arm.name)
        bits = run.continues_on or self.kept_on.get(run.pair, "")
        share = (wishes.gpu_share or WHOLE) if run.arm.device == "cuda" else 0
        return Need(bits if share else host_class(bits), share, wishes.gpu, wishes.labels, run.needs)

    def moved(self, run: RunStanding) -> "ExperimentStanding":
        """This experiment with the run moved to the set that its state belongs to."""
        bit = 1 << run.place
        needs = {need: left for need, places in self.needs.items() if (left := places & ~bit)}
        if run.state == "queued":
            need = self.need(run)
            needs[need] = needs.get(need, 0) | bit
        return replace(
            self,
            needs=needs,
            queued=self.queued | bit if run.state == "queued" else self.queued & ~bit,
            live=self.live | bit if run.live else self.live & ~bit,
            paused=self.paused | bit if run.state == "paused" else self.paused & ~bit,
        )


@dataclass(frozen=True, slots=True)
class HostStanding:
    """A machine's agent and the CPU cores and GPUs it offers; `pid` and `incarnation` together identify one agent.

    `bits` is its class of bits, empty if it was not compared; `labels` are what experiments may ask for.
    """

    name: str
    pid: int
    incarnation: str
    cpus: tuple[int, ...]
    gpus: tuple[str, ...]
    bits: str = ""
    labels: tuple[str, ...] = ()
    devices: tuple[e.GpuDevice, ...] = ()
    """More of each GPU; empty if the host is of a version that did not say it."""
    online: bool = True
    drained: bool = False
    """It is given no runs, because an operator wants it so."""

    @property
    def groups(self) -> tuple[str, ...]:
        """The keys of the sets of hosts that it belongs to: its class of bits, itself, its labels, and its classes of GPUs."""
        gpus = dict.fromkeys(gpu.key for gpu in self.gpu_slots if gpu.key)
        return (class_key("", self.name), *((self.bits,) if self.bits else ()), *map(label_key, self.labels), *gpus)

    @property
    def gpu_slots(self) -> tuple[Gpu, ...]:
        """The GPUs that runs may take; without more said of them, CUDA knows each by its number."""
        if len(self.devices) != len(self.gpus):
            return tuple(Gpu(place, str(place)) for place in range(len(self.gpus)))
        compared = [(each.id, each.bits if self.bits else "") for each in self.devices]
        keys = (class_key(self.bits, self.name, bits) if bits else "" for _, bits in compared)
        return tuple(Gpu(place, *each, key) for place, (each, key) in enumerate(zip(compared, keys, strict=True)))


@dataclass(frozen=True, slots=True)
class TokenStanding:
    """A token: whom it may still enrol, and until when (seconds since 1970)."""

    name: str
    uses: int
    expires_at: float
    enrolled: tuple[str, ...] = ()
    """The hosts that it has enrolled."""
    revoked: bool = False
    turned_away: frozenset[str] = frozenset()
    """The public keys of its hosts that were revoked."""

    @property
    def several(self) -> bool:
        """It was made for more than one host."""
        return self.uses + len(self.enrolled) > 1
