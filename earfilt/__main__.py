"""``python -m earfilt``: the command line.

The package has taken the current directory out of the import path by now. What Python itself loads
before the package it may still find there, so that the program ``earfilt`` or
``python -P -m earfilt`` are to be preferred.
"""

from earfilt.cli import program

if __name__ == "__main__":
    program()
