-- kombo.verify_webhook: for front ends that answer 401 themselves. The signatures are HMAC-SHA256 in base64url.
\set SHOW_CONTEXT never
CREATE ROLE regress_kombo_writer;
CREATE ROLE regress_kombo_reader;
CREATE ROLE regress_kombo_other;
SELECT kombo.grant_webhook_writer('regress_kombo_writer');
SELECT kombo.grant_reader('regress_kombo_reader');
\set body '{"id":"62vJ2VwBQdxPzTfWpPkSmQHe","type":"data-changed","data":{"integration_id":"personio:one"}}'
\set by_current M_44kwtAfE__Yti1dYn5wlUfr-n4yOcHkCeFe_aC65g
\set by_previous 46grij4UTTmmiBOSwoBXKUvegAOOPfUNJqVitzgVJe0
\set by_another ulPFLP_K_HT17NXB7Hi1Fq-xBWUoZxrGeJr-gJ2PtCY
\set by_file M_SK7gdD4auJ_8qvixEwv4BdGqPD0F7X-MLEQfzTn1Y

-- Without any secret there is no answer: "false" would have the front end refuse every webhook.
SELECT kombo.verify_webhook(:'body', :'by_current');
CREATE SERVER kombo_eu FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url 'https://api.kombo.dev/v1');
CREATE USER MAPPING FOR PUBLIC SERVER kombo_eu OPTIONS (api_key 'secret');
SELECT kombo.verify_webhook(:'body', :'by_current');
SELECT kombo.verify_webhook(:'body', NULL), kombo.verify_webhook(NULL, :'by_current');
-- That of a server of another wrapper is none of ours.
CREATE FOREIGN DATA WRAPPER regress_kombo_wrapper;
CREATE SERVER regress_kombo_server FOREIGN DATA WRAPPER regress_kombo_wrapper;
CREATE USER MAPPING FOR PUBLIC SERVER regress_kombo_server OPTIONS (webhook_secret 'whsec-4');
SELECT kombo.verify_webhook(:'body', :'by_current');
DROP FOREIGN DATA WRAPPER regress_kombo_wrapper CASCADE;

-- The front end may call it, and still sees no secret.
ALTER USER MAPPING FOR PUBLIC SERVER kombo_eu
    OPTIONS (ADD webhook_secret 'whsec-4', ADD webhook_secret_previous 'whsec-previous');
SET ROLE regress_kombo_writer;
SELECT signature, kombo.verify_webhook(:'body', signature) AS verified
FROM unnest(ARRAY[:'by_current', :'by_current' || '=', translate(:'by_current', '-_', '+/'),
                  translate(:'by_current', '-_', '+/') || '=', :'by_previous', :'by_another', lower(:'by_current'),
                  left(:'by_current', -1), :'by_current' || E'\n', ' ' || :'by_current', 'abc', '', NULL])
     WITH ORDINALITY AS s (signature, number)
ORDER BY number;
SELECT body, kombo.verify_webhook(body, :'by_current') AS verified
FROM unnest(ARRAY[:'body', :'body' || ' ', replace(:'body', 'one', 'onf'), :'body'::jsonb::text, '', NULL])
     WITH ORDINALITY AS b (body, number)
ORDER BY number;
SELECT kombo.verify_webhook('{"name":"Zoë Grünwald 株式会社 🙂"}',
                            'GMwKG7IJcdKnIE440jXqUDVwaNOKj8atiVfoMprA9yI') AS beyond_ascii,
       kombo.verify_webhook(repeat('x', 1048576), 'B4rscO-v6vr9iR8D0Lyj-hkZn-57d-D1jfuVlQrjzQw') AS of_1_mb,
       kombo.verify_webhook(repeat('x', 1048575) || 'y', 'B4rscO-v6vr9iR8D0Lyj-hkZn-57d-D1jfuVlQrjzQw') AS changed;
