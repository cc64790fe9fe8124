-- Receives Kombo's webhooks through PostgREST (version 9 or newer) and puts them into kombo.webhook_inbox.
--
--   psql -d hr -f receiver.sql           # as a superuser
--   postgrest receiver.conf
--
-- In Kombo's dashboard the webhook's address is https://…/rpc/receive_webhook; a proxy before PostgREST ends TLS.
-- Answers: 200 the row is committed, 401 wrong signature, 413 over 1 MB, 400 no JSON, 500 the database refused, and 503
-- (PostgREST's own) it is away.
--
-- PostgREST reads a request of any size, as slowly as it comes. The proxy has to limit both. nginx does by default: it
-- passes a request on only when it has read all of it, and has client_max_body_size (1 MB) and client_body_timeout.

-- Owns the function and needs nothing but this. It does not log in.
CREATE ROLE hr_webhooks;
SELECT kombo.grant_webhook_writer('hr_webhooks');

-- What a request runs as: it may call the function, and not even insert. With a PostgREST that is there already this is
-- its db-anon-role, and the roles below are not needed.
CREATE ROLE hr_webhooks_anonymous;
-- What PostgREST logs in as. With the limit a flood of requests leaves the database's other connections to others.
CREATE ROLE hr_webhooks_authenticator LOGIN NOINHERIT CONNECTION LIMIT 10;
GRANT hr_webhooks_anonymous TO hr_webhooks_authenticator;

-- The schema that PostgREST shows (db-schemas), and nothing else in it.
CREATE SCHEMA webhooks;
GRANT USAGE ON SCHEMA webhooks TO hr_webhooks_anonymous;

-- PostgREST hands a single unnamed parameter the request's body as it came. Type json keeps a text's every byte, white
-- space and order of keys included, which jsonb does not; the signature is over these bytes. An error whose SQLSTATE is
-- PTnnn is answered with that HTTP status.
CREATE FUNCTION webhooks.receive_webhook(json) RETURNS void
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
    -- What refuses the row is not the sender's fault, who else would not try again. The message is for the log; the
    -- caller learns nothing.
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
