"""What a run needs of a host: a slot, what its experiment wishes, and the bits with which it has trained."""

from typing import Final, NamedTuple

from lander.protocol.events import host_stream

WHOLE: Final = 100
"""A whole GPU. Shares are whole hundredths, so that what is left of a GPU is exact however often it is shared."""
_GPU: Final = "+"


class Need(NamedTuple):
    """What a run needs of a host; `bits` is the key of the class that it is to train on, empty for any."""

    bits: str
    share: int
    """The hundredths of a GPU that it takes beside its core; 0: none."""
    gpu: bool
    """The host is to have a GPU."""
    labels: tuple[str, ...]
    code: str = ""
    """What is to be installed there, as a digest."""

    @property
    def cuda(self) -> bool:
        """It takes a GPU, and not only a core."""
        return self.share > 0


def class_key(bits: str, host: str, gpu_bits: str = "") -> str:
    """The key of a class of bits: of a host, or of the GPUs of one class there. A host not compared is a class of its own."""
    key = bits or host_stream(host)
    return f"{key}{_GPU}{gpu_bits}" if bits and gpu_bits else key


def host_class(key: str) -> str:
    """The key of the class of the host alone, which is what decides the bits of a run on the CPU."""
    return key.partition(_GPU)[0]


def names_gpu(key: str) -> bool:
    """Whether a key is of a class of GPUs."""
    return _GPU in key


def is_of(key: str, wanted: str) -> bool:
    """Whether what has this key belongs to the wanted class; where no class of GPUs is wanted, the host's decides."""
    return wanted in (key, host_class(key))


def part_of(share: int) -> int | None:
    """A share as it is recorded: a whole GPU is none, and neither is no GPU."""
    return share if 0 < share < WHOLE else None


def label_key(label: str) -> str:
    """The key of the hosts with a label."""
    return f"label:{label}"
