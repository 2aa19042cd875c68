"""Who says a message that is decided on: whoever sent it, by the key of the connection, and not whom the message names."""

from lander.protocol import commands as c
from lander.supervisor.core.messages import Enrolment, Message
from lander.supervisor.gate import Principal


def attributed(command: c.Command, sender: Principal) -> Message | None:
    """The message to decide on; None if nothing is decided on a command of this kind."""
    match command:
        case c.Enrol(public_key=public_key, name=name):
            return Enrolment(sender.name, public_key, name)
        case c.JoinHost() | c.LeaveHost():
            return command.model_copy(update={"name": sender.name})
        case c.CannotTrain():
            return command.model_copy(update={"host": sender.name})
        case _:
            return command if isinstance(command, Message) else None
