"""What is made of a report's rows: which count, and a table that no spreadsheet computes."""

import csv
import io
import json
from pathlib import Path

import pytest

from earfilt.cli import run
from earfilt.errors import Note, UsageError
from earfilt.render.record import Row
from earfilt.report.file import check_report, open_report
from earfilt.report.views import csv_lines, report_page, rows_that_count


def stored(*rows: Row) -> io.BytesIO:
    return io.BytesIO("".join(f"{row.to_json()}\n" for row in rows).encode("ascii"))


def row(name: str, status: str = "ok", **fields: object) -> Row:
    return Row(f"in/{name}", f"out/{name}", name, status, **fields)  # type: ignore[arg-type]


def table(*rows: Row) -> list[dict[str, str]]:
    text = b"".join(csv_lines(rows_that_count(stored(*rows)))).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def write(
    report: Path, *rows: Row, exists: str = "refuse", ends: BaseException | None = None
) -> None:
    with open_report(str(report), exists=exists) as lines:  # type: ignore[arg-type]
        assert lines is not None
        for one in rows:
            lines.write(one)
        if ends is not None:
            raise ends


def names(path: Path) -> list[str]:
    with path.open(newline="") as file:
        return [line["name"] for line in csv.DictReader(file)]


def test_the_last_row_of_a_name_counts_unless_it_says_that_all_was_done() -> None:
    rows = stored(
        row("a", frames=1), row("b", "failed"), row("c", frames=3), row("d", "failed"),
        row("a", "skipped"), row("b", frames=2), row("c", "failed"), row("d", "skipped"),
    )  # fmt: skip
    found = {one["name"]: (one["status"], one["frames"]) for one in rows_that_count(rows)}
    assert found == {
        "a": ("ok", 1),
        "b": ("ok", 2),
        "c": ("failed", None),
        "d": ("skipped", None),
    }


def test_lines_of_somebody_else_are_passed_over_and_old_rows_understood() -> None:
    file = stored(row("a"))
    file.seek(0, io.SEEK_END)
    file.write(b'{"note": 1}\n[1]\n\xff\n\n{"name": [], "source": "s", "status": "ok"}\n')
    file.write(b'{"source": "in/b", "name": "b", "status": "failed", "error": "old"}\n')
    rows = [*rows_that_count(file)]
    assert [one["name"] for one in rows] == ["a", "b"]
    assert len([*csv_lines(rows)]) == 3
    assert "old" in report_page(rows)


def test_a_table_has_every_field_and_lists_by_channel() -> None:
    (told,) = table(
        row(
            "a",
            fs=8000,
            clipped=[0, 2],
            peak_in_dbfs=[-1.5, None],
            rms_in_dbfs=[None],
            gain_db=-3.0,
        )
    )
    fields = [*row("a").to_dict()]
    fields[fields.index("parameters")] = "deviation_db"
    assert list(told) == fields
    assert (told["fs"], told["clipped"], told["gain_db"]) == ("8000", "0; 2", "-3.0")
    assert (told["peak_in_dbfs"], told["rms_in_dbfs"]) == ("-1.5; -inf", "-inf")
    assert (told["dithered"], told["error"]) == ("false", "")


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", '=HYPERLINK("x")'])
def test_no_name_is_a_formula(name: str) -> None:
    (told,) = table(row(name, warnings=[name]))
    assert told["name"] == f"'{name}"
    assert told["warnings"] == f"'{name}"


def test_names_that_are_no_text_are_told() -> None:
    awkward = '\udcff\n";,ü'
    assert table(row(awkward))[0]["name"] == '\\udcff\n";,ü'


@pytest.mark.parametrize("suffix", [".csv", ".html", ".HTML"])
def test_a_view_stands_beside_its_rows(suffix: str, tmp_path: Path) -> None:
    report, lines = tmp_path / f"report{suffix}", tmp_path / "report.jsonl"
    with open_report(str(report)) as rows:
        assert rows is not None
        rows.write(row("a"))
        assert [path.name for path in tmp_path.iterdir()] == ["report.jsonl.partial"]
    assert {path.name for path in tmp_path.iterdir()} == {report.name, lines.name}
    assert json.loads(lines.read_text())["name"] == "a"


def test_what_ends_early_leaves_rows_and_no_view(tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    with pytest.raises(KeyboardInterrupt):
        write(report, row("a"), ends=KeyboardInterrupt())
    assert [path.name for path in tmp_path.iterdir()] == ["report.jsonl.partial"]
    write(report, row("b"), exists="extend")
    assert names(report) == ["a", "b"]


def test_a_view_that_is_there(tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    write(report, row("a"))
    before = report.read_bytes()
    with pytest.raises(UsageError, match=r"report\.csv exists already"):
        write(report, row("b"))
    assert report.read_bytes() == before
    write(report, row("b"), exists="extend")
    assert names(report) == ["a", "b"]
    write(report, row("c"), exists="force")
    assert names(report) == ["c"]
    # rows that a plain report has left become a page as well
    write(tmp_path / "report.html", row("d"), exists="extend")
    assert "report" in (tmp_path / "report.html").read_text()[:400]


@pytest.mark.parametrize("suffix", [".csv", ".html"])
def test_a_run_that_goes_on_replaces_reports_alone(suffix: str, tmp_path: Path) -> None:
    report = tmp_path / f"report{suffix}"
    report.write_text("name,grade\nAda,1\n")
    with pytest.raises(UsageError, match="is not a report of earfilt"):
        write(report, row("a"), exists="extend")
    assert report.read_text() == "name,grade\nAda,1\n"
    assert [path.name for path in tmp_path.iterdir()] == [report.name]


def test_a_row_tells_what_its_warnings_have_in_common() -> None:
    told = json.loads(row("a", warnings=[Note.of("{n} samples", n=3), "plain"]).to_json())
    assert told["warnings"] == ["3 samples", "plain"]
    assert told["warning_kinds"] == ["… samples", "plain"]


def test_the_rows_of_a_view_are_no_input_and_no_output(tmp_path: Path) -> None:
    report, lines = str(tmp_path / "report.html"), str(tmp_path / "report.jsonl")
    for read, written in (([lines], []), ([], [lines]), ([report], []), ([], [lines + ".partial"])):
        with pytest.raises(UsageError):
            check_report(report, read=read, written=written)
    check_report(report, read=["a.wav"], written=["b.wav"])


def test_one_file_has_a_report_too(tmp_path: Path) -> None:
    import numpy as np
    import soundfile

    soundfile.write(tmp_path / "a.wav", np.zeros(100), 16000)
    words = ["apply", str(tmp_path / "a.wav"), str(tmp_path / "b.wav"), "-f", "headphone", "-q"]
    assert run([*words, "--report", str(tmp_path / "r.csv")]) == 0
    assert names(tmp_path / "r.csv") == ["a.wav"]
