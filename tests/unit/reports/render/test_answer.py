"""The answer on several variants: one sentence, one instruction and a table, with the words and the numbers of the verdicts."""

import json
import re
from dataclasses import replace

import pytest

from lander.reports.analysis.findings import Estimate, Findings
from lander.reports.render.answer import NEXT, answer
from lander.reports.render.notebook import findings_html
from lander.reports.render.text_report import as_json, as_text
from lander.reports.render.verdict import verdict
from tests.unit.reports.render.test_verdict import arm, contrast

UNDECIDED = {"decision": "undecided", "p_value": 0.2, "p_adjusted": 0.4}
DOWN = {"difference": Estimate(value=-20.0, low=-30.0, high=-10.0), "decision": "refuted", "better": 0}


def found(contrasts, *, state="completed", arms=None, **more):
    """The findings of a baseline and of variants a, b, c …, one for each of these contrasts (None: it has none)."""
    names = [chr(ord("a") + index) for index in range(len(contrasts))]
    made = [arm(name, 5 if each is not None else 0, []) for name, each in zip(names, contrasts, strict=True)]
    changed = {name: replace(each, **(arms or {}).get(name, {})) for name, each in zip(names, made, strict=True)}
    fields = {"experiment": "demo", "hypothesis": "More", "state": state, "position": 1, "measure": "evaluation"}
    return Findings(
        **fields,
        threshold=None,
        arms=((arms or {}).get("baseline", arm("baseline", 5, [])), *changed.values()),
        contrasts=tuple(contrast(name, **each) for name, each in zip(names, contrasts, strict=True) if each is not None),
        caveats=(),
        **more,
    )


def test_one_variant_is_answered_as_directly_as_ever():
    findings = found([{}])
    assert answer(findings).sentence == verdict(findings)[0]
    assert answer(findings).rows == ()
    assert answer(findings).next_step == ""
    assert answer(found([])) is None


def test_five_variants_have_one_sentence_one_instruction_and_a_row_each():
    several = found([{}, DOWN, UNDECIDED | {"more_seeds": 40}, UNDECIDED | {"more_seeds": 7}, UNDECIDED])
    said = answer(several)
    assert said.sentence == (
        "1 of 5 variants is supported, 1 is refuted and 3 are undecided: a returned more than baseline in evaluation, and b"
        " returned less."
    )
    assert said.next_step == (
        "lander-ctl run demo --seeds +7 adds 7; about so many would decide d with 80 % probability, if"
        " difference and spread are what they seem."
    )
    assert [(row.variant, row.decision) for row in said.rows] == [
        *(("a", "supported"), ("b", "refuted")),
        *((name, "undecided") for name in "cde"),
    ]
    assert [row.note for row in said.rows] == [
        *("", "", "about 40 more seeds would decide", "about 7 more seeds would decide"),
        "200 more seeds would probably not decide",
    ]
    text = as_text(several)
    assert text.count(NEXT) == text.count("lander-ctl") == 1


def test_a_row_has_the_numbers_of_the_paragraph():
    """What the text of a verdict says in numbers, its row says, too, with the same digits."""
    kinds = [{}, DOWN, UNDECIDED | {"more_seeds": 7}, {"paired": False, "test": "Welch's t-test", "better": None}]
    for paragraph, row in zip(verdict(found(kinds)), answer(found(kinds)).rows, strict=True):
        shown = " ".join(row)
        numbers = re.findall(r"−?\d+(?:\.\d+)?", paragraph.partition(" (lander-ctl")[0].replace("80 %", ""))
        assert [number for number in numbers if number not in shown and number != "95"] == []


@pytest.mark.parametrize(
    ("contrasts", "more", "decision", "next_step"),
    [
        ([{}, {}], {}, "Both variants are supported", ""),
        ([UNDECIDED] * 3, {"state": "running"}, "All 3 variants are undecided so far", "wait until every run is over"),
        ([UNDECIDED] * 2, {"state": "stopped"}, "Both variants are undecided so far", "lander-ctl resume demo goes on;"),
        ([None, None], {}, "Both variants are undecided", ""),
        ([UNDECIDED] * 2, {}, "Both variants are undecided", "nothing with seeds, even 200 more"),
    ],
)
def test_what_to_do_next_is_one_thing(contrasts, more, decision, next_step):
    unfinished = {"a": {"runs": arm("a", 4, ["paused"]).runs}} if "so far" in decision else {}
    said = answer(found(contrasts, arms=unfinished, **more))
    assert said.decision == decision
    assert said.next_step.startswith(next_step)
    assert bool(said.next_step) is bool(next_step)


