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
        "lander/store/writers/sqlite_store.py",
        "                    await self._run(commit)\n                self._announce(commit)\n",
        "                    self._announce(commit)\n                    await self._run(commit)\n",
        (
            "tests/integration/store/test_wal.py::test_what_is_acknowledged_is_on_the_disk",
            "tests/unit/store/writers/test_sqlite_store.py",
        ),
    ),
    Mutant(
        "commit without fsync",
        "lander/store/writers/writer_connection.py",
        '"synchronous": 2,',
        '"synchronous": 1,',
        (
            "tests/integration/store/test_wal.py::test_what_is_acknowledged_is_on_the_disk",
            "tests/integration/store/test_wal.py::test_sqlite_is_asked_to_flush_every_commit",
        ),
    ),
    Mutant(
        "no directory fsync",
        "lander/home/durable_files.py",
        "    written.replace(path)\n    flush(path.parent)\n",
        "    written.replace(path)\n",
        ("tests/unit/home/test_durable_files.py",),
    ),
    Mutant(
        "rename before flush",
        "lander/home/durable_files.py",
        "    flush(written)\n    written.replace(path)\n",
        "    written.replace(path)\n    flush(path)\n",
        ("tests/unit/home/test_durable_files.py",),
    ),
    Mutant(
        "hash not compared on load",
        "lander/home/artifacts.py",
        "if hashlib.sha256(content).hexdigest() != sha256:",
        "if not content:",
        ("tests/unit/home/test_durable_files.py",),
    ),
    Mutant(
        "empty ZAP domain",
        "lander/supervisor/gate.py",
        "        self._router.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)\n        self._router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)\n",
        '        self._router.setsockopt(zmq.ZAP_DOMAIN, b"")\n',
        ("tests/integration/supervisor/test_gate.py::test_who_holds_another_key_is_not_let_in",),
    ),
    Mutant(
        "a key may speak for any run",
        "lander/supervisor/supervisor.py",
        "if (run, epoch) != (principal.run, principal.epoch):",
        'if principal.role != "trainer":',
        ("tests/integration/actors/test_mailbox.py::test_a_trainer_speaks_for_its_own_run_and_epoch_and_for_nothing_else",),
    ),
    Mutant(
        "epoch check off",
        "lander/supervisor/supervisor.py",
        "if self.state.attempt(run, epoch) is None:",
        "if run not in self.state.runs:",
        ("tests/integration/supervisor/test_fencing.py",),
    ),
    Mutant(
        "dedup off",
        "lander/store/log/sequencer.py",
        "known = 0 if batch.first_seq is None else last + 1 - batch.first_seq",
        "known = 0",
        ("tests/contract/test_event_store.py",),
    ),
    Mutant(
        "gaps accepted",
        "lander/store/log/sequencer.py",
        "if batch.first_seq is not None and batch.first_seq > last + 1:",
        "if batch.first_seq is not None and batch.first_seq < 0:",
        ("tests/contract/test_event_store.py",),
    ),
    Mutant(
        "an acknowledgement taken for all",
        "lander/actors/trainer/mailbox.py",
        "while self._outbox and self._acknowledged < seq:",
        "while self._outbox:",
        ("tests/unit/actors/trainer/test_outbox.py",),
    ),
    Mutant(
        "links of the chain not chained",
        "lander/store/log/chain.py",
        "hashlib.sha256(previous + ",
        "hashlib.sha256(",
        ("tests/unit/store/log/test_chain.py",),
    ),
    Mutant(
        "watchdog off",
        "lander/supervisor/core/watchdog.py",
        "if silence > experiment.stall_timeout and",
        "if silence < 0 and",
        ("tests/unit/supervisor/core/test_watchdog.py",),
    ),
    Mutant(
        "restart intensity off",
        "lander/supervisor/core/restart_policy.py",
        "len(failures) > retries",
        "len(failures) > 10**9",
        ("tests/unit/supervisor/core/test_decide_failures.py",),
    ),
    Mutant(
        "resume ignoring lineage",
        "lander/supervisor/core/state.py",
        "return tuple(each for each in checkpoints if 0 < each.step <= from_step)",
        "return checkpoints",
        ("tests/unit/supervisor/core/test_decide_checkpoints.py",),
    ),
    Mutant(
        "superseded steps counted",
        "lander/protocol/lineage.py",
        "all(start.epoch <= epoch or 0 < step <= start.from_step for start in self.starts)",
        "bool(self.starts)",
        ("tests/unit/store/records/test_lineage.py",),
    ),
    Mutant(
        "episodes not played again",
        "lander/actors/state/environment_replay.py",
        '"actions": np.asarray(environment.since_reset),',
        '"actions": np.asarray(environment.since_reset[:0]),',
        (
            "tests/integration/actors/test_exact_resume.py::test_a_training_cut_off_and_continued_has_the_bits_of_one_that_was_not[ppo]",
        ),
    ),
    Mutant(
        "an evaluation draws from the generators of the training",
        "lander/actors/trainer/isolated_rng.py",
        "        _restore_generators(states)\n",
        "        pass\n",
        ("tests/integration/actors/test_evaluation.py::test_a_training_with_evaluations_is_the_training_without[dqn]",),
    ),
    Mutant(
        "the best evaluation forgotten on resume",
        "lander/actors/trainer/callback.py",
        "            self._evaluations.restore(continuation.state, done=self._is_done())\n",
        "            pass\n",
        ("tests/integration/actors/test_evaluation.py::test_a_resumed_run_goes_on_comparing_with_the_best_before_it",),
    ),
    Mutant(
        "evaluated again where an attempt goes on",
        "lander/actors/trainer/callback.py",
        "        self._evaluations.begin_at(self.num_timesteps)\n",
        "",
        (
            "tests/integration/actors/test_evaluation.py"
            "::test_cut_off_and_continued_the_evaluations_are_those_of_a_training_that_was_not[dqn]",
        ),
    ),
    Mutant(
        "the best in evaluation not kept",
        "lander/store/upkeep/retention.py",
        ", best_evaluated(checkpoints)",
        "",
        ("tests/integration/store/test_home_care.py::test_the_best_in_evaluation_is_kept_as_well",),
    ),
    Mutant(
        "steps said after the checkpoint that covers them",
        "lander/actors/trainer/callback.py",
        '        """Write a checkpoint, and leave if that is wanted."""\n        self.exchange()\n',
        '        """Write a checkpoint, and leave if that is wanted."""\n',
        (
            "tests/integration/actors/test_exact_resume.py::test_a_training_cut_off_and_continued_has_the_bits_of_one_that_was_not[ppo]",
        ),
    ),
    Mutant(
        "a fork that begins at zero",
        "lander/actors/trainer/trainer.py",
        "return None if self._order.origin is None else self._load_origin(checkpoints, self._order.origin)",
        "return None",
        ("tests/integration/actors/test_fork.py::test_unchanged_it_has_the_bits_of_the_run_it_continues[PPO]",),
    ),
    Mutant(
        "begun at zero where the origin is lost",
        "lander/actors/trainer/trainer.py",
        '            raise OriginError(f"{where}, cannot be used: {error}") from error\n',
        "            return None\n",
        ("tests/integration/actors/test_fork.py::test_an_origin_that_is_lost_or_damaged_is_no_reason_to_begin_at_zero",),
    ),
    Mutant(
        "the checkpoint that was forked from collected",
        "lander/store/upkeep/retention.py",
        "for checkpoint in (*kept[run], *found.inherited))",
        "for checkpoint in kept[run])",
        ("tests/unit/app/test_forking.py::test_what_was_forked_from_is_never_collected",),
    ),
    Mutant(
        "the origin's entropy coefficient put in place of the fork's",
        "lander/actors/state/state_parts.py",
        'if name in tree and name != "ent_coef_tensor":',
        "if name in tree:",
        ("tests/integration/actors/test_fork.py::test_the_entropy_coefficient_is_the_new_one",),
    ),
    Mutant(
        "episodes of one environment continued in another",
        "lander/actors/state/checkpoint.py",
        "if problems or new_episodes:",
        "if problems:",
        ("tests/integration/actors/test_fork.py::test_into_another_environment_it_begins_new_episodes_and_says_so",),
    ),
    Mutant(
        "a fork compared with the best of its origin",
        "lander/actors/trainer/callback.py",
        "if not continuation.forked:",
        "if True:",
        ("tests/integration/actors/test_evaluation.py::test_a_fork_finds_its_own_best_and_goes_on_comparing_with_that",),
    ),
    Mutant(
        "a change that does not fit let through",
        "lander/experiments/fork_rules.py",
        'yield ("hyperparameters", name), why',
        "pass",
        ("tests/unit/app/test_forking.py::test_what_would_not_fit_is_refused",),
    ),
    Mutant(
        "several variants tested as if they were one",
        "lander/reports/analysis/statistics.py",
        "(len(p_values) - place) * p_values[index]",
        "p_values[index]",
        ("tests/unit/reports/analysis/test_statistics.py::test_holm_by_the_book",),
    ),
    Mutant(
        "two seeds that agree decide",
        "lander/reports/analysis/judgement.py",
        "FEWEST_SEEDS: Final = 4",
        "FEWEST_SEEDS: Final = 2",
        (
            "tests/unit/reports/analysis/test_comparison.py::test_never_a_decision_from_two_seeds_however_alike",
            "tests/unit/reports/analysis/test_calibration.py::test_two_seeds_would_decide_too_often_where_runs_succeed_or_fail",
        ),
    ),
    Mutant(
        "seeds added until there is a result",
        "lander/reports/analysis/judgement.py",
        "2**looks * next(adjusted)",
        "next(adjusted)",
        (
            "tests/unit/reports/analysis/test_comparison.py::test_seeds_that_were_added_cost_and_are_told",
            "tests/unit/reports/analysis/test_calibration.py::test_adding_seeds_until_there_is_a_result_is_paid_for",
        ),
    ),
    Mutant(
        "decided before every run is over",
        "lander/reports/analysis/comparison.py",
        "    if not ended:\n",
        "    if False:\n",
        ("tests/unit/reports/analysis/test_comparison.py::test_no_decision_before_every_run_is_over",),
    ),
    Mutant(
        "runs that came to nothing forgotten",
        "lander/reports/analysis/comparison.py",
        "return None if judgement.decision == severe.decision else",
        "return None if True else",
        (
            "tests/unit/reports/analysis/test_comparison.py::test_runs_that_came_to_nothing_count_as_the_worst_before_there_is_a_decision",
        ),
    ),
    Mutant(
        "groups of unequal size compared",
        "lander/reports/analysis/judgement.py",
        "list(returns.values())[:count]",
        "list(returns.values())",
        ("tests/unit/reports/analysis/test_calibration.py::test_of_unequal_groups_as_many_of_each_are_compared",),
    ),
    Mutant(
        "half-way taken for the end",
        "lander/reports/analysis/run_histories.py",
        "last.final and last.step >= step",
        "last.final",
        ("tests/unit/reports/analysis/test_comparison.py::test_an_evaluation_from_before_an_extension_is_not_the_final_one",),
    ),
    Mutant(
        "seeds added to what has ended, and nobody trains them",
        "lander/supervisor/core/submission.py",
        "        decision.reopen(name)\n",
        "        pass\n",
        (
            "tests/unit/supervisor/core/test_decide_submission.py::test_a_completed_experiment_gets_more_seeds_and_only_their_runs_train",
        ),
    ),
    Mutant(
        "an episode played again and not compared",
        "lander/actors/trainer/playback.py",
        'if struct.pack("d", played) != struct.pack("d", recorded):',
        "if False:",
        ("tests/integration/app/test_replay.py::test_a_record_that_is_different_in_one_bit_is_refused_and_not_filmed",),
    ),
    Mutant(
        "an episode begun where its environment happens to stand",
        "lander/actors/state/environment_replay.py",
        "        environment.unwrapped.np_random = generators.unpack(reset_rng)\n",
        "        pass\n",
        ("tests/integration/app/test_replay.py::test_each_episode_is_played_without_those_before_it",),
    ),
    Mutant(
        "a film of another evaluation than was recorded",
        "lander/app/films.py",
        'if struct.pack("dq", *played) != struct.pack("dq", *recorded):',
        "if False:",
        ("tests/integration/app/test_films.py::test_an_evaluation_that_comes_out_otherwise_is_not_shown",),
    ),
    Mutant(
        "a film that lacks pictures kept",
        "lander/reports/render/video_file.py",
        "if written != count:",
        "if False:",
        ("tests/unit/reports/render/test_video_file.py::test_a_film_that_lacks_a_picture_is_not_kept",),
    ),
    Mutant(
        "a hypothesis taken for markup",
        "lander/reports/render/page.py",
        "autoescape=True",
        "autoescape=False",
        ("tests/unit/reports/render/test_report.py::test_a_hypothesis_is_text_and_never_markup",),
    ),
    Mutant(
        "half a table left behind",
        "lander/reports/render/publication.py",
        'with file.open("w"',
        'with path.open("w"',
        ("tests/unit/cli/test_report_command.py::test_a_write_that_fails_leaves_the_file_of_before_and_nothing_else",),
    ),
    Mutant(
        "figures to the taste of whoever draws them",
        "lander/reports/render/drawing.py",
        "        mpl.rcdefaults()\n",
        "",
        ("tests/unit/reports/render/test_report.py::test_the_same_log_gives_the_same_bytes_in_any_process",),
    ),
    Mutant(
        "a page whose figures share their ids",
        "lander/reports/render/drawing.py",
        r'rf"\g<1>{name}-"',
        r'r"\g<1>"',
        ("tests/unit/reports/render/test_report.py::test_the_page_has_every_figure_and_no_id_twice",),
    ),
    Mutant(
        "what was superseded in TensorBoard is not purged",
        "lander/reports/export/tensorboard.py",
        "            self.file.purge(at, event.from_step)\n",
        "",
        ("tests/unit/reports/export/test_tensorboard.py",),
    ),
    Mutant(
        "an export of several moments",
        "lander/reports/export/formats.py",
        "    with reader.snapshot():\n",
        "    if reader:\n",
        ("tests/unit/reports/export/test_export.py",),
    ),
    Mutant(
        "an export replaces what it did not write",
        "lander/reports/export/directory.py",
        "    if foreign:\n",
        "    if not there:\n",
        ("tests/unit/reports/export/test_export.py",),
    ),
    Mutant(
        "an export replaced that somebody changed",
        "lander/reports/export/directory.py",
        "    if changed:\n",
        "    if not there:\n",
        ("tests/unit/reports/export/test_export.py::test_whatever_somebody_put_into_an_export_or_changed_is_kept",),
    ),
    Mutant(
        "only the top of an export looked at",
        "lander/reports/export/directory.py",
        'directory.rglob("*")',
        'directory.glob("*")',
        ("tests/unit/reports/export/test_export.py::test_whatever_somebody_put_into_an_export_or_changed_is_kept",),
    ),
    Mutant(
        "a collected checkpoint offered",
        "lander/app/chosen_policies.py",
        " if not _gone(reader.home, each)]",
        " if each]",
        ("tests/unit/app/test_forking.py::test_what_was_collected_is_not_offered",),
    ),
    Mutant(
        "environments looked for where somebody happens to be",
        "lander/actors/host/requirements.py",
        "add_import_path(directory or os.getcwd())",
        "add_import_path(os.getcwd())",
        ("tests/unit/app/test_forking.py::test_an_environment_is_looked_for_where_it_was_submitted_wherever_one_goes_on",),
    ),
    Mutant(
        "tiles that share their generators",
        "lander/actors/trainer/isolated_rng.py",
        "        _restore_generators(own)\n",
        "",
        (
            "tests/integration/app/test_films.py::test_episodes_side_by_side_are_those_of_the_evaluation_whatever_they_draw_from",
        ),
    ),
    Mutant(
        "a stop in an evaluation loses what was trained",
        "lander/actors/trainer/callback.py",
        "            self.checkpoint(finished=final)\n            raise\n",
        "            raise\n",
        (
            "tests/integration/actors/test_owed_evaluations.py::test_stopped_in_any_evaluation_a_training_goes_on_as_if_it_had_not_been[dqn]",
        ),
    ),
    Mutant(
        "an evaluation that is owed forgotten",
        "lander/actors/trainer/evaluation_schedule.py",
        '"owed": self.owed, ',
        '"owed": False, ',
        (
            "tests/integration/actors/test_owed_evaluations.py::test_stopped_in_any_evaluation_a_training_goes_on_as_if_it_had_not_been[dqn]",
        ),
    ),
    Mutant(
        "a stop waits for the evaluation",
        "lander/actors/trainer/trainer.py",
        "        if self._mailbox.stop_requested:\n            raise LeaveTrainingError\n",
        "",
        (
            "tests/integration/actors/test_owed_evaluations.py::test_stopped_in_any_evaluation_a_training_goes_on_as_if_it_had_not_been[dqn]",
        ),
    ),
    Mutant(
        "left in its last evaluation and taken for completed",
        "lander/actors/trainer/callback.py",
        "                return False\n        self.checkpoint(finished=True)",
        "                pass\n        self.checkpoint(finished=True)",
        ("tests/integration/actors/test_owed_evaluations.py::test_a_stop_during_the_last_evaluation_is_no_end",),
    ),
    Mutant(
        "one lucky episode never beaten",
        "lander/actors/trainer/evaluation_schedule.py",
        "before.episodes == episodes and ",
        "",
        ("tests/integration/actors/test_owed_evaluations.py::test_a_mean_of_other_many_episodes_is_no_competitor",),
    ),
    Mutant(
        "the best of few episodes kept for the best of many",
        "lander/store/records/checkpoint_record.py",
        "each.evaluation if each.evaluation_episodes == episodes else None",
        "each.evaluation",
        ("tests/integration/actors/test_owed_evaluations.py::test_a_mean_of_other_many_episodes_is_no_competitor",),
    ),
    Mutant(
        "a best model of which nobody heard left there",
        "lander/actors/trainer/callback.py",
        '        self._try(self._agree_on_the_best, "the best model is not what it should be")\n',
        "",
        ("tests/integration/actors/test_owed_evaluations.py::test_a_best_model_of_which_nobody_heard_does_not_stay",),
    ),
    Mutant(
        "statistics before the model that they belong to",
        "lander/actors/trainer/saved_model.py",
        "        publish(file, path)\n        if normalize is not None:\n            publish(beside, statistics)\n",
        "        if normalize is not None:\n            publish(beside, statistics)\n        publish(file, path)\n",
        (
            "tests/integration/actors/test_owed_evaluations.py::test_killed_between_the_best_model_and_its_statistics_both_become_what_counts",
        ),
    ),
    Mutant(
        "the best model before its checkpoint",
        "lander/actors/trainer/callback.py",
        "        return self._evaluations.update_best()\n",
        "        improved = self._evaluations.update_best()\n        if improved:\n            self._keep_best()\n"
        "        return improved\n",
        ("tests/integration/actors/test_owed_evaluations.py",),
    ),
    Mutant(
        "memory that ran out called the environment's failure",
        "lander/actors/environment/recording.py",
        "OUT_OF_MEMORY: Final = (MemoryError, torch.OutOfMemoryError)",
        "OUT_OF_MEMORY: Final[tuple[type[Exception], ...]] = ()",
        ("tests/unit/actors/environment/test_recording.py",),
    ),
    Mutant(
        "more episodes asked for, and nobody plays them",
        "lander/supervisor/core/submission.py",
        "{arm.name for arm in wanted.arms} if more_episodes else longer",
        "longer",
        ("tests/unit/supervisor/core/test_decide_evaluations.py",),
    ),
)
