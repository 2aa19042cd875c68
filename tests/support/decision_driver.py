"""The decision core without a supervisor: driven by hand, with a clock that is turned by hand."""

from lander.experiments.execution import execution_with
from lander.protocol import commands as c
from lander.protocol import events as e
from lander.supervisor.core.decide import Decision, Drain, decide
from lander.supervisor.core.effects import EndAttempt, StartAttempt
from lander.supervisor.core.fold import evolve
from lander.supervisor.core.silence import LOST_SECONDS
from lander.supervisor.core.state import State
from lander.supervisor.core.timers import Timers
from tests.support.histories import HOST, checkpoint, experiment

BITS = "a" * 12
"""The class of bits of every host, unless a test says otherwise."""
SIGNALLED = {"exit_code": None, "signal": "SIGKILL"}
NOT_THERE = {
    **{target: f"{target}: no such experiment or run" for target in ("x/b", "x/baseline/01", "x/")},
    **{target: f"{target.partition('/')[0]}: no such experiment" for target in ("y", "y/b", "", "/")},
}
"""Targets that do not exist where there is only the experiment `x`, and how each is refused."""


class DecisionDriver:
    """Tells the core what happens and carries its events over into the state, as the store's commit does."""

    def __init__(self, cpus=2, gpus=0, pid=1):
        self.state = State()
        self.now = 1_000_000.0
        self.clock_error = 0.0
        self.timers = Timers()
        self.leaving = False
        self.last = Decision(self.state, self.now, self.timers)
        if cpus:
            self.join(pid, cpus, gpus)

    @property
    def wall(self):
        """What the wall clock says: `now`, unless somebody has set it wrong by `clock_error` seconds."""
        return self.now + self.clock_error

    def look(self):
        """The timers, as of now."""
        self.timers.observe(self.state, self.now, self.wall)
        return self.timers

    def restart(self, lost_seconds=LOST_SECONDS):
        """Another supervisor takes over, and knows what the log says; a host is lost after so many seconds of silence."""
        self.timers = Timers(lost_seconds)
        self.look()

    def tell(self, message):
        self.last = decide(self.state, message, self.wall, self.look(), self.leaving)
        for stream, event in self.last.events:
            self.state = evolve(self.state, e.Recorded(0, stream, e.SUPERVISOR, 0, e.microseconds(self.wall), event))
        assert self.state == self.last.state
        self.look()
        return self.last

    def fold(self, recorded):
        """What is in the log, too."""
        self.state = evolve(self.state, recorded)

    def join(
        self, pid=1, cpus=2, gpus=0, trainers=(), incarnation="i", host=HOST, bits=BITS, labels=(), leaving=False, devices=()
    ):
        names = tuple(f"GPU {number}" for number in range(gpus))
        keys = tuple(c.TrainerKey(run=run, epoch=epoch) for run, epoch in trainers)
        return self.tell(
            c.JoinHost(
                name=host,
                pid=pid,
                incarnation=incarnation,
                cpus=() if leaving else tuple(range(10, 10 + cpus)),
                leaving=leaving,
                gpus=names,
                memory_mb=1.0,
                trainers=keys,
                bits=bits,
                labels=labels,
                devices=devices,
            )
        )

    def hear(self, *hosts, seconds=0.0):
        """Time passes in which only these hosts are heard; the supervisor looks at its end."""
        self.now += seconds
        timers = self.look()
        for host in hosts:
            timers.silence.heard(host, self.now)
        timers.silence.look(self.now)

    def hosts_of(self):
        """Where each live run is, without the experiment's name."""
        return {run.id.split("/", 1)[1]: attempt.host for run, attempt in self.state.attempts()}

    def submit(self, wanted=None, mode="parallel", max_workers=None, notices=(), **form):
        execution = execution_with(mode=mode, max_workers=max_workers)
        wanted = wanted or experiment(**form)
        return self.tell(c.SubmitExperiment(experiment=wanted, execution=execution, manifest={}, notices=notices))

    def ask(self, operation, target):
        """What a person asks: a command such as `StopTarget`."""
        return self.tell(operation(target=target, operator="me@here"))

    def annotate(self, command, experiment="x", **fields):
        """What a person says about an experiment: a command such as `AddNote`."""
        return self.tell(command(experiment=experiment, operator="me@here", **fields))

    def stop(self, target):
        return self.ask(c.StopTarget, target)

    def pause(self, target):
        return self.ask(c.PauseTarget, target)

    def resume(self, target):
        return self.ask(c.ResumeTarget, target)

    def retry(self, target):
        return self.ask(c.RetryTarget, target)

    def leave(self):
        """From here on the supervisor is leaving, as the shell then says at every decision."""
        self.leaving = True
        return self.tell(Drain())

    def word(self, run, event, epoch=None):
        """What a trainer says."""
        epoch = self.run(run).epoch if epoch is None else epoch
        self.state = evolve(self.state, e.Recorded(0, run, epoch, 1, e.microseconds(self.wall), event))

    def train(self, *runs, from_step=0):
        for run in runs:
            epoch = self.run(run).epoch
            self.word(run, e.TrainingStarted(epoch=epoch, pid=100, n_envs=1, device="cpu", from_step=from_step))

    def checkpoint(self, run, *steps, epoch=None, **rest):
        for step in steps:
            self.word(run, checkpoint(step, **rest), epoch)

    def exit(self, run, epoch=None, cause=None, saved=True, step=1000, **how):
        """The trainer's last word, if it has one, and its exit."""
        epoch = self.run(run).epoch if epoch is None else epoch
        if cause == "completed" and saved:
            self.word(run, e.ModelSaved(step=1000, path="m", sha256="s"), epoch)
        if cause is not None:
            self.word(run, e.TrainingEnded(epoch=epoch, cause=cause, step=step, detail=f"why {cause}"), epoch)
        how = {"exit_code": 0} | how
        return self.tell(c.TrainerExited(run=run, epoch=epoch, **how))

    def complete(self, *runs):
        for run in runs:
            self.exit(run, cause="completed")

    def crash(self, run):
        return self.exit(run, **SIGNALLED)

    def run(self, run):
        return self.state.runs[run]

    def states(self):
        """Each run's state, without the experiment's name."""
        return {run.id.split("/", 1)[1]: run.state for run in self.state.runs.values()}

    def experiment_state(self, name="x"):
        return self.state.experiments[name].state

    def offered(self):
        """The steps of the checkpoints that the last decision's orders to start offer, by run."""
        starts = [one for one in self.last.effects if isinstance(one, StartAttempt)]
        return {one.run: [each.step for each in one.order.checkpoints] for one in starts}

    def started(self):
        """What the last decision starts: run, epoch, cpu, gpu."""
        orders = [one.order for one in self.last.effects if isinstance(one, StartAttempt)]
        return [(order.run, order.epoch, order.cpu, order.gpu) for order in orders]

    def ended(self):
        """What the last decision ends: run, epoch, grace."""
        return [(one.run, one.epoch, one.grace) for one in self.last.effects if isinstance(one, EndAttempt)]

    def kinds(self):
        """What the last decision says: stream and kind."""
        return [(stream, event.kind) for stream, event in self.last.events]

    def said(self, kind):
        return [event for _, event in self.last.events if event.kind == kind]
