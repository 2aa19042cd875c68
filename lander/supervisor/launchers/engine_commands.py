"""The commands of an engine, such as `squeue`: run without a shell, bounded in time, their errors in their own words."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from typing import IO, Final

from lander.supervisor.launchers.launcher import LauncherError, own_words

ANSWER_SECONDS: Final = 60.0
"""How long a command may take."""
MAX_BYTES: Final = 1 << 24
"""The most that is read of what it prints: a hundred thousand jobs, a line each."""


async def ask(arguments: Sequence[str], standard_input: str = "", *, seconds: float = ANSWER_SECONDS) -> str:
    """What a command prints; raises `LauncherError` if it is not installed, takes too long or fails, in its own words.

    Its streams are files in memory and no pipes, so that only its own end is waited for, and not that of what it leaves behind.
    """
    program = arguments[0]
    with _file(standard_input) as given, _file() as printed, _file() as complained:
        process = await _started(arguments, given, printed, complained)
        try:
            async with asyncio.timeout(seconds):
                await process.wait()
        except TimeoutError as error:
            raise LauncherError(f"{program}: no answer within {seconds:.0f} s") from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode:
            words = own_words(_content(complained)) or own_words(_content(printed))
            raise LauncherError(f"{program}: {words or f'exit code {process.returncode}'}")
        return _content(printed)


async def _started(
    arguments: Sequence[str], given: IO[bytes], printed: IO[bytes], complained: IO[bytes]
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *arguments, stdin=given, stdout=printed, stderr=complained, start_new_session=True
        )
    except OSError as error:
        what = "is not installed on this machine" if isinstance(error, FileNotFoundError) else error.strerror
        raise LauncherError(f"{arguments[0]}: {what}") from error


@contextlib.contextmanager
def _file(content: str = "") -> Iterator[IO[bytes]]:
    """A file in memory that no other process can open by a name."""
    with os.fdopen(os.memfd_create("engine", os.MFD_CLOEXEC), "w+b", buffering=0) as file:
        file.write(content.encode())
        file.seek(0)
        yield file


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(MAX_BYTES).decode("utf-8", "replace")
