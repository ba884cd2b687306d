"""Tuning of methods under equal budgets of samples.

It may import what its package may. Start with :mod:`.search`.
"""
