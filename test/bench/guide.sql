-- The tables of guide.mjs: columns, keys and indexes as the extension's, so that both write the same. Run as their
-- owner to be, where kombo.create_tables has made those of HRIS. ("extra" stays empty: it is the extension's own idea.)
DROP SCHEMA IF EXISTS guide CASCADE;
CREATE SCHEMA guide;
CREATE TABLE guide.integrations (
    id                         serial PRIMARY KEY,
    kombo_integration_id       text NOT NULL UNIQUE,
    last_fetched_from_kombo_at timestamptz
);
CREATE TABLE guide.hris_employees (LIKE kombo.hris_employees INCLUDING INDEXES);
CREATE TABLE guide.hris_employments (LIKE kombo.hris_employments INCLUDING INDEXES);
CREATE TABLE guide.hris_time_off_balances (LIKE kombo.hris_time_off_balances INCLUDING INDEXES);
CREATE TABLE guide.hris_teams (LIKE kombo.hris_teams INCLUDING INDEXES);
CREATE TABLE guide.hris_join_employees_teams (LIKE kombo.hris_join_employees_teams INCLUDING INDEXES);
CREATE TABLE guide.hris_legal_entities (LIKE kombo.hris_legal_entities INCLUDING INDEXES);
CREATE TABLE guide.hris_locations (LIKE kombo.hris_locations INCLUDING INDEXES);
