"""The names of the three processes, which are also the commands that run them."""

PROCESSES = ("capture", "materialize", "compact")
