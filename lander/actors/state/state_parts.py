"""The state of a training besides its environments and its replay buffer, as parts that can be captured and restored.

Everything is restored *in place*: several objects of Stable-Baselines3 hold the same noise, policy and optimizer, so a new
object would leave the old one in use. The parts were found by reading the code of each algorithm. A test omits each part
in turn and checks that the bits then differ.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.distributions import StateDependentNoiseDistribution
from stable_baselines3.common.noise import ActionNoise, OrnsteinUhlenbeckActionNoise, VectorizedActionNoise

from lander.actors.state.generator_parts import (
    capture_numpy_generator,
    capture_python_generator,
    capture_spaces,
    capture_torch_generator,
    restore_numpy_generator,
    restore_python_generator,
    restore_spaces,
    restore_torch_generator,
)
from lander.actors.state.normalization_part import capture_normalization, restore_normalization
from lander.actors.state.plug_in_part import capture_own_state, restore_own_state
from lander.actors.state.tree import StoredTree, Tree
from lander.actors.state.vec_layers_part import capture_vec_layers, restore_vec_layers


class StatePart(NamedTuple):
    """One part of a model's state: `capture` returns it as a tree, `restore` writes such a tree back.

    One that is `optional` is in a checkpoint only where `capture` returns something: trainings without it have the digests of
    versions that did not know it.
    """

    name: str
    capture: Callable[[BaseAlgorithm], Tree]
    restore: Callable[[BaseAlgorithm, StoredTree], None]
    optional: bool = False


# ---------------------------------------------------------------------------------------------------- counters

_COUNTERS: Final = ("num_timesteps", "_n_updates", "_episode_num", "_n_calls")


def _capture_counters(model: BaseAlgorithm) -> Tree:
    return {name: getattr(model, name) for name in _COUNTERS if hasattr(model, name)}


def _restore_counters(model: BaseAlgorithm, tree: StoredTree) -> None:
    for name, value in tree.items():
        setattr(model, name, value)
    model._num_timesteps_at_start = model.num_timesteps  # SB3 computes `time/fps` from it, for this attempt
    # Schedules depend on the fraction of training done, so recompute: the total may be longer than in the earlier attempt.
    model._update_current_progress_remaining(model.num_timesteps, model._total_timesteps)
    explorer: Any = model
    if hasattr(explorer, "exploration_schedule"):
        explorer.exploration_rate = explorer.exploration_schedule(model._current_progress_remaining)


# ---------------------------------------------------------------------------------------------------- networks


def _capture_policy(model: BaseAlgorithm) -> Tree:
    return {name: _array(tensor) for name, tensor in model.policy.state_dict().items()}


def _restore_policy(model: BaseAlgorithm, tree: StoredTree) -> None:
    model.policy.load_state_dict({name: _tensor(array) for name, array in tree.items()})


def optimizers(model: BaseAlgorithm) -> Iterator[tuple[str, torch.optim.Optimizer]]:
    """A model's optimizers with their attribute paths, as in SB3's `_get_torch_save_params`."""
    for name in model._get_torch_save_params()[0]:
        found: Any = model
        for step in name.split("."):
            found = getattr(found, step)
        if isinstance(found, torch.optim.Optimizer):
            yield name, found


def _capture_optimizers(model: BaseAlgorithm) -> Tree:
    return {name: _as_tree(optimizer.state_dict()) for name, optimizer in optimizers(model)}


def _restore_optimizers(model: BaseAlgorithm, tree: StoredTree) -> None:
    for name, optimizer in optimizers(model):
        if name not in tree:  # a fork may learn SAC's entropy coefficient where its origin did not
            continue
        state = tree[name]
        optimizer.load_state_dict(
            {
                "state": {int(index): _from_tree(values) for index, values in state["state"].items()},
                "param_groups": [
                    {key: tuple(value) if key == "betas" else value for key, value in group.items()}
                    for group in state["param_groups"]
                ],
            }
        )


def _capture_variables(model: BaseAlgorithm) -> Tree:
    """Tensors that belong to no network, such as SAC's `log_ent_coef`."""
    return {name: _array(getattr(model, name)) for name in model._get_torch_save_params()[1]}


