-- What 0.2.0 has and 0.3.0 has otherwise; all else is in the install parts, which follow.

-- A signature has 43 or 44 characters: what is longer was no webhook of Kombo's.
UPDATE kombo.webhook_inbox i SET signature = left(i.signature, 1024) WHERE octet_length(i.signature) > 1024;
ALTER TABLE kombo.webhook_inbox
    ADD CONSTRAINT webhook_inbox_signature_is_at_most_1_kb CHECK (octet_length(signature) <= 1024);

ALTER TABLE kombo.sync_state ADD COLUMN refused text;
