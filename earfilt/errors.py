"""Errors a user can act on.

::

    EarfiltError                      exit code 1
    ├── UsageError (ValueError)       exit code 2: wrong usage, or a refusal before any work
    │   ├── UnknownNameError          a filter that does not exist; names the nearest ones
    │   └── DtypeError (TypeError)    a tensor that no filter can take
    ├── DataError (ValueError)        exit code 2: what a data file contains cannot be used
    └── AudioError (OSError)          exit code 1: a file that is missing, damaged, or cannot be written

Every error knows its ``subject``, the file or entry that it is about, and its ``reason``, so that
no code has to read sentences. Every leaf is also a builtin exception, so that library users may
catch what they are used to. Messages are one line: what was given, the rule, and what helps. The
library raises; only ``earfilt.cli`` catches.
"""

import errno
from collections.abc import Iterable, Mapping
from typing import Self


class EarfiltError(Exception):
    """Root of all errors raised on purpose.

    Attributes
    ----------
    subject : str
        The file or entry that it is about, printable; empty if there is none.
    reason : str
        What is wrong with it, without what differs from file to file: failures of one reason are
        of one kind.

    Examples
    --------
    >>> import earfilt
    >>> try:
    ...     earfilt.design("middle-ear", fs=48000, order=1)
    ... except earfilt.EarfiltError as error:
    ...     print(error)
    order is 1; it must be 2 to 131072
    """

    exit_code = 1
    subject = ""

    @property
    def reason(self) -> str:
        """The message, unless the error was made with `about`."""
        return self.__dict__.get("_reason") or str(self)

    @classmethod
    def about(cls, subject: str, template: str, **values: object) -> Self:
        """An error about one file.

        Parameters
        ----------
        subject : str
            The file, printable.
        template : str
            The message, with ``{subject}`` and a field for each of ``values``. Words are part of
            the reason, numbers are not.

        Examples
        --------
        >>> error = AudioError.about("a.wav", "{subject} claims {count} channels", count=0)
        >>> str(error), error.subject, error.reason
        ('a.wav claims 0 channels', 'a.wav', 'claims … channels')
        """
        error = cls(template.format(subject=subject, **values))
        error.subject = subject
        error.__dict__["_reason"] = _reason_of(template, values)
        return error


def _reason_of(template: str, values: Mapping[str, object]) -> str:
    """The reason of an error that was made with `EarfiltError.about`.

    >>> _reason_of("cannot read {subject}: {why}", {"why": "no permission"})
    'cannot read: no permission'
    """
    return template.replace(" {subject}", "").format(subject="", **_said(values)).strip(" :")


def _said(values: Mapping[str, object]) -> dict[str, object]:
    """Values without what differs from file to file."""
    said: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, Note):
            said[name] = value.kind
        else:
            said[name] = value if type(value) is str else _ANY
    return said


class Note(str):
    """What a user must know of one file, in words.

    Attributes
    ----------
    kind : str
        The words without what differs from file to file: notes of one kind say the same.
    """

    kind: str

    def __new__(cls, text: str, kind: str = "") -> Self:
        note = super().__new__(cls, text)
        note.kind = kind or text
        return note

    @classmethod
    def of(cls, template: str, **values: object) -> Self:
        """A note; arguments as for `EarfiltError.about`.

        >>> note = Note.of("{count} samples read as 0", count=3)
        >>> note, note.kind
        ('3 samples read as 0', '… samples read as 0')
        """
        return cls(template.format(**values), template.format(**_said(values)))

    @classmethod
    def kind_of(cls, text: str) -> str:
        """The kind of a note; a plain text is a kind by itself."""
        return text.kind if isinstance(text, Note) else text


class Detail(str):
    """Words that differ from file to file."""


class _Any:
    """Stands for any number."""

    def __format__(self, spec: str) -> str:
        return "…"


_ANY = _Any()


class UsageError(EarfiltError, ValueError):
    """Wrong usage, or a refusal before any work: nothing was written.

    Examples
    --------
    >>> import earfilt
    >>> try:
    ...     earfilt.design("headphone", fs=48000, order=64, tolerance=0.1)
    ... except UsageError as error:
    ...     print(error)
    order and tolerance exclude each other: a tolerance finds the order
    """

    exit_code = 2


