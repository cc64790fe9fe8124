# Makes an install part fit for a database that has an earlier version: what is there is replaced, and keeps its owner
# and what was granted on it; tables stay as they are.
s/^CREATE SCHEMA /CREATE SCHEMA IF NOT EXISTS /
s/^CREATE TABLE /CREATE TABLE IF NOT EXISTS /
s/^CREATE INDEX /CREATE INDEX IF NOT EXISTS /
s/^CREATE VIEW /CREATE OR REPLACE VIEW /
s/^CREATE FUNCTION /CREATE OR REPLACE FUNCTION /
s/^CREATE TRIGGER /CREATE OR REPLACE TRIGGER /
/^CREATE FOREIGN DATA WRAPPER /,/;$/d
/^REVOKE ALL ON FUNCTION .*;$/d
