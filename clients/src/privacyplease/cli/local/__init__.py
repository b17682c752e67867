"""The two servers on this machine, which `up` starts, `status` checks and `down` stops.

They belong to other distributions and run as separate processes: nothing of them is imported here.
"""
