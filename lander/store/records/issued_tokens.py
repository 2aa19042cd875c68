"""The tokens that people have made, as the log has them."""

from typing import Final

from lander.protocol import events as e
from lander.protocol.wire import read_event
from lander.store.log.reader import Reader

_ISSUED: Final = (
    "SELECT s.name, e.kind, e.body FROM streams s JOIN events e ON e.stream = s.id"
    f" WHERE s.name >= 'token:' AND s.name < 'token;' AND e.kind = '{e.TokenIssued.kind}' ORDER BY e.position"
)


def issued_tokens(reader: Reader) -> list[tuple[str, str]]:
    """The id of each token and the name that it gives, the last one made last; a launcher makes its own, which are left out."""
    found = []
    for stream, kind, body in reader.connection.execute(_ISSUED):
        event = read_event(kind, body)
        if isinstance(event, e.TokenIssued) and not event.operator.startswith(e.launcher_stream("")):
            found.append((stream.partition(":")[2], event.name))
    return found
