"""A PostgreSQL server and a Kafka broker on this machine, for the demo and the tests; needs the extra ``local``.

``postgres.running_postgres`` and ``broker.running_broker`` run the servers, ``process.running_process`` any other
program; all of them are context managers, and may be imported from anywhere outside production code.
"""
