"""Bytes on disk: outputs that appear whole or not at all, and small data files."""
