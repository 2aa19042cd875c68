"""The decision core by examples: which code a run trains on."""

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.code import MAX_MODULES, MAX_PACKAGE_BYTES, Code, Package
from lander.protocol.wire import MAX_FRAME, MAX_SHORT_ARRAY, encode
from lander.supervisor.core.decide import Tick
from lander.supervisor.core.effects import StartAttempt
from lander.supervisor.core.fold import KEPT_CHECKPOINTS
from lander.supervisor.core.submission import MAX_ARM_BYTES, MAX_PATH_BYTES
from tests.support.decision_driver import DecisionDriver
from tests.support.histories import checkpoint, experiment, origin

OLD, NEW = Code(archive="0" * 64, modules=("cart",)), Code(archive="1" * 64, modules=("cart",))
A, B = "x/baseline/0", "x/v/0"


def submit(driver, code, new_code=False, **form):
    wanted = experiment(**form).model_copy(update={"code": code})
    execution = driver.state.experiments["x"].execution if "x" in driver.state.experiments else None
    if execution is None:
        return driver.submit(wanted)
    return driver.tell(c.SubmitExperiment(experiment=wanted, execution=execution, manifest={}, new_code=new_code))


def ordered(driver):
    """The code of every start that was ordered last, by run."""
    return {each.order.run: each.order.code for each in driver.last.effects if isinstance(each, StartAttempt)}


def completed(code=OLD):
    driver = DecisionDriver()
    submit(driver, code)
    driver.complete(A, B)
    return driver


def test_a_run_trains_on_the_code_that_was_submitted():
    driver = DecisionDriver()
    submit(driver, OLD)
    assert ordered(driver) == {A: OLD, B: OLD}


def test_code_that_changed_since_changes_nothing_and_is_said():
    driver = completed()
    submit(driver, NEW, seeds=[0, 1])
    assert ordered(driver) == {"x/baseline/1": OLD, "x/v/1": OLD}
    said = "the code of cart has changed (captured 000000000000, now 111111111111)"
    assert f"{said}; its runs train on what was captured, and with --new-code those" in driver.last.answer.detail


def test_new_code_is_recorded_and_is_of_added_runs_only():
    driver = DecisionDriver()
    submit(driver, OLD)
    driver.complete(A)
    driver.crash(B)
    submit(driver, NEW, new_code=True, seeds=[0, 1])
    assert ("x", e.CodeChanged(code=NEW)) in driver.last.events
    assert {run.id: run.code for run in driver.state.runs_of("x")} == {A: OLD, B: OLD, "x/baseline/1": NEW, "x/v/1": NEW}
    submit(driver, NEW, new_code=True, seeds=[0, 1])
    assert not any(isinstance(event, e.CodeChanged) for _, event in driver.last.events), "it is not new any more"


def test_retried_on_new_code_a_run_begins_anew_and_no_checkpoint_of_the_old_counts():
    driver = DecisionDriver()
    submit(driver, OLD, max_retries=0)
    driver.train(B)
    driver.checkpoint(B, 512)
    driver.crash(B)
    driver.tell(c.RetryTarget(target=B, operator="me@here", code=NEW))
    assert ("x", e.CodeChanged(code=NEW, runs=(B,))) in driver.last.events
    (start,) = [each for each in driver.last.effects if isinstance(each, StartAttempt)]
    assert (start.order.run, start.order.code, start.order.checkpoints) == (B, NEW, ())
    driver.word(B, checkpoint(768), epoch=1)
    assert driver.run(B).checkpoints == (), "what the old attempt says late is of the old code"
    driver.train(B)
    driver.checkpoint(B, 256)
    assert [each.step for each in driver.run(B).checkpoints] == [256]


def test_retried_on_the_same_code_it_goes_on():
    driver = DecisionDriver()
    submit(driver, OLD, max_retries=0)
    driver.train(B)
    driver.checkpoint(B, 512)
    driver.crash(B)
    driver.tell(c.RetryTarget(target=B, operator="me@here", code=OLD))
    assert not any(isinstance(event, e.CodeChanged) for _, event in driver.last.events)
    assert [each.step for each in driver.run(B).checkpoints] == [512]


def test_a_retry_on_captured_code_says_that_it_has_changed():
    """The same words as where an experiment is submitted again, and what is of no run that is retried is not said."""
    driver = DecisionDriver()
    submit(driver, OLD, max_retries=0)
    driver.complete(A)
    driver.train(B)
    driver.crash(B)
    driver.tell(c.RetryTarget(target=A, operator="me@here", found=NEW))
    assert driver.last.answer.detail == "nothing to retry: it is completed"
    driver.tell(c.RetryTarget(target="x", operator="me@here", found=NEW))
    assert ordered(driver) == {B: OLD}
    assert driver.last.answer.detail == (
        "1 of 2 runs is tried again: x/v/0; the code of cart has changed (captured 000000000000, now 111111111111);"
        " its runs train on what was captured, and with --new-code they begin anew on the new code"
    )
    for found in (OLD, None):
        driver.train(B)
        driver.crash(B)
        driver.tell(c.RetryTarget(target=B, operator="me@here", found=found))
        assert driver.last.answer.detail == "is tried again"


def test_changed_packages_are_said_too():
    def with_version(version, digit):
        return OLD.model_copy(update={"packages": (Package(name="gymnasium", version=version, sha256=digit * 64),)})

    driver = completed(with_version("1.0", "a"))
    submit(driver, with_version("1.1", "b"))
    assert "gymnasium was 1.0 and is 1.1; its runs train with what is installed" in driver.last.answer.detail
    driver = completed(with_version("1.0", "a"))
    submit(driver, with_version("1.0", "b"))
    assert "gymnasium was 1.0 and is another 1.0" in driver.last.answer.detail


