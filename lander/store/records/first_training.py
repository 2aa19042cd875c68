"""The moment from which results of an experiment can be seen."""

from typing import Final

from lander.protocol.events import TrainingStarted
from lander.store.log.reader import Reader
from lander.store.log.schema import CONSEQUENTIAL, of_kind

_FIRST: Final = (
    "SELECT e.position FROM events e INDEXED BY events_of_consequence JOIN streams s ON s.id = e.stream"
    f" WHERE e.{CONSEQUENTIAL} AND e.{{of_kind}} AND substr(s.name, 1, length(?1) + 1) = ?1 || '/'"
    " AND e.position > (SELECT submitted FROM experiments WHERE id = ?1) ORDER BY e.position LIMIT 1"
)


def first_training(reader: Reader, experiment: str) -> int | None:
    """The position at which the first of its runs began to train; None if none has.

    Its rewards are recorded from then on, so whoever decides anything later may have seen them.
    """
    row = reader.connection.execute(_FIRST.format(of_kind=of_kind(TrainingStarted.kind)), (experiment,)).fetchone()
    return None if row is None else int(row[0])
