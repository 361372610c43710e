"""The names of the three processes, which are also their commands."""

PROCESSES = ("capture", "materialize", "compact")
