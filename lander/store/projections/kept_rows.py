"""The rows of the projection tables, kept in memory while the store is open, and what of them is still to be written.

Episodes, checkpoints and remarks are not kept: nothing that is recorded later depends on them, so they are only written.
"""

from collections.abc import Iterable
from typing import Any, Final

from lander.store.log.statements import Statement
from lander.store.projections.dropped_rows import drop
from lander.store.projections.rows import ExperimentRow, ProgressRow, ResourcesRow, upsert, values_of

_PUT_EXPERIMENT: Final = upsert("experiments", ExperimentRow, "id")
_PUT_PROGRESS: Final = upsert("progress", ProgressRow, "id")
_PUT_RESOURCES: Final = upsert("resources", ResourcesRow, "run")
_EXPERIMENT, _PROGRESS, _RESOURCES = values_of(ExperimentRow), values_of(ProgressRow), values_of(ResourcesRow)
_MOVE_BOOKMARK: Final = "UPDATE bookmark SET position = ? WHERE id = 1"


class KeptRows:
    """The rows, by their keys. Whoever changes a row also adds its key to those that changed."""

    def __init__(
        self, experiments: Iterable[ExperimentRow], progress: Iterable[ProgressRow], resources: Iterable[ResourcesRow]
    ) -> None:
        self.experiments = {row.id: row for row in experiments}
        self.progress = {row.run: row for row in progress}
        self.resources = {row.run: row for row in resources}
        self.changed_experiments: set[str] = set()
        self.changed_progress: set[str] = set()
        self.changed_resources: set[int] = set()
        self._children: list[Statement] = []
        """Pending changes of the rows that are not kept, in the order of their events."""

    def add_child(self, sql: str, values: tuple[Any, ...]) -> None:
        """Change rows that are not kept."""
        if not self._children or self._children[-1].sql is not sql:
            self._children.append(Statement(sql, []))
        self._children[-1].rows.append(values)

    def drop(self, experiment: str) -> None:
        """Drop every row of an experiment. Of one that was erased in part, only the last events are missing."""
        self.experiments.pop(experiment, None)
        self.changed_experiments.discard(experiment)
        gone = [row for row in self.progress.values() if row.experiment == experiment]
        for row in gone:
            del self.progress[row.run]
            self.resources.pop(row.id, None)
        self.changed_progress.difference_update(row.run for row in gone)
        self.changed_resources.difference_update(row.id for row in gone)
        self._children += drop(experiment, (row.id for row in gone))

    def drain(self, position: int) -> list[Statement]:
        """The SQL for everything that changed since the last call, in the order in which it must run."""
        statements = [
            Statement(_PUT_EXPERIMENT, [_EXPERIMENT(self.experiments[key]) for key in sorted(self.changed_experiments)]),
            Statement(_PUT_PROGRESS, [_PROGRESS(self.progress[key]) for key in sorted(self.changed_progress)]),
            Statement(_PUT_RESOURCES, [_RESOURCES(self.resources[key]) for key in sorted(self.changed_resources)]),
            *self._children,
            Statement(_MOVE_BOOKMARK, [(position,)]),
        ]
        self.changed_experiments.clear()
        self.changed_progress.clear()
        self.changed_resources.clear()
        self._children = []
        return [statement for statement in statements if statement.rows]
