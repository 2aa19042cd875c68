"""The commands of an engine, such as `squeue`: run without a shell, in bounded time and memory, their errors in their words."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from typing import IO, Final

from lander.supervisor.launchers.launcher import LauncherError, NotInstalledError, own_words

ANSWER_SECONDS: Final = 60.0
"""How long a command may take."""
MAX_BYTES: Final = 1 << 24
"""The most that it may print: a hundred thousand jobs, a line each."""
LOOK_SECONDS: Final = 0.1
"""How often it is looked how much it has printed: that lies in memory."""


async def ask(arguments: Sequence[str], standard_input: str = "", *, seconds: float = ANSWER_SECONDS) -> str:
    """What a command prints; raises `LauncherError` if it exceeds its bounds or fails, in its own words.

    Raises `NotInstalledError` if it cannot be started.

    Its streams are files in memory and no pipes, so that only its own end is waited for, and not that of what it leaves behind.
    """
    program = arguments[0]
    with _file(standard_input) as given, _file() as printed, _file() as complained:
        process = await _started(arguments, given, printed, complained)
        try:
            async with asyncio.timeout(seconds):
                await _end(process, program, printed, complained)
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
        raise NotInstalledError(f"{arguments[0]}: {what}") from error


async def _end(process: asyncio.subprocess.Process, program: str, *streams: IO[bytes]) -> None:
    """Wait until it ends; raises `LauncherError` once it has printed too much."""
    while process.returncode is None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await process.wait()
        if any(os.fstat(each.fileno()).st_size > MAX_BYTES for each in streams):
            raise LauncherError(f"{program}: prints more than {MAX_BYTES >> 20} MB")


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
