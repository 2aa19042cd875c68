"""The evaluation of a saved policy, on the code that its run trained on."""

from lander.actors.environment.recording import EnvironmentFailedError
from lander.actors.trainer.evaluation import as_event, evaluate
from lander.app.chosen_policies import Saved, load
from lander.app.own_process import in_own_process
from lander.app.replay_subject import OtherVersionError, arm_of, evaluation_of
from lander.experiments.specification import ExperimentSpec
from lander.protocol.errors import LanderError
from lander.protocol.events import CheckpointCommitted, EvaluationFinished
from lander.protocol.experiment import RunKey
from lander.protocol.wire import decode_event, encode_event
from lander.store.log.reader import Reader


def evaluated(reader: Reader, saved: Saved, episodes: int | None) -> EvaluationFinished:
    """Evaluate a saved policy: in so many episodes, or as many as in the experiment.

    Raises `LanderError` if it cannot be loaded or its environment fails.
    """
    try:
        return _evaluated_here(reader, saved, episodes)
    except OtherVersionError:
        checkpoint = encode_event(saved.checkpoint).hex()
        body = in_own_process(
            "evaluate", home=str(reader.home.absolute()), run=saved.run, checkpoint=checkpoint, episodes=episodes
        )
        event = decode_event(EvaluationFinished.kind, bytes.fromhex(body))
        if not isinstance(event, EvaluationFinished):
            raise LanderError(f"{saved.run}: its evaluation was answered with {event.kind}") from None
        return event


def evaluate_plain(reader: Reader, run: str, checkpoint: str, episodes: int | None) -> str:
    """The work of the other process: the body of the evaluation, of a policy whose checkpoint is given by its body."""
    event = decode_event(CheckpointCommitted.kind, bytes.fromhex(checkpoint))
    if not isinstance(event, CheckpointCommitted):
        raise TypeError(f"{event.kind} is no checkpoint")
    return encode_event(_evaluated_here(reader, Saved(run, event), episodes)).hex()


def _evaluated_here(reader: Reader, saved: Saved, episodes: int | None) -> EvaluationFinished:
    arm, name = arm_of(reader, saved.run), RunKey.parse(saved.run).experiment
    usual = reader.experiment(name).eval_episodes or ExperimentSpec.model_fields["eval_episodes"].default
    try:
        policy = load(reader.home, saved.run, arm, saved.checkpoint)
        return as_event(saved.checkpoint.step, evaluate(policy, evaluation_of(reader, saved.run), episodes or usual))
    except EnvironmentFailedError as error:
        raise LanderError(f"{saved.run}: {error}") from error
