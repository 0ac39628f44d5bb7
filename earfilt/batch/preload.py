"""What the fork server imports before it forks, so that all workers have it at once and share its
memory.

Touching the loaded objects later would copy their pages, which collecting garbage does unless they
are frozen. The linear algebra behind numpy starts a thread a core when it is loaded; workers have
no use for them.
"""

import gc
import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = os.environ[
    "MKL_NUM_THREADS"
] = "1"
gc.disable()
import numpy.fft  # noqa: E402, F401

import earfilt.batch.run  # noqa: E402
import earfilt.chains.build  # noqa: E402
import earfilt.ears.kinds.documented  # noqa: E402
import earfilt.engine.pipeline  # noqa: E402
import earfilt.render.process  # noqa: E402
import earfilt.synthesis.within.exact  # noqa: E402, F401

gc.freeze()
gc.enable()
