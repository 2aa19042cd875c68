"""What speaks to Ray: a program for the Python that has Ray, which needs nothing of ours. Reads one request, answers, and ends.

Requests and answers are JSON, on standard input and on the last line of standard output. Each job is a detached actor of its
name: it has the cores that the worker offers, starts the worker, and holds the end of a pipe whose closing makes the worker
leave. So the worker leaves in good order when the actor ends, however it ends. An actor outlives its raylet, so it watches it.
"""

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

NAMESPACE = "lander-ctl"
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 5.0
"""How long an actor may take to answer; one that waits for a place does not."""
LINGER_SECONDS = 300.0
"""How long an actor stays after its worker has ended, to say how, if nobody asks."""
TAIL_BYTES = 4096
# The worker becomes no child of the actor, since Ray kills those with the actor. The shell prints its process id.
_DETACHED = 'exec 3<&0; "$@" <&3 3<&- >&2 & echo $!'


class Pilot:
    """The actor: one worker. It is sent to its node by value, so it uses nothing but the standard library."""

    def __init__(self, arguments: Sequence[str], token: str, log: str) -> None:
        reading, writing = os.pipe()
        self._pipe: int | None = writing
        self._log = Path.home() / log
        self._ended, self._error = False, ""
        worker = []
        try:
            worker = [os.pidfd_open(self._start([*arguments, "--leave-with", str(reading)], token, reading))]
        except (OSError, subprocess.SubprocessError) as error:
            self._ended, self._error = True, str(error)
        os.close(reading)
        threading.Thread(target=self._watch, args=(worker, os.pidfd_open(os.getppid())), daemon=True).start()

    def _start(self, arguments: Sequence[str], token: str, reading: int) -> int:
        self._log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            started = subprocess.run(
                ["/bin/sh", "-c", _DETACHED, "sh", *arguments],
                input=token.encode(),
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=[reading],
                cwd=Path.home(),
                start_new_session=True,
                check=True,
            )
        return int(started.stdout)

    def _watch(self, worker: list[int], raylet: int) -> None:
        """End with the raylet, which does not end its actors when it is killed; and some time after the worker."""
        ready, _, _ = select.select([*worker, raylet], [], [], None if worker else 0)
        if raylet not in ready:
            self._ended = True
            select.select([raylet], [], [], LINGER_SECONDS)
        os._exit(0)

    def state(self) -> tuple[bool, str]:
        """Whether the worker has ended, and its last words."""
        return self._ended, self._last_words() if self._ended else ""

    def leave(self) -> None:
        """Have the worker leave in good order. Asked again, it does nothing: the descriptor may be another file's by then."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            os.close(pipe)

    def _last_words(self) -> str:
        if self._error:
            return self._error
        with self._log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL_BYTES))
            return log.read(TAIL_BYTES).decode("utf-8", "replace")


def launch(ray: Any, request: Mapping[str, Any]) -> object:
    """Create the actors, each on a node of its own while there are as many with room. Those that ended make room for them.

    Returns what `alive` does, of those that ended.
    """
    before = _names(ray, request["prefix"])
    options = {"num_cpus": request["cpus"], "max_restarts": 0, "lifetime": "detached", "scheduling_strategy": "SPREAD"}
    for name, job in request["jobs"].items():
        ray.remote(Pilot).options(name=name, **options).remote(job["arguments"], request["token"], job["log"])
    return {name: said for name, said in _look(ray, before).items() if said[0] == "ended"}


def alive(ray: Any, request: Mapping[str, Any]) -> object:
    """The state of every actor of the prefix, and the last words of its worker."""
    return _look(ray, _names(ray, request["prefix"]))


def _look(ray: Any, names: Sequence[str]) -> Mapping[str, tuple[str, str]]:
    """The state of these actors. Those that ended are asked once, and let go."""
    actors = dict(_actors(ray, names))
    answers = {actor.state.remote(): name for name, actor in actors.items()}
    ray.wait(list(answers), num_returns=max(1, len(answers)), timeout=ANSWER_SECONDS) if answers else None
    found = {name: _answer(ray, answer) for answer, name in answers.items()}
    for name, (state, _) in found.items():
        if state == "ended":
            ray.kill(actors[name])
    return found


def _actors(ray: Any, names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for name in names:
        with contextlib.suppress(ValueError):  # it has ended since its name was listed
            yield name, ray.get_actor(name)


def _names(ray: Any, prefix: str) -> list[str]:
    return [name for name in ray.util.list_named_actors() if name.startswith(f"{prefix}-")]


def _answer(ray: Any, answer: Any) -> tuple[str, str]:
    try:
        ended, words = ray.get(answer, timeout=0)
    except ray.exceptions.GetTimeoutError:
        free, most = ray.available_resources().get("CPU", 0), ray.cluster_resources().get("CPU", 0)
        return "waiting", f"Ray has no place for it yet: {free:g} of {most:g} CPUs are free"
    except ray.exceptions.ActorDiedError as error:
        return "ended", str(error)
    except ray.exceptions.RayError as error:  # its node does not answer: it may again
        return "running", str(error)
    return ("ended", words) if ended else ("running", "")


def cancel(ray: Any, request: Mapping[str, Any]) -> object:
    """Have the worker of an actor leave, and its actor end with it; one that waits for a place is taken back."""
    with contextlib.suppress(ValueError):  # there is no such actor any more
        actor = ray.get_actor(request["job"])
        answered, _ = ray.wait([actor.leave.remote()], timeout=ANSWER_SECONDS)
        if not answered:
            ray.kill(actor)
    return None


def _reach(address: str) -> None:
    """Raise `OSError` if nobody listens at HOST:PORT, for which Ray itself waits more than a minute."""
    host, _, port = address.rpartition(":")
    if port.isdecimal() and "/" not in address:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()


DO = {"launch": launch, "alive": alive, "cancel": cancel}


def main() -> None:
    """Answer the request on standard input."""
    sys.path.remove(str(Path(__file__).parent))  # else our launcher of the same name would be imported for Ray
    request = json.load(sys.stdin)
    try:
        import ray

        _reach(request["address"])
        ray.init(address=request["address"], namespace=NAMESPACE, log_to_driver=False, logging_level="ERROR")
        answer = {"answer": DO[request["do"]](ray, request)}
    except ModuleNotFoundError as error:
        answer = {"error": f"{sys.executable}: {error}"}
    except Exception as error:  # Ray's own, of many kinds: they are said in its words
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(f"\n{json.dumps(answer)}", flush=True)


if __name__ == "__main__":
    main()
