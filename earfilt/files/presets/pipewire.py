"""A virtual sink for PipeWire, to be put into ``~/.config/pipewire/pipewire.conf.d``.

PipeWire's files are a superset of JSON, and this is JSON below one comment. PipeWire copies the
graph to every channel.

References
----------
PipeWire, libpipewire-module-filter-chain: ``bq_raw`` (coefficients b0 b1 b2 a0 a1 a2 for each
rate, with the signs of the transfer function), ``bq_peaking`` (the cookbook's), ``linear``,
``convolver``.
Shelves are written as ``bq_raw``: older versions leave their Q aside.
"""

import json
from itertools import pairwise
from typing import Any

from earfilt.errors import UsageError
from earfilt.files.presets.preset import Graphic, Impulse, Preset
from earfilt.synthesis.biquads.bands import sos_of
from earfilt.synthesis.biquads.sections import Sections

_NAMES = ("b0", "b1", "b2", "a0", "a1", "a2")


def write(preset: Preset) -> str:
    """The text of a ``.conf``."""
    nodes = _nodes(preset)
    name = preset.identifier
    arguments = {
        "node.description": preset.name,
        "media.name": preset.name,
        "filter.graph": {"nodes": nodes} | _joints(preset, nodes),
        "audio.channels": 2,
        "audio.position": ["FL", "FR"],
        "capture.props": {"node.name": f"effect_input.{name}", "media.class": "Audio/Sink"},
        "playback.props": {"node.name": f"effect_output.{name}", "node.passive": True},
    }
    module = {"name": "libpipewire-module-filter-chain", "args": arguments}
    text = json.dumps({"context.modules": [module]}, indent=2, ensure_ascii=False)
    return f"# {preset.comment}\n{text}\n"


def _joints(preset: Preset, nodes: list[dict[str, Any]]) -> dict[str, Any]:
    """Nodes in series, which PipeWire copies to every channel; of two ears one for each."""
    if isinstance(preset.content, Impulse) and preset.content.ears == 2:
        ends = {"inputs": "In", "outputs": "Out"}
        return {key: [f"{node['name']}:{end}" for node in nodes] for key, end in ends.items()}
    links = [
        {"output": f"{one['name']}:Out", "input": f"{other['name']}:In"}
        for one, other in pairwise(nodes)
    ]
    return {"links": links} if links else {}


def _nodes(preset: Preset) -> list[dict[str, Any]]:
    content = preset.content
    if isinstance(content, Graphic):
        raise UsageError("PipeWire takes sections, peaking bands or a FIR")
    if isinstance(content, Impulse):
        names = ("convolver",) if content.ears == 1 else ("left", "right")
        return [
            _node(name, "convolver", config={"filename": content.path, "channel": channel})
            for channel, name in enumerate(names)
        ]
    if content.bands:
        return _bands(content)
    return [
        _raw(f"section{n}", row, content.fs) for n, row in enumerate(content.sos.tolist(), start=1)
    ]


def _bands(sections: Sections) -> list[dict[str, Any]]:
    gain = 10.0 ** (sections.preamp_db / 20.0)
    nodes = [_node("preamp", "linear", control={"Mult": gain, "Add": 0.0})]
    for n, band in enumerate(sections.bands, start=1):
        name = f"band{n}"
        if band.kind == "peaking":
            control = {"Freq": band.hz, "Q": band.q, "Gain": band.gain_db}
            nodes.append(_node(name, "bq_peaking", control=control))
        else:
            row = sos_of((band,), 0.0, sections.fs)[0].tolist()
            nodes.append(_raw(name, row, sections.fs))
    return nodes


def _raw(name: str, row: list[float], fs: float) -> dict[str, Any]:
    rate = int(fs) if fs == int(fs) else fs
    values = {"rate": rate, **dict(zip(_NAMES, row, strict=True))}
    return _node(name, "bq_raw", config={"coefficients": [values]})


def _node(name: str, label: str, **more: dict[str, Any]) -> dict[str, Any]:
    return {"type": "builtin", "name": name, "label": label, **more}
