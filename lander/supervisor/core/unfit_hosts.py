"""Hosts that cannot train a run: the attempt is over before it began, and the run goes to a host that is not known to be unfit.

It is no failure of the run, whatever it was that its host lacked.
"""

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.supervisor.core.attempts import attempt_over
from lander.supervisor.core.decision import Decision
from lander.supervisor.core.restart_policy import not_begun


def cannot_train(decision: Decision, message: c.CannotTrain) -> None:
    """Record what the host lacks, and with it the end of its attempt; a repeated report, or one of another host, is ignored."""
    attempt = decision.state.attempt_on(message.host, message.run, message.epoch)
    if attempt is None:
        return
    needs = decision.state.runs[message.run].needs
    unfit = e.HostUnfit(run=message.run, needs=needs, lack=message.lack, problem=message.problem)
    decision.say(e.host_stream(message.host), unfit)
    attempt_over(decision, message.run, not_begun(attempt, f"{message.host} {message.problem}"))
