"""A catalogue is a dictionary that never changes, however it is used, and changing it costs a page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lander.experiments.execution import execution_with
from lander.protocol import commands as c
from lander.supervisor.core import catalogue as module
from lander.supervisor.core.catalogue import PAGE, Catalogue
from lander.supervisor.core.decide import decide
from lander.supervisor.core.state import State
from lander.supervisor.core.timers import Timers
from tests.support.histories import experiment

NAMES = st.text("ab", max_size=2)


@given(st.lists(st.tuples(st.booleans(), NAMES, st.integers(0, 9)), max_size=30), st.integers(1, 4))
def test_it_is_a_dictionary_and_what_it_was_stays(changes, page):
    was, module.PAGE = module.PAGE, page
    try:
        expected, catalogue, history = {}, Catalogue(), []
        for put, name, value in changes:
            history.append((catalogue, dict(expected)))
            if put and name not in expected:
                with pytest.raises(KeyError):
                    catalogue.put(name, value)
                continue
            expected[name] = value
            catalogue = catalogue.put(name, value) if put else catalogue.extended([(name, value)])
        for seen, then in [*history, (catalogue, expected)]:
            assert dict(seen) == then
            assert list(seen) == list(then)
            assert len(seen) == len(then)
            assert seen == Catalogue(then.items())
            assert [seen.at(place) for place in range(len(seen))] == list(then.values())
            differing = [(then.get(name), value) for name, value in expected.items() if then.get(name) != value]
            assert list(catalogue.changed_since(seen)) == differing
    finally:
        module.PAGE = was


def test_putting_a_value_shares_all_other_pages():
    before = Catalogue((str(number), number) for number in range(10 * PAGE))
    after = before.put(str(3 * PAGE), -1)
    shared = [one is other for one, other in zip(before._pages, after._pages, strict=True)]
    assert shared == [number != 3 for number in range(10)]


def test_an_event_costs_no_more_with_many_runs_than_with_few(monkeypatch):
    """Counted in pages copied, not in seconds: a submission of n runs copies a page for each of its events."""
    copied = []
    put = Catalogue.put
    monkeypatch.setattr(Catalogue, "put", lambda self, *change: copied.append(1) or put(self, *change))
    per_event = []
    for seeds in (10, 500):
        copied.clear()
        message = c.SubmitExperiment(experiment=experiment(seeds=range(seeds)), execution=execution_with(), manifest={})
        decision = decide(State(), message, 0.0, Timers())
        per_event.append(len(copied) / len(decision.events))
    assert per_event[1] <= per_event[0] * 1.1 <= 1.2
