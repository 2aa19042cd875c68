"""What hosts on other machines need besides orders: an answer to `Hello`, a port where files travel, and their logs kept."""

from pathlib import Path

from lander.home.keys import KeyPair
from lander.protocol import commands as c
from lander.protocol import versions
from lander.protocol.errors import ConflictError
from lander.supervisor.core.state import State
from lander.supervisor.gate import Gate
from lander.supervisor.output import Output
from lander.supervisor.transferring import Transferring


class Guests:
    """Greets them, and has files transferred for them; does nothing in a supervisor that listens for no other machine."""

    def __init__(self, home: Path, gate: Gate, keys: KeyPair, object_store: str = "") -> None:
        self._gate = gate
        self._keys = keys
        self._transferring = Transferring(home, store=object_store)
        self._output = Output(home)

    async def open(self, listen: str, state: State) -> None:
        """Begin to transfer files for the hosts that are enrolled; raises `HomeError` if the port is taken."""
        if listen:
            await self._transferring.start(listen, self._keys, state.host_keys)

    async def close(self) -> None:
        """Transfer nothing any more."""
        await self._transferring.close()

    def follow(self, state: State) -> None:
        """Transfer files for the hosts that are enrolled now, and for no others."""
        self._transferring.follow(state.host_keys)

    def welcome(self, key: str, hello: c.Hello) -> None:
        """Answer with the version of the protocol to speak, or that there is none."""
        version = versions.common(hello.oldest, hello.newest)
        if version is None:
            refusal = versions.refusal(hello.release, hello.oldest, hello.newest)
            self._gate.send(key, c.Refused(error=ConflictError.code, detail=refusal))
        else:
            self._gate.send(key, c.Accepted(subject=str(version), detail=versions.release()))

    def take_output(self, host: str, key: str, piece: c.ReportOutput, state: State) -> None:
        """Append what a trainer on another machine has printed to its run's log."""
        if (noted := self._output.take(host, piece, state)) is not None:
            self._gate.send(key, noted)

    def show_port(self, key: str) -> None:
        """Tell a host that joins where files travel."""
        if self._transferring.port:
            self._gate.send(key, c.TransferAt(port=self._transferring.port, store=self._transferring.store))