SELECT umoptions FROM pg_user_mapping;
SELECT srvname, umoptions FROM pg_user_mappings WHERE srvname = 'kombo_eu';
INSERT INTO kombo.webhook_inbox (body, signature) VALUES (:'body', :'by_current') RETURNING id > 0 AS has_id;
SELECT kombo.check_connection('kombo_eu');
RESET ROLE;
-- It judges, it does not process.
SELECT status FROM kombo.webhook_inbox;
TRUNCATE kombo.webhook_inbox;
-- Whom it was not granted to may not.
SET ROLE regress_kombo_reader;
SELECT kombo.verify_webhook(:'body', :'by_current');
RESET ROLE;

-- The secret of any server will do, also of one that the caller has no USAGE on.
CREATE SERVER kombo_us FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url 'https://api.us.kombo.dev/v1');
ALTER SERVER kombo_us OWNER TO regress_kombo_other;
CREATE USER MAPPING FOR regress_kombo_other SERVER kombo_us OPTIONS (webhook_secret 'another');
-- Of the mappings of a server only one counts: its owner's, else PUBLIC's.
CREATE USER MAPPING FOR PUBLIC SERVER kombo_us OPTIONS (webhook_secret 'whsec-file');
CREATE USER MAPPING FOR regress_kombo_writer SERVER kombo_us OPTIONS (webhook_secret 'whsec-file');
SET ROLE regress_kombo_writer;
SELECT kombo.verify_webhook(:'body', :'by_current') AS by_current,
       kombo.verify_webhook(:'body', :'by_another') AS by_another,
       kombo.verify_webhook(:'body', :'by_file') AS by_the_mapping_of_public_or_of_the_caller;
RESET ROLE;
DROP USER MAPPING FOR regress_kombo_other SERVER kombo_us;
SELECT kombo.verify_webhook(:'body', :'by_another') AS by_another,
       kombo.verify_webhook(:'body', :'by_file') AS by_the_mapping_of_public;
DROP USER MAPPING FOR PUBLIC SERVER kombo_us;

-- A file is read at every call.
SELECT current_setting('data_directory') || '/regress_kombo_sync.secret' AS file,
       'rm ' || quote_literal(current_setting('data_directory') || '/regress_kombo_sync.secret') AS remove \gset
COPY (SELECT 'whsec-file') TO :'file';
CREATE USER MAPPING FOR regress_kombo_other SERVER kombo_us OPTIONS (webhook_secret_file :'file');
SELECT kombo.verify_webhook(:'body', :'by_file');
COPY (SELECT 'another') TO :'file';
SELECT kombo.verify_webhook(:'body', :'by_file') AS by_what_it_was,
       kombo.verify_webhook(:'body', :'by_another') AS by_what_it_is;
-- One that cannot be read keeps no other secret from being tried. Its path is for the server's log.
COPY (SELECT) TO PROGRAM :'remove';
SET ROLE regress_kombo_writer;
SELECT kombo.verify_webhook(:'body', :'by_current');
SELECT kombo.verify_webhook(:'body', :'by_another');
SELECT kombo.verify_webhook(:'body', NULL);
RESET ROLE;
ALTER USER MAPPING FOR regress_kombo_other SERVER kombo_us OPTIONS (ADD webhook_secret_previous 'another');
SELECT kombo.verify_webhook(:'body', :'by_another');
-- Where it is the only one there is no answer.
ALTER USER MAPPING FOR regress_kombo_other SERVER kombo_us OPTIONS (DROP webhook_secret_previous);
ALTER USER MAPPING FOR PUBLIC SERVER kombo_eu OPTIONS (DROP webhook_secret, DROP webhook_secret_previous);
SELECT kombo.verify_webhook(:'body', :'by_another');

-- It works where nothing may be written, as on a standby.
ALTER USER MAPPING FOR PUBLIC SERVER kombo_eu OPTIONS (ADD webhook_secret 'whsec-4');
BEGIN READ ONLY;
SELECT kombo.verify_webhook(:'body', :'by_current');
COMMIT;

DROP SERVER kombo_eu, kombo_us CASCADE;
DROP OWNED BY regress_kombo_writer, regress_kombo_reader, regress_kombo_other;
DROP ROLE regress_kombo_writer, regress_kombo_reader, regress_kombo_other;
