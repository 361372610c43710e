"""The domain of imsfeed: what a change, a record and a file are, and the rules between them.

Nothing here talks to Kafka, to PostgreSQL or to a clock; the time is always an argument. In the order of a change's way
through:

* :mod:`ims.source` - what the administration system says: the change event, the mapping, the facts
* :mod:`ims.identifiers` - Norwegian identifiers, and the national id that prints masked
* :mod:`ims.targets` - one importer's settings, its schedule, its deadline
* :mod:`ims.rules` - who is exported, as which records, and the one first reason why not
* :mod:`ims.records` - persons, groups and memberships in the words of IMS Enterprise
* :mod:`ims.publication` - what a target is sent next: the one decision that puts rules, holds and feed together
* :mod:`ims.holds` - what a publication would take away, and whether it waits for an approval
* :mod:`ims.feed` - delta, manifest, and the verification of a feed from its files
* :mod:`ims.xml` - records to XML and back, in both dialects
* :mod:`ims.reports` - what case workers read
* :mod:`ims.switchover` - an existing file of another exporter, compared with ours
* :mod:`ims.runtime` - what any process here needs in order to live; knows nothing of persons or groups
* :mod:`ims.errors` - the errors that a person can act on
"""
