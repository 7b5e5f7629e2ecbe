"""The reference agent: the program on a device. It needs nothing but Python's own library.

    python -m devices.agent --url https://homepot.example.com --site site-001

`docs/devices.md` tells how to run it, and how to write another.
"""
