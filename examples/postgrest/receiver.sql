-- Receives Kombo's webhooks through PostgREST (version 11 or newer) and puts them into kombo.webhook_inbox.
--
-- PostgREST is not in Debian: it is one program, in a file of https://github.com/PostgREST/postgrest/releases (for an
-- ordinary PC the one named linux-static-x86-64). Then, with a password of your own:
--
--   psql -d hr -f receiver.sql           # as a superuser; it can be run again
--   psql -d hr -c "ALTER ROLE hr_webhooks_authenticator PASSWORD '...'"
--   PGHOST=127.0.0.1 PGPASSWORD=... postgrest receiver.conf
--
-- PostgREST says in its log whether it has reached the database, and tries until it does. kombo-receiver.service in
-- this folder runs it under systemd.
--
-- In Kombo's dashboard the webhook's address is https://…/rpc/receive_webhook; a proxy in front of PostgREST ends TLS.
-- Answers: 200 the row is committed, 401 wrong signature, 413 over 1 MB, 400 no JSON, 500 the database refused, and 503
-- (PostgREST's own) the database is away.
--
-- PostgREST reads a request of any size, as slowly as it comes. The proxy has to limit both. nginx does by default: it
-- passes a request on only when it has read all of it, and has client_max_body_size (1 MB) and client_body_timeout.

DO $$
BEGIN
    -- Owns the function. It need not log in; the role of that name that the README makes will do.
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'hr_webhooks') THEN
        CREATE ROLE hr_webhooks;
    END IF;
    -- What a request runs as: it may call the function, and not even insert. If you run PostgREST already, this is its
    -- db-anon-role, and you need neither this role nor the next one.
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'hr_webhooks_anonymous') THEN
        CREATE ROLE hr_webhooks_anonymous;
    END IF;
    -- What PostgREST logs in as. The limit keeps a flood of requests from taking all of the database's connections.
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'hr_webhooks_authenticator') THEN
        CREATE ROLE hr_webhooks_authenticator LOGIN NOINHERIT CONNECTION LIMIT 10;
    END IF;
END
$$;
SELECT kombo.grant_webhook_writer('hr_webhooks');
GRANT hr_webhooks_anonymous TO hr_webhooks_authenticator;

-- The schema that PostgREST shows (db-schemas), and nothing else in it.
CREATE SCHEMA IF NOT EXISTS webhooks;
GRANT USAGE ON SCHEMA webhooks TO hr_webhooks_anonymous;

-- PostgREST hands a single unnamed parameter the request's body as it came. Type json keeps a text's every byte, white
-- space and order of keys included, which jsonb does not; the signature is over these bytes. An error whose SQLSTATE is
-- PTnnn is answered with that HTTP status.
CREATE OR REPLACE FUNCTION webhooks.receive_webhook(json) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    body text := $1::text;
    signature text := current_setting('request.headers', true)::json ->> 'x-kombo-signature';
BEGIN
    IF octet_length(body) > 1048576 THEN
        RAISE SQLSTATE 'PT413' USING MESSAGE = 'the body has more than 1 MB';
    END IF;
    IF NOT kombo.verify_webhook(body, signature) THEN
        RAISE SQLSTATE 'PT401' USING MESSAGE = 'the signature is wrong';
    END IF;
    INSERT INTO kombo.webhook_inbox (body, signature) VALUES (body, signature);
EXCEPTION
    WHEN SQLSTATE 'PT401' OR SQLSTATE 'PT413' THEN
        RAISE;
    -- If the database refuses the row, that is not the sender's fault: 500 makes Kombo send it again. The message is
    -- for the server's log; the caller learns nothing.
    WHEN OTHERS THEN
        RAISE LOG 'a webhook was not stored: % %', SQLSTATE, SQLERRM;
        RAISE SQLSTATE 'PT500' USING MESSAGE = 'the webhook was not stored';
END
$$;
REVOKE ALL ON FUNCTION webhooks.receive_webhook(json) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION webhooks.receive_webhook(json) TO hr_webhooks_anonymous;

-- To give a function away, one must be able to be the role and the role to make things in the schema: for a moment.
GRANT CREATE ON SCHEMA webhooks TO hr_webhooks;
ALTER FUNCTION webhooks.receive_webhook(json) OWNER TO hr_webhooks;
REVOKE CREATE ON SCHEMA webhooks FROM hr_webhooks;

-- A PostgREST that runs already learns of the function.
NOTIFY pgrst, 'reload schema';
