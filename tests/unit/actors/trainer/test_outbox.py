"""The trainer's outbox on a network that loses, repeats and delays: what arrives is what was said, in its order, whole."""

from collections import deque

import pytest
import zmq
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lander.actors.trainer import mailbox as mailbox_module
from lander.actors.trainer.mailbox import Mailbox
from lander.protocol.commands import Acknowledged
from lander.protocol.events import WarningRaised
from lander.protocol.wire import decode, decode_event, encode

RUN = "x/baseline/0"


class Clock:
    """Time for the mailbox, turned by hand."""

    now = 0.0

    def monotonic(self):
        return self.now


class Network:
    """A socket, and behind it a log that takes each event once; what the log answers waits until it is let through."""

    def __init__(self, clock):
        self.clock = clock
        self.log = []
        self.connected = True
        self.losing = False
        self.answers = deque()
        self.arrived = deque()

    def send(self, frame, flags):
        if not self.connected:
            raise zmq.Again
        if self.losing:
            return
        append = decode(frame)
        messages = [decode_event(kind, body).message for kind, _, body in append.events]
        assert messages == [str(append.first_seq + index) for index in range(len(messages))], "an event under another's number"
        if append.first_seq > len(self.log) + 1:
            self.answers.append(Acknowledged(seq=len(self.log), resend=True))
            return
        self.log += messages[len(self.log) + 1 - append.first_seq :]
        self.answers.append(Acknowledged(seq=len(self.log)))

    def let_through(self, number):
        for _ in range(min(number, len(self.answers))):
            self.arrived.append(encode(self.answers.popleft()))

    def lose(self, number):
        for _ in range(min(number, len(self.answers))):
            self.answers.popleft()

    def recv(self, flags):
        if not self.arrived:
            raise zmq.Again
        return self.arrived.popleft()

    def poll(self, timeout):
        """Time passes while somebody waits, though never for ever."""
        self.clock.now += timeout / 1000
        assert self.clock.now < 1e6, "it waits for ever"
        self.let_through(len(self.answers))


STEPS = st.lists(
    st.tuples(st.just("say"), st.integers(1, 9))
    | st.tuples(st.just("exchange"), st.sampled_from([0.0, 100.0]))
    | st.tuples(st.just("answer"), st.integers(1, 5))
    | st.tuples(st.just("lose answers"), st.integers(1, 5))
    | st.tuples(st.sampled_from(["connected", "losing"]), st.booleans()),
    max_size=40,
)


LATE_NEWS_OF_A_GAP = [
    ("losing", True),
    ("say", 1),
    ("exchange", 0.0),
    ("losing", False),
    ("say", 1),
    ("exchange", 0.0),  # shows the gap, which the answer will say
    ("exchange", 100.0),  # but before the answer is heard, all has been sent again
    ("answer", 5),
    ("exchange", 0.0),
    ("say", 3),
    ("exchange", 0.0),
]


@given(STEPS, st.integers(1, 4))
@example(LATE_NEWS_OF_A_GAP, 4)
@settings(max_examples=300, deadline=None)
def test_whatever_the_network_does_the_log_has_everything_once_and_in_order(steps, frame):
    clock, said = Clock(), 0
    network = Network(clock)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mailbox_module, "MAX_EVENTS", frame)
        patch.setattr(mailbox_module, "time", clock)
        mailbox = Mailbox(network, RUN, 1)
        for step, value in steps:
            if step == "say":
                for _ in range(value):
                    said += 1
                    mailbox.say(WarningRaised(message=str(said)))
            elif step == "exchange":
                clock.now += value
                mailbox.exchange()
            elif step == "answer":
                network.let_through(value)
            elif step == "lose answers":
                network.lose(value)
            else:
                setattr(network, step, value)
            assert mailbox._bytes == sum(len(letter.body) for letter in mailbox._outbox)
            assert mailbox._acknowledged + len(mailbox._outbox) == said
            assert mailbox._acknowledged <= mailbox._sent <= said
        network.connected, network.losing = True, False
        mailbox.flush()
    assert network.log == [str(number) for number in range(1, said + 1)]
