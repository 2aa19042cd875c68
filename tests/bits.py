"""What two runs must have in common to be the same run, bit for bit."""

import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import torch

from lander.protocol.wire import encode_event
from lander.store.log.reader import Reader
from lander.store.projections.status import status
from lander.store.records.run_record import Record


@dataclass(frozen=True)
class Bits:
    """Of a completed run: its final policy, its checkpoints' digests by step, and what counts of its record."""

    policy: dict[str, bytes]
    digests: dict[int, str]
    steps: tuple[bytes, ...]
    episodes: tuple[bytes, ...]
    evaluations: tuple[tuple[object, ...], ...]

    @classmethod
    def of(cls, home: Path, run: str) -> "Bits":
        experiment, arm, seed = run.split("/")
        with Reader(home) as reader:
            (row,) = status(reader, run)["experiments"][0]["runs"]
            assert row["state"] == "completed", f"{run} is {row['state']}: {row['cause']}"
            record = Record(reader, run)
            steps = record.steps()
            return cls(
                policy=_policy(home / "experiments" / experiment / "models" / f"{arm}-{seed}-final.zip"),
                digests={checkpoint.step: checkpoint.digest for checkpoint in record.checkpoints()},
                steps=tuple(array.tobytes() for array in (steps.actions, steps.rewards, steps.endings)),
                episodes=tuple(encode_event(episode) for episode in record.episodes()),
                evaluations=tuple((each.step, each.returns, each.lengths, each.final) for each in record.evaluations()),
            )

    def differences(self, other: "Bits") -> list[str]:
        """In what they differ; of the checkpoints, those that both have are compared."""
        both = self.digests.keys() & other.digests.keys()
        assert both, "they have no checkpoint in common"
        found = [f"digest at {step}" for step in sorted(both) if self.digests[step] != other.digests[step]]
        whole = ("policy", "steps", "episodes", "evaluations")
        return found + [what for what in whole if getattr(self, what) != getattr(other, what)]


def _policy(model: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(model) as archive:
        parameters = torch.load(BytesIO(archive.read("policy.pth")), map_location="cpu", weights_only=True)
    return {name: tensor.numpy().tobytes() for name, tensor in parameters.items()}
