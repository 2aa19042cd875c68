"""Workers on machines that can be reached over SSH, one on each.

Uses the `ssh` of this system, with the user's own configuration, keys and agent: it asks for nothing (`BatchMode`), and knows
the host's key, or refuses. Each question is one short connection; those to one machine share a connection for a minute. A
worker does not depend on any: it goes on while the supervisor or the network is away, and is ended by its process id.

What the other machine does is a program for its `sh`, which arrives over standard input with the token, so neither is an
argument there, nor read by the user's login shell.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from shlex import join, quote
from typing import Final

from lander.home.clock import elapsed
from lander.supervisor.launchers.engine_commands import ask
from lander.supervisor.launchers.launcher import DEFAULT_HOME, Job, LauncherError, Options, Room, WorkerCommand, own_words
from lander.supervisor.launchers.side_by_side import refusals

CONNECT_SECONDS: Final = 10
TRIES: Final = 8
"""How often, one time after the other, a host may fail until it is given up."""
LAST_SECONDS: Final = 60.0
"""A worker that ends sooner than this after its start, and was not asked to, is a failure of its host."""
SHARE_SECONDS: Final = 60
_SECURE: Final = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "ConnectTimeout": CONNECT_SECONDS,
    "ServerAliveInterval": 10,
    "ServerAliveCountMax": 3,
    "ControlMaster": "auto",
    "ControlPersist": SHARE_SECONDS,
}

# A process is known by its id and by when it started: its id alone may be given again.
_PROLOGUE: Final = """
umask 077
cd "$HOME" || exit 1
lives() {
  found=$(sed "s/.*) //" "/proc/$1/stat" 2>/dev/null | cut -d " " -f 1,20)
  test -n "$2" && case "$found" in [ZX]*) false ;; *" $2") true ;; *) false ;; esac
}
"""
_LAUNCH: Final = """
mkdir -p %(place)s || exit 1
command -v %(program)s >/dev/null || { echo %(program)s: is not installed there, or not in the PATH >&2; exit 127; }
setsid -f sh -c '
  echo "$$ $(cut -d " " -f 22 "/proc/$$/stat")" > "$0.new" && mv "$0.new" "$0.pid"
  exec "$@" > "$0.log" 2>&1
' %(base)s %(worker)s <<'END-OF-TOKEN'
%(token)s
END-OF-TOKEN
tries=0
while test ! -f %(base)s.pid && test "$tries" -lt 100; do sleep 0.1; tries=$((tries + 1)); done
"""
_ALIVE: Final = """
for file in %(place)s/%(prefix)s-*.pid; do
  test -f "$file" || continue
  base=${file%%.pid}
  read -r pid at < "$file"
  if lives "$pid" "$at"; then
    echo "running ${base##*/}"
  else
    echo "ended ${base##*/} $(tail -n 3 "$base.log" 2>/dev/null | tr "\\n" " " | cut -c 1-400)"
    rm -rf "$file" "$base.log" "$base"
  fi
