"""Was a number reproduced: records checked against what they say.

Imports everything from core to leaderboard. Start with :mod:`.verify`.
"""
