"""Strategies for everything that can be said: one for each kind of event and of command."""

from typing import get_args

from hypothesis import strategies as st
from zmq.utils import z85

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.code import Code, Package
from lander.protocol.ending_rules import Rule
from tests.support.recorded import recorded

COUNTS = st.integers(0, 2**40) | st.sampled_from([0, 127, 128, 2**31, 2**63 - 1])
NUMBERS = COUNTS.filter(bool)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=12)
FLOATS = st.floats()
MEASURES = st.floats(allow_nan=False, allow_infinity=False)
TIMES = MEASURES.map(lambda number: number + 0.0)
"""Without a minus zero, which equals the default and is left out like it."""
BYTES = st.binary(max_size=24)
NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True)
RUNS = st.builds("{}/{}/{}".format, NAMES, NAMES, st.integers(0, 9))
CAUSES = st.sampled_from(get_args(e.Cause))
LACKS = st.sampled_from(get_args(e.Lack))
TOKENS = st.from_regex(r"[0-9a-f]{16}", fullmatch=True)
CURVE_KEYS = st.binary(min_size=32, max_size=32).map(lambda key: z85.encode(key).decode())
CLASSES = st.from_regex(r"([0-9a-f]{12})?", fullmatch=True)
SHARES = st.none() | st.integers(1, 99)
SAID_BY_HOSTS = {
    "bits": CLASSES,
    "versions": st.dictionaries(TEXT, TEXT, max_size=3),
    "processor": TEXT,
    "release": TEXT,
    "labels": st.lists(NAMES, max_size=3).map(tuple),
    "devices": st.lists(st.builds(e.GpuDevice, id=TEXT, driver=TEXT, cuda=TEXT, bits=CLASSES), max_size=3).map(tuple),
}
DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
PLAIN = st.recursive(
    st.none() | st.booleans() | INTEGERS.filter(lambda n: n > -(2**63)) | MEASURES | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
MANIFESTS = st.dictionaries(TEXT, PLAIN, max_size=3)
ARMS = {"algorithm": "PPO", "environment": "CartPole-v1", "training_steps": 1000}


def optional(strategy):
    return st.none() | strategy


def tuples_of(strategy):
    return st.lists(strategy, max_size=3).map(tuple)


CODES = st.builds(
    Code,
    archive=optional(DIGESTS),
    modules=tuples_of(NAMES),
    packages=tuples_of(st.builds(Package, name=NAMES, version=NAMES, sha256=DIGESTS)),
    uncaptured=tuples_of(NAMES),
)


@st.composite
def experiments(draw):
    """A valid experiment of two or three arms."""
    names = draw(st.lists(NAMES, min_size=2, max_size=3, unique=True))
    arms = [
        ARMS
        | {
            "name": name,
            "role": "variant" if index else "baseline",
            "device": draw(st.sampled_from(["cpu", "cuda"])),
            "environment_kwargs": draw(MANIFESTS),
            "seeds": draw(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=3, unique=True)),
            "hyperparameters": draw(
                st.fixed_dictionaries({}, optional={"gamma": st.floats(0, 1), "n_envs": st.integers(1, 8)})
            ),
        }
        for index, name in enumerate(names)
    ]
    policies = {
        "on_failure": draw(st.sampled_from(["abort", "retry", "skip"])),
        "on_limit": draw(st.sampled_from(["warn", "pause", "stop"])),
        "eval_frequency": draw(optional(st.integers(1, 10**6))),
        "eval_episodes": draw(st.integers(0, 50)),
        "evaluation_environment": draw(st.sampled_from([None, "CartPole-v1"])),
        "compare_budgets": draw(st.booleans()),
        "other_hardware": draw(st.sampled_from(["wait", "warn", "allow"])),
        "hosts": draw(st.fixed_dictionaries({}, optional={"gpu": st.booleans(), "labels": st.lists(NAMES, max_size=3)})),
        "resource_limits": draw(st.fixed_dictionaries({}, optional=dict.fromkeys(get_args(e.LimitName), st.floats(1, 1e6)))),
    }
    written = recorded({"arms": arms, "hypothesis": draw(TEXT), **policies})
    return written.model_copy(update={"code": draw(optional(CODES))})


@st.composite
def steps_recorded(draw):
    vector_steps, n_envs = draw(st.integers(0, 50)), draw(st.integers(1, 4))

    def array(dtype, *more):
        return e.PackedArray(dtype=dtype, shape=(vector_steps, n_envs, *more), data=draw(BYTES))

    first = draw(st.integers(0, 2**40))
    return e.StepsRecorded(first_step=first, actions=array("<f4", 2), rewards=array("<f8"), endings=array("|u1"))


