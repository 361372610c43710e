"""The domain of imsfeed: what a change, a record and a file are, and the rules between them.

Nothing here talks to Kafka, to PostgreSQL or to a clock; the time is always an argument. In the order of a
change's way through:

* :mod:`ims.events` - the change event as it travels through Kafka (Debezium's JSON envelope)
* :mod:`ims.mapping` - from the source's tables and columns to our own facts
* :mod:`ims.facts` - what the source says: owners, schools, persons, employees, groups, enrolments
* :mod:`ims.numbers` - Norwegian numbers, and the national id that prints masked
* :mod:`ims.targets` - the settings of one importer
* :mod:`ims.eligibility`, :mod:`ims.roster` - who is exported to a target, and why the others are not; with
  :mod:`ims.person_records`, :mod:`ims.group_records`, :mod:`ims.org_groups` and :mod:`ims.wording` as which records
* :mod:`ims.records`, :mod:`ims.vocabulary` - persons, groups and memberships in the words of IMS Enterprise
* :mod:`ims.text` - texts as they stand in a file
* :mod:`ims.delta`, :mod:`ims.delta_split` - the difference between what an importer was told and what is so now, in
  parts if it is very large
* :mod:`ims.dialect`, :mod:`ims.pifu`, :mod:`ims.old_ids` - PIFU-IMS beside plain IMS Enterprise
* :mod:`ims.xml_writer`, :mod:`ims.xml_reader`, :mod:`ims.xml_schema` - records to bytes, back, and checked; their
  pieces are :mod:`ims.xml_elements`, :mod:`ims.xml_pifu`, :mod:`ims.xml_records` and :mod:`ims.xml_shapes`
* :mod:`ims.feed`, :mod:`ims.feed_proof` - the feed's files and manifest, and the proof that they hold together
* :mod:`ims.schedule`, :mod:`ims.readiness` - when the daily snapshot is due, and whether that is early enough
* :mod:`ims.reason_texts`, :mod:`ims.left_out_report`, :mod:`ims.left_out_page`, :mod:`ims.person_standing`,
  :mod:`ims.notice_texts` - what people are told, in bokmål and English
* :mod:`ims.old_file`, :mod:`ims.recognition`, :mod:`ims.group_templates`, :mod:`ims.comparison`,
  :mod:`ims.comparison_rows`, :mod:`ims.agreeing_settings` - what another exporter's file says, whom it means, what
  would change for its importer, and under which settings least would
* :mod:`ims.runtime` - what any process here needs in order to live; knows nothing of persons or groups
"""
