"""The folder that the Hugging Face Hub expects of a Stable-Baselines3 agent, for each run with a saved model.

It has the files and names of `huggingface_sb3.package_to_hub`: the model as Stable-Baselines3 saved it, also unpacked,
`config.json`, `results.json`, `README.md` (the model card), `replay.mp4`, and with `VecNormalize` `vec_normalize.pkl`. Beside
them lies `lander.json`, with which `lander-ctl evaluate FOLDER` needs to unpickle nothing. Nothing is sent.
"""

import json
import shutil
import warnings
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from lander.actors.trainer.saved_policy import load_statistics
from lander.app.chosen_policies import Saved, checkpoint_of_model
from lander.app.evaluating import evaluated
from lander.app.export.hub_folder import ABOUT, About, as_plain
from lander.app.export.model_card import Agent, Recorded, model_card, spread
from lander.app.films import film_first
from lander.home.layout import statistics_path
from lander.home.regular_file import sha256_of
from lander.protocol.errors import LanderError, NotFoundError
from lander.protocol.events import CheckpointCommitted, EvaluationFinished, ModelSaved
from lander.reports.analysis.run_histories import final_of
from lander.reports.export.exported_runs import ExportedRun, runs_of
from lander.reports.export.plain import moment, plain
from lander.store.log.reader import Reader
from lander.store.records.run_record import Record

Which = Literal["final", "best"]


class _Model(NamedTuple):
    """A saved model: its event, the file, and the checkpoint at its step."""

    event: ModelSaved
    file: Path
    checkpoint: CheckpointCommitted


def write(reader: Reader, target: str, directory: Path, at: Which = "final") -> list[str]:
    """Write a folder `<arm>-<seed>` for each run; returns a sentence for each run that has none.

    Raises `LanderError` if no run has one.
    """
    left_out: list[str] = []
    runs = runs_of(reader, target)
    for run in runs:
        folder = directory / "-".join(run.key.id.split("/")[1:])
        try:
            _write(reader, run, folder, at)
        except LanderError as error:
            shutil.rmtree(folder, ignore_errors=True)
            left_out.append(str(error))
    if len(left_out) == len(runs):
        raise LanderError("\n".join(left_out))
    return left_out


def model_file(algorithm: str, environment: str) -> str:
    """The name of the zip: `ppo-LunarLander-v3.zip`, as the Hub's agents are called."""
    return f"{algorithm.lower()}-{environment.rpartition(':')[2].replace('/', '-')}.zip"


def _write(reader: Reader, run: ExportedRun, folder: Path, at: Which) -> None:
    model = _model(reader, run.key.id, at)
    environment = reader.experiment(run.key.experiment).evaluation(run.key).environment
    name = model_file(run.arm.algorithm, environment)
    folder.mkdir(parents=True)
    shutil.copyfile(model.file, folder / name)
    _unpack(folder, name)
    if model.event.statistics is not None:
        shutil.copyfile(statistics_path(model.file), folder / "vec_normalize.pkl")
    with warnings.catch_warnings(action="ignore"):  # the run's log already has these warnings
        evaluation, when = _evaluation(reader, run.key.id, model.checkpoint)
    _write_json(folder / "results.json", _results(evaluation, when))
    about = _about(reader, run, model, name, len(evaluation.returns))
    (folder / ABOUT).write_text(about.model_dump_json(indent=2) + "\n", "utf-8")
    agent = Agent(
        run=run.key,
        arm=run.arm,
        environment=environment,
        which=at,
        step=model.event.step,
        interruptions=_interruptions(run),
        file=name,
        normalized=model.event.statistics is not None,
        evaluation=evaluation,
        evaluations=len(Record(reader, run.key.id).evaluations()),
        runs=[_recorded(reader, each) for each in runs_of(reader, f"{run.key.experiment}/{run.key.arm}") if _alike(each, run)],
        without_film=_film(reader, run.key.id, evaluation, folder),
    )
    (folder / "README.md").write_text(model_card(agent), "utf-8")


def _about(reader: Reader, run: ExportedRun, model: _Model, name: str, episodes: int) -> About:
    return About(
        format=1,
        run=run.key.id,
        seed=run.key.seed,
        step=model.event.step,
        which=model.event.which,
        model=name,
        sha256=model.event.sha256,
        arm=run.arm,
        evaluation_environment=reader.experiment(run.key.experiment).evaluation_environment,
        evaluation_episodes=episodes,
        normalization=_statistics(reader, run.key.id, model),
    )


