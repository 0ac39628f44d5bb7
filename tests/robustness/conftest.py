"""Atheris, which one module needs, is installed by ``make fuzz-long`` only."""

collect_ignore = ["coverage.py"]
