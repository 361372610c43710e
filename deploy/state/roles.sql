-- The roles of imsfeed's state database: for materialize, for compact, for operators, and one that only reads.
--
-- Run this with psql in the state database, as the database's owner with the attribute CREATEROLE: after
-- `imsfeed setup state`, and again after each upgrade. It may be run again at any time:
--
--   psql "$ADMIN_DSN" -f deploy/state/roles.sql
--   psql "$ADMIN_DSN" -c '\password imsfeed_materialize'      # and the other roles; the passwords are in no file
--
-- Variables (-v NAME=VALUE): owner: the role that runs `imsfeed setup state`, if it is another one; materialize,
-- compact, operator, status: the roles' names.

\set ON_ERROR_STOP on
\if :{?owner}
\else
    select current_user as owner \gset
\endif
\if :{?materialize}
\else
    \set materialize imsfeed_materialize
\endif
\if :{?compact}
\else
    \set compact imsfeed_compact
\endif
\if :{?operator}
\else
    \set operator imsfeed_operator
\endif
\if :{?status}
\else
    \set status imsfeed_status
\endif

select format('create role %I login', name)
  from (values (:'materialize'), (:'compact'), (:'operator'), (:'status')) as wanted (name)
 where not exists (select from pg_roles where rolname = name)
\gexec
select format('alter role %I with login noreplication nosuperuser nocreatedb nocreaterole', name)
  from (values (:'materialize'), (:'compact'), (:'operator'), (:'status')) as wanted (name)
\gexec
alter role :"status" set default_transaction_read_only = on;

-- No other role may connect, and none of these may create tables.
revoke all on database :"DBNAME" from public;
grant connect on database :"DBNAME" to :"materialize", :"compact", :"operator", :"status";
revoke create on schema public from public;

-- Privileges on rows, not on definitions; on tables of later versions too. What is not needed is revoked below.
grant usage on schema imsfeed to :"materialize", :"compact", :"operator", :"status";
grant select, insert, update, delete on all tables in schema imsfeed to :"materialize", :"compact", :"operator";
grant select on all tables in schema imsfeed to :"status";
alter default privileges for role :"owner" in schema imsfeed
    grant select, insert, update, delete on tables to :"materialize", :"compact", :"operator";
alter default privileges for role :"owner" in schema imsfeed grant select on tables to :"status";

-- Only materialize writes facts and its progress; only compact writes what was published.
revoke insert, update, delete on
    imsfeed.target, imsfeed.target_audit, imsfeed.published, imsfeed.delta, imsfeed.snapshot, imsfeed.tombstone,
    imsfeed.exclusion, imsfeed.warning, imsfeed.id_change, imsfeed.notice, imsfeed.failure, imsfeed.hold, imsfeed.hold_entry,
    imsfeed.hold_audit, imsfeed.departure, imsfeed.suppression, imsfeed.suppression_audit, imsfeed.urgent_person,
    imsfeed.former_epoch, imsfeed.reconciliation, imsfeed.clock, imsfeed.former_login, imsfeed.login_conflict
    from :"materialize";
revoke insert, update, delete on
    imsfeed.owner, imsfeed.school, imsfeed.person, imsfeed.employee, imsfeed.course_group, imsfeed.enrolment,
    imsfeed.topic_partition, imsfeed.quarantine, imsfeed.quarantine_audit
    from :"compact";
revoke insert, update, delete on imsfeed.schema_migration from :"materialize", :"compact", :"operator";

-- Rows may be added to an audit, but never changed.
select format('revoke update, delete on imsfeed.%I from %I', tablename, name)
  from pg_tables, (values (:'materialize'), (:'compact'), (:'operator')) as granted (name)
 where schemaname = 'imsfeed' and tablename like '%audit'
\gexec

-- The role that only reads sees which messages are in quarantine and why, but not their content.
revoke select on imsfeed.quarantine from :"status";
grant select (quarantine_id, topic, partition, message_offset, reason, detail, quarantined_at, resolved_at)
    on imsfeed.quarantine to :"status";
