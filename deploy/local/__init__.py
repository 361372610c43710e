"""A whole PostgreSQL and a broker on this machine, for the demo and the tests; needs the extra `local`."""
