"""Samples against a reference: the reference, the metrics of a set, how far a number can be trusted.

Imports metrics, features and what is above them. Start with :mod:`.evaluate`.
"""
