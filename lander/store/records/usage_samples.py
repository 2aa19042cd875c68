"""The measured resource use of trainers, from the hosts' samples."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from lander.protocol.events import ResourcesSampled, TrainerUsage
from lander.protocol.wire import read_event
from lander.store.log.reader import Reader
from lander.store.log.schema import of_kind

_SAMPLES: Final = (
    "SELECT e.at, substr(s.name, 6), e.kind, e.body FROM streams s JOIN events e ON e.stream = s.id"
    " WHERE substr(s.name, 1, 5) = 'host:' AND e.{of_kind}"
    " AND e.position > (SELECT submitted FROM experiments WHERE id = ?) ORDER BY e.position"
)
"""It searches the hosts' streams, which are short, so the trainers' events are not read."""


class UsageSample(NamedTuple):
    """One measurement of one trainer, with the host's name and its clock in microseconds since 1970."""

    at: int
    host: str
    usage: TrainerUsage


def samples(reader: Reader, experiment: str) -> Iterator[UsageSample]:
    """Every measurement of any trainer since the submission of an experiment, of every attempt, in order."""
    query = _SAMPLES.format(of_kind=of_kind(ResourcesSampled.kind))
    for at, host, kind, body in reader.connection.execute(query, (experiment,)):
        sample = read_event(kind, body)
        for usage in sample.trainers if isinstance(sample, ResourcesSampled) else ():
            yield UsageSample(at, host, usage)
