"""The runs of one seed, which are compared with each other: they are kept on one class of bits. The first one placed decides.

A class that no run of the seed trains on or has to go on on is forgotten: nothing is compared with what left nothing behind.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from lander.supervisor.core.standing import ExperimentStanding, RunStanding


def run_moved(
    standing: ExperimentStanding, runs: Mapping[str, RunStanding], before: RunStanding, run: RunStanding
) -> ExperimentStanding:
    """The experiment after a run of it has changed, which is in `runs` by now."""
    kept = standing.kept_on.get(run.pair, "")
    if run.stands_on == before.stands_on or kept not in ("", before.stands_on):
        return standing.moved(run)
    others = (each.stands_on for each in paired(standing, runs, run) if each.id != run.id)
    now = _decided(kept, (run.stands_on, *others)) if kept else run.stands_on
    if now == kept:
        return standing.moved(run)
    rest = {pair: key for pair, key in standing.kept_on.items() if pair != run.pair}
    standing = replace(standing, kept_on=rest | {run.pair: now} if now else rest)
    for each in paired(standing, runs, run):
        standing = standing.moved(each)
    return standing


def classes_after(before: tuple[tuple[int, str], ...], from_step: int, bits: str) -> tuple[tuple[int, str], ...]:
    """The classes of bits of a run, by the step from which on it trained on each, after it went on at a step on this one."""
    kept = tuple(each for each in before if each[0] < from_step)
    return kept if not bits or (kept and kept[-1][1] == bits) else (*kept, (from_step, bits))


def bits_after_loss(standing: ExperimentStanding, runs: Mapping[str, RunStanding], run: RunStanding, host: str) -> str:
    """The key of the class that a run is to go on on once a host, and with it every attempt there, is given up."""
    left = (
        each.continues_on if each.attempt is not None and each.attempt.host == host else each.stands_on
        for each in paired(standing, runs, run)
    )
    return run.continues_on or _decided(standing.kept_on.get(run.pair, ""), left)


def paired(standing: ExperimentStanding, runs: Mapping[str, RunStanding], run: RunStanding) -> Iterator[RunStanding]:
    """The runs of a run's seed, itself among them, in the order of their places."""
    places = standing.pairs[run.pair]
    while places:
        first = places & -places
        yield runs[standing.order[first.bit_length() - 1]]
        places ^= first


def _decided(kept: str, keys: Iterable[str]) -> str:
    """The class that was decided on, as long as a run stands on it; else the first that one stands on, if any."""
    left = [key for key in keys if key]
    return kept if kept in left else next(iter(left), "")
