"""Containers, each in a file of its own: chunks, headers, samples as bytes."""
