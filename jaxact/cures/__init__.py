"""What makes a dead network learn: `repair` mends its parameters before training."""

from jaxact.cures.repairing import Repair, repair

__all__ = ["Repair", "repair"]
