"""The fence: only the trainer of a run's current attempt and the host that holds it may say anything of it.

What others say is refused and counted.
"""

from collections.abc import Iterable

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.supervisor.core.state import State
from lander.supervisor.gate import Gate, Principal
from lander.supervisor.principals import Principals


class Fence:
    """Opens and closes the gate for the trainers of attempts, and for hosts and tokens as the log names them."""

    def __init__(self, gate: Gate, principals: Principals) -> None:
        self._gate = gate
        self._principals = principals

    def restore(self, state: State) -> None:
        """Let in the hosts that are enrolled, and the trainers of the attempts under way, but those whose keys were revoked."""
        self._principals.follow(state.host_keys, state.tokens)
        for run, attempt in state.attempts():
            if attempt.key_revoked:
                self._principals.bar(run.id, attempt.epoch)
            self._principals.admit(run.id, attempt.epoch)

    def passes(self, principal: Principal, key: str, command: c.Append, state: State) -> bool:
        """Whether a batch comes from its run's current attempt; if not, it is refused."""
        run, epoch = command.run, command.epoch
        if (run, epoch) != (principal.run, principal.epoch):
            self._gate.refuse("not allowed", f"events for {run} with the key of {principal.run}")
            return False
        if state.attempt(run, epoch) is None:
            self._gate.refuse("fenced", f"events of attempt {epoch} at {run}")
            self._gate.send(key, c.Fenced())
            return False
        return True

    def holds(self, host: Principal, command: c.TrainerExited | c.CannotTrain, state: State) -> bool:
        """Whether a host speaks of an attempt that it holds, or of one that is over; if not, it is refused."""
        run, epoch = command.run, command.epoch
        if state.attempt(run, epoch) is None or state.attempt_on(host.name, run, epoch) is not None:
            return True
        self._gate.refuse("not allowed", f"{command.kind} from {host.name}, which does not hold attempt {epoch} at {run}")
        return False

    def bar(self, run: str, epoch: int) -> None:
        """Hear nothing more from a trainer while its attempt lasts."""
        self._forget(self._principals.bar(run, epoch))

    def close_ended(self, events: Iterable[tuple[str, e.Event]]) -> None:
        """Hear nothing more from the attempts that these events end; their trainers are answered `Fenced` from now on."""
        for stream, event in events:
            if isinstance(event, e.AttemptEnded):
                self._forget(self._principals.revoke(stream, event.epoch))

    def follow_hosts(self, state: State, events: Iterable[tuple[str, e.Event]]) -> bool:
        """Let in those hosts and tokens that the state names after these events, and hear nothing more from others.

        Returns whether any of them has changed.
        """
        kinds = e.HostEnrolled | e.HostRevoked | e.TokenIssued | e.WorkerJobEnded
        changed = any(isinstance(event, kinds) for _, event in events)
        if changed:
            for key in self._principals.follow(state.host_keys, state.tokens):
                self._gate.forget(key)
        return changed

    def _forget(self, key: str | None) -> None:
        if key is not None:
            self._gate.forget(key)
