"""Which files are found, and under which names."""

import codecs
import glob
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from earfilt.audio.reader import probe
from earfilt.batch.search import Search, Selection, read_list
from earfilt.errors import AudioError, UsageError
from tests.batch.conftest import Tree
from tests.batch.trees import write_tone


def names(
    *inputs: str | Path, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()
) -> list[str]:
    return [found.name for found in Search(Selection(include, exclude)).inputs(map(str, inputs))]


def test_a_directory_is_mirrored_and_other_files_are_passed_over(tree: Tree) -> None:
    root = tree("b.wav", "a/c.flac", "a/d/e.WAV")
    (root / "notes.txt").write_text("no audio, though named beside it")
    (root / "._b.wav").write_bytes(b"what macOS leaves")
    search = Search(Selection())
    found = list(search.inputs([str(root)]))
    assert [file.name for file in found] == ["b.wav", "a/c.flac", "a/d/e.WAV"]
    assert [Path(file.source) for file in found] == [root / file.name for file in found]
    assert search.passed_over == 2
    assert not search.bad


def test_content_decides_where_the_name_says_nothing(tree: Tree) -> None:
    root = tree("recording.dat", "take1")
    assert names(root) == ["recording.dat", "take1"]


CHANCE = b"V_ A_ vide hdlr soun \x86\x85V_VP8" * 3
"""What may stand in compressed sound."""


def matroska(*kinds: int) -> bytes:
    """A live recording (of a length that was not known) with tracks of such kinds, and CHANCE."""
    tracks = b"".join(b"\xae\x86\xd7\x81\1\x83\x81" + bytes([kind]) for kind in kinds)
    unknown = b"\x01" + b"\xff" * 7
    head = b"\x1aE\xdf\xa3\x84\x42\x86\x81\1\x18\x53\x80\x67" + unknown
    tracks = b"\x16\x54\xae\x6b" + bytes([0x80 | len(tracks)]) + tracks
    return head + tracks + b"\x1f\x43\xb6\x75" + unknown + CHANCE


def box(name: bytes, *content: bytes) -> bytes:
    data = b"".join(content)
    return (8 + len(data)).to_bytes(4, "big") + name + data


def mp4(*kinds: bytes) -> bytes:
    """A film's container with tracks of such kinds, behind CHANCE."""
    tracks = [box(b"trak", box(b"mdia", box(b"hdlr", bytes(8), kind, bytes(12)))) for kind in kinds]
    texts = box(b"udta", CHANCE)
    moov = box(b"moov", texts, *tracks)
    return box(b"ftyp", b"isom", bytes(4)) + box(b"mdat", CHANCE) + moov


def asf(*kinds: str) -> bytes:
    """Windows Media with streams of such kinds."""
    streams = [
        bytes.fromhex("9107dcb7b7a9cf118ee600c00c205365" + "2800000000000000" + kind)
        for kind in kinds
    ]
    text = bytes.fromhex("33" * 16) + (24 + 16).to_bytes(8, "little") + bytes.fromhex(FILM)
    body = b"".join([text, *streams])
    head = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
    return head + (30 + len(body)).to_bytes(8, "little") + bytes(6) + body


SOUND, FILM = "409e69f84d5bcf11a8fd00805f5c442b", "c0ef19bc4d5bcf11a8fd00805f5c442b"
FOREIGN = {
    "browser.webm": matroska(2),
    "two.mkv": matroska(2, 2),
    "sound.mp4": mp4(b"soun"),
    "sound.asf": asf(SOUND),
    "memo.m4a": b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0\0\0\0\x08mdat",
    "memo": b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0\0\0\0\x08mdat",
    "a.ape": b"MAC \x96\x0f\0\0" + bytes(60),
    "a.wv": b"wvpk" + bytes(60),
    "a.bin": b"wvpk" + bytes(60),
    "a.dsf": b"DSD \x1c\0\0\0" + bytes(60),
    "a.dff": b"FRM8" + bytes(8) + b"DSD " + bytes(60),
    "a.tta": b"TTA1" + bytes(60),
    "a.amr": b"#!AMR\n" + bytes(60),
    "a.wma": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(60),
    "a.mka": b"\x1aE\xdf\xa3" + bytes(60),
    "a.aac": b"\xff\xf1\x50\x80\x01\x1f\xfc\0" * 20,
    "unknown.m4a": b"\1\2\3" * 20,
    "tagged.ape": b"ID3\4\0\0\0\0\0\x10" + bytes(16) + b"MAC " + bytes(60),
}
NO_SOUND = {
    "notes.ape": b"a text about monkeys\n" * 5,
    "tree.dts": b"/dts-v1/;\n" * 10,
    "film.webm": matroska(1, 2),
    "subtitles.mkv": matroska(17),
    "film.mp4": mp4(b"vide", b"soun"),
    "film.asf": asf(FILM, SOUND),
    "picture.png": b"\x89PNG\r\n\x1a\n" + bytes(60),
}


