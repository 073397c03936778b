"""What to expect of a classifier on people that it was not trained on."""

from __future__ import annotations

from typing import Literal

from ssl_skel.config import Section


class Estimate(Section):
    """Measured by cross-validation: in each fold a classifier is trained like the final one, and predicts the rest.

    The final classifier is trained on all of these clips; the figures are those of such classifiers trained on fewer.
    """

    clips: int
    """With labels; all were held out once."""
    held_out: Literal["people", "recordings"]
    """What stays together in a fold. ``recordings`` where people are unknown, or there is only one: then the figures
    say nothing about new people."""
    groups: int
    """How many people, or recordings."""
    folds: int
    """How often a classifier was trained; one group per fold if the two numbers agree."""
    accuracy: float
    """Share of held-out clips whose class was right."""
    lowest: float
    """The same of the person, or recording, with the fewest right answers."""
    per_class: dict[str, float]
    """Class -> share of its held-out clips that were right."""
    threshold: float
    """Confidence below which the answer is "none of these": the probability of the most probable class times the cosine
    between the clip's features and the mean of that class."""
    kept: float
    """Share of right answers that are not below the threshold."""
    refused_wrong: float | None
    """Share of wrong answers below it; None: no answer was wrong."""
    refused_unseen: float | None
    """Share of clips below it that belong to a class which the classifier was not trained on, the mean over classes
    left out one at a time; None: there are fewer than three classes."""

    def sentence(self) -> str:
        """One line for people."""
        how = f"{self.folds} folds of {self.groups}" if self.folds < self.groups else f"{self.groups} folds"
        of = "people it was not trained on" if self.held_out == "people" else "recordings it was not trained on"
        one = "person" if self.held_out == "people" else "recording"
        caveat = "" if self.held_out == "people" else "; people are unknown, so new people may do worse"
        return f"{100 * self.accuracy:.1f} % on {of} ({how}; lowest {one} {100 * self.lowest:.1f} %){caveat}"
