-- A path that begins to lose a fifth of its probes loses three in a row by chance within a minute, and is down for a second or two.
-- So "Unreachable" holds for ten seconds before it is told. Where somebody is already, everything stays as it is.
update alert_rule set definition =
    '{"name":"Unreachable","enabled":true,"condition":{"kind":"unreachable"},"for_s":10,"clear_for_s":0,"severity":"critical"}'
    where id = 1 and version = 1 and changed_by = '' and not exists (select 1 from user_account);
