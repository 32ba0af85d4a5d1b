"""Histories in, verdicts out."""

from harness.check.catalogue import MODELS, parse_model
from harness.check.linearizability import Linearizability, check
from harness.check.models import Action, Choice, Kind, Model, Refused, Shape, State
from harness.check.witness import verify_witness

__all__ = [
    "MODELS",
    "Action",
    "Choice",
    "Kind",
    "Linearizability",
    "Model",
    "Refused",
    "Shape",
    "State",
    "check",
    "parse_model",
    "verify_witness",
]
