"""The whole toolkit once, on real data: a network learns digits and becomes a readable tree."""

from nbdt.demo.result import DemoResult, ExplainedDigit
from nbdt.demo.steps import DEFAULT_OUTPUT, run
from nbdt.demo.training import training_progress

__all__ = ["DEFAULT_OUTPUT", "DemoResult", "ExplainedDigit", "run", "training_progress"]
