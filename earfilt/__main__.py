"""``python -m earfilt``: the command line.

Python puts the current directory in front of its import path for ``-m``, where files of strangers
may lie. It is taken out again before anything else is imported; what Python itself loads before
this line it may still find there, so that the program ``earfilt`` or ``python -P -m earfilt`` are
to be preferred.
"""

import sys

if not sys.flags.safe_path:
    del sys.path[0]

from earfilt.cli import program

if __name__ == "__main__":
    program()