def test_what_cannot_be_compared_says_why_and_shows_no_number():
    hidden = UNDECIDED | {"withheld": "environments", "p_adjusted": None}
    elsewhere = {"a": {"environment": "Acrobot-v1", "obstacle": "environments"}}
    said = answer(found([hidden, {}], arms=elsewhere))
    assert said.rows[0] == ("a", "undecided", *["–"] * 6, "plays Acrobot-v1, and baseline plays CartPole-v1")
    assert said.next_step.startswith("in a new experiment, evaluation_environment: NAME")
    longer = {"a": {"training_steps": 2000, "obstacle": "budgets"}}
    said = answer(found([UNDECIDED | {"withheld": "budgets"}, {}], arms=longer))
    assert said.rows[0].note == "trained for 2,000 steps, and baseline for 1,000: a difference may come from the budget alone"
    assert said.rows[0].p_value == "0.200"


def test_of_several_things_to_do_only_the_first_is_told():
    """More seeds for one, another question for the other: the instruction is for the one that this experiment can decide."""
    hidden = UNDECIDED | {"withheld": "environments", "p_adjusted": None}
    elsewhere = {"a": {"environment": "Acrobot-v1", "obstacle": "environments"}}
    said = answer(found([hidden, UNDECIDED | {"more_seeds": 7}], arms=elsewhere))
    assert said.next_step.startswith("lander-ctl run demo --seeds +7 adds 7; about so many would decide b")
    assert "evaluation_environment" not in said.next_step


def test_runs_that_came_to_nothing_are_named_and_tried_again_first():
    lost = arm("b", 4, ["failed"])
    withheld = UNDECIDED | {"withheld": "failures", "more_seeds": 3}
    several = found(
        [UNDECIDED | {"more_seeds": 9}, withheld], arms={"b": {"runs": lost.runs}, "baseline": arm("baseline", 4, ["failed"])}
    )
    said = answer(several)
    assert said.words.endswith("than baseline in evaluation; 1 of 5 runs of baseline came to nothing.")
    assert said.rows[1].note == (
        "decided by the completed runs, but not if the others had returned the least of all; 1 of 5 runs came to nothing"
    )
    assert said.next_step == "mend the cause of the runs that came to nothing; lander-ctl retry demo tries them again."
    runs = tuple(replace(each, cause="environment_error") for each in lost.runs)
    said = answer(found([withheld, {}], arms={"a": {"runs": runs}}))
    assert said.next_step.startswith(
        "mend the cause of the runs that came to nothing; lander-ctl retry demo --new-code begins them anew; if that changes"
    )


def test_many_names_are_not_all_in_the_sentence():
    said = answer(found([{}] * 8 + [DOWN]))
    assert said.words.startswith("a, b, c, d, e and 3 more returned more than baseline in evaluation, and i returned less.")


# --- in a terminal ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [50, 80, 160])
def test_no_line_is_longer_than_the_terminal_and_no_word_is_broken(width):
    names = ["x" * 64, "y-" * 32]
    several = replace(found([UNDECIDED | {"more_seeds": 7}, DOWN]), caveats=("a caveat of several words " * 5,))
    arms = [replace(each, name=name) for each, name in zip(several.arms[1:], names, strict=True)]
    contrasts = [replace(each, variant=name) for each, name in zip(several.contrasts, names, strict=True)]
    long = replace(several, arms=(several.arms[0], *arms), contrasts=tuple(contrasts))
    for findings in (several, long):
        lines = as_text(findings, width=width).splitlines()
        command = "lander-ctl run demo --seeds +7"
        assert sum(command in line for line in lines) == 1
        unbreakable = (command, *names)
        assert [line for line in lines if len(line) > width and not any(word in line for word in unbreakable)] == []
    shown = "".join(as_text(long, width=width).split())
    assert all("".join(name.split("-")) in shown.replace("-", "") for name in names)


def test_a_table_that_does_not_fit_goes_on_below_with_every_number():
    several = found([{}, DOWN, UNDECIDED | {"more_seeds": 7}])
    wide, narrow = as_text(several), as_text(several, width=50)
    assert set(wide.split()) == set(narrow.split())


def test_a_notebook_answers_as_the_terminal_does():
    several = found([{}, DOWN, UNDECIDED | {"more_seeds": 7}])
    html, said = findings_html(several), answer(several)
    assert html.count(NEXT) == html.count("lander-ctl run") == 1
    assert all(f">{cell}</td>" in html for row in said.rows for cell in (row.decision, row.difference, row.p_adjusted))


def test_json_has_the_sentences_on_each_variant():
    several = found([{}, DOWN])
    written = json.loads(as_json(several))
    assert written["verdict"] == verdict(several)
    assert written["other_tries"] == {"experiments": 0, "variants": 0, "unknown": 0}