@st.composite
def evaluations(draw):
    returns = tuple(draw(st.lists(FLOATS, min_size=1, max_size=4)))
    lengths = tuple(draw(COUNTS) for _ in returns)
    numbers = {"step": draw(COUNTS), "first_seed": draw(COUNTS), "seconds": draw(TIMES)}
    return e.EvaluationFinished(**numbers, returns=returns, lengths=lengths, final=draw(st.booleans()))


EXECUTIONS = st.builds(
    e.Execution,
    mode=st.sampled_from(get_args(e.Mode)),
    max_workers=optional(st.integers(1, 64)),
    monitoring=st.booleans(),
    directory=TEXT,
)
KEYS = st.builds(c.TrainerKey, run=RUNS, epoch=NUMBERS)
USAGES = st.builds(
    e.TrainerUsage,
    run=RUNS,
    epoch=NUMBERS,
    cpu_percent=MEASURES,
    memory_mb=MEASURES,
    gpu_percent=optional(MEASURES),
    gpu_memory_mb=optional(MEASURES),
)
SAMPLES = st.builds(
    e.ResourcesSampled,
    cpu_percent=FLOATS,
    memory_percent=FLOATS,
    memory_mb=FLOATS,
    disk_free_mb=FLOATS,
    gpu_percent=tuples_of(FLOATS),
    trainers=tuples_of(USAGES),
    sent_at=COUNTS,
    round_trip=optional(st.floats(0, 1e6)),
    files_wait=TEXT,
)
CHECKPOINTS = st.builds(
    e.CheckpointCommitted,
    step=COUNTS,
    episodes=COUNTS,
    digest=DIGESTS,
    weights=DIGESTS,
    sha256=DIGESTS,
    pages=tuples_of(DIGESTS),
    history=tuples_of(DIGESTS),
    finished=st.booleans(),
    mean_return=optional(MEASURES),
    evaluation=optional(MEASURES),
    written_bytes=COUNTS,
    seconds=TIMES,
)
LETTERS = st.tuples(st.sampled_from(sorted(e.TRAINER_KINDS)), COUNTS, BYTES)

ORDERS = st.builds(
    c.TrainerOrder,
    run=RUNS,
    epoch=NUMBERS,
    arm=st.builds(lambda experiment: experiment.arms[-1], experiments()),
    seed=st.integers(0, 2**32 - 1),
    cpu=COUNTS,
    gpu=optional(COUNTS),
    gpu_id=TEXT,
    gpu_share=SHARES,
    code=optional(CODES),
    monitoring=st.booleans(),
    shortcuts=st.booleans(),
    directory=TEXT,
    checkpoint_frequency=NUMBERS,
    eval_frequency=optional(NUMBERS),
    eval_episodes=COUNTS,
    replay_limit=optional(COUNTS),
    checkpoints=tuples_of(CHECKPOINTS),
)
LAUNCHERS = {
    "options": st.dictionaries(TEXT, tuples_of(TEXT), max_size=3),
    "min_workers": COUNTS,
    "max_workers": COUNTS,
    "slots": optional(NUMBERS),
    "labels": tuples_of(NAMES),
    "operator": TEXT,
    **dict.fromkeys(("idle_seconds", "poll_seconds"), st.floats(0, 1e9)),
    "walltime": optional(st.floats(0, 1e9)),
}
SEEDS = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=3, unique=True).map(tuple)

