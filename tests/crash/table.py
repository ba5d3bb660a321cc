"""The proof's table in Markdown: what was tried in each campaign, and in each scenario of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.crash.tally import Tally

__all__ = ["as_markdown"]


def as_markdown(tallies: Sequence[Tally]) -> str:
    """Two tables: one row a campaign, and one row a scenario with a column for each campaign."""
    campaigns = list(dict.fromkeys(tally.campaign for tally in tallies))
    scenarios = list(dict.fromkeys(tally.scenario for tally in tallies))
    found = {(tally.campaign, tally.scenario): tally for tally in tallies}
    rows = [_summary(name, [one for one in tallies if one.campaign == name]) for name in campaigns]
    rows.append(_summary("all", tallies, mark="**"))
    cells = [
        [f"`{scenario}`", *(_cell(found.get((name, scenario))) for name in campaigns)]
        for scenario in scenarios
    ]
    heads = ["campaign", "scenarios", "points tried", "broken", "CPU seconds"]
    return "\n".join(
        [*_table(heads, rows), "", *_table(["", *(f"`{name}`" for name in campaigns)], cells)]
    )


def _summary(name: str, tallies: Sequence[Tally], *, mark: str = "`") -> list[str]:
    tried = sum(tally.tried for tally in tallies)
    points = sum(tally.points for tally in tallies)
    of_them = f"{tried:,}" if tried == points else f"{tried:,} of {points:,}"
    broken = sum(len(tally.broken) for tally in tallies)
    cpu_s = sum(tally.cpu_s for tally in tallies)
    scenarios = len({tally.scenario for tally in tallies})
    return [f"{mark}{name}{mark}", str(scenarios), of_them, str(broken), f"{cpu_s:,.0f}"]


def _cell(tally: Tally | None) -> str:
    if tally is None:
        return ""
    return f"{tally.tried:,}" + (f" ({len(tally.broken)} broken)" if tally.broken else "")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