done
"""
_CANCEL: Final = """
read -r pid at < %(base)s.pid || exit 0
if lives "$pid" "$at"; then kill "$pid"; fi
"""


class Ssh:
    """The machines of `hosts`, each spelled as for `ssh`, and the workers there whose names begin with `prefix`.

    A job's id is `HOST/NAME`. A host that has failed `TRIES` times is given up, and the others go on.
    """

    def __init__(self, prefix: str, options: Options) -> None:
        self._prefix = prefix
        self._hosts = options["hosts"]
        self._ssh_options = options.get("ssh_options", ())
        self._place = options.get("home", (DEFAULT_HOME,))[0]
        self._control = ""
        self._known: dict[str, dict[str, Job]] = {}
        """The workers that lived when each host was last asked."""
        self._silent: set[str] = set()
        """The hosts that did not answer last."""
        self._over: dict[str, Job] = {}
        """The jobs that are over, until `alive` has said so."""
        self._started: dict[str, float] = {}
        """When each worker was started that has not been seen to last."""
        self._failed: dict[str, tuple[int, str]] = {}
        """How often each host has failed since a worker there has lasted, and what was said the last time."""

    async def launch(self, number: int, command: WorkerCommand) -> tuple[str, ...]:
        """Start a worker on so many machines that have none; on fewer, if fewer have none.

        Those that answer come first, and of them those that have failed least.
        """
        await self._look_everywhere()
        free = [host for host in self._hosts if not self._known.get(host) and not self._given_up(host)]
        free.sort(key=lambda host: (host in self._silent, self._failed.get(host, (0, ""))))
        pairs = list(zip(command.names(number), free, strict=False))
        if not pairs:
            raise LauncherError(self.room().detail or "every host has a worker already")
        ids = {name: f"{host}/{name}" for name, host in pairs}
        refused = await refusals({name: self._start(host, name, command) for name, host in pairs})
        self._over |= {name: Job(ids[name], "ended", words) for name, words in refused.items()}
        return tuple(ids.values())

    async def _start(self, host: str, name: str, command: WorkerCommand) -> None:
        values = {
            "place": quote(self._place),
            "base": quote(f"{self._place}/{name}"),
            "program": quote(command.program[0]),
            "worker": join(command.arguments(name)),
            "token": command.token,
        }
        try:
            await self._ask(host, _LAUNCH % values)
        except LauncherError as error:
            self._fail(host, str(error).removeprefix(f"{host}: "))
            raise
        self._started[name] = elapsed()
        self._known.setdefault(host, {})[name] = Job(f"{host}/{name}", "running")

    def _fail(self, host: str, words: str) -> None:
        self._failed[host] = (self._failed.get(host, (0, ""))[0] + 1, words)

    async def alive(self) -> Mapping[str, Job]:
        """The workers on every host. Of a host that does not answer now, those that it had before.

        What a host has that has never answered is not known: its workers count as over unless they are heard. Raises
        `LauncherError` if that is so of all.
        """
        await self._look_everywhere()
        over, self._over = self._over, {}
        return over | {name: job for jobs in self._known.values() for name, job in jobs.items()}

    async def _look_everywhere(self) -> None:
        """Find out what every host has; raises `LauncherError` if none has ever answered."""
        errors = await asyncio.gather(*(self._look(host) for host in self._hosts))
        self._silent = {host for host, error in zip(self._hosts, errors, strict=True) if error is not None}
        if not self._known and (error := next(filter(None, errors), None)) is not None:
            raise error

    async def _look(self, host: str) -> LauncherError | None:
        """Find out what a host has; returns why it does not answer."""
        try:
            printed = await self._ask(host, _ALIVE % {"place": quote(self._place), "prefix": quote(self._prefix)})
        except LauncherError as error:
            if host in self._known:
                self._known[host] = {name: Job(job.id, job.state, str(error)) for name, job in self._known[host].items()}
            return error
        self._known[host] = {}
        for name, job in _jobs(host, printed):
            self._note(host, name, job)
        return None

    def _note(self, host: str, name: str, job: Job) -> None:
        """Note a job as its host shows it, which does so once for one that is over."""
        if job.state == "ended":
            self._over[name] = job
            if self._started.pop(name, None) is not None:
                self._fail(host, job.detail)
            return
        self._known[host][name] = job
        if elapsed() - self._started.get(name, float("inf")) >= LAST_SECONDS:
            del self._started[name]
            self._failed.pop(host, None)

    def _given_up(self, host: str) -> bool:
        return self._failed.get(host, (0, ""))[0] >= TRIES

    def room(self) -> Room:
        """One worker to each host that is not given up."""
        lost = {host: words for host, (_, words) in self._failed.items() if self._given_up(host)}
        said = (f"{host} is given up after {TRIES} failures{words and f': {words}'}" for host, words in lost.items())
        return Room(max(1, len(self._hosts) - len(lost)), own_words("\n".join(said)))

    async def cancel(self, job: str) -> None:
        """Ask a worker to leave: what trains there writes its checkpoint first."""
        host, _, name = job.partition("/")
        self._started.pop(name, None)
        await self._ask(host, _CANCEL % {"base": quote(f"{self._place}/{name}")})

    async def close(self) -> None:
        """Close the shared connections."""
        if self._control:
            for host in self._hosts:
                with suppress(LauncherError):
                    await ask([*self._words(), "-O", "exit", "--", host])
            shutil.rmtree(self._control, ignore_errors=True)
            self._control = ""

    async def _ask(self, host: str, program: str) -> str:
        """What a program for `sh` prints on a host; raises `LauncherError` with what `ssh` or the host says."""
        try:
            return await ask([*self._words(), "--", host, "exec sh -s"], _PROLOGUE + program)
        except LauncherError as error:
            raise type(error)(f"{host}: {error}") from error

    def _words(self) -> Sequence[str]:
        if not self._control:
            self._control = tempfile.mkdtemp(prefix="lander-ssh-")
        options = _SECURE | {"ControlPath": f"{self._control}/%C"}
        return ["ssh", *self._ssh_options, *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]


def _jobs(host: str, printed: str) -> Iterator[tuple[str, Job]]:
    for line in printed.splitlines():
        state, name, detail = [*line.split(maxsplit=2), "", "", ""][:3]
        if state == "running":
            yield name, Job(f"{host}/{name}", "running")
        elif state == "ended":
            yield name, Job(f"{host}/{name}", "ended", own_words(detail))
