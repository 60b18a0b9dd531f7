"""Benchmarks, run by `python -m tests.bench`.

Each package or module has a coroutine `measure(plan)`, which returns figures and raw results.
"""
