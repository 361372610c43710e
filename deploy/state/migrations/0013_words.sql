-- Renames tables, columns, indexes and constraints to the words of the glossary; no row changes.

alter table imsfeed.mark rename to pending_change;
alter table imsfeed.pending_change rename column mark_id to change_id;
alter table imsfeed.pending_change rename column marked_at to noted_at;
alter index imsfeed.mark_pkey rename to pending_change_pkey;
alter index imsfeed.mark_owner rename to pending_change_owner;
alter table imsfeed.target rename column marks_through to changes_through;

alter table imsfeed.urgent_mark rename to urgent_person;
alter table imsfeed.urgent_person rename column urgent_mark_id to urgent_person_id;
alter index imsfeed.urgent_mark_pkey rename to urgent_person_pkey;
alter index imsfeed.urgent_mark_target rename to urgent_person_target;

alter table imsfeed.left_out rename to exclusion;
alter index imsfeed.left_out_pkey rename to exclusion_pkey;
alter index imsfeed.left_out_duplicate rename to exclusion_duplicate;

alter table imsfeed.remark rename to warning;
alter table imsfeed.warning rename column remark to warning;
alter index imsfeed.remark_pkey rename to warning_pkey;

alter table imsfeed.held rename to hold_entry;
alter table imsfeed.hold_entry rename column goes to loss;
alter index imsfeed.held_pkey rename to hold_entry_pkey;

alter table imsfeed.proof rename to reconciliation;
alter table imsfeed.reconciliation rename column proof_id to reconciliation_id;
alter table imsfeed.reconciliation rename column proved_at to reconciled_at;
alter index imsfeed.proof_pkey rename to reconciliation_pkey;
alter index imsfeed.proof_target rename to reconciliation_target;

alter table imsfeed.quarantine rename column healed_at to resolved_at;
alter table imsfeed.quarantine_audit rename column healed_at to resolved_at;

alter table imsfeed.target rename column proved_through to reconciled_through;
alter table imsfeed.target rename column cut_settings to published_settings;
alter table imsfeed.target rename column standstill to halt_reason;

alter table imsfeed.pending_change rename constraint mark_kind_check to pending_change_kind_check;
alter table imsfeed.urgent_person rename constraint urgent_mark_target_id_fkey to urgent_person_target_id_fkey;
alter table imsfeed.exclusion rename constraint left_out_target_id_fkey to exclusion_target_id_fkey;
alter table imsfeed.warning rename constraint remark_target_id_fkey to warning_target_id_fkey;
alter table imsfeed.hold_entry rename constraint held_hold_id_fkey to hold_entry_hold_id_fkey;
alter table imsfeed.hold_entry rename constraint held_kind_check to hold_entry_kind_check;
alter table imsfeed.reconciliation rename constraint proof_target_id_fkey to reconciliation_target_id_fkey;
alter table imsfeed.reconciliation rename constraint proof_checked_check to reconciliation_checked_check;
alter table imsfeed.reconciliation rename constraint proof_outcome_check to reconciliation_outcome_check;
