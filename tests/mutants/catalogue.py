"""The mutants: what is changed, in which file, and which tests find it out."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """`before`, which must occur exactly once in the file, becomes `after`; one of the tests must fail then."""

    name: str
    path: str
    before: str
    after: str
    tests: tuple[str, ...]

    def fits(self, source: str) -> bool:
        """Whether this source is still the one it was made for."""
        return source.count(self.before) == 1


MUTANTS = (
    Mutant(
        "acknowledge before commit",
        "lander/store/sqlite.py",
        "                    await self._run(commit)\n                self._announce(commit)\n",
        "                    self._announce(commit)\n                    await self._run(commit)\n",
        ("tests/integration/test_wal.py::test_what_is_acknowledged_is_on_the_disk", "tests/unit/test_sqlite_store.py"),
    ),
    Mutant(
        "commit without fsync",
        "lander/store/connection.py",
        '"synchronous": 2,',
        '"synchronous": 1,',
        (
            "tests/integration/test_wal.py::test_what_is_acknowledged_is_on_the_disk",
            "tests/integration/test_wal.py::test_sqlite_is_asked_to_flush_every_commit",
        ),
    ),
    Mutant(
        "no directory fsync",
        "lander/protocol/durable.py",
        "    written.replace(path)\n    flush(path.parent)\n",
        "    written.replace(path)\n",
        ("tests/unit/test_durable.py",),
    ),
    Mutant(
        "rename before flush",
        "lander/protocol/durable.py",
        "    flush(written)\n    written.replace(path)\n",
        "    written.replace(path)\n    flush(path)\n",
        ("tests/unit/test_durable.py",),
    ),
    Mutant(
        "hash not compared on load",
        "lander/actors/artifacts.py",
        "if hashlib.sha256(content).hexdigest() != sha256:",
        "if not content:",
        ("tests/unit/test_durable.py",),
    ),
    Mutant(
        "empty ZAP domain",
        "lander/supervisor/gate.py",
        "        self._router.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)\n        self._router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)\n",
        '        self._router.setsockopt(zmq.ZAP_DOMAIN, b"")\n',
        ("tests/integration/test_gate.py::test_who_holds_another_key_is_not_let_in",),
    ),
    Mutant(
        "a key may speak for any run",
        "lander/supervisor/supervisor.py",
        "if (run, epoch) != (principal.run, principal.epoch):",
        'if principal.role != "trainer":',
        ("tests/integration/test_mailbox.py::test_a_trainer_speaks_for_its_own_run_and_epoch_and_for_nothing_else",),
    ),
    Mutant(
        "epoch check off",
        "lander/supervisor/supervisor.py",
        "if self.state.attempt(run, epoch) is None:",
        "if run not in self.state.runs:",
        ("tests/integration/test_fencing.py",),
    ),
    Mutant(
        "dedup off",
        "lander/store/sequencer.py",
        "known = 0 if batch.first_seq is None else last + 1 - batch.first_seq",
        "known = 0",
        ("tests/contract/test_event_store.py",),
    ),
    Mutant(
        "gaps accepted",
        "lander/store/sequencer.py",
        "if batch.first_seq is not None and batch.first_seq > last + 1:",
        "if batch.first_seq is not None and batch.first_seq < 0:",
        ("tests/contract/test_event_store.py",),
    ),
    Mutant(
        "an acknowledgement taken for all",
        "lander/actors/mailbox.py",
        "while self._outbox and self._acknowledged < seq:",
        "while self._outbox:",
        ("tests/unit/test_outbox.py",),
    ),
    Mutant(
        "links of the chain not chained",
        "lander/store/chain.py",
        "hashlib.sha256(previous + ",
        "hashlib.sha256(",
        ("tests/unit/test_chain.py",),
    ),
    Mutant(
        "watchdog off",
        "lander/supervisor/watch.py",
        "if silence > experiment.stall_timeout and",
        "if silence < 0 and",
        ("tests/unit/test_watch.py",),
    ),
    Mutant(
        "restart intensity off",
        "lander/supervisor/policy.py",
        "len(failures) > retries",
        "len(failures) > 10**9",
        ("tests/unit/test_decide_failures.py",),
    ),
    Mutant(
        "resume ignoring lineage",
        "lander/supervisor/state.py",
        "return tuple(each for each in checkpoints if 0 < each.step <= from_step)",
        "return checkpoints",
        ("tests/unit/test_decide_checkpoints.py",),
    ),
    Mutant(
        "superseded steps counted",
        "lander/store/lineage.py",
        "all(start.epoch <= epoch or 0 < step <= start.from_step for start in self.starts)",
        "bool(self.starts)",
        ("tests/unit/test_lineage.py",),
    ),
    Mutant(
        "episodes not played again",
        "lander/actors/environments.py",
        '"actions": np.asarray(environment.since_reset),',
        '"actions": np.asarray(environment.since_reset[:0]),',
        (
            "tests/integration/test_exact_resume.py::test_a_training_cut_off_and_continued_has_the_bits_of_one_that_was_not[ppo]",
        ),
    ),
    Mutant(
        "steps said after the checkpoint that covers them",
        "lander/actors/callback.py",
        '        """Write a checkpoint, and leave if that is wanted."""\n        self.exchange()\n',
        '        """Write a checkpoint, and leave if that is wanted."""\n',
        (
            "tests/integration/test_exact_resume.py::test_a_training_cut_off_and_continued_has_the_bits_of_one_that_was_not[ppo]",
        ),
    ),
)
