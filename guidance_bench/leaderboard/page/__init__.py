"""The leaderboard as one HTML page: what is packed into it, the method cards, the sample grids.

May import everything of the leaderboard but what publishes it. Start with :mod:`.render`.
"""
