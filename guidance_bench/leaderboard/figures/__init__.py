"""The figures of a leaderboard; equal data give equal files.

Start with :mod:`.overview`.
"""
