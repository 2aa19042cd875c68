"""The decision core with one launcher, and an engine that does as it is told when the test says so."""

from lander.protocol import commands as c
from lander.supervisor.core.effects import CancelWorker, LaunchWorkers
from lander.supervisor.core.messages import CheckLaunchers, EngineAnswered, Launched, SeenJob
from tests.support.decision_driver import DecisionDriver

IDLE = 300.0
SPEC = {
    "launcher": "lab",
    "engine": "command",
    "options": {},
    "prefix": "lab-3f2a",
    "min_workers": 0,
    "max_workers": 3,
    "slots": 1,
    "idle_seconds": IDLE,
    "poll_seconds": 30.0,
    "operator": "me@here",
}


class Lab(DecisionDriver):
    """A core with one launcher, and an engine that does as it is told when the test says so."""

    def __init__(self, **spec):
        super().__init__(cpus=0)
        self.jobs = {}
        self.cancelled = set()
        self.ordered = []
        self.configure(**spec)

    def configure(self, **spec):
        return self.tell(c.ConfigureLauncher(**(SPEC | spec)))

    @property
    def standing(self):
        return self.state.launchers["lab"]

    def tell(self, message):
        decision = super().tell(message)
        self.effects = decision.effects
        for effect in decision.effects:
            if isinstance(effect, CancelWorker):
                self.cancelled.add(effect.job)
            if isinstance(effect, LaunchWorkers):
                self.ordered.append(effect)
        return decision

    def orders(self):
        return [effect for effect in self.last.effects if isinstance(effect, LaunchWorkers)]

    def cancels(self):
        return [effect.job for effect in self.last.effects if isinstance(effect, CancelWorker)]

    def launch(self, order=None):
        """The engine takes an order."""
        order = order or self.orders()[0]
        names = [f"{order.batch}-{index}" for index in range(1, order.number + 1)]
        self.jobs |= {name: SeenJob(f"id-{name}", "running") for name in names}
        self.tell(Launched("lab", order.batch, tuple(f"id-{name}" for name in names)))
        return names

    def enrol(self, name, cpus=1, gpus=0, **offer):
        """The worker of a job joins."""
        return self.join(pid=7, cpus=cpus, gpus=gpus, host=name, **offer)

    def check(self, seconds=0.0):
        self.now += seconds
        return self.tell(CheckLaunchers())

    def answer(self, most=None, detail="", **jobs):
        """The engine says which jobs it knows, those of the test or these, and how many it can have."""
        return self.tell(EngineAnswered("lab", dict(jobs or self.jobs), most, detail))

    def end(self, *names, detail="COMPLETED"):
        for name in names:
            self.jobs[name] = SeenJob(f"id-{name}", "ended", detail)
        return self.answer()

    def leave_host(self, name):
        return self.tell(c.LeaveHost(name=name))
