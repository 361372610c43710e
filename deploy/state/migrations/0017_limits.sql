-- Limits for groups, memberships and logins as well: what was lost without an approval is counted for each.
alter table imsfeed.hold drop constraint hold_cause_check;
alter table imsfeed.hold add constraint hold_cause_check check (
    cause in (
        'persons', 'teachers', 'id_changes', 'logins', 'memberships', 'teacher_memberships', 'groups',
        'setting', 'resync', 'school_number', 'initial'
    )
);
-- person_id is 0 where a group was removed; with a person, group_id is the group of a membership.
alter table imsfeed.departure
    add column login boolean not null default false,
    add column group_id text not null default '';
-- What was approved of a first publication (consumers.publication.first_approval): more than that asks again.
alter table imsfeed.hold add column approved_content bytea;