class UnknownNameError(UsageError):
    """A filter or variant that does not exist.

    Examples
    --------
    >>> import earfilt
    >>> try:
    ...     earfilt.design("headphon", fs=48000)
    ... except UnknownNameError as error:
    ...     print(error)
    no filter is called 'headphon'; did you mean headphone?
    """


class DtypeError(UsageError, TypeError):
    """A tensor whose dtype no filter can take (integers, complex numbers).

    Examples
    --------
    >>> import earfilt, torch
    >>> try:
    ...     earfilt.ear("headphone", fs=16000)(torch.zeros(9, dtype=torch.int16))
    ... except DtypeError as error:
    ...     print(isinstance(error, TypeError))
    True
    """


class DataError(EarfiltError, ValueError):
    """What a data file contains cannot be used: an entry of the catalogue, a curve, a FIR.

    Attributes
    ----------
    subject : str
        The file or entry, printable.
    reason : str
        What is wrong with it, and what helps.

    Examples
    --------
    >>> error = DataError("mine.csv", "holds no numbers")
    >>> str(error), error.subject
    ('mine.csv: holds no numbers', 'mine.csv')
    """

    exit_code = 2

    def __init__(self, subject: str, reason: str, message: str = "") -> None:
        super().__init__(subject, reason, message)
        self.subject = printable(subject)
        self.__dict__["_reason"] = printable(reason)
        self._message = printable(message) or f"{self.subject}: {self.reason}"

    @classmethod
    def about(cls, subject: str, template: str, **values: object) -> Self:
        """As for every error.

        >>> error = DataError.about("a.csv", "{subject} is empty")
        >>> str(error), error.subject, error.reason
        ('a.csv is empty', 'a.csv', 'is empty')
        """
        message = template.format(subject=subject, **values)
        return cls(subject, _reason_of(template, values), message)

    def __str__(self) -> str:
        return self._message


class AudioError(EarfiltError, OSError):
    """A file that is missing, not audio, damaged, or cannot be written.

    Examples
    --------
    >>> import earfilt
    >>> try:
    ...     earfilt.apply_file("missing.wav", "out.wav", "headphone")
    ... except AudioError as error:
    ...     print(isinstance(error, OSError))
    True
    """

    def __str__(self) -> str:
        # OSError would print a tuple for two arguments; messages here are one sentence.
        return str(self.args[0]) if self.args else ""


_NO_MEMORY = (
    "allocate memory",
    "start new thread",
    "failed to map segment",
    # Python's own, where there was none for the exception
    "error return without exception set",
    "returned NULL without setting an exception",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory has run out: torch, threads and the loader of libraries
    have words of their own for it.

    >>> is_out_of_memory(RuntimeError("can't start new thread"))
    True
    >>> is_out_of_memory(SystemError("error return without exception set"))
    True
    """
    return isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY)


def no_more_open_files(error: BaseException) -> str:
    """What to tell of an error where no more files may be open; empty for any other.

    >>> no_more_open_files(OSError(errno.EMFILE, "Too many open files"))
    'too many open files; raise the limit (ulimit -n 1024), or end what else has files open'
    """
    if not isinstance(error, OSError) or error.errno not in (errno.EMFILE, errno.ENFILE):
        return ""
    return "too many open files; raise the limit (ulimit -n 1024), or end what else has files open"


def did_you_mean(word: str, known: Iterable[str], *, alike: float = 0.75, most: int = 3) -> str:
    """A suggestion for a word that is not known, or nothing.

    Parameters
    ----------
    word : str
    known : iterable of str
    alike : float
        How much of the letters have to agree, 0 to 1.
    most : int
        How many are named, the nearest ones.

    Examples
    --------
    >>> did_you_mean("aply", ["apply", "filters"])
    'did you mean apply?'
    >>> did_you_mean("version", ["verify", "design"])
    ''
    """
    import difflib  # for a mistake alone

    found = difflib.get_close_matches(word, list(known), n=most, cutoff=alike)
    if not found:
        return ""
    *others, last = found
    return f"did you mean {', '.join(others)} or {last}?" if others else f"did you mean {last}?"


def counted(count: int, noun: str, nouns: str = "") -> str:
    """A number of things.

    >>> counted(1, "tap"), counted(512, "tap"), counted(2, "frequency", "frequencies")
    ('1 tap', '512 taps', '2 frequencies')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {nouns or noun + 's'}"


def printable(text: str) -> str:
    """Text that is safe to print in a message: control characters and lone surrogates are shown as
    escapes.

    >>> printable("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
