"""What `manage.py doctor` looks at.

Each file holds checks about one thing: functions that yield findings. `examination.py` runs them.
"""
