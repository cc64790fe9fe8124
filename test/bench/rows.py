"""What scenarios hand back: rows of the table, and points of the charts."""

import dataclasses
import statistics


@dataclasses.dataclass(frozen=True)
class Goal:
    """At most, or at least, so much."""
    relation: str  # "≤" or "≥"
    limit: float

    def met(self, value):
        return value <= self.limit if self.relation == "≤" else value >= self.limit

    def missed_by(self, value):
        return abs(value / self.limit - 1)


def at_most(limit):
    return Goal("≤", limit)


def at_least(limit):
    return Goal("≥", limit)


@dataclasses.dataclass
class Row:
    """One line of the table. `values` has one for each round; what counts is their median."""
    scenario: str
    what: str      # what kombo_sync did, and what it is compared with
    size: str
    values: list
    goal: Goal = None
    unit: str = ""  # "" is a ratio
    ours: list = ()    # the two sides of a ratio, a value a round each, in seconds unless `sides` says otherwise
    theirs: list = ()
    sides: str = "s"

    @property
    def value(self):
        return statistics.median(self.values)

    @property
    def met(self):
        return self.goal is None or self.goal.met(self.value)


@dataclasses.dataclass(frozen=True)
class Point:
    chart: str
    series: str
    x: float
    y: float


def ratios(above, below):
    """A ratio for each round."""
    return [a / b for a, b in zip(above, below, strict=True)]


def figure(value):
    """Three digits that count, without an exponent."""
    if value == 0:
        return "0"
    digits = 2
    size = abs(value)
    while size >= 10 and digits > 0:
        size /= 10
        digits -= 1
    while size < 1 and digits < 5:
        size *= 10
        digits += 1
    return f"{value:,.{digits}f}"
