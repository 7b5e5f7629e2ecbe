"""Moving data between databases, and showing that it arrived.

Rows travel as the lines of PostgreSQL's COPY, in one form for both engines; see `lines.py`.
Nothing here names a table: `tables.py` asks the registry of models.
"""
