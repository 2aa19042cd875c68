"""The policies with which `rl_zoo3.train` ended; `python -m tests.golden.zoo_policies` records them where rl_zoo3 is installed.

rl_zoo3 needs other versions of libraries than the developer's environment has, so `make test` compares with what was recorded.
It is comparable where the machine computes the same bits with the same libraries.
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from lander.actors.host.bits_process import ComputedBits, compute_bits
from lander.experiments.zoo.files import entries_of

ENTRIES = Path(__file__).parent / "zoo"
RECORDED = ENTRIES / "recorded.json"
SEED = 3
LIBRARIES = ("rl_zoo3", "sb3_contrib")


class ZooCase(NamedTuple):
    """An entry of a file."""

    algorithm: str
    environment: str

    @property
    def file(self) -> Path:
        return ENTRIES / f"{self.algorithm}.yml"

    @property
    def name(self) -> str:
        return f"{self.algorithm}-{self.environment}"


CASES = tuple(ZooCase(path.stem, name) for path in sorted(ENTRIES.glob("*.yml")) for name in entries_of(path))


def digest(policy: Mapping[str, bytes]) -> str:
    """One digest of all parameters."""
    content = hashlib.sha256()
    for name, parameter in policy.items():
        content.update(f"{name} {len(parameter)} ".encode() + parameter)
    return content.hexdigest()


def recorded() -> tuple[ComputedBits, dict[str, str]]:
    """What the machine computed that recorded them, and the digests by case."""
    content: dict[str, Any] = json.loads(RECORDED.read_text())
    return ComputedBits.model_validate(content["computed"]), content["policies"]


def main() -> None:
    """Train every case with the zoo, twice, and write the digests."""
    from tests.field.zoo_program import policy_of, train_with_the_zoo

    def trained(case: ZooCase) -> str:
        steps = int(entries_of(case.file)[case.environment]["n_timesteps"].value)
        with tempfile.TemporaryDirectory() as directory:
            model = train_with_the_zoo(Path(directory), case.algorithm, case.environment, steps, seed=SEED, file=case.file)
            return digest(policy_of(model))

    policies = {case.name: trained(case) for case in CASES}
    content = {
        "libraries": {name: version(name) for name in LIBRARIES},
        "computed": compute_bits().model_dump(mode="json"),
        "policies": policies,
    }
    RECORDED.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
