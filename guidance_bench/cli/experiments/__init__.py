"""Verbs that compute: run, evaluate."""