def test_sound_that_is_not_read_is_found_and_other_files_are_not(tmp_path: Path) -> None:
    for name, content in (FOREIGN | NO_SOUND).items():
        (tmp_path / name).write_bytes(content)
    search = Search(Selection())
    assert [file.name for file in search.inputs([str(tmp_path)])] == sorted(FOREIGN)
    assert search.passed_over == len(NO_SOUND)


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_sound_that_is_not_read_names_the_way_out(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(FOREIGN[name])
    with pytest.raises(AudioError, match=r"is not read; .*ffmpeg -i INPUT"):
        probe(str(path))


@pytest.mark.parametrize("name", ["take.mp3", "take.ogg", "take.sph", "take.voc", "take.8svx"])
def test_sound_without_an_extension_is_found_by_its_content(name: str, tmp_path: Path) -> None:
    kind = {
        "mp3": ("MP3", "MPEG_LAYER_III"),
        "ogg": ("OGG", "VORBIS"),
        "sph": ("NIST", "PCM_16"),
        "voc": ("VOC", "PCM_16"),
        "8svx": ("SVX", "PCM_S8"),
    }[name.partition(".")[2]]
    sf.write(tmp_path / name, np.sin(np.arange(9000) / 9), 16_000, kind[1], format=kind[0])
    (tmp_path / name).rename(tmp_path / "take")
    assert names(tmp_path) == ["take"]


@pytest.mark.parametrize(
    ("include", "exclude", "wanted"),
    [
        (("*.wav",), (), ["a.wav", "x/b.wav"]),
        ((), ("*.wav",), ["x/c.flac"]),
        ((), ("x",), ["a.wav"]),
        (("x/*",), (), ["x/b.wav", "x/c.flac"]),
        (("*.wav",), ("x/*",), ["a.wav"]),
    ],
)
def test_include_and_exclude(
    include: tuple[str, ...], exclude: tuple[str, ...], wanted: list[str], tree: Tree
) -> None:
    assert names(tree("a.wav", "x/b.wav", "x/c.flac"), include=include, exclude=exclude) == wanted


def test_globs_keep_what_follows_their_first_wildcard(tree: Tree) -> None:
    root = tree("one/a.wav", "two/a.wav", "two/deep/b.wav")
    (root / "three.txt").write_text("no audio, though the pattern takes it")
    assert names(f"{root}/*/a.wav") == ["one/a.wav", "two/a.wav"]
    assert names(f"{root}/**/*.wav") == ["one/a.wav", "two/a.wav", "two/deep/b.wav"]
    assert names(f"{root}/t*") == ["two/a.wav", "two/deep/b.wav"]


def test_a_file_with_wildcards_in_its_name_is_that_file(tree: Tree) -> None:
    root = tree("take[1].wav", "take1.wav")
    assert names(root / "take[1].wav") == ["take[1].wav"]


def test_bad_inputs_are_told_with_their_reasons(tree: Tree) -> None:
    root = tree("a.wav")
    (root / "folder.wav").mkdir()
    os.symlink("nowhere", root / "broken.wav")
    os.mkfifo(root / "pipe.wav")
    search = Search(Selection())
    list(search.inputs([str(root), str(root / "missing.wav"), f"{root}/*.ogg"]))
    reasons = {bad.name: bad.reason for bad in search.bad}
    assert "is a directory" in reasons["folder.wav"]
    assert "No such file" in reasons["broken.wav"]
    assert "neither a file" in reasons["pipe.wav"]
    assert "No such file" in reasons["missing.wav"]
    assert "no file matches" in reasons[f"{root}/*.ogg"]
    assert len(search.bad) == 5


def test_links_are_followed_but_not_in_circles(tree: Tree) -> None:
    root = tree("a/x.wav", "b/y.wav")
    os.symlink(root / "b", root / "a" / "to_b")
    os.symlink(root / "a", root / "b" / "to_a")
    assert names(root) == ["a/x.wav", "a/to_b/y.wav", "b/y.wav", "b/to_a/x.wav"]


def test_no_pattern_goes_in_circles(tree: Tree) -> None:
    root = tree("a.wav", "x/b.wav", "x/y/c.wav", ".hidden/d.wav")
    os.symlink("..", root / "x" / "up")
    os.symlink(root.parent, root / "above")
    os.symlink(root / "x", root / "x" / "y" / "back")
    os.symlink(root / ".hidden", root / "shown")
    every = ["a.wav", "shown/d.wav", "x/b.wav", "x/y/c.wav"]
    assert sorted(names(root)) == [".hidden/d.wav", *every]
    assert names(f"{root}/**/*.wav") == every
    assert names(f"{root}/**/**/*.wav") == every
    assert names(f"{root}/**") == every
    assert names(f"{root}/*/*.wav") == ["shown/d.wav", "x/b.wav"]
    assert names(f"{root}/x/**/*.wav") == ["b.wav", "y/c.wav"]


@pytest.mark.parametrize(
    "pattern",
    [
        "*",
        "*.wav",
        "**",
        "**/*",
        "*/",
        "*/*",
        "**/y/*.wav",
        "x/**/c.wav",
        "[ax]*",
        "x/?/*",
        "**/.*/*",
        "x/*/../*.wav",
        ".*/*",
    ],
)
def test_patterns_take_what_the_standard_library_takes(
    pattern: str, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree("a.wav", "x/b.wav", "x/y/c.wav", "y/d.wav", ".hidden/e.wav", "x/.f.wav"))
    if ".." in pattern:
        with pytest.raises(UsageError, match="after a wildcard"):
            names(pattern)
        return
    taken = glob.glob(pattern, recursive=True)
    files = {path for path in taken if os.path.isfile(path)}
    if "**" not in pattern:
        files |= {
            os.path.join(top, name)
            for path in taken
            if os.path.isdir(path)
            for top, _, under in os.walk(path)
            for name in under
        }
    base = "x/" if pattern.startswith("x/") else ""
    assert sorted(base + name for name in names(pattern)) == sorted(files)


def test_a_listed_path_leads_where_the_system_goes(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a link, '..' is not what stands before it."""
    monkeypatch.chdir(tree("a.wav"))
    other = tree("a.wav", "deep/b.wav", under="other")
    os.symlink(other / "deep", "link")
    (found,) = Search(Selection()).listed(["link/../a.wav"])
    assert os.path.samefile(found.source, other / "a.wav")
    assert found.name == "a.wav"


def test_listed_files_keep_relative_paths_or_those_below_their_common_directory(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree("a.wav", "x/b.wav", "x/y/c.wav")
    monkeypatch.chdir(root)

    def listed(*paths: str) -> list[str]:
        found = list(Search(Selection()).listed(paths))
        assert [os.path.realpath(file.source) for file in found] == [
            os.path.realpath(path) for path in paths
        ]
        return [file.name for file in found]

    assert listed("./a.wav", "x/b.wav") == ["a.wav", "x/b.wav"]
    assert listed(str(root / "x/b.wav"), str(root / "x/y/c.wav")) == ["b.wav", "y/c.wav"]
    monkeypatch.chdir(root / "x" / "y")
    # No name may lead out of the output directory.
    assert listed("../../a.wav", "../b.wav", "c.wav") == ["a.wav", "x/b.wav", "c.wav"]


@pytest.mark.parametrize("said", [".", "./", "./."])
@pytest.mark.parametrize(
    "selection", [Selection(), Selection(exclude=("x/*",)), Selection(include=("x/*",))]
)
def test_the_current_directory_gives_the_same_names_in_a_list_and_as_an_input(
    said: str, selection: Selection, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree("a.wav", "x/b.wav"))
    found = list(Search(selection).listed([said]))
    assert [file.name for file in found] == [file.name for file in Search(selection).inputs(["."])]
    assert all(os.path.isfile(file.source) for file in found)


@pytest.mark.parametrize(
    ("nul", "data"),
    [
        (False, b"a b.wav\nc.wav\r\n\n"),
        (True, b"a b.wav\0c.wav\0"),
        (True, b"\xef\xbb\xbfa b.wav\0c.wav"),
    ],
)
def test_lists(nul: bool, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(data)
    assert read_list(str(path), nul=nul) == ["a b.wav", "c.wav"]
    with pytest.raises(UsageError, match="cannot read the list"):
        read_list(str(tmp_path / "none"))


PATHS = ["l/a.wav", "l/\u00fc \u4e2d.wav"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lists_of_windows(encoding: str, end: str, tmp_path: Path) -> None:
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    (tmp_path / "list").write_bytes(mark + "".join(path + end for path in PATHS).encode(encoding))
    assert read_list(str(tmp_path / "list")) == PATHS


@pytest.mark.parametrize(
    "data", ["a.wav\n".encode("utf-16-le"), "a.wav\n".encode("utf-16")[:-1], b"a.wav\0b.wav\0"]
)
def test_lists_that_cannot_be_told_are_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(data)
    with pytest.raises(UsageError, match=r"list .*UTF"):
        read_list(str(tmp_path / "list"))


def test_odd_names_in_lists_are_taken_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    odd = ["\ufeffa.wav", '"b.wav"', "c\\d.wav", " e.wav ", "f.wav\r"]
    for name in odd:
        Path(name).touch()
    Path("list").write_text("".join(f"{name}\n" for name in odd), "utf-8", newline="")
    assert read_list("list") == odd
    Path("f.wav\r").unlink()
    assert read_list("list")[-1] == "f.wav"


def test_own_files_are_no_input(tmp_path: Path) -> None:
    write_tone(tmp_path / ".x.wav.earfilt-0123ab-99999-01234567.wav")
    (tmp_path / ".earfilt-manifest.jsonl").write_text("{}")
    search = Search(Selection())
    assert not list(search.inputs([str(tmp_path)]))
    assert search.passed_over == 0
