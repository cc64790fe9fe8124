-- Foreign tables are new: there are none that the handler would change, which PostgreSQL warns of.
SET LOCAL client_min_messages = error;
ALTER FOREIGN DATA WRAPPER kombo_sync HANDLER kombo_internal.kombo_sync_handler;
RESET client_min_messages;

-- What roles may do: they were granted what 0.2.0 had. The grant functions are called once more for whom they were
-- called for; what these roles may not do any more is taken first.

DO $$
DECLARE
    shipped pg_init_privs[];
    its_name regprocedure;
    somebody record;
BEGIN
    -- New functions are nobody's to call. Those that were there keep what was granted and revoked since.
    FOR its_name IN
        SELECT p.oid::regprocedure
        FROM pg_depend d JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
        JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
        WHERE d.deptype = 'e' AND e.extname = 'kombo_sync' AND p.proacl IS NULL
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', its_name);
    END LOOP;

    shipped := ARRAY(SELECT i FROM pg_init_privs i);
    PERFORM kombo_internal.grant_sync_role(o.owner) FROM (SELECT DISTINCT owner FROM kombo.data_tables) o;
    PERFORM kombo.grant_reader(r.reader) FROM kombo_internal.readers() r;
    FOR somebody IN
        SELECT acl.grantee::regrole::text AS name, acl.grantee AS role
        FROM pg_proc p, aclexplode(p.proacl) acl
        WHERE p.oid IN ('kombo.add_integration(text, text, text)'::regprocedure,
                        'kombo.pause(text, text)'::regprocedure, 'kombo.kombo_sync_full(text, text[])'::regprocedure)
          AND acl.grantee NOT IN (p.proowner, 0)
        GROUP BY acl.grantee HAVING count(DISTINCT p.oid) = 3
    LOOP
        -- Of sync_state operators change named columns now.
        IF NOT EXISTS (SELECT FROM kombo.data_tables d WHERE d.owner = somebody.role) THEN
            EXECUTE format('REVOKE UPDATE ON kombo.sync_state FROM %s', somebody.name);
        END IF;
        PERFORM kombo.grant_operator(somebody.role);
    END LOOP;
    -- Whoever sees the status calls these with it.
    FOR somebody IN
        SELECT DISTINCT CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END AS name
        FROM pg_class c, aclexplode(c.relacl) acl
        WHERE c.oid = 'kombo.sync_status'::regclass AND acl.privilege_type = 'SELECT' AND acl.grantee <> c.relowner
    LOOP
        PERFORM kombo_internal.grant_status(somebody.name);
    END LOOP;

    -- PostgreSQL takes what an extension's script grants for what the extension comes with, and leaves that out of
    -- dumps. These grants are the administrator's.
    DELETE FROM pg_init_privs i WHERE NOT i = ANY (shipped);
    INSERT INTO pg_init_privs
    SELECT s.* FROM unnest(shipped) s
    WHERE NOT EXISTS (SELECT FROM pg_init_privs i
                      WHERE (i.objoid, i.classoid, i.objsubid) = (s.objoid, s.classoid, s.objsubid));
END
$$;

-- Who had switched the list of skill ratings on or off meant the one that it became.
UPDATE kombo.subscriptions s SET endpoint = '/hris/skill-proficiency-ratings'
WHERE s.endpoint = '/hris/employee-skill-assignments'
  AND EXISTS (SELECT FROM kombo.endpoints e WHERE e.path = '/hris/skill-proficiency-ratings');

-- Columns that the catalogue has gained. (Tables that a version gains are for kombo.create_tables to make, when
-- somebody calls it: what a script makes would belong to the extension.)
DO $$
DECLARE
    its_category text;
    its_table text;
BEGIN
    FOR its_category IN
        SELECT named.category
        FROM (SELECT e.category, e.table_name FROM kombo.endpoints e
              UNION SELECT e.category, n.table_name
              FROM kombo.nested_records n JOIN kombo.endpoints e ON e.path = n.endpoint) named
        LEFT JOIN kombo.data_tables d ON d.table_name = named.table_name
        GROUP BY named.category HAVING bool_and(d.table_name IS NOT NULL)
    LOOP
        BEGIN
            PERFORM kombo.create_tables(its_category);
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING 'new columns of category "%" could not be added: %', its_category, SQLERRM USING
                HINT = format('SELECT kombo.create_tables(%L) adds them.', its_category);
        END;
    END LOOP;
    FOR its_table IN
        SELECT d.table_name FROM kombo.data_tables d WHERE d.table_name IN (
            'hris_employee_skill_proficiency_ratings', 'hris_skills', 'hris_skill_proficiency_scales')
    LOOP
        EXECUTE format('COMMENT ON TABLE kombo.%I IS %L', its_table, kombo_internal.table_comment(its_table));
    END LOOP;
    FOR its_table IN
        SELECT d.table_name FROM kombo.data_tables d JOIN pg_attribute a ON a.attrelid = d.relation
        WHERE a.attname = 'staffing_entity_id' AND col_description(d.relation, a.attnum) = 'The staffing entity.'
    LOOP
        EXECUTE format('COMMENT ON COLUMN kombo.%I.staffing_entity_id IS %L', its_table,
                       'The staffing entity: id in hris_staffing_entities.');
    END LOOP;
END
$$;

-- Exclusions are said in the comments of the columns from now on.
SELECT kombo_internal.mark_excluded(f.table_name, f.column_name) FROM kombo.excluded_fields f;
