"""Benchmarks: this project beside its own ceiling and its peers. `python -m bench --help`."""
