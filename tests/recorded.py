"""Experiments and arms as they are recorded, from the data of a file."""

from lander.experiments.specification import ArmSpec, ExperimentSpec
from lander.protocol.experiment import Arm


def recorded(form):
    """The experiment that a file with this data asks for."""
    return ExperimentSpec.model_validate(form).recorded()


def recorded_arm(form):
    """The arm that this data of a normal form describes."""
    return Arm(**ArmSpec.model_validate(form).recorded())
