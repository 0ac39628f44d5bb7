"""Benchmarks: ``python -m benchmarks`` prints one Markdown document; speed, and the deviation from
a float64 oracle beside it.

Each topic is a module with ``run(bench) -> None``, listed in ``__main__``; none is collected by
pytest.
"""
