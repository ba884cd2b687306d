"""Benchmarks at published checkpoints, declared in a JSON file: protocol, backbones, published rows.

Start with :mod:`.declaration`, then :mod:`.at_checkpoints`.
"""
