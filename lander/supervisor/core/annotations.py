"""What people have said about an experiment, as far as later commands depend on it."""

from dataclasses import dataclass, replace

from lander.protocol import events as e
from lander.protocol.annotations import tags_after

Annotating = e.ExperimentArchived | e.ExperimentUnarchived | e.TagsChanged | e.HypothesisAmended


@dataclass(frozen=True, slots=True)
class Annotations:
    """Whether the experiment is archived, its tags, and the amended wordings of its hypothesis, in order."""

    archived: bool = False
    tags: tuple[str, ...] = ()
    hypotheses: tuple[str, ...] = ()

    def after(self, event: Annotating | e.ExperimentResumed) -> "Annotations":
        """What holds after an event; an experiment that goes on is archived no more."""
        match event:
            case e.ExperimentArchived():
                return replace(self, archived=True)
            case e.ExperimentUnarchived() | e.ExperimentResumed():
                return replace(self, archived=False)
            case e.TagsChanged():
                return replace(self, tags=tags_after(self.tags, event.added, event.removed))
            case e.HypothesisAmended():
                return replace(self, hypotheses=(*self.hypotheses, event.hypothesis))

    def amended_to(self, hypothesis: str) -> bool:
        """Whether the hypothesis was amended to read so, at any time; line breaks do not count."""
        return hypothesis.split() in [amended.split() for amended in self.hypotheses]
