"""The checks of `imsfeed doctor`, which find what is wrong with an installation without changing anything.

``all_checks.run_checks`` runs them, and ``finding`` has the lines that they report: import these two. There is one
module of checks for each area (machine, source, Kafka, state, targets, feed); ``databases`` has what the two databases
share. The package may import every other package.
"""
