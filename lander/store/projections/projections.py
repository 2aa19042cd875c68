"""The fold from events to the rows of the projection tables.

`apply` changes the rows that are kept in memory (`kept_rows.py`), `drain` gives the SQL that updates the tables. The writer
runs this SQL in the transaction of the events, with the bookmark, so tables and log cannot differ. An attempt that continues at
step S supersedes earlier rows when its training starts: the log keeps everything, the projections only what counts.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, get_args

from lander.protocol import events as e
from lander.protocol.experiment import Experiment, RunKey
from lander.protocol.growth import Growth, experiment_after
from lander.protocol.lifecycle import next_experiment_state, next_run_state
from lander.protocol.lineage import SUPERSEDED_SQL, still_counts
from lander.protocol.states import LIVE, QUARANTINED, UNDER_WAY
from lander.store.log.statements import Statement
from lander.store.projections.annotated_rows import ADD_REMARK, Annotating, annotate
from lander.store.projections.kept_rows import KeptRows
from lander.store.projections.rows import ExperimentRow, ProgressRow, ResourcesRow

_ADD_EPISODE: Final = 'INSERT INTO episodes (run, number, last_step, length, "return") VALUES (?, ?, ?, ?, ?)'
_SUPERSEDED: Final = partial(SUPERSEDED_SQL.format, from_step="?2")
_SUPERSEDE_EPISODES: Final = f"DELETE FROM episodes WHERE run = ?1 AND ({_SUPERSEDED(step='last_step')} OR number > ?3)"
_ADD_CHECKPOINT: Final = (
    "INSERT INTO checkpoints (run, step, digest, position) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (run, step) DO UPDATE SET digest = excluded.digest, position = excluded.position"
)
_SUPERSEDE_CHECKPOINTS: Final = f"DELETE FROM checkpoints WHERE run = ?1 AND {_SUPERSEDED(step='step')}"
_MARKED: Final = ("inexact", "other_bits")
"""How a run may have gone on that no later exact resume repairs; the worse first."""
_PLACES: Final = 28
"""Bits of a run's number that count the runs which one event adds."""


