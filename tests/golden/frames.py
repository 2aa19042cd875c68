"""Frames between a worker and its supervisor, as releases put them on the wire: read them, or record those of this release.

`python -m tests.golden.frames DIRECTORY` writes `frames-N.json`, N being the newest version of the protocol spoken here.
Once a release with that version is out, its file is never written again. Every field is said at least once.
"""

import json
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import get_args

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol import transfer as t
from lander.protocol import versions
from lander.protocol.code import Code, Package
from lander.protocol.experiment import EvaluationEnvironment
from lander.protocol.wire import encode, encode_event
from tests.support.histories import experiment, steps

HERE = Path(__file__).parent
RUN = "x/baseline/0"
DIGEST = "ab" * 32
KEY = "k" * 40
AT = 1_800_000_000_000_000
TRAINER = c.TrainerKey(run=RUN, epoch=1)
CHECKPOINT = e.CheckpointCommitted(
    step=64,
    episodes=2,
    digest=DIGEST,
    weights=DIGEST,
    sha256=DIGEST,
    pages=(DIGEST,),
    history=(DIGEST,),
    finished=True,
    mean_return=9.5,
    evaluation=10.5,
    evaluation_episodes=5,
    written_bytes=4096,
    seconds=0.25,
)
EVENTS = (
    e.TrainingStarted(
        epoch=1, pid=7, n_envs=2, device="cpu", from_step=32, from_episode=1, resume="inexact", deterministic=True
    ),
    e.ReplayProgressed(epoch=1, played=10, total=32, seconds_left=1.5),
    steps(32, 16),
    e.EpisodeFinished(env=0, first_step=0, last_step=40, length=20, episode_return=20.0, truncated=True, reset_seed=3),
    e.EpisodeFinished(env=1, first_step=0, last_step=41, length=20, episode_return=20.0, reset_rng=b"state"),
    e.MetricsLogged(step=64, values={"rollout/ep_rew_mean": 20.0}),
    e.EndDecided(step=64, rule="early_stopping", why="no improvement"),
    e.EvaluationStarted(step=64),
    e.EvaluationFinished(step=64, first_seed=10, returns=(9.0, 12.0), lengths=(9, 12), final=True, seconds=0.5),
    CHECKPOINT,
    e.ModelSaved(step=64, path="experiments/x/models/baseline-0-best.zip", sha256=DIGEST, which="best", statistics=DIGEST),
    e.WarningRaised(message="goes on with new episodes"),
    e.TrainingEnded(epoch=1, cause="stopped", step=64, detail="asked to"),
)
ORDER = c.TrainerOrder(
    run=RUN,
    epoch=1,
    host="far",
    arm=experiment().arms[0],
    seed=1,
    cpu=2,
    gpu=1,
    gpu_id="GPU-3f2a",
    gpu_share=25,
    monitoring=True,
    shortcuts=True,
    directory="/home/ada",
    code=Code(
        archive=DIGEST,
        modules=("mine",),
        packages=(Package(name="mujoco", version="3.1.2", sha256=DIGEST),),
        uncaptured=("__main__",),
    ),
    checkpoint_frequency=128,
    eval_frequency=64,
    eval_episodes=5,
    evaluation_environment=EvaluationEnvironment(environment="CartPole-v1", environment_kwargs={"render_mode": "rgb_array"}),
    replay_limit=1000,
    checkpoints=(CHECKPOINT,),
    origin=CHECKPOINT,
    new_episodes=True,
    exclusive=True,
    other_bits=True,
    seconds=12.5,
)
HELLO = c.Hello(release=versions.release(), oldest=versions.OLDEST, newest=versions.NEWEST)
ACCEPTED = c.Accepted(subject=str(versions.NEWEST), detail=versions.release(), under_way=True)
REFUSED = c.Refused(error="conflict", detail="speaks another protocol")
OFFER = {
    "cpus": (2, 3),
    "gpus": ("NVIDIA H100",),
    "memory_mb": 64_000.0,
    "bits": "0123456789ab",
    "versions": {"torch": "2.13.0"},
    "processor": "x86_64 with AVX512",
    "release": versions.release(),
    "labels": ("a100",),
    "devices": (e.GpuDevice(id="GPU-3f2a", driver="580.95", cuda="12.8", bits="0123456789ab"),),
}
SAMPLE = e.ResourcesSampled(
    cpu_percent=50.0,
    memory_percent=25.0,
    memory_mb=16_000.0,
    disk_free_mb=100_000.0,
    gpu_percent=(10.0,),
    trainers=(
        e.TrainerUsage(run=RUN, epoch=1, cpu_percent=99.0, memory_mb=300.0, gpu_percent=10.0, seconds=2.0, gpu_memory_mb=700.0),
    ),
    sent_at=AT,
    round_trip=0.01,
    files_wait="1 file waits: 403 Forbidden",
)
CONVERSATIONS = {
    "from a newcomer": (HELLO, c.Enrol(public_key=KEY, name="far")),
    "to a newcomer": (ACCEPTED, REFUSED),
    "from a host": (
        HELLO,
        c.JoinHost(name="far", pid=7, incarnation="i", trainers=(TRAINER,), ages=(12.5,), **OFFER),
        c.ReportResources(sample=SAMPLE),
        c.RenewLease(number=1, trainers=(TRAINER,)),
        c.ReportOutput(run=RUN, epoch=1, offset=5, data=b"a line\n"),
        c.TrainerExited(
            run=RUN,
            epoch=1,
            exit_code=1,
            signal="SIGKILL",
            out_of_memory=True,
            lost=True,
            seconds=12.5,
            log_tail="Traceback",
        ),
        c.CannotTrain(run=RUN, epoch=1, lack="packages", problem="lacks mujoco 3.1.2", host="far"),
        c.JoinHost(name="far", pid=7, incarnation="i", leaving=True, **OFFER | {"cpus": ()}),
        c.LeaveHost(name="far"),
    ),
    "to a host": (
        ACCEPTED,
        c.StartTrainer(order=ORDER, public_key=KEY, secret_key=KEY),
        c.EndTrainer(run=RUN, epoch=1, grace=20.0, traceback=True),
        c.ExitNoted(run=RUN, epoch=1),
        c.LeaseRenewed(number=1, trainers=(TRAINER,), seconds=100.0),
        c.OutputNoted(run=RUN, epoch=1, offset=12),
        c.TransferAt(port=7412, store="s3://runs/lab"),
        c.Rejoin(),
        c.Fenced(detail="was revoked"),
        REFUSED,
        c.DismissHost(),
    ),
    "from a trainer": (
        c.Append(
            run=RUN,
            epoch=1,
            first_seq=1,
            events=tuple((event.kind, AT + number, encode_event(event)) for number, event in enumerate(EVENTS)),
        ),
    ),
    "to a trainer": (c.Acknowledged(seq=12, resend=True), c.TakeCheckpoint(), c.StopTraining(), c.Fenced(detail="over")),
    "about files": (
        t.Welcome(),
        t.Offer(files=((DIGEST, 10),)),
        t.Want(sha256=DIGEST, offset=4, length=6),
        t.Chunk(sha256=DIGEST, offset=4, data=b"ending"),
        t.Have(sha256s=(DIGEST,)),
        t.Ask(sha256s=(DIGEST,), replace=True),
        t.Absent(sha256=DIGEST, detail="no such file"),
        t.Stored(files=((DIGEST, 10),)),
        t.Delayed(sha256=DIGEST, detail="403 Forbidden"),
        t.RefuseFile(sha256=DIGEST, detail="is another file"),
    ),
}
KINDS = (c.COMMAND_TYPES.keys() - {each.kind for each in c.CLIENT}) | {each.kind for each in get_args(t.TransferMessage)}
"""Everything that a worker says or is told."""


def recorded(version):
    """The frames of a version of the protocol, by conversation and in their order."""
    found = json.loads((HERE / f"frames-{version}.json").read_text())
    return {conversation: [b64decode(frame) for frame in frames] for conversation, frames in found["frames"].items()}


def main(directory):
    frames = {name: [b64encode(encode(each)).decode() for each in said] for name, said in CONVERSATIONS.items()}
    said = {"protocol": versions.NEWEST, "release": versions.release(), "frames": frames}
    (directory / f"frames-{versions.NEWEST}.json").write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
