"""The state of the callbacks that an experiment names, so that a resumed training calls them as if it had never been cut off.

A callback hands out its state as plain data by `get_state()`, and takes it back by `set_state(state)`. Of a callback of
Stable-Baselines3 itself, the plain attributes are the state. What any other one keeps is lost at a resume: that is not exact.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from stable_baselines3.common.callbacks import BaseCallback

from lander.actors.state.plain_attributes import capture_attributes, restore_attributes
from lander.actors.state.tree import StoredTree, Tree, as_stored
from lander.protocol.ending_rules import EndingRules, Watch

_OF_THE_LIBRARY: Final = "stable_baselines3."
_OF_EVERY_CALLBACK: Final = frozenset(
    ("model", "n_calls", "num_timesteps", "verbose", "locals", "globals", "parent", "callback")
)


@dataclass
class OwnCallbacks:
    """The callbacks of one training in their order, and the rules that may end it.

    `ended_by` and `ended_by_rule` name the callback or the rule that has ended it before its last step.
    """

    each: Sequence[BaseCallback] = ()
    ended_by: str = ""
    ended_by_rule: str = ""
    watch: Watch = field(default_factory=lambda: Watch(EndingRules()))

    def see(self, values: Mapping[str, float]) -> None:
        """Show the rules what was logged."""
        self.watch.see(values)

    @property
    def ended_early(self) -> bool:
        """Whether one of them has ended the training."""
        return bool(self.ended_by or self.ended_by_rule)

    def go_on(self) -> None:
        """Have the training go on, though something has ended it: it is now another one, which was forked from there."""
        self.ended_by = self.ended_by_rule = ""
        self.watch = Watch(self.watch.rules)

    def capture(self) -> Tree:
        """The state of all callbacks; None if there are none."""
        if not self.each:
            return None
        return {"ended_by": self.ended_by, "each": [_capture(callback) for callback in self.each]}

    def capture_rules(self) -> Tree:
        """What the rules have seen, and which of them has ended the training; None if there are none."""
        if not self.watch.rules:
            return None
        return {"ended_by": self.ended_by_rule, "seen": self.watch.capture()}

    def restore_rules(self, tree: StoredTree | None) -> None:
        """Put back what `capture_rules` returned."""
        if tree is not None and self.watch.rules:
            self.watch.restore(tree["seen"])
            self.ended_by_rule = tree["ended_by"]

    def restore(self, tree: StoredTree | None, step: int) -> list[str]:
        """Put back what `capture` returned; returns what could not be, in words."""
        if not self.each:
            return []
        if tree is None or len(tree["each"]) != len(self.each):
            return ["the checkpoint holds no state of its callbacks"]
        self.ended_by = tree["ended_by"]
        return [problem for each, state in zip(self.each, tree["each"], strict=True) for problem in _restore(each, state, step)]


def _capture(callback: BaseCallback) -> Tree:
    return {"class": _name(callback), "calls": callback.n_calls, "state": _state(callback)}


def _restore(callback: BaseCallback, tree: StoredTree, step: int) -> Iterator[str]:
    callback.n_calls, callback.num_timesteps = tree["calls"], step
    state = tree["state"]
    if tree["class"] != _name(callback):
        yield f"the checkpoint holds the state of the callback {tree['class']} in the place of {_name(callback)}"
    elif state is None:
        yield f"the callback {_name(callback)} has no get_state and set_state with plain data, so what it kept is lost"
    elif "own" in state:
        callback.set_state(state["own"])  # type: ignore[attr-defined]  # it had a get_state, too
    else:
        restore_attributes(callback, state)
        for name in state.get("lost", ()):
            yield f"{_name(callback)}.{name} is no plain data, so no checkpoint holds it"


def _state(callback: BaseCallback) -> Tree:
    if hands_out_state(callback):
        try:
            return {"own": as_stored(callback.get_state())}  # type: ignore[attr-defined]  # as just seen
        except ValueError:
            return None
    if not type(callback).__module__.startswith(_OF_THE_LIBRARY):
        return None
    return capture_attributes((name, value) for name, value in vars(callback).items() if name not in _OF_EVERY_CALLBACK)


def hands_out_state(callback: BaseCallback) -> bool:
    """Whether the callback has both methods."""
    return all(callable(getattr(callback, name, None)) for name in ("get_state", "set_state"))


def _name(callback: BaseCallback) -> str:
    return type(callback).__name__
