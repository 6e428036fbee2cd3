-- How many rows of a stream were deleted because of their age, so that the audit excuses these and no others. Nothing for a stream
-- of which some were deleted before this was counted.
alter table stream add column expired_rows integer default 0;
update stream set expired_rows = null where expired > 0;
