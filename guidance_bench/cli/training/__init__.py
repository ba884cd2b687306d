"""Verbs that make what is sampled from: train, encode."""