# --- what the record has ----------------------------------------------------------------------------------------------


def _model(reader: Reader, run: str, which: Which) -> _Model:
    """The saved model of a run, with the bytes that the log names; raises `NotFoundError` if there is none."""
    saved = {event.which: event for event in Record(reader, run).models()}
    if which not in saved:
        hint = "it has not completed; --at best exports its best model" if which == "final" and saved else "none was saved"
        raise NotFoundError(f"{run}: has no {which} model: {hint}")
    event = saved[which]
    file = reader.home / event.path
    named = {file: event.sha256} | ({statistics_path(file): event.statistics} if event.statistics else {})
    for path, sha256 in named.items():
        if not path.is_file():
            raise NotFoundError(f"{run}: {path} is gone")
        if sha256_of(path.resolve()) != sha256:
            raise NotFoundError(f"{run}: {path} was changed since it was saved")
    found = [stored for stored in reader.events(run, [ModelSaved.kind]) if stored.decode() == event]
    return _Model(event, file, checkpoint_of_model(reader, run, found[-1].producer, event.step))


def _evaluation(reader: Reader, run: str, checkpoint: CheckpointCommitted) -> tuple[EvaluationFinished, str]:
    """The recorded evaluation at the step of a model, with its time; else a new one, in the same episodes."""
    for found in Record(reader, run).evaluations():
        if found.step == checkpoint.step:
            times = [each.at for each in reader.events(run, [EvaluationFinished.kind]) if each.decode() == found]
            return found, moment(times[-1])
    return evaluated(reader, Saved(run, checkpoint), None), datetime.now(UTC).isoformat(timespec="seconds")


def _statistics(reader: Reader, run: str, model: _Model) -> dict[str, Any]:
    """The statistics that normalize the observations of the model's policy; empty for none."""
    if model.event.statistics is None:
        return {}
    try:
        return as_plain(load_statistics(model.checkpoint, reader.home))
    except NotFoundError as error:
        raise NotFoundError(f"{run}: {error}") from error


def _recorded(reader: Reader, run: ExportedRun) -> Recorded:
    final = final_of(Record(reader, run.key.id).evaluations(), run.status["step"])
    return Recorded(run.key, run.status["state"], final)


def _alike(other: ExportedRun, run: ExportedRun) -> bool:
    """Whether it differs in its seed only."""
    return other.key.task == run.key.task


def _interruptions(run: ExportedRun) -> str:
    if run.status["attempt"] == 1:
        return ""
    how = {
        "exact": ", with the bits that it would have had without",
        "inexact": " inexactly: without the interruption it would have had other bits",
        "other_bits": " on a machine that computes other bits",
    }
    return f"It was interrupted, and went on{how.get(str(run.status['resume']), '')}."


# --- the files --------------------------------------------------------------------------------------------------------


def _unpack(folder: Path, name: str) -> None:
    """The files of the model beside it, and `config.json`: its data as it is, with the versions it was trained with."""
    beside = folder / name.removesuffix(".zip")
    with zipfile.ZipFile(folder / name) as archive:
        archive.extractall(beside)
    data = json.loads((beside / "data").read_text("utf-8"))
    lines = (beside / "system_info.txt").read_text("utf-8").splitlines()
    versions = dict(line.removeprefix("- ").split(": ", 1) for line in lines if ": " in line)
    _write_json(folder / "config.json", {**data, "system_info": versions})


def _results(evaluation: EvaluationFinished, when: str) -> dict[str, Any]:
    return {
        "mean_reward": evaluation.mean_return,
        "std_reward": spread(evaluation),
        "is_deterministic": True,
        "n_eval_episodes": len(evaluation.returns),
        "eval_datetime": when,
        "first_seed": evaluation.first_seed,
        "returns": evaluation.returns,
        "lengths": evaluation.lengths,
    }


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def _film(reader: Reader, run: str, evaluation: EvaluationFinished, folder: Path) -> str:
    """Film the first episode of the evaluation; returns why there is no film, or nothing."""
    try:
        film_first(reader, run, evaluation, folder).rename(folder / "replay.mp4")
    except LanderError as error:
        return str(error)
    return ""
