-- The digest of the mapping with which materialize makes facts of the partition's messages. A process with another mapping
-- must not compare the facts with the source: it would find nothing, or differences that are none.
alter table imsfeed.topic_partition add column mapping_digest text;
