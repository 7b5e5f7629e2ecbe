"""Backups that prove what they hold: made, checked and restored on both engines.

`files.py` knows what lies in the folder of backups, `making.py` and `restoring.py` what is done
with it; `sqlite.py` and `postgresql.py` do what differs.
"""
