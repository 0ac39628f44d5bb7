"""A preset for EasyEffects' output: its equaliser, or its convolver, which wants a stereo impulse
response.

References
----------
EasyEffects 7, presets in JSON: ``equalizer#0`` with bands of both sides (``APO (DR)`` is the
cookbook's filter, which EasyEffects chooses for files of EqualizerAPO), ``convolver#0``, whose
``kernel-name`` is the name of an imported impulse response without its extension.
"""

import json
from pathlib import PurePath
from typing import Any

from earfilt.ears.biquads import Band
from earfilt.errors import UsageError
from earfilt.files.presets.preset import Impulse, Preset
from earfilt.synthesis.biquads.sections import Sections

_WORDS = {"peaking": "Bell", "low-shelf": "Lo-shelf", "high-shelf": "Hi-shelf"}


def write(preset: Preset) -> str:
    """The text of a ``.json``."""
    name, plugin = _plugin(preset)
    plugin = {"bypass": False, "output-gain": 0.0, **plugin}
    output = {"blocklist": [], name: plugin, "plugins_order": [name]}
    return json.dumps({"output": output}, indent=4) + "\n"


def _plugin(preset: Preset) -> tuple[str, dict[str, Any]]:
    content = preset.content
    if isinstance(content, Impulse):
        kernel = PurePath(content.path).stem
        return "convolver#0", {
            "input-gain": 0.0,
            "autogain": False,
            "ir-width": 100,
            "kernel-name": kernel,
        }
    if not isinstance(content, Sections) or not content.bands:
        raise UsageError("EasyEffects takes peaking bands or a FIR")
    bands = {f"band{n}": _band(band) for n, band in enumerate(content.bands)}
    return "equalizer#0", {
        "input-gain": content.preamp_db,
        "mode": "IIR",
        "num-bands": len(bands),
        "split-channels": False,
        "left": bands,
        "right": bands,
    }


def _band(band: Band) -> dict[str, Any]:
    return {
        "type": _WORDS[band.kind],
        "mode": "APO (DR)",
        "frequency": band.hz,
        "gain": band.gain_db,
        "q": band.q,
        "slope": "x1",
        "mute": False,
        "solo": False,
    }