class Projections:
    """The fold and its rows; it produces SQL text but needs no database."""

    def __init__(
        self,
        experiments: Iterable[ExperimentRow] = (),
        progress: Iterable[ProgressRow] = (),
        resources: Iterable[ResourcesRow] = (),
        position: int = 0,
        recorded: Mapping[str, Experiment] | None = None,
    ) -> None:
        self.rows = KeptRows(experiments, progress, resources)
        self.position = position
        self.quarantined = {row.id for row in self.rows.experiments.values() if row.state == QUARANTINED}
        """The experiments of which an event could not be read. Their rows stay as they were before it."""
        self._recorded = dict(recorded or {})
        """The current value of every experiment, to which the next event is applied."""

    def apply(self, recorded: e.Recorded) -> None:
        """Fold one event in; events must come in the order of their positions."""
        self.position = recorded.position
        handler = _HANDLERS.get(type(recorded.event))
        if handler is not None and not (self.quarantined and e.experiment_of(recorded.stream) in self.quarantined):
            handler(self, recorded, recorded.event)

    def drain(self) -> list[Statement]:
        """The SQL for everything that changed since the last call, in the order in which it must run."""
        return self.rows.drain(self.position)

    # ------------------------------------------------------------------------------------------------ experiments

    def _submitted(self, recorded: e.Recorded, event: e.ExperimentSubmitted) -> None:
        experiment = self._recorded[recorded.stream] = event.experiment
        self.rows.experiments[recorded.stream] = ExperimentRow(
            recorded.stream, "queued", experiment.hypothesis, recorded.position, recorded.at
        )
        self._note_environments(recorded.stream)
        for place, run in enumerate(experiment.runs):
            self._add_run(experiment, run, (recorded.position << _PLACES) + place)

    def _add_run(self, experiment: Experiment, run: RunKey, number: int) -> None:
        """`number` follows from the event that adds the run alone, so it stays the same when earlier ones are deleted."""
        forked = e.CheckpointCommitted.forked(experiment, run.seed)
        step, episodes = (0, 0) if forked is None else (forked.step, forked.episodes)
        self.rows.progress[run.id] = ProgressRow(
            id=number,
            run=run.id,
            experiment=run.experiment,
            arm=run.arm,
            seed=run.seed,
            total_steps=experiment.configuration(run).training_steps,
            step=step,
            started_step=step,
            episodes=episodes,
        )
        self.rows.changed_progress.add(run.id)

    def _note_environments(self, name: str) -> None:
        experiment = self._recorded[name]
        environments = dict.fromkeys(each.environment for each in experiment.tasks or experiment.arms)
        self.rows.experiments[name].environments = " ".join(environments)
        self.rows.changed_experiments.add(name)

    def _experiment_changed(self, recorded: e.Recorded, event: Growth) -> None:
        experiment = self._recorded[recorded.stream] = experiment_after(self._recorded[recorded.stream], event)
        self._note_environments(recorded.stream)
        for place, run in enumerate(experiment.runs):
            if run.id not in self.rows.progress:
                self._add_run(experiment, run, (recorded.position << _PLACES) + place)
            self.rows.progress[run.id].total_steps = experiment.configuration(run).training_steps
            self.rows.changed_progress.add(run.id)

    def _experiment_state_changed(self, recorded: e.Recorded, event: e.Event) -> None:
        row = self.rows.experiments[recorded.stream]
        if row.state != QUARANTINED:
            row.state = next_experiment_state(row.state, event.kind)
            row.ended_at = None if row.state in UNDER_WAY else recorded.at
            self.rows.changed_experiments.add(recorded.stream)

    def _experiment_resumed(self, recorded: e.Recorded, event: e.ExperimentResumed) -> None:
        self._experiment_state_changed(recorded, event)
        self.rows.experiments[recorded.stream].archived_at = None

    def _annotated(self, recorded: e.Recorded, event: Annotating) -> None:
        if remark := annotate(self.rows.experiments[recorded.stream], recorded, event):
            self.rows.add_child(ADD_REMARK, remark)
        self.rows.changed_experiments.add(recorded.stream)

    def _deleted(self, recorded: e.Recorded, event: e.ExperimentDeleted) -> None:
        """Drop every row of the experiment. Of one that was erased in part, only the last events are missing."""
        self._recorded.pop(recorded.stream, None)
        self.rows.drop(recorded.stream)

    def _quarantine(self, recorded: e.Recorded, event: e.Unreadable) -> None:
        """No later event of the experiment is applied: what it would change may not be what the rows say."""
        name = e.experiment_of(recorded.stream)
        if not name or event.kind in e.TELEMETRY_KINDS:
            return
        row = self.rows.experiments.setdefault(name, ExperimentRow(name, QUARANTINED, "", recorded.position, recorded.at))
        row.state = QUARANTINED
        self.quarantined.add(name)
        self.rows.changed_experiments.add(name)

    # ------------------------------------------------------------------------------------------------ runs

    def _run_state_changed(self, recorded: e.Recorded, event: e.Event) -> None:
        row = self.rows.progress[recorded.stream]
        row.state = next_run_state(row.state, event.kind)
        self.rows.changed_progress.add(recorded.stream)

    def _resumed(self, recorded: e.Recorded, event: e.RunResumed) -> None:
        self._run_state_changed(recorded, event)
        row = self.rows.progress[recorded.stream]
        row.cause = row.detail = row.why = None
        if event.reason == "extended" and row.step >= row.total_steps:
            row.evaluating = row.step  # no more steps are wanted of it, so more episodes are

    def _run_failed_or_skipped(self, recorded: e.Recorded, event: e.RunFailed | e.RunSkipped) -> None:
        self._run_state_changed(recorded, event)
        self.rows.progress[recorded.stream].why = event.why or None

    def _attempt_started(self, recorded: e.Recorded, event: e.AttemptStarted) -> None:
        """Keep the record of the earlier attempts: only the start of training says where this one continues."""
        self._run_state_changed(recorded, event)
        row = self.rows.progress[recorded.stream]
        row.attempt, row.host = event.epoch, event.host
        row.device = f"cpu:{event.cpu}" if event.gpu is None else f"cuda:{event.gpu}"
        row.pid = row.started_at = row.last_at = row.cause = row.detail = row.why = None

    def _attempt_ended(self, recorded: e.Recorded, event: e.AttemptEnded) -> None:
        self._run_state_changed(recorded, event)
        row = self.rows.progress[recorded.stream]
        row.cause, row.detail, row.pid = event.named_cause, event.detail, None

    # ------------------------------------------------------------------------------------------------ training

    def _training_started(self, recorded: e.Recorded, event: e.TrainingStarted) -> None:
        row = self.rows.progress[recorded.stream]
        if row.attempt == recorded.producer and row.state in LIVE:  # else the event arrived after `AttemptEnded`
            self._run_state_changed(recorded, event)
            row.pid, row.started_at = event.pid, recorded.at
        if recorded.producer > row.trained:
            self._supersede(row, recorded.producer, event)

    def _supersede(self, row: ProgressRow, producer: int, event: e.TrainingStarted) -> None:
        """From here on this attempt's events count, and the earlier ones' only up to the step where it continues."""
        # An exact resume does not repair an inexact one before it; only a start from step 0 does.
        before = row.resume if event.from_step else None
        row.trained, row.resume = producer, next((how for how in _MARKED if how in (before, event.resume)), event.resume)
        row.step = row.started_step = event.from_step
        row.episodes = event.from_episode
        row.model = row.model_sha256 = None
        if row.evaluating is not None and not still_counts(row.evaluating, event.from_step):
            row.evaluating = None
        self.rows.add_child(_SUPERSEDE_EPISODES, (row.id, event.from_step, event.from_episode))
        self.rows.add_child(_SUPERSEDE_CHECKPOINTS, (row.id, event.from_step))
        self.rows.changed_progress.add(row.run)

    def _row_if_current(self, recorded: e.Recorded) -> ProgressRow | None:
        """The row of the run, if the event comes from the attempt whose events count."""
        row = self.rows.progress[recorded.stream]
        if row.trained != recorded.producer:
            return None
        self.rows.changed_progress.add(row.run)
        return row

    def _steps_recorded(self, recorded: e.Recorded, event: e.StepsRecorded) -> None:
        if row := self._row_if_current(recorded):
            row.step, row.last_at = event.last_step, recorded.at
            if row.evaluating is not None and row.evaluating < row.step:
                row.evaluating = None
            if (experiment := self.rows.experiments[row.experiment]).results_at is None:
                experiment.results_at = recorded.at
                self.rows.changed_experiments.add(row.experiment)

    def _evaluation_started(self, recorded: e.Recorded, event: e.EvaluationStarted) -> None:
        if row := self._row_if_current(recorded):
            row.evaluating = event.step

    def _evaluation_finished(self, recorded: e.Recorded, event: e.EvaluationFinished) -> None:
        if row := self._row_if_current(recorded):
            row.evaluating = None

    def _episode_finished(self, recorded: e.Recorded, event: e.EpisodeFinished) -> None:
        if row := self._row_if_current(recorded):
            row.episodes += 1
            self.rows.add_child(_ADD_EPISODE, (row.id, row.episodes, event.last_step, event.length, event.episode_return))

    def _checkpoint_committed(self, recorded: e.Recorded, event: e.CheckpointCommitted) -> None:
        if row := self._row_if_current(recorded):
            self.rows.add_child(_ADD_CHECKPOINT, (row.id, event.step, event.digest, recorded.position))

    def _model_saved(self, recorded: e.Recorded, event: e.ModelSaved) -> None:
        if event.which == "final" and (row := self._row_if_current(recorded)):
            row.model, row.model_sha256 = event.path, event.sha256

    # ------------------------------------------------------------------------------------------------ hosts

    def _resources_sampled(self, recorded: e.Recorded, event: e.ResourcesSampled) -> None:
        for usage in event.trainers:
            progress = self.rows.progress.get(usage.run)
            if progress is None or progress.attempt != usage.epoch:
                continue
            before = self.rows.resources.get(progress.id)
            peak = max(usage.memory_mb, before.peak_memory_mb if before else 0.0)
            self.rows.resources[progress.id] = ResourcesRow(
                progress.id, recorded.at, usage.cpu_percent, usage.memory_mb, usage.gpu_percent, peak
            )
            self.rows.changed_resources.add(progress.id)