def _restore_variables(model: BaseAlgorithm, tree: StoredTree) -> None:
    for name in model._get_torch_save_params()[1]:
        if name in tree and name != "ent_coef_tensor":  # a fork may have set a fixed coefficient to another value
            getattr(model, name).data.copy_(_tensor(tree[name]))  # in place: its optimizer holds this tensor


def _noise_matrices(model: BaseAlgorithm) -> Iterator[tuple[str, StateDependentNoiseDistribution]]:
    for name in ("policy", "actor"):
        distribution = getattr(getattr(model, name, None), "action_dist", None)
        if isinstance(distribution, StateDependentNoiseDistribution):
            yield name, distribution


def _capture_noise_matrices(model: BaseAlgorithm) -> Tree:
    """The noise that generalised state-dependent exploration has drawn for the next steps."""
    return {
        name: [_array(distribution.exploration_mat), _array(distribution.exploration_matrices)]
        for name, distribution in _noise_matrices(model)
    }


def _restore_noise_matrices(model: BaseAlgorithm, tree: StoredTree) -> None:
    for name, distribution in _noise_matrices(model):
        one, many = tree[name]
        distribution.exploration_mat = _tensor(one).to(model.device)
        distribution.exploration_matrices = _tensor(many).to(model.device)


def _capture_hidden_states(model: BaseAlgorithm) -> Tree:
    """What the LSTMs of a recurrent policy carry from one step to the next, of actor and critic; None for other policies."""
    states = getattr(model, "_last_lstm_states", None)
    return None if states is None else [[_array(each) for each in network] for network in states]


def _restore_hidden_states(model: BaseAlgorithm, tree: StoredTree) -> None:
    recurrent: Any = model
    kind = type(recurrent._last_lstm_states)
    recurrent._last_lstm_states = kind(*(tuple(_tensor(each).to(model.device) for each in network) for network in tree))


def _capture_weights(model: BaseAlgorithm) -> Tree:
    """The weights that ARS moves: one vector beside the policy, which has the same numbers."""
    weights = getattr(model, "weights", None)
    return _array(weights) if isinstance(weights, torch.Tensor) else None


def _restore_weights(model: BaseAlgorithm, tree: StoredTree) -> None:
    searching: Any = model
    searching.weights = _tensor(tree).to(model.device)


# ---------------------------------------------------------------------------------------------------- observations

_OBSERVATIONS: Final = ("_last_obs", "_last_original_obs", "_last_episode_starts")


def _capture_observations(model: BaseAlgorithm) -> Tree:
    return {name: _with_strides(getattr(model, name)) for name in _OBSERVATIONS if getattr(model, name, None) is not None}


def _restore_observations(model: BaseAlgorithm, tree: StoredTree) -> None:
    for name, value in tree.items():
        setattr(model, name, _from_strides(value))


def _with_strides(observation: Any) -> Tree:
    """An observation with its memory layout, because convolutions round differently for another order of channels."""
    if isinstance(observation, dict):
        return {"keys": {key: _with_strides(value) for key, value in observation.items()}}
    return {"values": observation, "strides": observation.strides}


def _from_strides(tree: StoredTree) -> Any:
    if "keys" in tree:
        return {key: _from_strides(value) for key, value in tree["keys"].items()}
    values, strides = tree["values"], tree["strides"]
    size = sum((length - 1) * stride for length, stride in zip(values.shape, strides, strict=True)) // values.itemsize + 1
    observation = np.lib.stride_tricks.as_strided(np.empty(size, values.dtype), values.shape, strides)
    observation[...] = values
    return observation


_EPISODE_INFOS: Final = ("ep_info_buffer", "ep_success_buffer")


def _capture_episode_infos(model: BaseAlgorithm) -> Tree:
    """The last episodes, for `rollout/ep_rew_mean`, without their times, which differ between equal trainings."""
    return {name: [_without_time(info) for info in getattr(model, name) or ()] for name in _EPISODE_INFOS}


def _without_time(info: Any) -> Any:
    if isinstance(info, Mapping):
        return {key: _plain(value) for key, value in info.items() if key != "t"}
    return _plain(info)


