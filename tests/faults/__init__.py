"""Faults injected into a tiny project on a real engine. `python -m tests.faults` prints the score."""

from tests.faults import application, data, description, engine, images, ports, refusals
from tests.faults.bench import FAULTS, Fault, Outcome, examine_all

__all__ = [
    "FAULTS",
    "Fault",
    "Outcome",
    "application",
    "data",
    "description",
    "engine",
    "examine_all",
    "images",
    "ports",
    "refusals",
]
