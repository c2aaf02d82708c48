"""Benchmarks of the package's speed: `make bench`."""
