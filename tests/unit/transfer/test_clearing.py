"""Which objects of a store are deleted: those that nobody needs, and those of which nothing has been known for long."""

from lander.transfer.clearing import KEPT_SECONDS, Clearing


class Depot:
    """Knows what is needed."""

    def __init__(self, *busy):
        self.busy = set(busy)
        self.told = {("w1", "a"), ("w2", "a")}

    def has(self, name, sha256):
        there = (name, sha256) in self.told
        self.told.discard((name, sha256))
        self.busy = {each for _, each in self.told}
        return there


class Store:
    """Notes what is deleted."""

    def __init__(self):
        self.deleted = []

    async def delete(self, name):
        self.deleted.append(name)


def test_what_was_left_is_deleted_after_a_while_unless_it_is_needed():
    depot = Depot("needed")
    clearing = Clearing(Store(), depot)
    assert clearing.left({"left", "needed"}, 0.0) == []
    assert clearing.left({"left", "needed", "new"}, KEPT_SECONDS) == ["left"]
    assert clearing.left({"new"}, KEPT_SECONDS + 1) == []
    depot.busy = {"new"}
    assert clearing.left({"new"}, 3 * KEPT_SECONDS) == []
    depot.busy = set()
    assert clearing.left({"new"}, 4 * KEPT_SECONDS) == []


async def test_an_object_is_deleted_when_the_last_host_that_was_told_of_it_has_it():
    store = Store()
    clearing = Clearing(store, Depot("a"))
    assert clearing.returned("w1", ["a"])
    await clearing.close()
    assert store.deleted == []
    assert clearing.returned("w2", ["a"])
    assert not clearing.returned("w2", ["a"])
    await clearing.close()
    assert store.deleted == ["a"]
