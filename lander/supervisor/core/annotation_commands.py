"""Commands about a whole experiment that change no bit of it: archive, note, tag, amend the hypothesis.

Each is recorded with its operator and has no other consequence; if it changes nothing, nothing is recorded. The answer says in
words what holds now.
"""

import shlex

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.annotations import MAX_TAGS, tags_after
from lander.protocol.errors import ConflictError, UsageError
from lander.protocol.text import NAME_CHARACTERS, printable
from lander.supervisor.core.decision import Decision


def archive(decision: Decision, message: c.ArchiveExperiment) -> None:
    """Leave an experiment out of overviews; raises `ConflictError` while it is under way."""
    name, standing = message.experiment, decision.standing(message.experiment)
    if standing.under_way:
        raise ConflictError(f"{name}: is under way, and only what has ended is archived; lander-ctl stop {name} ends it")
    if standing.annotations.archived:
        _answer(decision, name, "already archived")
        return
    decision.say(name, e.ExperimentArchived(operator=message.operator))
    _answer(decision, name, "archived")


def unarchive(decision: Decision, message: c.UnarchiveExperiment) -> None:
    """Show an experiment in overviews again."""
    if not decision.standing(message.experiment).annotations.archived:
        _answer(decision, message.experiment, "is not archived")
        return
    decision.say(message.experiment, e.ExperimentUnarchived(operator=message.operator))
    _answer(decision, message.experiment, "out of the archive")


def add_note(decision: Decision, message: c.AddNote) -> None:
    """Write something down about an experiment; the same note twice is two notes."""
    decision.standing(message.experiment)
    decision.say(message.experiment, e.NoteAdded(text=message.text, operator=message.operator))
    _answer(decision, message.experiment, "noted")


def change_tags(decision: Decision, message: c.ChangeTags) -> None:
    """Add and remove tags; raises `UsageError` for a tag to remove that the experiment does not have, and for too many."""
    name, before = message.experiment, decision.standing(message.experiment).annotations.tags
    if both := [tag for tag in message.add if tag in message.remove]:
        raise UsageError(f"{name}: {both[0]} cannot be added and removed at once")
    if missing := [tag for tag in message.remove if tag not in before]:
        raise UsageError(f"{name}: has no tag {missing[0]}; {_in_words(before)}")
    after = tags_after(before, message.add, message.remove)
    if len(after) > MAX_TAGS:
        raise UsageError(f"{name}: would have {len(after)} tags; must be at most {MAX_TAGS}")
    if after != before:
        added = tuple(tag for tag in after if tag not in before)
        decision.say(name, e.TagsChanged(added=added, removed=tuple(dict.fromkeys(message.remove)), operator=message.operator))
    _answer(decision, name, _in_words(after))


def amend_hypothesis(decision: Decision, message: c.AmendHypothesis) -> None:
    """Word an experiment's hypothesis otherwise, on record."""
    name, standing = message.experiment, decision.standing(message.experiment)
    now = (standing.experiment.hypothesis, *standing.annotations.hypotheses)[-1]
    if message.hypothesis == now:
        _answer(decision, name, "the hypothesis reads so already")
        return
    decision.say(name, e.HypothesisAmended(hypothesis=message.hypothesis, operator=message.operator))
    _answer(decision, name, "hypothesis amended")


def how_to_amend(name: str, hypothesis: str) -> str:
    """The refusal of a submission that differs from the experiment of this id in its hypothesis alone."""
    text = " ".join(hypothesis.split())
    shown = shlex.quote(text) if len(text) <= NAME_CHARACTERS and printable(text) == text else "TEXT"
    return (
        f"{name}: an experiment with this id exists and differs in its hypothesis alone;"
        f" lander-ctl hypothesis {name} {shown} amends it, on record; else choose another --experiment-id"
    )


def _answer(decision: Decision, name: str, detail: str) -> None:
    decision.answer = c.Accepted(subject=name, detail=detail)


def _in_words(tags: tuple[str, ...]) -> str:
    return f"its tags are {', '.join(tags)}" if tags else "it has no tags"
