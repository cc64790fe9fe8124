-- The complete SQL by which a page of employees is written, with what hangs on them.
\pset format unaligned
\pset fieldsep '\n'
\pset recordsep '\n\n'
\pset footer off
SELECT * FROM kombo.page_statements('/hris/employees');
\pset format aligned

-- Each of them is SQL that PostgreSQL takes.
BEGIN;
SELECT kombo.create_tables('ATS'), kombo.create_tables('LMS'), kombo.create_tables('ASSESSMENT');
DO $$
DECLARE
    of record;
BEGIN
    FOR of IN SELECT e.path, s.* FROM kombo.endpoints e CROSS JOIN LATERAL kombo.page_statements(e.path) s LOOP
        EXECUTE 'PREPARE one (text, timestamptz) AS ' || of.statement;
        DEALLOCATE one;
    END LOOP;
END
$$;
ROLLBACK;

SELECT * FROM kombo.page_statements('/hris/nothing');
BEGIN;
DROP TABLE kombo.hris_teams;
SELECT * FROM kombo.page_statements('/hris/groups');
ROLLBACK;

-- A row is hashed as it would be stored; nothing else is.
SELECT kombo_internal.row_digest(ROW('a'::cstring), 1);
SELECT kombo_internal.row_digest(ROW('a'::text, NULL::numeric, 1.50), 1) =
       kombo_internal.row_digest(ROW('a'::text, NULL::numeric, 1.5), 1) AS digits_do_not_count;
