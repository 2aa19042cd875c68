"""Asks the rules of the experiment, at a boundary, whether the training ends there, and says it if it does."""

import time
from collections.abc import Mapping

from lander.actors.state.callbacks_part import OwnCallbacks
from lander.actors.trainer.exchange import Exchange
from lander.actors.trainer.mailbox import Mailbox
from lander.protocol.events import EndDecided, WarningRaised


class Ending:
    """The end of one training by a rule; `seconds` is how long its earlier attempts took."""

    def __init__(self, callbacks: OwnCallbacks, exchange: Exchange, mailbox: Mailbox, seconds: float) -> None:
        self._callbacks = callbacks
        self._exchange = exchange
        self._mailbox = mailbox
        self._began = time.monotonic() - seconds
        self._any = bool(callbacks.watch.rules)

    def see(self, values: Mapping[str, float]) -> None:
        """Show the rules what an evaluation has given."""
        self._callbacks.see(values)

    def decide(self, step: int) -> bool:
        """Whether a rule ends the training at this boundary; says so then. Once it is decided, it is not decided again."""
        if not self._any or self._callbacks.ended_early:
            return False
        hours = (time.monotonic() - self._began) / 3600
        ended = self._callbacks.watch.ended(self._exchange.finished_episodes, hours)
        if ended is None:
            return False
        self._callbacks.ended_by_rule = ended.rule
        self._mailbox.say(EndDecided(step=step, rule=ended.rule, why=ended.why))
        return True

    def warn_of_silent_rules(self) -> None:
        """Warn of rules that could decide nothing, as their metric was never logged."""
        for rule, metric in self._callbacks.watch.never_logged.items():
            self._mailbox.say(WarningRaised(message=f"{rule} ended nothing: {metric} was never logged"))
