"""Verbs on what was computed: leaderboard, export, submit."""
