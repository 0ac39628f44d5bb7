"""The version of earfilt, and those of what it writes."""

__version__ = "0.2.0"

DESIGN = 1
"""Version of the designs: raised when the same settings come to mean other taps, beyond rounding.

It is part of what identifies a finished file, beside names, options and hashes.
"""

FORMAT = 1
"""Version of the JSON files that earfilt writes (``"earfilt": "fir"`` and others)."""
