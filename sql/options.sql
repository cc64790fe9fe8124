-- Options of servers and user mappings, and the settings: bad ones are named, together with the valid ones.
\set SHOW_CONTEXT never
CREATE SERVER kombo_eu FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url 'https://api.kombo.dev/v1');
CREATE SERVER kombo_us FOREIGN DATA WRAPPER kombo_sync
    OPTIONS (base_url 'https://api.us.kombo.dev/v1/', page_size '100', connect_timeout '5s', request_timeout '2min',
             max_response_size '128MB', accept_unsigned 'on', auto_register 'on');

-- Unknown and missing options.
CREATE SERVER bad FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_uri 'https://api.kombo.dev/v1');
CREATE SERVER bad FOREIGN DATA WRAPPER kombo_sync;
CREATE SERVER bad FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url 'https://api.kombo.dev/v1', api_key 'not here');
CREATE USER MAPPING FOR PUBLIC SERVER kombo_eu OPTIONS (password 'x');
ALTER SERVER kombo_eu OPTIONS (DROP base_url);
ALTER FOREIGN DATA WRAPPER kombo_sync OPTIONS (ADD base_url 'https://api.kombo.dev/v1');

-- Addresses.
ALTER SERVER kombo_eu OPTIONS (SET base_url '');
ALTER SERVER kombo_eu OPTIONS (SET base_url 'api.kombo.dev');
ALTER SERVER kombo_eu OPTIONS (SET base_url 'ftp://api.kombo.dev/v1');
ALTER SERVER kombo_eu OPTIONS (SET base_url 'http://api.kombo.dev/v1');
ALTER SERVER kombo_eu OPTIONS (SET base_url 'https:///v1');
ALTER SERVER kombo_eu OPTIONS (SET base_url 'https://api.kombo.dev/v1?a=b');
ALTER SERVER kombo_eu OPTIONS (SET base_url 'https://me@api.kombo.dev/v1');
ALTER SERVER kombo_eu OPTIONS (SET base_url 'https://api kombo dev/v1');
-- Kombo's hosts have one path.
ALTER SERVER kombo_eu OPTIONS (SET base_url 'https://api.kombo.dev');
ALTER SERVER kombo_eu OPTIONS (SET base_url 'https://api.us.kombo.dev/');
ALTER SERVER kombo_eu OPTIONS (SET base_url 'https://API.kombo.dev/v1/hris');
ALTER SERVER kombo_eu OPTIONS (SET base_url 'https://api.kombo.dev/v10');
ALTER SERVER kombo_eu OPTIONS (SET base_url 'https://api.kombo.dev/v1/');
ALTER SERVER kombo_eu OPTIONS (SET base_url 'https://api.kombo.dev.example.org/kombo');

-- Numbers, sizes, times and switches.
ALTER SERVER kombo_eu OPTIONS (ADD page_size '0');
ALTER SERVER kombo_eu OPTIONS (ADD page_size '-1');
ALTER SERVER kombo_eu OPTIONS (ADD page_size '251');
ALTER SERVER kombo_eu OPTIONS (ADD page_size 'many');
ALTER SERVER kombo_eu OPTIONS (ADD connect_timeout '0');
ALTER SERVER kombo_eu OPTIONS (ADD request_timeout '-5s');
ALTER SERVER kombo_eu OPTIONS (ADD request_timeout '1 fortnight');
ALTER SERVER kombo_eu OPTIONS (ADD max_response_size '0');
ALTER SERVER kombo_eu OPTIONS (ADD max_response_size '2TB');
ALTER SERVER kombo_eu OPTIONS (ADD accept_unsigned 'perhaps');
ALTER SERVER kombo_eu OPTIONS (ADD ca_file 'ca.pem');
ALTER SERVER kombo_eu OPTIONS (ADD proxy 'http://user:password@proxy.example.org:3128');

-- Secrets are never shown.
CREATE USER MAPPING FOR PUBLIC SERVER kombo_eu OPTIONS (api_key '');
CREATE USER MAPPING FOR PUBLIC SERVER kombo_eu OPTIONS (api_key E'secret\nkey');
CREATE USER MAPPING FOR PUBLIC SERVER kombo_eu OPTIONS (api_key 'secret', api_key_file '/etc/kombo.key');
CREATE USER MAPPING FOR PUBLIC SERVER kombo_eu
    OPTIONS (webhook_secret 'secret', webhook_secret_file '/etc/kombo.secret');
CREATE USER MAPPING FOR PUBLIC SERVER kombo_eu OPTIONS (api_key_file 'kombo.key');
CREATE USER MAPPING FOR PUBLIC SERVER kombo_eu
    OPTIONS (api_key 'secret', webhook_secret 'secret', webhook_secret_previous 'older');
DROP USER MAPPING FOR PUBLIC SERVER kombo_eu;

-- What decides where the key is sent is a superuser's to set.
CREATE ROLE regress_kombo_other;
GRANT USAGE ON FOREIGN DATA WRAPPER kombo_sync TO regress_kombo_other;
SET ROLE regress_kombo_other;
CREATE SERVER mine FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url 'https://api.kombo.dev/v1');
CREATE USER MAPPING FOR CURRENT_USER SERVER mine OPTIONS (api_key 'secret');
ALTER SERVER mine OPTIONS (SET base_url 'https://api.us.kombo.dev/v1');
ALTER SERVER mine OPTIONS (SET base_url 'https://kombo.example.org/v1');
ALTER SERVER mine OPTIONS (ADD ca_file '/etc/ssl/mine.pem');
ALTER SERVER mine OPTIONS (ADD proxy 'http://proxy.example.org:3128');
ALTER SERVER mine OPTIONS (ADD allow_http 'on');
ALTER USER MAPPING FOR CURRENT_USER SERVER mine OPTIONS (DROP api_key, ADD api_key_file '/etc/passwd');
RESET ROLE;
GRANT pg_read_server_files TO regress_kombo_other;
SET ROLE regress_kombo_other;
ALTER USER MAPPING FOR CURRENT_USER SERVER mine OPTIONS (DROP api_key, ADD api_key_file '/etc/kombo.key');
RESET ROLE;

-- A superuser may.
ALTER SERVER kombo_eu OPTIONS (SET base_url 'http://127.0.0.1:8080/v1', ADD allow_http 'on',
    ADD ca_file '/etc/ssl/mine.pem', ADD proxy 'http://proxy.example.org:3128');
ALTER SERVER kombo_eu OPTIONS (DROP allow_http);
SELECT srvoptions FROM pg_foreign_server WHERE srvname = 'kombo_eu';

-- Settings.
SELECT name, setting, unit, context FROM pg_settings WHERE name LIKE 'kombo\_sync.%' ORDER BY name;
SET kombo_sync.max_sweep_fraction = 1.5;
\set VERBOSITY sqlstate
-- From PostgreSQL 17 on the message names the unit of the range, too.
SET kombo_sync.overlap = '-1s';
\set VERBOSITY default
SET kombo_sync.max_retries = -1;
SET kombo_sync.min_full_interval = 'often';
SET kombo_sync.retention = '1h';
SET kombo_sync.unheard_of = 1;
SET ROLE regress_kombo_other;
SET kombo_sync.overlap = 0;
SET kombo_sync.show_progress = on;
RESET kombo_sync.show_progress;
RESET ROLE;

DROP OWNED BY regress_kombo_other CASCADE;
DROP ROLE regress_kombo_other;
DROP SERVER kombo_eu, kombo_us CASCADE;
