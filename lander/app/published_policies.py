"""A published policy beside the findings of an experiment: that of a folder for the Hub, in the episodes of its runs."""

from pathlib import Path

import numpy as np

from lander.app.export.hub_folder import evaluated, read_about
from lander.protocol.errors import UsageError
from lander.reports.analysis.comparability import environment_in_words, environment_of
from lander.reports.analysis.findings import PublishedPolicy
from lander.store.log.reader import Reader


def published_policy(reader: Reader, experiment: str, folder: Path) -> PublishedPolicy:
    """Evaluate the policy in a folder as every run of the experiment is evaluated; nothing is recorded.

    Where the experiment evaluates nothing, the number of episodes is that of the folder. Raises `UsageError` if the policy was
    evaluated in another environment, and what `read_about` and `evaluated` raise.
    """
    about, wanted = read_about(folder), reader.experiment(experiment)
    theirs = about.arm.evaluated_in(about.evaluation_environment)
    ours = wanted.baseline.evaluated_in(wanted.evaluation_environment)
    if environment_of(theirs) != environment_of(ours):
        raise UsageError(
            f"{folder}: its policy plays {environment_in_words(theirs)}, and {experiment} {environment_in_words(ours)},"
            " so their returns cannot be compared"
        )
    found = evaluated(folder, about, wanted.eval_episodes or about.evaluation_episodes)
    return PublishedPolicy(
        folder=folder.resolve().name,
        run=about.run,
        step=about.step,
        episodes=len(found.returns),
        mean=found.mean_return,
        spread=float(np.std(found.returns, ddof=1)) if len(found.returns) > 1 else None,
    )
