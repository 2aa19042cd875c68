"""Weights & Biases: an offline run for each run, which the user can upload with `wandb sync`.

The wandb library writes it in a process of its own, configured to send nothing over the network. W&B records in the file
which process wrote it and when; the rest is a function of the log.
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
_NO_MACHINE_FACTS: Final = {
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
"""Settings that keep facts about the exporting machine out of the run."""


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
        settings=wandb.Settings(root_dir=str(directory), host="", **_NO_MACHINE_FACTS),
    )
    for at, metrics in Record(reader, run.key.id).dated_metrics():
        offline.log({**metrics.values, "_timestamp": at / 1e6}, step=metrics.step)
    offline.finish(exit_code=int(run.status["state"] == "failed"))
    _keep_wandb_file(run, identifier, directory)


def _keep_wandb_file(run: ExportedRun, identifier: str, directory: Path) -> None:
    """Keep the one file that W&B reads, in a directory with W&B's naming; delete the rest, which are logs of the writing."""
    name = f"run-{identifier}.wandb"
    (written,) = directory.glob(f"wandb/offline-run-*-{identifier}/{name}")
    began = datetime.fromtimestamp((run.queued if run.started is None else run.started) / 1e6, UTC)
    kept = directory / f"offline-run-{began:%Y%m%d_%H%M%S}-{identifier}"
    kept.mkdir()
    written.rename(kept / name)
    shutil.rmtree(directory / "wandb")


def _identifier(run: ExportedRun) -> str:
    """A run id that is the same in every export of the run, and differs for a run of the same name in another home."""
    return hashlib.sha256(f"{run.key.id} {run.queued}".encode()).hexdigest()[:16]
