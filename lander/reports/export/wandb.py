"""Weights & Biases: an offline run for each run, which `wandb sync` uploads when somebody wants that.

W&B writes it itself, in a process of its own that needs no network, and is told to send nothing anywhere. Which process wrote
it, and when, W&B notes in the file; the rest is a function of the log.
"""

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lander.reports.export.exported_runs import ExportedRun, runs_of
from lander.reports.export.surroundings import only
from lander.store.log.reader import Reader
from lander.store.records.run_record import Record

_PROJECT: Final = "lander-ctl"
_QUIET: Final = {
    "mode": "offline",
    "silent": True,
    "console": "off",
    "disable_git": True,
    "disable_code": True,
    "x_disable_stats": True,
    "x_disable_meta": True,
    "x_disable_machine_info": True,
    "x_save_requirements": False,
}
"""Nothing of the machine that exports belongs to the run."""


def write(reader: Reader, target: str, directory: Path) -> None:
    """Write `offline-run-<when it began>-<id>/run-<id>.wandb` for each run."""
    with only("WANDB_", WANDB_MODE="offline", WANDB_ERROR_REPORTING="false"):
        import wandb

        try:
            for run in runs_of(reader, target):
                _write(wandb, reader, run, directory)
        finally:
            wandb.teardown()


def _write(wandb: Any, reader: Reader, run: ExportedRun, directory: Path) -> None:
    identifier = _identifier(run)
    offline = wandb.init(
        project=_PROJECT,
        group=run.key.experiment,
        job_type=run.key.arm,
        name=run.key.id,
        id=identifier,
        tags=[run.status["state"]],
        config=run.configuration,
        settings=wandb.Settings(root_dir=str(directory), host="", **_QUIET),
    )
    for at, metrics in Record(reader, run.key.id).dated_metrics():
        offline.log({**metrics.values, "_timestamp": at / 1e6}, step=metrics.step)
    offline.finish(exit_code=int(run.status["state"] == "failed"))
    _keep_the_record(run, identifier, directory)


def _keep_the_record(run: ExportedRun, identifier: str, directory: Path) -> None:
    """Keep the one file that W&B reads, in a directory called as W&B calls it; the rest are logs of how it was written."""
    name = f"run-{identifier}.wandb"
    (written,) = directory.glob(f"wandb/offline-run-*-{identifier}/{name}")
    began = datetime.fromtimestamp((run.queued if run.started is None else run.started) / 1e6, UTC)
    home = directory / f"offline-run-{began:%Y%m%d_%H%M%S}-{identifier}"
    home.mkdir()
    written.rename(home / name)
    shutil.rmtree(directory / "wandb")


def _identifier(run: ExportedRun) -> str:
    """The same for every export of the run, and another for a run of the same name in another home."""
    return hashlib.sha256(f"{run.key.id} {run.queued}".encode()).hexdigest()[:16]
