-- How many rows of a stream were dropped because of their age, so that the audit excuses these and no others. Nothing for a stream
-- of which some were dropped before this was counted. Only adds: what a program of the version before drops is not counted, and
-- the audit then calls it missing rather than excuse too much.
alter table stream add column expired_rows bigint default 0;
update stream set expired_rows = null where expired > 0;
