"""Materialize: Kafka to the state database. Compact: the state database to the feed's files. Read from the bottom up.

* :mod:`consumers.database` - the state database: sessions, targets, the notification between processes
* :mod:`consumers.materialize` - the process from Kafka to the facts
* :mod:`consumers.facts` - what has changed, and the facts that it affects
* :mod:`consumers.published` - what each importer has been sent, and the files recorded
* :mod:`consumers.holds` - what waits for an approval
* :mod:`consumers.publication` - what an importer must be sent next
* :mod:`consumers.notices` - mail to case workers
* :mod:`consumers.feed` - the files of the feed
* :mod:`consumers.reconciliation` - the nightly comparison of files, rules and source
* :mod:`consumers.replay` - an events file in, a feed out, without servers
* :mod:`consumers.compact` - the process from the state to the files
* :mod:`consumers.operations` - what a person asks for

Imports :mod:`ims` alone. A follower of the feed becomes a room that imports nothing but ``ims``, a delivery of its
files one above ``feed``.
"""
