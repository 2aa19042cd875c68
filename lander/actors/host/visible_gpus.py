"""Which GPUs this process may use, by the variables that CUDA reads, and what a trainer is given so that it uses just one.

A GPU is known by its UUID: its number differs between programs, and changes when another GPU fails. Slurm and others say in
`CUDA_VISIBLE_DEVICES` what a job was granted, so nothing else is offered.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
AMD: Final[Mapping[str, str]] = {"hip": "HIP_VISIBLE_DEVICES", "rocr": "ROCR_VISIBLE_DEVICES"}
"""What AMD's ROCm reads in place of it, by how our ids of its GPUs begin."""


class Gpu(NamedTuple):
    """A GPU, or a MIG instance of one; `handle` is what NVML knows it by, None where NVML does not know it."""

    id: str
    name: str
    handle: Any = None


class Card(NamedTuple):
    """A GPU as the driver lists it, and its instances if MIG is on: then CUDA knows nothing else of it.

    `problem` says why one cannot be used that the driver lists all the same, as it has fallen off the bus; its id is not known.
    """

    whole: Gpu
    mig: bool = False
    instances: tuple[Gpu, ...] = ()
    problem: str = ""

    @property
    def offered(self) -> tuple[Gpu, ...]:
        """What runs can be given of it."""
        if self.problem:
            return ()
        return self.instances if self.mig else (self.whole,)


def visible(cards: Sequence[Card], wanted: str | None) -> tuple[Gpu, ...]:
    """The GPUs of a list like `0,1` or `GPU-8932f937,MIG-7c0a…`, each once; all of them if there is no list.

    As CUDA reads it: a number is a place in the driver's list, a UUID may be cut short, and the list ends at the first word
    that names no GPU. Of a card with MIG on, its number or UUID is the first instance. A word that may name a card with a
    problem is passed over, since what the list names behind it was granted, too.
    """
    if wanted is None:
        return tuple(gpu for card in cards for gpu in card.offered)
    return tuple(dict.fromkeys(_until_unknown(cards, wanted)))


def _until_unknown(cards: Sequence[Card], wanted: str) -> Iterator[Gpu]:
    for word in wanted.split(","):
        if (found := _named(cards, word.strip())) is not None:
            yield found
        elif not _may_have_a_problem(cards, word.strip()):
            return


def _may_have_a_problem(cards: Sequence[Card], word: str) -> bool:
    if _is_number(word):
        return any(card.problem for card in cards[int(word) : int(word) + 1])
    return word.startswith(("MIG-", "GPU-")) and any(card.problem for card in cards)


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 10


def _named(cards: Sequence[Card], word: str) -> Gpu | None:
    if _is_number(word):
        return next((gpu for card in cards[int(word) : int(word) + 1] for gpu in card.offered[:1]), None)
    if word.startswith("MIG-"):
        return _only([gpu for card in cards for gpu in card.instances if gpu.id.startswith(word)])
    if word.startswith("GPU-"):
        return _only([gpu for card in cards if card.whole.id.startswith(word) for gpu in card.offered[:1]])
    return None


def _only(found: Sequence[Gpu]) -> Gpu | None:
    return found[0] if len(found) == 1 else None


def amd(environment: Mapping[str, str]) -> tuple[Gpu, ...]:
    """The GPUs of AMD that a variable names; none without one, since nothing here asks ROCm. Never run on such a machine."""
    for kind, variable in AMD.items():
        if words := [word.strip() for word in environment.get(variable, "").split(",") if word.strip()]:
            return tuple(Gpu(f"{kind}:{word}", f"AMD GPU {word}") for word in dict.fromkeys(words) if word != "-1")
    return ()


def environment_of(gpu: str) -> Mapping[str, str]:
    """The variables of a trainer that has this GPU, empty for none."""
    kind, _, word = gpu.partition(":")
    if kind in AMD:
        return {AMD[kind]: word}
    return {VISIBLE: gpu, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}  # where a GPU is known by its number, that is the driver's
