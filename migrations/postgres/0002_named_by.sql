-- Who named a key that nobody introduced, so that no member can fill the table with keys that it made up. Only adds: a program
-- of the version before goes on, and the keys that it stores are counted for nobody.
alter table agent add column named_by integer;
create index agent_named_by on agent (named_by) where certificate is null;
