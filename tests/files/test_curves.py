"""Curves as people have them: what a file is understood as, and what is refused, with the line."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from earfilt.errors import DataError, UsageError
from earfilt.files.curves import NO_REMEDIES, read_curve, read_points
from earfilt.files.firs import holds_fir, read_fir, write_fir
from earfilt.synthesis.fir import Fir

REFUSED = DataError


def curve(tmp_path, text, name="mine.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        "frequency_hz,gain_db\n100,-3\n1000,0.5\n",
        "\ufeff# mine\r\nFrequency_Hz , Gain_dB\r\n\r\n100,-3\r\n# middle\r\n1000,0.5",
        "frequency_hz;gain_db\n100;-3\n1000;0.5\n",
        "frequency_hz\tgain_db\n1e2\t-3\n1e3\t.5\n",
        '"frequency_hz","gain_db"\n"100","-3"\n"1000","0.5"\n',
        "note,gain_db,frequency_hz\na,-3,100\nb,0.5,1000\n",
        "frequency_hz,magnitude_db,phase_rad\n100,-3,0\n1000,0.5,0\n",
    ],
)
def test_curves_as_spreadsheets_save_them(tmp_path, text):
    freqs, gain_db = read_curve(curve(tmp_path, text))
    assert freqs.tolist() == [100, 1000]
    assert gain_db.tolist() == [-3, 0.5]


ROWS = "frequency_hz,gain_db\n100,1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ROWS + "200,1\n50,1\n", r"line 4: 50 Hz comes after 200 Hz; sort"),
        (ROWS + "100,2\n", r"line 3: frequency 100 Hz appears twice"),
        (ROWS + "# x\n\nfoo,2\n", r"line 5: frequency 'foo' is not a finite number"),
        (ROWS + "200,\n", r"line 3: gain '' is not a finite number"),
        (ROWS + "200,nan\n", r"line 3: gain 'nan' is not a finite number"),
        (ROWS + "inf,1\n", r"line 3: frequency 'inf' is not a finite number"),
        (ROWS + "200\n", r"line 3: 1 fields where the header has 2"),
        ("frequency_hz;gain_db\n100;1,5\n200;1.5\n", r"line 2: gain '1,5' is not a finite number"),
        (ROWS + "200,500\n", r"line 3: gain 500 is beyond ±200 dB"),
        (ROWS, r"1 row of data; a curve takes at least 2"),
        ("frequency_hz,gain_db\n", r"0 rows of data"),
        ("frequency_hz,gain_db\n-20,0\n100,1\n", r"line 2: frequency -20 Hz is negative"),
        (
            "frequency_hz,gain_db\n0.125,0\n1,1\n16,2\n",
            r"ends at 16 Hz; are its frequencies in kHz",
        ),
        (
            "frequency_khz,gain_db\n0.125,0\n",
            r"has frequencies in kHz; they must be in Hz",
        ),
        ("frequency_hz,gain\n100,1\n200,2\n", r"may hold factors or dB .* absolute=True"),
        (
            "frequency_hz,gain_db,gain_db\n100,1,2\n",
            r"has 2 columns of values: gain_db, gain_db; column",
        ),
        ("# only\n\n", r"is neither a curve nor a FIR"),
        ("frequency_hz,gain_db\nfoo,2\n100,1\n200,1\n", r"line 2: 'foo,2' is not a row of numbers"),
        (
            "frequency_hz,gain_db\n100,1\n200,1\nend of file\n",
            r"line 4: 1 fields where the header has 2",
        ),
        ("20 -3\n100 -1\nfoo -2\n1000 0\n", r"line 3: frequency 'foo' is not a finite number"),
        ("20x -3\n100 -1\n1000 0\n", r"line 1: '20x -3' is not a row of numbers"),
        ("20 -3\n100 -1\n200 -1 7\n1000 0\n", r"line 3: 3 fields where the first row has 2"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), r"not a text file"),
        (b"frequency_hz,gain_db\n100,1\n200,\x00\n", r"zero bytes"),
        ("," * 1_000_000, r"is neither a curve nor a FIR"),
        ("," * 1_000, r"is neither a curve nor a FIR"),
        (ROWS + "2" * 100_000, r"line 3: longer than 65536"),
        ('frequency_hz,gain_db\n"100,1\n200,2\n', r"line 2"),
    ],
)
def test_bad_curves_say_where_and_what(tmp_path, text, message):
    with pytest.raises(REFUSED, match=message) as caught:
        read_curve(curve(tmp_path, text))
    assert str(caught.value).isprintable()


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_arbitrary_bytes_raise_nothing_else(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("curve") / "mine.csv"
    for content in (data, ROWS.encode() + data):
        path.write_bytes(content)
        try:
            freqs, _ = read_curve(path)
        except REFUSED:
            continue
        assert (np.diff(freqs) > 0).all()


def test_the_header_line_tells_a_curve_from_a_fir(tmp_path):
    assert not holds_fir(curve(tmp_path, "# x\n" + ROWS))
    write_fir(Fir(np.ones(3), 8000.0), tmp_path / "fir.csv")
    assert holds_fir(tmp_path / "fir.csv")
    soundfile.write(tmp_path / "any.WAV", np.ones(3), 8000)
    assert holds_fir(tmp_path / "any.WAV")
    with pytest.raises(UsageError, match="No such file"):
        holds_fir(tmp_path / "a.flac")


TABLE = "20 -3.2\n100 -1\n1000 0\n10000 -4\n20000 -9\n"


@pytest.mark.parametrize("name", ["mine.txt", "mine.csv"])
@pytest.mark.parametrize(
    "text",
    [
        TABLE,
        TABLE.replace(" ", "\t"),
        TABLE.replace(" ", ", "),
        TABLE.replace(" ", ";"),
        TABLE.replace("\n", " 12.5\n"),
        "* from a loudspeaker program\n* Freq(Hz) dB\n" + TABLE + "\n",
        '"Sens Factor =-1.284dB, SERNO: 7000000"\n' + TABLE,
        "frequency_hz,gain_db\n" + TABLE.replace(" ", ","),
    ],
)
def test_a_table_of_frequencies_is_a_curve(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert not holds_fir(tmp_path / name)
    freqs, gain_db = read_curve(tmp_path / name)
    assert (freqs.tolist(), gain_db.tolist()) == (
        [20, 100, 1000, 10000, 20000],
        [-3.2, -1, 0, -4, -9],
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.02 -3\n0.1 -1\n1 0\n20 -9\n", "may be a FIR or a curve: 4 rows"),
        ("".join(f"{n} {0.9**n}\n" for n in range(200)), "may be a FIR or a curve: 200 rows"),
        ("-2 0.1\n-1 0.3\n0 1\n", "may be a FIR or a curve: 3 rows .* from -2 to 0"),
        (
            "* Freq(Hz) SPL(dB)\n20 60\n1000 75\n",
            r"holds levels \(60 to 75 dB\), not gains: align",
        ),
        (
            "20 70\n1000 75\n20000 68\n",
            r"holds levels \(68 to 75 dB\), not gains: .* absolute=True .*\.csv",
        ),
        ("20 0.5\n1000 1\n20000 0.8\n", "may hold factors or dB"),
        ("* kHz dB\n100 -5\n200 -3\n", "kHz; they must be in Hz"),
        ("20000 -9\n1000 0\n20 -3\n100 1\n", "sort the rows"),
        ("20 -9\n1000 0\n1000 -3\n", "appears twice"),
        ("20 -9\n2000 0\n1000 -3\n", "sort the rows"),
        ("20 -9\n1000 300\n", "beyond ±200 dB"),
    ],
)
@pytest.mark.parametrize("name", ["mine.txt", "mine.csv"])
def test_a_table_that_leaves_a_doubt_is_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(REFUSED, match=message):
        holds_fir(tmp_path / name) or read_curve(tmp_path / name)


@pytest.mark.parametrize("text", ["* Freq SPL\nnothing\n", "left ear\n"])
def test_a_text_that_is_neither_says_what_both_look_like(tmp_path, text):
    (tmp_path / "mine.txt").write_text(text)
    assert holds_fir(tmp_path / "mine.txt")
    with pytest.raises(
        DataError, match=r"a FIR in \.txt has one coefficient a line .* a curve is a \.csv"
    ):
        read_fir(tmp_path / "mine.txt")


EVEN = "".join(f"{20 * n}{{0}}{0.9**n * (-1) ** n:.5f}\n" for n in range(100))


@pytest.mark.parametrize(
    "header",
    ["", "x,y\n", "Column 1,Column 2\n", "elapsed,reading\n", "* measured in the hall\n"],
)
def test_equal_steps_that_may_be_times_are_asked_for(tmp_path, header):
    path = curve(tmp_path, header + EVEN.format(","))
    with pytest.raises(
        DataError, match=r"may be a FIR or a curve: 100 rows .*'sample,coeffi.*gain_db"
    ):
        holds_fir(path) or read_curve(path)


@pytest.mark.parametrize("header", ["t_us,ir", "Time [ms];x", "pos;value", "Position,v"])
def test_times_and_positions_are_no_frequencies(tmp_path, header):
    mark = ";" if ";" in header else ","
    path = curve(tmp_path, header + "\n" + EVEN.format(mark))
    with pytest.raises(DataError, match=r"may be a FIR|where a curve has frequencies in Hz"):
        holds_fir(path) or read_curve(path)


@pytest.mark.parametrize("header", ["frequency_hz,gain_db\n", "Hz,dB\n", "* Freq(Hz) SPL(dB)\n"])
def test_equal_steps_of_frequency_are_a_curve(tmp_path, header):
    freqs, _ = read_curve(curve(tmp_path, header + EVEN.format(" " if "*" in header else ",")))
    assert freqs.tolist() == [20.0 * n for n in range(100)]


def test_equal_steps_beside_levels_are_a_curve(tmp_path):
    rows = "".join(f"{50 * n} {-0.2 * n}\n" for n in range(100))
    assert len(read_curve(curve(tmp_path, rows))[0]) == 100


def test_a_header_that_names_neither_frequency_nor_level_is_asked_for(tmp_path):
    path = curve(tmp_path, "elapsed,reading\n0,0.5\n50,-1\n400,3\n1500,2\n")
    with pytest.raises(DataError, match=r"may be a FIR or a curve: 4 rows .* 'elapsed' from 0 to"):
        read_curve(path)


@pytest.mark.parametrize("name", ["amplitude", "Magnitude", "Transmission", "gain", "|H| gain"])
def test_factors_of_any_size_are_asked_for_by_their_name(tmp_path, name):
    path = curve(tmp_path, f"frequency,{name}\n100,0.5\n1000,3\n10000,8\n")
    with pytest.raises(
        DataError, match=r"may hold factors or dB \(0.5 to 8\)|gains or levels in dB"
    ):
        read_curve(path)
    below = curve(tmp_path, f"frequency,{name.strip('|H ')}\n100,-0.5\n1000,3\n10000,8\n")
    assert read_curve(below)[1].tolist() == [-0.5, 3.0, 8.0]


def test_several_curves_below_each_other_are_called_that(tmp_path):
    rows = "".join(f"{name},{hz},{-hz / 1000}\n" for name in "ab" for hz in (20, 200, 2000))
    path = curve(tmp_path, "filter,frequency_hz,magnitude_db\n" + rows)
    with pytest.raises(
        DataError, match=r"holds 2 curves, which its column 'filter' .* \(a, b\); keep"
    ):
        read_curve(path)
    kept = [line for line in path.read_text().splitlines() if not line.startswith("b,")]
    assert read_curve(curve(tmp_path, "\n".join(kept)))[0].tolist() == [20.0, 200.0, 2000.0]


def test_frequencies_without_a_name_in_either_notation(tmp_path):
    path = curve(tmp_path, "1.000;2,250\n10.000;-3,125\n", "bare.txt")
    assert not holds_fir(path)
    with pytest.raises(DataError, match=r"decimal=.point. or decimal=.comma."):
        read_points(path)
    assert read_points(path, decimal="comma").values.freqs == (1000.0, 10000.0)


TWO = "frequency,left,right\n100,1,2\n1000,2,3\n10000,-3,-1\n"


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        (TWO, TWO.replace("left", "gain_db")),
        ("100 1 2\n1000 2 3\n10000 -3 -1\n", "100 1\n1000 2\n10000 -3\n"),
        ("frequency,error\n100,1\n1000,-3\n", "frequency,gain_db\n100,1\n1000,-3\n"),
        ("frequency;gain\n100;1,125\n1.000;-2,125\n", "frequency;gain\n100;1.125\n1000;-2.125\n"),
        (
            "Channel: L\nGraphicEQ: 20 -3; 100 0\nChannel: R\nGraphicEQ: 20 -2; 100 0\n",
            "GraphicEQ: 20 -3; 100 0\n",
        ),
    ],
)
def test_where_no_option_settles_it_the_file_can(tmp_path, text, mended):
    with pytest.raises(DataError) as caught:
        read_points(curve(tmp_path, text), remedies=NO_REMEDIES)
    assert "--" not in str(caught.value)
    assert len(read_points(curve(tmp_path, mended), remedies=NO_REMEDIES).values.freqs) >= 2


def headed(tmp_path, header):
    """A table below some header; its numbers could be a curve."""
    sep = ";" if ";" in header else "," if "," in header else " "
    more = [sep + "7"] * (len(header.lstrip("*#% ").split(sep)) - 2)
    rows = [
        sep.join(pair) + "".join(more) for pair in (("100", "-2"), ("1000", "0"), ("5000", "3"))
    ]
    path = tmp_path / "mine.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.mark.parametrize(
    "header",
    [
        *(f"Frequency ({unit}),Gain (dB)" for unit in ("rad/s", "krad/s", "MHz", "GHz", "mHz")),
        *(f"frequency [{unit}];level" for unit in ("mel", "Bark", "ERB", "cents", "s", "log10")),
        *(
            f"{name},gain_db"
            for name in ("omega", "ω", "wavelength_m", "time_s", "Time (s)", "bin")
        ),
        *(f"{name},gain_db" for name in ("sample_rate", "SampleRate", "Sampling rate (Hz)", "fs")),
        "log10(frequency),Gain (dB)",
        "normalized frequency,Gain (dB)",
        "gain_db,omega",
        "omega,response",
        "# omega gain_db",
    ],
)
def test_what_is_no_frequency_in_hz_by_its_name_is_refused(tmp_path, header):
    with pytest.raises(DataError, match=r"where a curve has frequencies in Hz; .* frequency_hz$"):
        read_curve(headed(tmp_path, header))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        *(
            (f"Frequency (Hz),{name}", "where a curve has gains or levels in dB; .* gain_db$")
            for name in (
                *("Gain (linear)", "gain_lin", "Power gain", "Amplitude (%)", "|H|", "Level (mdB)"),
                *("Level (1/100 dB)", "Pressure (Pa)", "Loudness (sone)", "Output (mV)"),
            )
        ),
        ("Frequency (Hz);Magnitude (Np)", "where a curve has gains or levels in dB"),
        ("* Freq(Hz) Impedance(Ohm) Phase(degrees)", "has 'Impedance.*where a curve has gains"),
        *(
            (f"Frequency (Hz),{name}", "has losses .*; change their sign and call .* gain_db$")
            for name in ("Insertion loss (dB)", "attenuation", "Dämpfung (dB)", "HearingLoss")
        ),
        *(
            (f"Frequency (Hz),{name}", "may be no gains in dB; column 2 says that they are")
            for name in ("Error (dB)", "Hearing threshold (dB HL)", "residual")
        ),
    ],
)
def test_what_is_no_gain_in_db_by_its_name_is_refused(tmp_path, header, message):
    path = headed(tmp_path, header)
    with pytest.raises(DataError, match=message):
        read_curve(path)
    taken = "column 2" in message
    if taken:
        assert read_points(path, column="2").values.db == (-2, 0, 3)
    else:
        with pytest.raises(DataError, match=message):
            read_points(path, column="2")


@pytest.mark.parametrize(
    "header",
    [
        *("frequency,raw", "Freq(Hz),SPL(dB)", "f_Hz,gain_dB", "f / Hz;L / dB", "Hz,dB"),
        *("Frequency [Hz],Magnitude [dBr]", "Freq.;Level (dB re 20 µPa)", "x,y", "f,x"),
        *("Octave band (Hz),Level (dB)", "Frequency bin (Hz),dB", "Band,Level", "f_m,L"),
        *("frequency,raw,error", "frequency,target", "frequency,Power (dB)", "Log freq (Hz),dB"),
        *("Частота,Уровень", "Fréquence (Hz);Niveau (dB)", "frequency,amplitude"),
        # comments of two words, which name nothing
        *("* time averaged", "% log sweep", "# time response", "* level measured", "# sound power"),
    ],
)
def test_ordinary_headers_are_taken(tmp_path, header):
    column = "raw" if header.endswith(",error") else None
    found = read_points(headed(tmp_path, header), column=column)
    assert (found.values.freqs, found.values.db) == ((100, 1000, 5000), (-2, 0, 3))