EVENTS = {
    e.ExperimentSubmitted: st.builds(e.ExperimentSubmitted.of, experiments(), EXECUTIONS, MANIFESTS),
    e.ExperimentStarted: st.builds(e.ExperimentStarted),
    e.ExperimentCompleted: st.builds(e.ExperimentCompleted),
    e.ExperimentFailed: st.builds(e.ExperimentFailed, detail=TEXT),
    e.ExperimentStopped: st.builds(e.ExperimentStopped),
    e.ExperimentResumed: st.builds(e.ExperimentResumed),
    e.ArmAdded: st.builds(e.ArmAdded, arm=experiments().map(lambda experiment: experiment.arms[-1])),
    e.SeedsAdded: st.builds(e.SeedsAdded, arms=tuples_of(NAMES), seeds=SEEDS),
    e.StepsAdded: st.builds(e.StepsAdded, arms=tuples_of(NAMES), training_steps=NUMBERS),
    e.SettingsChanged: st.builds(
        e.SettingsChanged,
        settings=optional(experiments().map(lambda experiment: experiment.settings)),
        execution=optional(EXECUTIONS),
    ),
    e.CodeChanged: st.builds(e.CodeChanged, code=CODES, runs=tuples_of(RUNS)),
    e.ExperimentRestated: st.builds(e.ExperimentRestated, experiment=experiments(), execution=optional(EXECUTIONS)),
    e.ExperimentArchived: st.builds(e.ExperimentArchived, operator=TEXT),
    e.ExperimentUnarchived: st.builds(e.ExperimentUnarchived, operator=TEXT),
    e.NoteAdded: st.builds(e.NoteAdded, text=NAMES, operator=TEXT),
    e.TagsChanged: st.builds(e.TagsChanged, added=tuples_of(NAMES), removed=tuples_of(NAMES), operator=TEXT),
    e.HypothesisAmended: st.builds(e.HypothesisAmended, hypothesis=NAMES, operator=TEXT),
    e.OperatorCommanded: st.builds(
        e.OperatorCommanded, command=st.sampled_from(get_args(e.OperatorCommand)), target=TEXT, operator=TEXT
    ),
    e.RunQueued: st.builds(e.RunQueued, not_before=TIMES, reason=TEXT),
    e.AttemptStarted: st.builds(
        e.AttemptStarted,
        epoch=NUMBERS,
        host=TEXT,
        cpu=COUNTS,
        gpu=optional(COUNTS),
        bits=CLASSES,
        gpu_id=TEXT,
        gpu_share=SHARES,
        gpu_bits=CLASSES,
    ),
    e.StopRequested: st.builds(e.StopRequested, reason=st.sampled_from(get_args(e.StopReason))),
    e.KeyRevoked: st.builds(e.KeyRevoked, epoch=NUMBERS),
    e.AttemptEnded: st.builds(
        e.AttemptEnded,
        epoch=NUMBERS,
        cause=CAUSES,
        signal=optional(TEXT),
        exit_code=optional(INTEGERS),
        step=optional(COUNTS),
        detail=TEXT,
    ),
    e.RunPaused: st.builds(e.RunPaused, reason=TEXT),
    e.RunResumed: st.builds(e.RunResumed, reason=st.sampled_from(["resumed", "retried", "extended"])),
    e.RunCompleted: st.builds(e.RunCompleted),
    e.RunFailed: st.builds(e.RunFailed, cause=TEXT, detail=TEXT, why=TEXT),
    e.RunStopped: st.builds(e.RunStopped, reason=TEXT),
    e.RunSkipped: st.builds(e.RunSkipped, cause=TEXT, detail=TEXT, why=TEXT),
    e.ReplayProgressed: st.builds(e.ReplayProgressed, epoch=NUMBERS, played=COUNTS, total=COUNTS, seconds_left=MEASURES),
    e.TrainingStarted: st.builds(
        e.TrainingStarted,
        epoch=NUMBERS,
        pid=NUMBERS,
        n_envs=NUMBERS,
        device=TEXT,
        from_step=COUNTS,
        from_episode=COUNTS.map(lambda number: number // 2),
        resume=st.sampled_from(get_args(e.Resume)),
        deterministic=st.booleans(),
    ),
    e.StepsRecorded: steps_recorded(),
    e.EpisodeFinished: st.builds(
        e.EpisodeFinished,
        env=COUNTS,
        first_step=COUNTS,
        last_step=COUNTS,
        length=COUNTS,
        episode_return=FLOATS,
        truncated=st.booleans(),
        reset_seed=optional(COUNTS),
        reset_rng=BYTES,
    ),
    e.MetricsLogged: st.builds(e.MetricsLogged, step=COUNTS, values=st.dictionaries(TEXT, FLOATS, max_size=4)),
    e.EndDecided: st.builds(e.EndDecided, step=COUNTS, rule=st.sampled_from(get_args(Rule)), why=TEXT),
    e.EvaluationStarted: st.builds(e.EvaluationStarted, step=COUNTS),
    e.EvaluationFinished: evaluations(),
    e.CheckpointCommitted: CHECKPOINTS,
    e.ModelSaved: st.builds(e.ModelSaved, step=COUNTS, path=TEXT, sha256=TEXT, which=st.sampled_from(["final", "best"])),
    e.WarningRaised: st.builds(e.WarningRaised, message=TEXT),
    e.TrainingEnded: st.builds(e.TrainingEnded, epoch=NUMBERS, cause=CAUSES, step=COUNTS, detail=TEXT),
    e.ResourcesSampled: SAMPLES,
    e.ResourceLimitExceeded: st.builds(
        e.ResourceLimitExceeded, epoch=NUMBERS, limit=st.sampled_from(get_args(e.LimitName)), value=MEASURES, allowed=MEASURES
    ),
    e.ProgressStalled: st.builds(e.ProgressStalled, epoch=NUMBERS, seconds=MEASURES),
    e.HostJoined: st.builds(
        e.HostJoined,
        pid=NUMBERS,
        incarnation=TEXT,
        cpus=tuples_of(COUNTS),
        gpus=tuples_of(TEXT),
        memory_mb=FLOATS,
        **SAID_BY_HOSTS,
    ),
    e.HostLeft: st.builds(e.HostLeft),
    e.HostEnrolled: st.builds(e.HostEnrolled, public_key=CURVE_KEYS, token=TEXT),
    e.HostRevoked: st.builds(e.HostRevoked, operator=TEXT),
    e.HostDrained: st.builds(e.HostDrained, operator=TEXT),
    e.HostReopened: st.builds(e.HostReopened, operator=TEXT),
    e.HostUnfit: st.builds(e.HostUnfit, run=RUNS, needs=DIGESTS, lack=LACKS, problem=TEXT),
    e.TokenIssued: st.builds(e.TokenIssued, name=TEXT, uses=COUNTS, expires_at=COUNTS, operator=TEXT),
    e.TokenRevoked: st.builds(e.TokenRevoked, operator=TEXT),
    e.HostLost: st.builds(e.HostLost, detail=TEXT),
    e.LauncherConfigured: st.builds(e.LauncherConfigured, **LAUNCHERS, engine=TEXT, prefix=TEXT),
    e.LauncherRetired: st.builds(e.LauncherRetired),
    e.WorkersOrdered: st.builds(e.WorkersOrdered, batch=TEXT, number=NUMBERS, token=TOKENS),
    e.WorkersLaunched: st.builds(e.WorkersLaunched, batch=TEXT, names=tuples_of(TEXT), ids=tuples_of(TEXT)),
    e.LaunchFailed: st.builds(e.LaunchFailed, batch=TEXT, detail=TEXT),
    e.LauncherGivenUp: st.builds(e.LauncherGivenUp, failures=NUMBERS, detail=TEXT),
    e.WorkerGivenBack: st.builds(e.WorkerGivenBack, job=TEXT, reason=TEXT, failed=st.booleans()),
    e.WorkerJobEnded: st.builds(e.WorkerJobEnded, job=TEXT, detail=TEXT, failed=st.booleans()),
    e.EngineReported: st.builds(e.EngineReported, waiting=COUNTS, detail=TEXT, most=optional(COUNTS)),
    e.LogReanchored: st.builds(e.LogReanchored, last_position=NUMBERS, head=DIGESTS, link=DIGESTS),
    e.ExperimentDeleted: st.builds(
        e.ExperimentDeleted,
        operator=TEXT,
        hypothesis=TEXT,
        environments=tuples_of(st.builds(e.TriedEnvironment, environment=st.just("CartPole-v1"), environment_kwargs=MANIFESTS)),
        baseline=DIGESTS,
        baseline_rule=NUMBERS,
        variants=COUNTS,
        decision=TEXT,
    ),
}

COMMANDS = {
    c.SubmitExperiment: st.builds(
        c.SubmitExperiment,
        experiment=experiments(),
        execution=EXECUTIONS,
        manifest=MANIFESTS,
        notices=tuples_of(TEXT),
        new_code=st.booleans(),
    ),
    **{operation: st.builds(operation, target=TEXT, operator=TEXT) for operation in c.OPERATE},
    c.RetryTarget: st.builds(c.RetryTarget, target=TEXT, operator=TEXT, code=optional(CODES), found=optional(CODES)),
    c.ArchiveExperiment: st.builds(c.ArchiveExperiment, experiment=TEXT, operator=TEXT),
    c.UnarchiveExperiment: st.builds(c.UnarchiveExperiment, experiment=TEXT, operator=TEXT),
    c.AddNote: st.builds(c.AddNote, experiment=TEXT, operator=TEXT, text=NAMES),
    c.ChangeTags: st.builds(c.ChangeTags, experiment=TEXT, operator=TEXT, add=tuples_of(NAMES), remove=tuples_of(NAMES)),
    c.AmendHypothesis: st.builds(c.AmendHypothesis, experiment=TEXT, operator=TEXT, hypothesis=NAMES),
    c.DeleteExperiment: st.builds(
        c.DeleteExperiment,
        experiment=TEXT,
        operator=TEXT,
        baseline=DIGESTS,
        baseline_rule=NUMBERS,
        variants=COUNTS,
        decision=TEXT,
    ),
    c.CompactLog: st.builds(c.CompactLog),
    c.IssueToken: st.builds(
        c.IssueToken,
        token=TOKENS,
        name=st.sampled_from(["", "gpu3"]),
        uses=NUMBERS,
        seconds=st.floats(0, 1e9),
        operator=TEXT,
    ),
    c.RevokeToken: st.builds(c.RevokeToken, token=TOKENS, operator=TEXT),
    c.DrainHost: st.builds(c.DrainHost, host=TEXT, operator=TEXT),
    c.ReopenHost: st.builds(c.ReopenHost, host=TEXT, operator=TEXT),
    c.RevokeHost: st.builds(c.RevokeHost, host=TEXT, operator=TEXT),
    c.ConfigureLauncher: st.builds(c.ConfigureLauncher, **LAUNCHERS, engine=TEXT, launcher=NAMES, prefix=NAMES),
    c.Hello: st.builds(c.Hello, release=TEXT, oldest=NUMBERS, newest=NUMBERS),
    c.Enrol: st.builds(c.Enrol, public_key=CURVE_KEYS, name=st.sampled_from(["a", "gpu-3"])),
    c.ShutDown: st.builds(c.ShutDown, only_if_idle=st.booleans()),
    c.Ping: st.builds(c.Ping, stay=st.booleans()),
    c.Accepted: st.builds(c.Accepted, subject=TEXT, detail=TEXT),
    c.Refused: st.builds(c.Refused, error=TEXT, detail=TEXT),
    c.TrainerExited: st.builds(
        c.TrainerExited,
        run=RUNS,
        epoch=NUMBERS,
        exit_code=optional(INTEGERS),
        signal=optional(TEXT),
        out_of_memory=st.booleans(),
        lost=st.booleans(),
        log_tail=TEXT,
    ),
    c.CannotTrain: st.builds(c.CannotTrain, run=RUNS, epoch=NUMBERS, lack=LACKS, problem=TEXT, host=TEXT),
    c.JoinHost: st.builds(
        c.JoinHost,
        **SAID_BY_HOSTS,
        name=TEXT,
        pid=NUMBERS,
        incarnation=TEXT,
        cpus=tuples_of(COUNTS),
        gpus=tuples_of(TEXT),
        memory_mb=FLOATS,
        trainers=tuples_of(KEYS),
        leaving=st.booleans(),
    ),
    c.LeaveHost: st.builds(c.LeaveHost, name=TEXT),
    c.ReportResources: st.builds(c.ReportResources, sample=SAMPLES),
    c.ReportOutput: st.builds(c.ReportOutput, run=RUNS, epoch=NUMBERS, offset=COUNTS, data=st.binary(max_size=100)),
    c.RenewLease: st.builds(c.RenewLease, number=NUMBERS, trainers=tuples_of(KEYS)),
    c.LeaseRenewed: st.builds(c.LeaseRenewed, number=NUMBERS, trainers=tuples_of(KEYS), seconds=st.floats(0, 1e6)),
    c.OutputNoted: st.builds(c.OutputNoted, run=RUNS, epoch=NUMBERS, offset=COUNTS),
    c.TransferAt: st.builds(c.TransferAt, port=st.integers(1, 65535), store=TEXT),
    c.StartTrainer: st.builds(c.StartTrainer, order=ORDERS, public_key=TEXT, secret_key=TEXT),
    c.EndTrainer: st.builds(c.EndTrainer, run=RUNS, epoch=NUMBERS, grace=FLOATS, traceback=st.booleans()),
    c.ExitNoted: st.builds(c.ExitNoted, run=RUNS, epoch=NUMBERS),
    c.Rejoin: st.builds(c.Rejoin),
    c.DismissHost: st.builds(c.DismissHost),
    c.Append: st.builds(c.Append, run=RUNS, epoch=NUMBERS, first_seq=NUMBERS, events=tuples_of(LETTERS)),
    c.Acknowledged: st.builds(c.Acknowledged, seq=COUNTS, resend=st.booleans()),
    c.StopTraining: st.builds(c.StopTraining),
    c.TakeCheckpoint: st.builds(c.TakeCheckpoint),
    c.Fenced: st.builds(c.Fenced, detail=TEXT),
}

ANY_EVENT = st.one_of(*EVENTS.values())
ANY_COMMAND = st.one_of(*COMMANDS.values())
