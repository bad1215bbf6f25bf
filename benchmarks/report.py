"""Figures and the bound each must keep."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value with its bound; ``at_least`` says on which side of it the value must be."""

    name: str
    value: float
    bound: float
    unit: str = ""
    at_least: bool = False

    @property
    def holds(self) -> bool:
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of ``values`` lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def table(figures: Sequence[Figure]) -> str:
    """One line a figure."""
    wide = max(len(figure.name) for figure in figures)
    lines = []
    for figure in figures:
        sign = "≥" if figure.at_least else "≤"
        mark = "ok  " if figure.holds else "MISS"
        lines.append(f"{mark} {figure.name:<{wide}}  {figure.value:10.3f} {figure.unit:<3} {sign} {figure.bound:g}")
    return "\n".join(lines)
