-- Runs once, at the first start of compose.yaml's database. For an account in the US change the address before that.
CREATE EXTENSION kombo_sync;
CREATE SERVER kombo_eu FOREIGN DATA WRAPPER kombo_sync
  OPTIONS (base_url 'https://api.kombo.dev/v1');
CREATE USER MAPPING FOR CURRENT_USER SERVER kombo_eu
  OPTIONS (api_key_file '/run/secrets/kombo_key', webhook_secret_file '/run/secrets/kombo_secret');
CREATE ROLE kombo_owner;
SELECT kombo.create_tables('HRIS', owner => 'kombo_owner');

-- The receiver's role. A statement that fails is not logged, as it has a password.
\set password `cat /run/secrets/webhook_password`
SET log_min_error_statement = panic;
CREATE ROLE hr_webhooks LOGIN PASSWORD :'password' CONNECTION LIMIT 10;
RESET log_min_error_statement;
SELECT kombo.grant_webhook_writer('hr_webhooks');
