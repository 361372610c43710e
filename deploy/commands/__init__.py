"""The subcommands of `imsfeed`, one module for each concern.

Every module has ``add_commands(app)``, which :mod:`deploy.cli` calls; nothing else needs to be imported from outside.
``arguments``, ``exit_codes`` and ``private_file`` hold what several commands share.
"""
