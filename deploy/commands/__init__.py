"""The subcommands of `imsfeed`, one module per concern."""
