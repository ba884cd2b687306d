"""What can be known of a job before it costs anything: files, networks, disk, memory, time.

Start with :mod:`.look_ahead`.
"""