def test_a_whole_arm_is_retried_on_new_code_by_one_event_and_nothing_is_held_against_it():
    driver = DecisionDriver()
    submit(driver, OLD, seeds=[0, 1], max_retries=5)
    failing = ("x/v/0", "x/baseline/0")
    for run in failing:
        driver.train(run)
        driver.crash(run)
    assert all(driver.run(run).failures for run in failing)
    driver.tell(c.RetryTarget(target="x", operator="me@here", code=NEW))
    (changed,) = [event for _, event in driver.last.events if isinstance(event, e.CodeChanged)]
    assert set(changed.runs) == set(failing)
    named = ", ".join(changed.runs)
    assert driver.last.answer.detail == f"2 of 4 runs begin anew, on code 111111111111: {named}"
    assert not any(driver.run(run).failures for run in failing)


def test_of_runs_that_are_retried_on_new_code_those_that_have_it_are_told_apart():
    driver = DecisionDriver()
    submit(driver, OLD, max_retries=0)
    driver.crash(A)
    driver.crash(B)
    driver.tell(c.RetryTarget(target=A, operator="me@here", code=NEW))
    assert driver.last.answer.detail == "begins anew, on code 111111111111"
    driver.tell(c.RetryTarget(target="x", operator="me@here", code=NEW))
    assert driver.last.answer.detail == "1 of 2 runs begins anew, on code 111111111111: x/v/0"
    driver.crash(A)
    driver.crash(B)
    driver.tell(c.RetryTarget(target="x", operator="me@here", code=NEW))
    assert driver.last.answer.detail == (
        "2 of 2 runs are tried again on the same code, which has not changed: x/baseline/0, x/v/0"
    )


def test_of_an_experiment_whose_code_an_earlier_version_did_not_capture_that_is_said():
    driver = completed(None)
    submit(driver, NEW, seeds=[0, 1])
    assert "the code of cart was not captured; its runs train on what is there now, and --new-code captures it" in (
        driver.last.answer.detail
    )
    submit(driver, NEW, new_code=True, seeds=[0, 1, 2])
    assert driver.run("x/v/2").code == NEW


def test_runs_that_are_added_record_the_packages_they_train_with():
    package = Package(name="gymnasium", version="1.0", sha256="a" * 64)
    newer = package.model_copy(update={"version": "1.1"})
    driver = completed(OLD.model_copy(update={"packages": (package,)}))
    submit(driver, OLD.model_copy(update={"packages": (newer,)}))
    assert not any(isinstance(event, e.CodeChanged) for _, event in driver.last.events), "nothing is added"
    submit(driver, NEW.model_copy(update={"packages": (newer,)}), seeds=[0, 1])
    assert driver.run(A).code == OLD.model_copy(update={"packages": (package,)})
    assert driver.run("x/baseline/1").code == OLD.model_copy(update={"packages": (newer,)})


def test_however_large_what_was_accepted_is_its_runs_can_be_ordered():
    """Everything at its limit at once, and with the packages, which another machine must have."""
    many = tuple(f"{number:064x}" for number in range(MAX_SHORT_ARRAY))
    names = tuple(chr(0x1F600) * 196 + f"{number:04}" for number in range(MAX_MODULES))
    package = Package(name="p" * 160, version="1", sha256="0" * 64)
    packages = (package,) * (MAX_PACKAGE_BYTES // len(package.model_dump_json()))
    code = Code(archive="0" * 64, modules=names, packages=packages, uncaptured=names)
    numbers = {"numbers": [1.5] * ((MAX_ARM_BYTES - 1000) // len("1.5,"))}
    driver = DecisionDriver(cpus=0)
    driver.join(host="gpu3")
    begin = origin({0: checkpoint(10, pages=many, history=many)}, of=("first", "baseline"))
    submit(driver, OLD, name="first")
    driver.stop("first")
    driver.exit("first/baseline/0")
    driver.exit("first/v/0")
    submit(driver, code, environment_kwargs=numbers, origin=begin)
    assert isinstance(driver.last.answer, c.Accepted), driver.last.answer
    driver.train(A)
    for step in range(20, 20 + KEPT_CHECKPOINTS):
        driver.checkpoint(A, step, pages=many, history=many)
    driver.crash(A)
    driver.now += 1.0
    driver.tell(Tick())
    (start,) = [each.order for each in driver.last.effects if isinstance(each, StartAttempt)]
    assert (len(start.checkpoints), start.code) == (KEPT_CHECKPOINTS, code)
    frame = encode(c.StartTrainer(order=start, public_key="p" * 40, secret_key="s" * 40))
    assert MAX_FRAME / 2 < len(frame) < MAX_FRAME - MAX_PATH_BYTES


def test_code_of_more_packages_than_an_order_can_name_is_refused():
    package = Package(name="p" * 160, version="1", sha256="0" * 64)
    code = Code(packages=(package,) * (1 + MAX_PACKAGE_BYTES // len(package.model_dump_json())))
    driver = DecisionDriver()
    submit(driver, code)
    assert "installed packages, whose names are over 256 KiB" in driver.last.answer.detail
    submit(driver, OLD, max_retries=0)
    driver.crash(A)
    driver.tell(c.RetryTarget(target=A, operator="me@here", code=code))
    assert isinstance(driver.last.answer, c.Refused)
