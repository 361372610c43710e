"""The domain of imsfeed: what a change, a record and a file are, and the rules between them.

Nothing here talks to Kafka, to PostgreSQL or to a clock; the time is always an argument. In the order in which a change
passes through them:

* :mod:`ims.source` - what the administration system says: the change event, the mapping, the facts
* :mod:`ims.identifiers` - Norwegian identifiers, and the national id that prints masked
* :mod:`ims.targets` - one importer's profile, settings, its schedule, its deadline
* :mod:`ims.rules` - who is exported, as which records, and the one first reason for each exclusion
* :mod:`ims.records` - persons, groups and memberships in the terms of IMS Enterprise
* :mod:`ims.publication` - what a target is sent next: the one decision that puts rules, holds and feed together
* :mod:`ims.holds` - what a publication would take away, and whether it waits for an approval
* :mod:`ims.feed` - delta, manifest, and the verification of a feed from its files
* :mod:`ims.xml` - records to XML and back, in both dialects
* :mod:`ims.reports` - what case workers read
* :mod:`ims.importers` - importers as they behave: what one of them ends with that has read a feed
* :mod:`ims.switchover` - an existing file of another exporter, compared with ours
* :mod:`ims.runtime` - what every process needs to run; knows nothing of persons or groups
* :mod:`ims.errors` - the errors that an operator can act on
"""