def _restore_episode_infos(model: BaseAlgorithm, tree: StoredTree) -> None:
    for name in _EPISODE_INFOS:
        infos = [{**info, "t": 0.0} if isinstance(info, dict) else info for info in tree[name]]
        setattr(model, name, deque(infos, maxlen=model._stats_window_size))


def _capture_metrics(model: BaseAlgorithm) -> Tree:
    """Metrics that wait for the next log: on-policy algorithms log before they train, so all of `train/…` waits."""
    waiting = {name: _plain(value) for name, value in model.logger.name_to_value.items() if not name.startswith("time/")}
    return {
        "values": {name: value for name, value in waiting.items() if isinstance(value, int | float)},
        "excluded": {name: model.logger.name_to_excluded[name] for name in waiting},
    }


def _restore_metrics(model: BaseAlgorithm, tree: StoredTree) -> None:
    model.logger.name_to_value.update(tree["values"])
    model.logger.name_to_excluded.update({name: tuple(excluded) for name, excluded in tree["excluded"].items()})


# ---------------------------------------------------------------------------------------------------- noise on actions


def _stateful_noises(noise: ActionNoise | None) -> list[OrnsteinUhlenbeckActionNoise]:
    """The noises that have state: one for each environment, one for all, or none."""
    each = noise.noises if isinstance(noise, VectorizedActionNoise) else [noise]
    return [one for one in each if isinstance(one, OrnsteinUhlenbeckActionNoise)]


def _capture_action_noise(model: BaseAlgorithm) -> Tree:
    return [noise.noise_prev for noise in _stateful_noises(getattr(model, "action_noise", None))]


def _restore_action_noise(model: BaseAlgorithm, tree: StoredTree) -> None:
    for noise, previous in zip(_stateful_noises(getattr(model, "action_noise", None)), tree, strict=True):
        noise.noise_prev = previous


STATE_PARTS: Final = (
    StatePart("counters", _capture_counters, _restore_counters),
    StatePart("policy", _capture_policy, _restore_policy),
    StatePart("optimizers", _capture_optimizers, _restore_optimizers),
    StatePart("variables", _capture_variables, _restore_variables),
    StatePart("noise_matrices", _capture_noise_matrices, _restore_noise_matrices),
    StatePart("weights", _capture_weights, _restore_weights, optional=True),
    StatePart("hidden_states", _capture_hidden_states, _restore_hidden_states, optional=True),
    StatePart("observations", _capture_observations, _restore_observations),
    StatePart("episode_infos", _capture_episode_infos, _restore_episode_infos),
    StatePart("metrics", _capture_metrics, _restore_metrics),
    StatePart("normalization", capture_normalization, restore_normalization),
    StatePart("action_noise", _capture_action_noise, _restore_action_noise),
    StatePart("python_generator", capture_python_generator, restore_python_generator),
    StatePart("numpy_generator", capture_numpy_generator, restore_numpy_generator),
    StatePart("torch_generator", capture_torch_generator, restore_torch_generator),
    StatePart("spaces", capture_spaces, restore_spaces),
    StatePart("own_state", capture_own_state, restore_own_state, optional=True),
    StatePart("vec_layers", capture_vec_layers, restore_vec_layers, optional=True),
)


# ---------------------------------------------------------------------------------------------------- trees and tensors


def _array(tensor: torch.Tensor) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = tensor.detach().cpu().numpy()
    return array


def _tensor(array: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(array))


def _as_tree(value: "Tree | torch.Tensor") -> Tree:
    """An optimizer's state as a tree: tensors as arrays, and parameter numbers as text keys."""
    if isinstance(value, torch.Tensor):
        return _array(value)
    if isinstance(value, dict):
        return {str(key): _as_tree(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_as_tree(inner) for inner in value]
    return value


def _from_tree(values: dict[str, Tree]) -> dict[str, Any]:
    return {key: _tensor(value) if isinstance(value, np.ndarray) else value for key, value in values.items()}


def _plain(value: Any) -> Any:
    """A NumPy scalar as a Python value."""
    return value.item() if isinstance(value, np.generic) else value
