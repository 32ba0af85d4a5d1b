"""The run's folder and the formats of histories."""

from harness.store.run import RunFolder, save_judgement

__all__ = ["RunFolder", "save_judgement"]
