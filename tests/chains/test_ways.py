"""Ways from one reference point to another."""

import pytest

from earfilt.chains.members import resolve
from earfilt.chains.ways import name_of, point, preferred_way, ways
from earfilt.errors import UsageError


@pytest.mark.parametrize(
    ("start", "end", "chain"),
    [
        ("free-field", "eardrum", "iso532-free"),
        ("diffuse-field", "eardrum", "iso532-diffuse"),
        ("eardrum", "cochlea", "iso532-middle"),
        ("free-field", "cochlea", "iso532-free+iso532-middle"),
        ("free-field", "diffuse-field", "iso532-free+inverse:iso532-diffuse"),
        ("eardrum", "free-field", "inverse:iso532-free"),
        ("headphone", "eardrum", "headphone"),
        ("headphone", "stapes", "headphone+middle-ear:lopezpoveda2001"),
        ("free-field", "headphone", "iso532-free+inverse:headphone"),
        ("ear-canal-entrance", "cochlea", "p58-erp-to-drp+iso532-middle"),
    ],
)
def test_the_preferred_way(start: str, end: str, chain: str) -> None:
    way = preferred_way(point(start), point(end))
    assert name_of(way) == chain
    assert resolve(chain).members  # it joins


def test_all_ways() -> None:
    names = [name_of(way) for way in ways("free field", "cochlea")]
    assert names[0] == "iso532-free+iso532-middle"
    assert {"ecma418-free", "peaq", "iso11904-free+moore1997-middle"} <= set(names)
    assert len(set(names)) == len(names)
    back = [name_of(way) for way in ways("cochlea", "free field")]
    assert "inverse:peaq" in back
    for name in names[:3] + back[:3]:
        assert resolve(name).members


def test_points_that_are_none() -> None:
    with pytest.raises(UsageError, match="a reference point is 'brain'; allowed: 'free-field'"):
        point("brain")
