"""A recorded experiment, changed: by overrides, other settings, more seeds or arms. What nobody changes stays as recorded."""

import re
from collections.abc import Sequence
from typing import Any

from lander.experiments.environment_files import EnvironmentFiles
from lander.experiments.parsing import parse_experiment
from lander.experiments.problems import configuration_error
from lander.experiments.writing import as_written
from lander.protocol.experiment import Experiment
from lander.protocol.growth import with_recorded_defaults
from lander.protocol.refusals import shown


def changed_experiment(
    known: Experiment, overrides: Sequence[str] = (), files: EnvironmentFiles | None = None, **options: Any
) -> Experiment:
    """The recorded experiment with overrides and options, as `parse_experiment` takes them.

    An override that begins with `variants.NAME` adds a variant of that name if there is none. Raises `ConfigurationError` for
    a change that does not fit. Without any change nothing is parsed: tables that have changed since cannot refuse what is
    recorded.
    """
    if not overrides and all(value is None for value in options.values()):
        return known
    written, source = as_written(known), known.experiment_id
    given = {"overrides": overrides, "files": files, **options}
    asked, _ = parse_experiment(written, source=source, rename_environments=False, may_add_arms=True, **given)
    return with_recorded_defaults(known, asked)


def with_more_seeds(experiment: Experiment, more: str) -> Experiment:
    """The experiment with more seeds for every arm (`+5` adds five), which follow the largest seed of any arm.

    Raises `ConfigurationError` for any other text; the seeds are validated when the experiment is parsed again.
    """
    if not re.fullmatch(r"\+[1-9][0-9]{0,4}", more):
        problem = f"seeds: found {shown(more)}; must be like +5 to add five, or like 0-4"
        raise configuration_error(experiment.experiment_id, [problem])
    first = max(seed for arm in experiment.arms for seed in arm.seeds) + 1
    added = range(first, first + int(more))
    arms = tuple(arm.model_copy(update={"seeds": (*arm.seeds, *added)}) for arm in experiment.arms)
    return experiment.model_copy(update={"arms": arms})
