"""Verbs that tell: list, check-method, version."""
