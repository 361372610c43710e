-- Where each row was last seen: in the transaction, or the load, with this commit LSN of its epoch. A completed load
-- removes the rows of its owners that were last seen before it. 0: before any load, until the row is seen again.
alter table imsfeed.owner add column commit_lsn bigint not null default 0;
alter table imsfeed.school add column commit_lsn bigint not null default 0;
alter table imsfeed.person add column commit_lsn bigint not null default 0;
alter table imsfeed.employee add column commit_lsn bigint not null default 0;
alter table imsfeed.course_group add column commit_lsn bigint not null default 0;
alter table imsfeed.enrolment add column commit_lsn bigint not null default 0;
