"""What an environment showed, as arrays: infos of which each entry is always there, and observations of every kind."""

import numpy as np

from lander.app.export.episode_arrays import info_arrays, size, stacked


def test_an_info_is_kept_where_the_reset_and_every_step_have_it_with_one_shape():
    reset = {"lives": 3, "speed": np.zeros(2), "label": "a", "sub": {"x": 1.5}, "grows": np.zeros(1), "a/b": 1, "kind": 1}
    step = {"lives": 2, "speed": np.ones(2), "label": "b", "sub": {"x": 2.5, "y": 1}, "grows": np.zeros(2), "a/b": 1, "late": 1}
    arrays, left_out = info_arrays([reset, step | {"kind": "one"}])
    assert {name: np.asarray(value).tolist() for name, value in arrays.items() if name != "sub"} == {
        "lives": [3, 2],
        "speed": [[0.0, 0.0], [1.0, 1.0]],
        "label": ["a", "b"],
    }
    assert {name: value.tolist() for name, value in arrays["sub"].items()} == {"x": [1.5, 2.5]}
    assert left_out == {"grows", "a/b", "kind", "late", "sub.y"}
    assert info_arrays([{}, {}]) == ({}, frozenset())


def test_observations_keep_their_structure_and_their_bits():
    seen = [{"place": np.float32([step]), "pair": (step, "text")} for step in range(3)]
    arrays = stacked(seen)
    assert (arrays["place"].dtype, arrays["place"].tolist()) == (np.float32, [[0.0], [1.0], [2.0]])
    assert arrays["pair"][0].tolist() == [0, 1, 2]
    assert arrays["pair"][1] == ["text"] * 3
    assert size(arrays) == 3 * 4 + 3 * 8 + 3 * 4
