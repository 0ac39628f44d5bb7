"""What the fork server imports before it forks, so that all workers have it at once and share its memory.

Collecting garbage meanwhile would take a tenth of the time, and touching the loaded objects later would copy their pages.
OpenMP reads its setting when it is loaded; without it, idle threads of its pools spin, which costs more than the filtering.
"""

import gc
import os

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
gc.disable()
import earfilt.pipeline  # noqa: E402
import earfilt.process  # noqa: E402
import earfilt.spec  # noqa: E402, F401

gc.freeze()
gc.enable()
