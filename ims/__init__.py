"""The domain of imsfeed: what a change, a record and a file are, and the rules between them.

Nothing here talks to Kafka, to PostgreSQL or to a clock; the time is always an argument. In the order of a
change's way through:

* :mod:`ims.events` - the change event as it travels through Kafka (Debezium's JSON envelope)
* :mod:`ims.mapping` - from the source's tables and columns to our own facts
* :mod:`ims.facts` - what the source says: owners, schools, persons, employees, groups, enrolments
* :mod:`ims.numbers` - Norwegian numbers, and the national id that prints masked
* :mod:`ims.targets` - the settings of one importer
* :mod:`ims.eligibility`, :mod:`ims.roster` - who is exported to a target, and why the others are not
* :mod:`ims.records`, :mod:`ims.vocabulary` - persons, groups and memberships in the words of IMS Enterprise
* :mod:`ims.text` - texts as they stand in a file
* :mod:`ims.delta` - the difference between what an importer was told and what is so now
* :mod:`ims.xml_writer`, :mod:`ims.xml_reader`, :mod:`ims.xml_schema` - records to bytes, back, and checked
* :mod:`ims.feed`, :mod:`ims.feed_proof` - the feed's files and manifest, and the proof that they hold together
* :mod:`ims.schedule` - when the daily snapshot is due
* :mod:`ims.runtime` - what any process here needs in order to live; knows nothing of persons or groups
"""
