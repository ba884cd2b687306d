"""Benchmarks: protocol, line-up, reference and published numbers; ``results/`` holds committed records."""