_Handler = Callable[[Projections, e.Recorded, Any], None]

_HANDLERS: Final[Mapping[type[e.Event | e.Unreadable], _Handler]] = {
    e.Unreadable: Projections._quarantine,
    e.ExperimentSubmitted: Projections._submitted,
    e.ExperimentStarted: Projections._experiment_state_changed,
    e.ExperimentCompleted: Projections._experiment_state_changed,
    e.ExperimentFailed: Projections._experiment_state_changed,
    e.ExperimentStopped: Projections._experiment_state_changed,
    e.ExperimentResumed: Projections._experiment_resumed,
    **dict.fromkeys(get_args(Annotating), Projections._annotated),
    **dict.fromkeys(get_args(Growth), Projections._experiment_changed),
    e.ExperimentDeleted: Projections._deleted,
    e.RunQueued: Projections._run_state_changed,
    e.AttemptStarted: Projections._attempt_started,
    e.StopRequested: Projections._run_state_changed,
    e.AttemptEnded: Projections._attempt_ended,
    e.RunPaused: Projections._run_state_changed,
    e.RunResumed: Projections._resumed,
    e.RunCompleted: Projections._run_state_changed,
    e.RunFailed: Projections._run_failed_or_skipped,
    e.RunStopped: Projections._run_state_changed,
    e.RunSkipped: Projections._run_failed_or_skipped,
    e.TrainingStarted: Projections._training_started,
    e.StepsRecorded: Projections._steps_recorded,
    e.EpisodeFinished: Projections._episode_finished,
    e.EvaluationStarted: Projections._evaluation_started,
    e.EvaluationFinished: Projections._evaluation_finished,
    e.CheckpointCommitted: Projections._checkpoint_committed,
    e.ModelSaved: Projections._model_saved,
    e.ResourcesSampled: Projections._resources_sampled,
}

TABLES: Final[Sequence[str]] = ("resources", "checkpoints", "episodes", "progress", "remarks", "experiments")
"""Every projection table, children first."""
