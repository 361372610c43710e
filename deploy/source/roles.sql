-- The roles that imsfeed needs in the source: one for capture, and one that only reads, for the nightly reconciliation.
--
-- Run this with psql in the source database, as a superuser or as a role that may create roles and grant these
-- privileges; before `imsfeed setup source`, again after it, so that the reconciliation may request a resync, and at any
-- time:
--
--   psql "$ADMIN_DSN" -v owner=visma -f deploy/source/roles.sql
--   psql "$ADMIN_DSN" -c '\password imsfeed_capture'      # no login without a password; the password is in no file
--
-- Variables (-v NAME=VALUE): owner: the tables' owner, who runs `imsfeed setup source`; schema and tables: those of
-- MAPPING_FILE, if they differ from the reference schema's; capture, reader: the roles' names.
--
-- If row security is enabled on a captured table, both roles must see every row: run
-- `alter role imsfeed_capture bypassrls` and the same for imsfeed_reader. Otherwise setup, capture and doctor refuse.
--
-- A role with REPLICATION can read every change in the whole server. Admit it only from capture's address and only to
-- this database (pg_hba.conf: hostssl school imsfeed_capture 10.1.2.3/32 scram-sha-256), and keep other databases on
-- another server.

\set ON_ERROR_STOP on
\if :{?owner}
\else
    select current_user as owner \gset
\endif
\if :{?schema}
\else
    \set schema public
\endif
\if :{?tables}
\else
    \set tables 'owner, school, person, employee, course_group, enrolment'
\endif
\if :{?capture}
\else
    \set capture imsfeed_capture
\endif
\if :{?reader}
\else
    \set reader imsfeed_reader
\endif

select format('create role %I login', name)
  from (values (:'capture'), (:'reader')) as wanted (name)
 where not exists (select from pg_roles where rolname = name)
\gexec
alter role :"capture" with login replication nosuperuser nocreatedb nocreaterole;
alter role :"reader" with login noreplication nosuperuser nocreatedb nocreaterole;
alter role :"reader" set default_transaction_read_only = on;

grant connect on database :"DBNAME" to :"capture", :"reader";
grant usage on schema :"schema" to :"capture", :"reader";
set search_path = :"schema";
grant select on :tables to :"capture", :"reader";
reset search_path;

-- imsfeed's own tables: the heartbeat, capture's position, and the requests for a resync.
create schema if not exists imsfeed authorization :"owner";
grant usage on schema imsfeed to :"capture", :"reader";
grant select, insert, update, delete on all tables in schema imsfeed to :"capture";
grant select on all tables in schema imsfeed to :"reader";
alter default privileges for role :"owner" in schema imsfeed
    grant select, insert, update, delete on tables to :"capture";
alter default privileges for role :"owner" in schema imsfeed grant select on tables to :"reader";

-- The one thing that the reader may write: a request for a resync, when the reconciliation has found a difference. It says
-- so for its transaction; everything else stays read-only by default.
select format('grant insert on imsfeed.resync to %I', :'reader') where to_regclass('imsfeed.resync') is not null
\gexec
