"""A socket in the event loop: what is said to nobody is not sent, and ends nobody."""

import zmq

from lander.transfer.mail import Mail


async def test_nothing_is_sent_on_a_socket_that_is_closed():
    """As while a server ends."""
    with zmq.Context() as context:
        mail = Mail(context.socket(zmq.ROUTER))
        mail.close()
        assert not mail.send(b"route", b"message")
