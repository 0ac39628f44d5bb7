"""The version of earfilt, and those of what it writes."""

__version__ = "0.2.0"

DESIGN = 1
"""Version of the designs: raised when the same settings come to mean other taps, beyond rounding.

It is part of what identifies a finished file, beside names, options and hashes.
"""

READING = 2
"""Version of what files of directions, and FIR files that are not as they were written, are read as:
raised when the same bytes come to mean other taps or another look-ahead. It is part of what
identifies a finished file, where it was filtered through such a file.
"""

FORMAT = 1
"""Version of the JSON files that earfilt writes (``"earfilt": "fir"`` and others)."""
