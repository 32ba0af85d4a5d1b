"""Histories in, verdicts out."""

from harness.check.catalogue import MODELS, parse_model
from harness.check.linearizability import Linearizability, check
from harness.check.models import Model
from harness.check.witness import verify_witness

__all__ = ["MODELS", "Linearizability", "Model", "check", "parse_model", "verify_witness"]
