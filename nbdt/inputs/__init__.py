"""What one sample is, and how samples become what a classifier takes."""

from nbdt.inputs.image import Preprocessing

__all__ = ["Preprocessing"]
