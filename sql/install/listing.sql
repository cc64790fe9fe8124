-- What turns the listings of the following parts into catalogue rows. It goes again behind the last of them.

CREATE FUNCTION kombo_internal.ship_fields(table_name text, listing text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- What is indented further goes on with the line before.
    lines CONSTANT text[] := regexp_split_to_array(trim(E'\n' FROM regexp_replace(listing, '\n {5,}', ' ', 'g')), '\n');
    pattern CONSTANT text := '^ {4}(\w+) +([a-z]+)( key| about)? +(?:<([^>]*)> )?([^ <].*)$';
    unread text := (SELECT l FROM unnest(lines) l WHERE l !~ pattern LIMIT 1);
BEGIN
    IF unread IS NOT NULL THEN
        RAISE EXCEPTION 'a field of % is not listed as it should be: %', table_name, quote_literal(unread);
    END IF;
    INSERT INTO kombo.fields (table_name, "position", column_name, type, key, refers_to, belongs, json_key,
                              fallback_keys, comment, shipped)
    SELECT ship_fields.table_name, l.number, p.part[1], p.part[2], coalesce(p.part[3] = ' key', false),
           substring(p.part[5] FROM ': id in (\w+)'), coalesce(p.part[3] = ' about', false),
           CASE WHEN p.part[4] IS NULL THEN p.part[1] ELSE nullif(k.keys[1], '') END, coalesce(k.keys[2:], '{}'),
           p.part[5], true
    FROM unnest(lines) WITH ORDINALITY l (line, number),
         regexp_match(l.line, pattern) p (part),
         string_to_array(p.part[4], ', ') k (keys);
END
$$;
REVOKE ALL ON FUNCTION kombo_internal.ship_fields(text, text) FROM PUBLIC;
COMMENT ON FUNCTION kombo_internal.ship_fields(text, text) IS
    'Inserts fields of a table into the catalogue, a line each: column, type, "key" if it is part of the primary key '
    'of a join table, "about" if the row belongs to the record that the column names, <JSON keys> where they are not '
    'the name of the column, comment. ": id in TABLE" in the comment is where the column refers to.';
