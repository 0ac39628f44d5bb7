"""Pipes, signals, memory: one file as a process of its own."""

import io
import os
import shlex
import signal
import subprocess
import sys
import time
from threading import Condition, Thread

import numpy as np
import pytest
import scipy.signal
import soundfile

from earfilt.audio.containers import wav
from earfilt.audio.formats import Target
from earfilt.audio.reader import open_reader
from earfilt.chains.members import resolve
from earfilt.render.process import FileJob, filter_file
from earfilt.storage.output import is_temporary
from tests.audio.foreign import chunk, run, sox_file, wav_bytes
from tests.tools import need, single_threaded

EARFILT = [sys.executable, "-c", "from earfilt.cli import main; main()"]
CODES = np.random.default_rng(2).integers(-3000, 3000, (30_000, 2)).astype(np.int16)


@pytest.fixture
def one(tmp_path):
    """The FIR that changes nothing."""
    np.save(tmp_path / "one.npy", np.array([1.0]))
    return str(tmp_path / "one.npy")


def shell(line: str, cwd) -> subprocess.CompletedProcess:
    """Run a line in which EARFILT stands for the program."""
    line = line.replace("EARFILT", shlex.join(EARFILT))
    return subprocess.run(
        ["bash", "-c", "set -o pipefail; " + line],
        cwd=cwd,
        env=single_threaded(),
        capture_output=True,
        check=False,
    )


def codes(path) -> np.ndarray:
    return soundfile.read(path, dtype="int16", always_2d=True)[0]


