-- The role that Grafana reads with, or another password for it. Run it as the owner of the tables, after the aggregator's first
-- start: psql URL --set password=… --file reader.sql. It may be run again; tables of a newer version need that.
select 'create role grafana login' where not exists (select from pg_roles where rolname = 'grafana') \gexec
alter role grafana password :'password';
-- A panel that asks for too much ends, not the database.
alter role grafana set statement_timeout = '20s';
grant select on agent, sample, sample_minute, sample_hour, sample_day, event, tombstone, stream, ingest_block, lease to grafana;
