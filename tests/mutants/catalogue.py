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
        "an evaluation draws from the generators of the training",
        "lander/actors/evaluation.py",
        "            ingredient.restore(model, state)\n",
        "            pass\n",
        ("tests/integration/test_evaluation.py::test_a_training_with_evaluations_is_the_training_without[dqn]",),
    ),
    Mutant(
        "the best evaluation forgotten on resume",
        "lander/actors/callback.py",
        'self._evaluations.best = continuation.state.get("best_evaluation")',
        "self._evaluations.best = None",
        ("tests/integration/test_evaluation.py::test_a_resumed_run_goes_on_comparing_with_the_best_before_it",),
    ),
    Mutant(
        "evaluated again where an attempt goes on",
        "lander/actors/callback.py",
        "        self._evaluations.begin_at(self.num_timesteps)\n",
        "",
        (
            "tests/integration/test_evaluation.py"
            "::test_cut_off_and_continued_the_evaluations_are_those_of_a_training_that_was_not[dqn]",
        ),
    ),
    Mutant(
        "the best in evaluation not kept",
        "lander/store/artifacts.py",
        ", best_of([each.evaluation for each in checkpoints])",
        "",
        ("tests/integration/test_home_care.py::test_the_best_in_evaluation_is_kept_as_well",),
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
    Mutant(
        "a fork that begins at zero",
        "lander/actors/trainer.py",
        "return None if self._order.origin is None else self._begin_forked(checkpoints, self._order.origin)",
        "return None",
        ("tests/integration/test_fork.py::test_unchanged_it_has_the_bits_of_the_run_it_continues[PPO]",),
    ),
    Mutant(
        "begun at zero where the origin is lost",
        "lander/actors/trainer.py",
        '            raise OriginError(f"{where}, cannot be used: {error}") from error\n',
        "            return None\n",
        ("tests/integration/test_fork.py::test_an_origin_that_is_lost_or_damaged_is_no_reason_to_begin_at_zero",),
    ),
    Mutant(
        "the checkpoint that was forked from collected",
        "lander/store/artifacts.py",
        "for checkpoint in (*kept[run], *found.inherited))",
        "for checkpoint in kept[run])",
        ("tests/unit/test_fork.py::test_what_was_forked_from_is_never_collected",),
    ),
    Mutant(
        "the origin's entropy coefficient put in place of the fork's",
        "lander/actors/ingredients.py",
        'if name in tree and name != "ent_coef_tensor":',
        "if name in tree:",
        ("tests/integration/test_fork.py::test_the_entropy_coefficient_is_the_new_one",),
    ),
    Mutant(
        "episodes of one environment continued in another",
        "lander/actors/checkpoint.py",
        "if problems or new_episodes:",
        "if problems:",
        ("tests/integration/test_fork.py::test_into_another_environment_it_begins_new_episodes_and_says_so",),
    ),
    Mutant(
        "a fork compared with the best of its origin",
        "lander/actors/callback.py",
        "if not continuation.forked:",
        "if True:",
        ("tests/integration/test_evaluation.py::test_a_fork_finds_its_own_best_and_goes_on_comparing_with_that",),
    ),
    Mutant(
        "a change that does not fit let through",
        "lander/protocol/fork.py",
        'yield ("hyperparameters", name), why',
        "pass",
        ("tests/unit/test_fork.py::test_what_would_not_fit_is_refused",),
    ),
    Mutant(
        "several variants tested as if they were one",
        "lander/reports/statistics.py",
        "(len(p_values) - place) * p_values[index]",
        "p_values[index]",
        ("tests/unit/test_statistics.py::test_holm_by_the_book",),
    ),
    Mutant(
        "two seeds that agree decide",
        "lander/reports/judgement.py",
        "FEWEST_SEEDS: Final = 4",
        "FEWEST_SEEDS: Final = 2",
        (
            "tests/unit/test_comparison.py::test_never_a_decision_from_two_seeds_however_alike",
            "tests/unit/test_calibration.py::test_two_seeds_would_decide_too_often_where_runs_succeed_or_fail",
        ),
    ),
    Mutant(
        "seeds added until there is a result",
        "lander/reports/judgement.py",
        "2**looks * next(adjusted)",
        "next(adjusted)",
        (
            "tests/unit/test_comparison.py::test_seeds_that_were_added_cost_and_are_told",
            "tests/unit/test_calibration.py::test_adding_seeds_until_there_is_a_result_is_paid_for",
        ),
    ),
    Mutant(
        "decided before every run is over",
        "lander/reports/comparison.py",
        "    if not ended:\n",
        "    if False:\n",
        ("tests/unit/test_comparison.py::test_no_decision_before_every_run_is_over",),
    ),
    Mutant(
        "runs that came to nothing forgotten",
        "lander/reports/comparison.py",
        "return None if judgement.decision == severe.decision else",
        "return None if True else",
        ("tests/unit/test_comparison.py::test_runs_that_came_to_nothing_count_as_the_worst_before_there_is_a_decision",),
    ),
    Mutant(
        "groups of unequal size compared",
        "lander/reports/judgement.py",
        "list(returns.values())[:count]",
        "list(returns.values())",
        ("tests/unit/test_calibration.py::test_of_unequal_groups_as_many_of_each_are_compared",),
    ),
    Mutant(
        "half-way taken for the end",
        "lander/reports/runs.py",
        "last.final and last.step >= step",
        "last.final",
        ("tests/unit/test_comparison.py::test_an_evaluation_from_before_an_extension_is_not_the_final_one",),
    ),
    Mutant(
        "seeds added to what has ended, and nobody trains them",
        "lander/supervisor/submission.py",
        "        draft.reopen(name)\n",
        "        pass\n",
        ("tests/unit/test_decide_submission.py::test_a_completed_experiment_gets_more_seeds_and_only_their_runs_train",),
    ),
    Mutant(
        "an episode played again and not compared",
        "lander/actors/playback.py",
        'if struct.pack("d", played) != struct.pack("d", recorded):',
        "if False:",
        ("tests/integration/test_replay.py::test_a_record_that_is_different_in_one_bit_is_refused_and_not_filmed",),
    ),
    Mutant(
        "an episode begun where its environment happens to stand",
        "lander/actors/environments.py",
        "        environment.unwrapped.np_random = generators.unpack(reset_rng)\n",
        "        pass\n",
        ("tests/integration/test_replay.py::test_each_episode_is_played_without_those_before_it",),
    ),
    Mutant(
        "a film of another evaluation than was recorded",
        "lander/cli/films.py",
        'if struct.pack("dq", *played) != struct.pack("dq", *recorded):',
        "if False:",
        ("tests/integration/test_films.py::test_an_evaluation_that_comes_out_otherwise_is_not_shown",),
    ),
    Mutant(
        "a film that lacks pictures kept",
        "lander/reports/film.py",
        "if written != count:",
        "if False:",
        ("tests/unit/test_film.py::test_a_film_that_lacks_a_picture_is_not_kept",),
    ),
    Mutant(
        "a hypothesis taken for markup",
        "lander/reports/page.py",
        "autoescape=True",
        "autoescape=False",
        ("tests/unit/test_report.py::test_a_hypothesis_is_text_and_never_markup",),
    ),
    Mutant(
        "half a table left behind",
        "lander/reports/publication.py",
        'with file.open("w"',
        'with path.open("w"',
        ("tests/unit/test_report_command.py::test_a_write_that_fails_leaves_the_file_of_before_and_nothing_else",),
    ),
    Mutant(
        "figures to the taste of whoever draws them",
        "lander/reports/drawing.py",
        "        mpl.rcdefaults()\n",
        "",
        ("tests/unit/test_report.py::test_the_same_log_gives_the_same_bytes_in_any_process",),
    ),
    Mutant(
        "a page whose figures share their ids",
        "lander/reports/drawing.py",
        r'rf"\g<1>{name}-"',
        r'r"\g<1>"',
        ("tests/unit/test_report.py::test_the_page_has_every_figure_and_no_id_twice",),
    ),
    Mutant(
        "what was superseded in TensorBoard is not purged",
        "lander/reports/export/tensorboard.py",
        "            self.file.purge(at, event.from_step)\n",
        "",
        ("tests/unit/test_export_tensorboard.py",),
    ),
    Mutant(
        "an export of several moments",
        "lander/reports/export/formats.py",
        "    with reader.snapshot():\n",
        "    if reader:\n",
        ("tests/unit/test_export.py",),
    ),
    Mutant(
        "an export replaces what it did not write",
        "lander/reports/export/directory.py",
        "    if foreign:\n",
        "    if not there:\n",
        ("tests/unit/test_export.py",),
    ),
)
