"""What a run needs of a host: a slot, what its experiment wishes, and the bits with which it has trained."""

from typing import NamedTuple

from lander.protocol.events import host_stream


class Need(NamedTuple):
    """What a run needs of a host; `bits` is the key of the class that it is to train on, empty for any."""

    bits: str
    cuda: bool
    """It takes a GPU, and not only a core."""
    gpu: bool
    """The host is to have a GPU."""
    labels: tuple[str, ...]
    code: str = ""
    """What is to be installed there, as a digest."""


def class_key(bits: str, host: str) -> str:
    """The key of a host's class of bits; a host that was not compared is a class of its own."""
    return bits or host_stream(host)


def label_key(label: str) -> str:
    """The key of the hosts with a label."""
    return f"label:{label}"
