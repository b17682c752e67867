"""The two servers on this machine: what `up` starts, `status` looks at and `down` stops.

They are other distributions and run as processes of their own: nothing of them is imported here.
"""
