"""What the output of a worker that has ended says of why."""

from lander.protocol.error_text import error_line


def last_words(output: str) -> str:
    """The last error in it, or else its last line; empty if it says nothing."""
    return error_line(output) or output.strip().rpartition("\n")[2]
