"""Texts of ``earfilt help TOPIC``, which the man page holds as well: a title, and lines of at most 79
characters.
"""

from importlib.resources import files

__all__ = ["title", "topics"]


def topics() -> dict[str, str]:
    """Texts by topic; the first line of each is its title."""
    found = files(__name__).iterdir()
    return {
        file.name.removesuffix(".txt"): file.read_text("utf-8")
        for file in sorted(found, key=lambda file: file.name)
        if file.name.endswith(".txt")
    }


def title(text: str) -> str:
    """What a topic is about, in one line."""
    return text.partition("\n")[0]