@pytest.mark.parametrize(
    ("extension", "container", "subtype"),
    [
        ("wav", "WAV", "PCM_16"),
        ("wav", "WAVEX", "PCM_24"),
        ("rf64", "RF64", "PCM_16"),
        ("flac", "FLAC", "PCM_16"),
    ],
)
def test_a_file_through_two_pipes_is_the_file(tmp_path, one, extension, container, subtype):
    soundfile.write(tmp_path / f"a.{extension}", CODES, 8000, subtype=subtype, format=container)
    done = shell(f"cat a.{extension} | EARFILT apply - - -f one.npy -q | cat > b.wav", tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    info = soundfile.info(tmp_path / "b.wav")
    assert info.format in ("WAV", "WAVEX")
    assert info.subtype == subtype
    np.testing.assert_array_equal(codes(tmp_path / "b.wav"), CODES)
    if extension == "wav":
        # Nothing had to be guessed: the header says the true length, and the bytes are those of
        # file to file.
        shell("EARFILT apply a.wav c.wav -f one.npy", tmp_path)
        assert (tmp_path / "b.wav").read_bytes() == (tmp_path / "c.wav").read_bytes()


def test_streams_of_other_programs_whose_headers_do_not_know_the_length(tmp_path, one):
    (tmp_path / "a.wav").write_bytes(wav_bytes(CODES))
    streams = {
        "ffmpeg": f"{need('ffmpeg')} -v error -i a.wav -f wav -",
        "sox": f"{need('sox')} a.wav -t wav - 2>/dev/null",
        "flac": f"{need('flac')} -s -c - < a.wav 2>/dev/null | cat",
    }
    for name, command in streams.items():
        done = shell(f"{command} | EARFILT apply - - -f one.npy -q | cat > {name}.wav", tmp_path)
        assert (done.returncode, done.stderr) == (0, b""), name
        np.testing.assert_array_equal(codes(tmp_path / f"{name}.wav"), CODES)
    # What comes out can be taken in again, by others and by ourselves.
    raw = run(need("ffmpeg"), "-v", "quiet", "-i", tmp_path / "flac.wav", "-f", "s16le", "-")
    np.testing.assert_array_equal(np.frombuffer(raw, "<i2").reshape(-1, 2), CODES)
    shell("cat sox.wav | EARFILT apply - again.wav -f one.npy -q", tmp_path)
    np.testing.assert_array_equal(codes(tmp_path / "again.wav"), CODES)
    assert (tmp_path / "again.wav").read_bytes()[4:8] != b"\xff\xff\xff\xff"


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_bogus_lengths_on_a_pipe(tmp_path, one, size):
    fifo, out = tmp_path / "fifo", tmp_path / "b.wav"
    os.mkfifo(fifo)
    data = wav_bytes(CODES, data_size=size, size=min(size + 36, 0xFFFFFFFF))
    feeder = Thread(target=fifo.write_bytes, args=(data,))
    feeder.start()
    filter_file(FileJob(str(fifo), str(out), "a", resolve(one)))
    feeder.join()
    np.testing.assert_array_equal(codes(out), CODES)


def test_a_flac_on_the_standard_output_is_whole(tmp_path, one):
    (tmp_path / "a.wav").write_bytes(wav_bytes(CODES))
    done = shell(
        "cat a.wav | EARFILT apply - - -f one.npy --format flac -q | cat > b.flac", tmp_path
    )
    assert (done.returncode, done.stderr) == (0, b"")
    run(need("flac"), "-t", "-s", tmp_path / "b.flac")
    assert soundfile.info(tmp_path / "b.flac").frames == len(CODES)


def test_rescaling_needs_two_passes_also_of_a_pipe(tmp_path, one):
    (tmp_path / "a.wav").write_bytes(wav_bytes(CODES))
    done = shell(
        "cat a.wav | EARFILT apply - - -f one.npy --gain 40 --clip rescale -q | cat > b.wav",
        tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert np.abs(codes(tmp_path / "b.wav").astype(int)).max() in (32_766, 32_767)


@pytest.mark.parametrize("output", ["- ", "- --to-raw ", "/dev/stdout "])
def test_what_would_clip_does_not_reach_a_pipe(tmp_path, one, output):
    (tmp_path / "a.wav").write_bytes(wav_bytes(np.tile(CODES, (6, 1))))
    line = f"EARFILT apply a.wav {output} -f one.npy --clip error -q"
    done = shell(f"{line} --gain 40 | cat", tmp_path)
    assert done.stdout == b""
    assert b"samples would be clipped" in done.stderr
    done = shell(f"{line} --gain -6 | cat", tmp_path)
    assert (len(done.stdout) > 700_000, done.stderr) == (True, b"")


FEED = """
import os, subprocess, sys, time
ours, theirs = os.pipe()
os.set_blocking(ours, False)
process = subprocess.Popen(sys.argv[2:], stdin=ours)
data = sys.stdin.buffer.read()
size = int(sys.argv[1])
for piece in (data[:size], data[size:]):
    time.sleep(0.3)
    view = memoryview(piece)
    while view:
        view = view[os.write(theirs, view) :]
os.close(theirs)
os.close(ours)
sys.exit(process.wait())
"""


@pytest.mark.parametrize("length", ["stated", "open", "raw"])
@pytest.mark.parametrize("size", [0, 20, 60_000])
def test_a_pause_of_a_pipe_that_does_not_wait_is_no_end(tmp_path, one, length, size):
    """Whoever shares a pipe may set it so; the pause comes first, in the header, or in the samples."""
    data = bytearray(wav_bytes(CODES))
    if length == "open":
        data[4:8] = data[40:44] = b"\xff" * 4
    if length == "raw":
        data = data[44:]
    (tmp_path / "feed.py").write_text(FEED)
    (tmp_path / "a").write_bytes(data)
    raw = "--raw s16le --rate 48000 --channels 2" if length == "raw" else ""
    feed = f"{sys.executable} feed.py {size}"
    done = shell(f"cat a | {feed} EARFILT apply - b.wav -q -f {one} {raw}", tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    np.testing.assert_array_equal(codes(tmp_path / "b.wav"), CODES)


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link.wav"])
def test_the_standard_output_is_itself_under_every_name(tmp_path, one, name):
    (tmp_path / "link.wav").symlink_to("/proc/self/fd/1")
    (tmp_path / "a.wav").write_bytes(wav_bytes(CODES))
    for force in ("", "--force"):
        done = shell(f"EARFILT apply a.wav {name} -q -f {one} {force} > b.wav", tmp_path)
        assert (done.returncode, done.stderr) == (0, b"")
        np.testing.assert_array_equal(codes(tmp_path / "b.wav"), CODES)
        (tmp_path / "b.wav").unlink()
    assert (tmp_path / "link.wav").is_symlink()


def test_the_standard_input_is_itself_under_every_name(tmp_path, one):
    (tmp_path / "a.wav").write_bytes(wav_bytes(CODES))
    for name in ("/dev/stdin", "/dev/fd/0"):
        done = shell(f"EARFILT apply {name} b.wav -q -f {one} --force < a.wav", tmp_path)
        assert (done.returncode, done.stderr) == (0, b"")
        np.testing.assert_array_equal(codes(tmp_path / "b.wav"), CODES)


def test_a_closed_pipe_ends_quietly(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav_bytes(np.tile(CODES, (40, 1))))
    done = shell("EARFILT apply a.wav - -f headphone -q | head -c 100 | wc -c", tmp_path)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, b"100", b"")


def test_a_pipe_cut_short_is_an_error_and_repaired_on_request(tmp_path, one):
    (tmp_path / "a.wav").write_bytes(wav_bytes(CODES)[:60_044])
    done = shell("cat a.wav | EARFILT apply - b.wav -f one.npy", tmp_path)
    assert done.returncode == 1
    assert (
        b"standard input is cut short: its header promises 30000 frames, 15000 are there"
        in done.stderr
    )
    assert not (tmp_path / "b.wav").exists()
    done = shell("cat a.wav | EARFILT apply - - -f one.npy --repair | cat > b.wav", tmp_path)
    assert done.returncode == 0
    assert b"15000 frames were there" in done.stderr
    np.testing.assert_array_equal(codes(tmp_path / "b.wav"), CODES[:15_000])


def test_an_empty_pipe_and_one_without_audio_are_errors(tmp_path, one):
    for command in ("true", "echo hello"):
        done = shell(f"{command} | EARFILT apply - b.wav -f one.npy", tmp_path)
        assert done.returncode == 1
        assert b"standard input" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert os.listdir(tmp_path) == ["one.npy"]


def test_chunks_behind_the_samples_of_a_pipe_reach_a_file(tmp_path, one):
    (tmp_path / "a.wav").write_bytes(wav_bytes(CODES, after=chunk(b"smpl", bytes(36))))
    shell("cat a.wav | EARFILT apply - b.wav -f one.npy -q", tmp_path)
    assert (tmp_path / "b.wav").read_bytes() == (tmp_path / "a.wav").read_bytes()


@pytest.mark.parametrize(
    "line",
    [
        "EARFILT apply a.wav - -f one.npy >> a.wav",
        "EARFILT apply - a.wav -f one.npy --force < a.wav",
    ],
)
def test_the_input_is_recognised_behind_a_redirection(tmp_path, one, line):
    (tmp_path / "a.wav").write_bytes(wav_bytes(CODES))
    done = shell(line, tmp_path)
    assert done.returncode == 2
    assert b"is the input itself" in done.stderr
    assert b"--in-place" not in done.stderr  # which takes no -
    assert (tmp_path / "a.wav").read_bytes() == wav_bytes(CODES)


# Killed.


def long_wav(path, frames: int) -> None:
    """Silence that takes no room on the disk."""
    target = Target("WAV", "PCM_16", 48_000, 2)
    head = wav.header(target, frames * 4, (), 0, room=False)
    path.write_bytes(head)
    os.truncate(path, len(head) + frames * 4)


def unfinished(directory) -> list[str]:
    return [name for name in os.listdir(directory) if is_temporary(name)]


def start_and_wait(tmp_path, extension: str) -> subprocess.Popen:
    long_wav(tmp_path / "a.wav", 500_000_000)
    command = [*EARFILT, "apply", "a.wav", f"b.{extension}", "-f", "headphone", "-q"]
    process = subprocess.Popen(command, cwd=tmp_path, env=single_threaded(), stderr=subprocess.PIPE)
    while process.poll() is None and not any(
        os.path.getsize(tmp_path / name) > 5000 for name in unfinished(tmp_path)
    ):
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("extension", ["wav", "flac"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_leaves_nothing(tmp_path, extension, number, code):
    process = start_and_wait(tmp_path, extension)
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode == code, said
    assert len(said.splitlines()) == 1
    assert os.listdir(tmp_path) == ["a.wav"]


def test_kill_9_leaves_no_output_and_the_next_run_cleans_up(tmp_path, one):
    process = start_and_wait(tmp_path, "wav")
    process.kill()
    process.communicate()
    assert not (tmp_path / "b.wav").exists()
    assert len(unfinished(tmp_path)) == 1
    (tmp_path / "c.wav").write_bytes(wav_bytes(CODES))
    assert shell("EARFILT apply c.wav d.wav -f one.npy", tmp_path).returncode == 0
    assert sorted(os.listdir(tmp_path)) == ["a.wav", "c.wav", "d.wav", "one.npy"]


KILL_LOOP = """
import sys
from earfilt.render.process import FileJob, Options, filter_file
from earfilt.chains.members import resolve
while True:
    filter_file(FileJob("a.wav", "b.wav", "a", resolve("headphone"), Options(exists="force")), threads=1)
    print("x", flush=True)
"""


def test_kill_9_at_any_moment_leaves_the_whole_old_or_the_whole_new_file(tmp_path):
    """A process that replaces one output over and over is killed at random moments: the name always
    holds the same whole file.
    """
    (tmp_path / "a.wav").write_bytes(wav_bytes(np.tile(CODES, (20, 1))))
    whole = None
    rng = np.random.default_rng(9)
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", KILL_LOOP],
            cwd=tmp_path,
            env=single_threaded(),
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()
        whole = whole or (tmp_path / "b.wav").read_bytes()
        time.sleep(float(rng.uniform(0, 0.1)))
        process.kill()
        process.communicate()
        assert (tmp_path / "b.wav").read_bytes() == whole
        assert len(unfinished(tmp_path)) <= 1


RACE = """
import sys, time
from earfilt.chains import build
from earfilt.engine import pipeline
from earfilt.errors import UsageError
from earfilt.render.process import FileJob, filter_file
from earfilt.chains.members import resolve
print("ready", flush=True)
sys.stdin.readline()
try:
    filter_file(FileJob("a.wav", "b.wav", "a", resolve("headphone")), threads=1)
except UsageError as error:
    assert "exists already" in str(error)
    sys.exit(2)
"""


def test_of_several_processes_at_one_name_one_wins_and_the_others_say_so(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav_bytes(np.tile(CODES, (20, 1))))
    command = [sys.executable, "-c", RACE]
    racers = [
        subprocess.Popen(
            command, cwd=tmp_path, env=single_threaded(), stdin=-1, stdout=-1, text=True
        )
        for _ in range(3)
    ]
    for racer in racers:
        racer.stdout.readline()
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in racers:
        racer.communicate()
    assert sorted(racer.returncode for racer in racers) == [0, 2, 2]
    assert soundfile.info(tmp_path / "b.wav").frames == 20 * len(CODES)
    assert sorted(os.listdir(tmp_path)) == ["a.wav", "b.wav"]


MEMORY = """
import resource, sys
from earfilt.render.process import FileJob, filter_file
from earfilt.chains.members import resolve
filter_file(FileJob(sys.argv[1], "/dev/null", "a", resolve("headphone")))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_memory(path) -> float:
    """Of a process that filters the file, in MB."""
    return int(run(sys.executable, "-c", MEMORY, path)) / (
        1024 if sys.platform == "linux" else 1 << 20
    )


@pytest.mark.parametrize("minutes", [10, pytest.param(600, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_file(tmp_path, minutes):
    """600 minutes of stereo at 48 kHz pass 4 GiB: RF64 into RF64."""
    frames = {"short": 60 * 48_000, "long": minutes * 60 * 48_000}
    peaks = {}
    for name, count in frames.items():
        target = Target("RF64", "PCM_16", 48_000, 2)
        head = wav.header(target, count * 4, (), 0, room=False)
        (tmp_path / name).write_bytes(head)
        os.truncate(tmp_path / name, len(head) + count * 4)
        peaks[name] = peak_memory(tmp_path / name)
    assert peaks["long"] < peaks["short"] + 50


def test_sox_and_ffmpeg_play_along(tmp_path):
    """The pipeline of the issue: a FLAC through earfilt into another program."""
    sox_file(tmp_path / "x.flac", seconds=1.0)
    done = shell(
        f"cat x.flac | EARFILT apply - - -f headphone | {need('ffmpeg')} -v error -i - -f "
        "s16le - | wc -c",
        tmp_path,
    )
    assert done.returncode == 0
    assert int(done.stdout) == 16_000 * 2 * 2


# A live wire: a producer that sends the next block only when the output of the last one is there.


class Wire:
    """The program between two pipes."""

    def __init__(self, cwd, *options: str) -> None:
        self.process = subprocess.Popen(
            [*EARFILT, "apply", "-", "-", "-q", *options],
            cwd=cwd,
            env=single_threaded(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self.got, self.came = b"", Condition()
        self.reader = Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        while piece := os.read(self.process.stdout.fileno(), 1 << 16):
            with self.came:
                self.got += piece
                self.came.notify()

    def send(self, data: bytes) -> None:
        self.process.stdin.write(data)

    def receive(self, count: int) -> None:
        """Wait until so many bytes came; for long, as this is no test of speed."""
        with self.came:
            there = self.came.wait_for(lambda: len(self.got) >= count, 100.0)
        assert there, f"{len(self.got)} of {count} bytes came"

    def end(self) -> bytes:
        self.process.stdin.close()
        said = self.process.stderr.read()
        self.reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
        assert (self.process.wait(), said) == (0, b"")
        return self.got


RAW = ("--raw", "s16le", "--rate", "48000", "--channels", "1", "--to-raw")


@pytest.mark.parametrize(
    ("options", "block"),
    [
        ((), 4096),
        (("--order", "8192", "--latency-ms", "45"), 2048),
        (("--order", "20000", "--latency-ms", "1.4"), 64),
        (("--latency-ms", "100"), 4096),
    ],
)
def test_output_comes_block_by_block_and_is_that_of_the_file(tmp_path, options, block):
    x = np.random.default_rng(4).integers(-9000, 9000, 9 * block + 17).astype("<i2")
    options = ("-f", "middle-ear", *options)
    wire = Wire(tmp_path, *options, *RAW)
    for at in range(0, 9 * block, block):
        wire.send(x[at : at + block].tobytes())
        # all but what is left of one block: a segment of 4096 holds less than 4096 frames of output
        wire.receive(2 * (at + block - min(block, 3776)))
    wire.send(x[9 * block :].tobytes())
    got = wire.end()
    (tmp_path / "x.raw").write_bytes(x.tobytes())
    done = shell(f"EARFILT apply x.raw y.raw -q {shlex.join(options + RAW)}", tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert got == (tmp_path / "y.raw").read_bytes()


@pytest.mark.parametrize(
    ("encoding", "more"), [("s16le", ()), ("s16le", ("--dither",)), ("f32le", ())]
)
def test_a_slow_pipe_has_the_bytes_of_the_file_whatever_its_pieces(tmp_path, encoding, more):
    """Loud and quiet parts, of which some need float64, and digital silence in a channel."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((40_000, 2)) * 1e-3
    x[9_000:9_500] += 0.8
    x[20_000:30_000, 1] = 0.0
    x = np.rint(x * 32767).astype("<i2") if encoding == "s16le" else x.astype("<f4")
    firwin = scipy.signal.firwin(513, 0.05, pass_zero=False)
    np.save(tmp_path / "highpass.npy", firwin)
    form = ("--raw", encoding, "--rate", "48000", "--channels", "2", "--to-raw")
    options = ("-f", "highpass.npy", "--gain", "20", *more, *form)
    wire = Wire(tmp_path, *options)
    data = x.tobytes()
    for at in range(0, len(data), 7001):  # whole frames or not
        wire.send(data[at : at + 7001])
        time.sleep(0.005)
    (tmp_path / "-").write_bytes(data)  # dither is seeded from the name
    shell(f"EARFILT apply ./- y.raw -q {shlex.join(options)}", tmp_path)
    assert wire.end() == (tmp_path / "y.raw").read_bytes()


@pytest.mark.parametrize(
    ("container", "subtype", "live"),
    [
        ("WAV", "PCM_16", True),
        ("RF64", "PCM_24", True),
        ("W64", "FLOAT", True),
        ("WAV", "IMA_ADPCM", False),
        ("AU", "PCM_16", False),
        ("AIFF", "PCM_16", False),
        ("FLAC", "PCM_16", False),
    ],
)
def test_what_is_live_is_as_the_commands_tell(container, subtype, live):
    """docs/commands.md, pipes and live signals."""
    read, write = os.pipe()
    with os.fdopen(read), os.fdopen(write, "wb") as pipe:
        whole = io.BytesIO()
        soundfile.write(whole, CODES[:2000, 0], 16000, subtype, format=container)
        pipe.write(whole.getvalue())
        pipe.close()
        with open_reader(f"/dev/fd/{read}") as reader:
            assert reader.rewindable != live


def test_the_header_of_a_live_wav_comes_with_the_first_block(tmp_path, one):
    wire = Wire(tmp_path, "-f", "one.npy")
    streaming = wav.header(Target("WAV", "PCM_16", 48_000, 1), None, (), 0, room=False)
    wire.send(streaming)
    codes = np.arange(4096, dtype="<i2")
    wire.send(codes.tobytes())
    wire.receive(len(streaming) + 2 * 4032)
    assert wire.end() == streaming + codes.tobytes()
