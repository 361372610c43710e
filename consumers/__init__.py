"""Two processes: materialize (Kafka to the state database) and compact (the state database to the feed's files).

Read the folders from the bottom up; each imports only what lies below it:

* :mod:`consumers.database` - the state database: sessions, targets, the notification between processes
* :mod:`consumers.materialize` - the process that turns Kafka's change events into facts
* :mod:`consumers.facts` - the pending changes, and the facts that they affect
* :mod:`consumers.published` - what has been published to each target, and the recorded files
* :mod:`consumers.holds` - the removals that wait for an approval
* :mod:`consumers.publication` - what an importer must be sent next
* :mod:`consumers.notices` - the mails to case workers
* :mod:`consumers.feed` - the files of the feed
* :mod:`consumers.reconciliation` - the nightly comparison of files, rules and source
* :mod:`consumers.replay` - an events file in, a feed out, without servers
* :mod:`consumers.compact` - the process that publishes the state as files
* :mod:`consumers.operations` - what operators and case workers ask for: approvals, emergencies, status, reports

All of it imports :mod:`ims` and nothing of ``producers`` or ``deploy``. A follower of the feed becomes a folder that
imports ``ims`` only; a delivery of the files to importers becomes one above ``feed``.
"""
