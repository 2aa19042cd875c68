"""The code of environments that each run of an experiment trains on."""

from lander.protocol.code import Code, uncaptured_notice
from lander.protocol.events import CodeChanged, ExperimentSubmitted, TrainingStarted
from lander.protocol.experiment import RunKey
from lander.protocol.growth import GROWTH_KINDS, Growth, experiment_after
from lander.protocol.named_code import named_code
from lander.store.log.reader import Reader
from lander.store.log.tombstones import tombstones


def code_by_run(reader: Reader, experiment: str) -> dict[str, Code | None]:
    """The code of every run: what the experiment had when the run was added, until the run begins anew on other code.

    None is code that was not captured. Raises `NotFoundError` for an unknown experiment.
    """
    wanted = reader.submission(experiment).experiment
    found: dict[str, Code | None] = dict.fromkeys((run.id for run in wanted.runs), wanted.code)
    next_code: dict[str, Code] = {}
    for stored in reader.events(experiment, (*GROWTH_KINDS, TrainingStarted.kind)):
        event = stored.decode()
        if isinstance(event, Growth):
            wanted = experiment_after(wanted, event)
            found.update((run.id, wanted.code) for run in wanted.runs if run.id not in found)
        if isinstance(event, CodeChanged):
            next_code.update(dict.fromkeys(event.runs, event.code))
        if isinstance(event, TrainingStarted) and stored.stream in next_code:
            found[stored.stream] = next_code.pop(stored.stream)
    return found


def code_of(reader: Reader, run: str) -> Code | None:
    """The code of one run."""
    return code_by_run(reader, RunKey.parse(run).experiment)[run]


def notice_of(reader: Reader, run: str) -> str:
    """That the code of a run's environment was not captured, in words; empty if it was."""
    key = RunKey.parse(run)
    return uncaptured_notice(code_of(reader, run), *named_code(reader.experiment(key.experiment).configuration(key)))


def archives(reader: Reader, without: str = "") -> dict[str, str]:
    """Every archive of code that the log names, by its SHA-256, with its experiment; as far as this version can read it.

    Those of deleted experiments are left out, and those of the experiment `without`.
    """
    found: dict[str, str] = {}
    left_out = {without, *(each.experiment for each in tombstones(reader.connection))}
    for stored in reader.events(kinds=(ExperimentSubmitted.kind, CodeChanged.kind)):
        if stored.stream in left_out:
            continue
        event = stored.read()
        code = event.experiment.code if isinstance(event, ExperimentSubmitted) else getattr(event, "code", None)
        if code is not None and code.archive is not None:
            found.setdefault(code.archive, stored.stream)
    return found
