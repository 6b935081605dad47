"""Print what was measured: a table for people, or the same as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime

from tests.bench.measure import Figure


def heading(rounds: int) -> str:
    load = os.getloadavg()[0]
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {load:.1f}, "
        f"Python {platform.python_version()}; medians of {rounds}, in seconds"
    )


def table(part: str, figures: Iterable[Figure]) -> str:
    """Return one part's figures: median and range by candidate, and the ratios beside their aims."""
    lines = ["", part]
    for figure in figures:
        shown = "   ".join(
            f"{name} {figure.median(name):.3f} ({min(seconds):.3f}–{max(seconds):.3f})"
            for name, seconds in figure.samples.items()
        )
        lines.append(f"  {figure.what:<34} {shown}")
        lines += [f"  {'':<34} → {text}" for text in ratios(figure)]
    return "\n".join(lines)


def ratios(figure: Figure) -> list[str]:
    """Return each aim as a sentence, and scaffold's ratio to every other candidate that has none."""
    found = []
    aimed = {aim.against for aim in figure.aims if aim.of == "scaffold"}
    for aim in figure.aims:
        ratio = figure.ratio(aim)
        verdict = "reached" if ratio <= aim.limit else "MISSED"
        found.append(f"{ratio:.2f} of {aim.against}, aim ≤ {aim.limit:.2f}: {verdict}")
    if "scaffold" in figure.samples:
        found += [
            f"{figure.median('scaffold') / figure.median(name):.2f} of {name}"
            for name in figure.samples
            if name != "scaffold" and name not in aimed
        ]
    return found


def document(parts: dict[str, tuple[Figure, ...]], rounds: int) -> str:
    return json.dumps(
        {
            "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "cores": os.cpu_count(),
            "rounds": rounds,
            "parts": {
                part: [
                    {
                        "what": figure.what,
                        "seconds": {name: list(seconds) for name, seconds in figure.samples.items()},
                        "medians": {name: figure.median(name) for name in figure.samples},
                        "aims": [
                            {
                                "of": aim.of,
                                "against": aim.against,
                                "limit": aim.limit,
                                "ratio": figure.ratio(aim),
                            }
                            for aim in figure.aims
                        ],
                    }
                    for figure in figures
                ]
                for part, figures in parts.items()
            },
        },
        indent=2,
    )
