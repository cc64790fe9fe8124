-- What 0.2.0 has and 0.3.0 has otherwise; all else is in the install parts, which follow.

-- A signature has 43 or 44 characters: what is longer was no webhook of Kombo's.
UPDATE kombo.webhook_inbox i SET signature = left(i.signature, 1024) WHERE octet_length(i.signature) > 1024;
ALTER TABLE kombo.webhook_inbox
    ADD CONSTRAINT webhook_inbox_signature_is_at_most_1_kb CHECK (octet_length(signature) <= 1024);

-- What a webhook told of and the list did not show yet is asked for again.
ALTER TABLE kombo.sync_requests
    ADD COLUMN attempt smallint NOT NULL DEFAULT 0,
    ADD COLUMN not_before timestamptz,
    ADD COLUMN updated_after timestamptz;

-- What the list of skill ratings became. Its table stays, and is filled by the new list.
DELETE FROM kombo.endpoints e WHERE e.path = '/hris/employee-skill-assignments' AND e.shipped;
DELETE FROM kombo.fields f
WHERE f.table_name = 'hris_employee_skill_proficiency_ratings' AND f.column_name = 'current_level' AND f.shipped;
DELETE FROM kombo.sync_state s WHERE s.endpoint = '/hris/employee-skill-assignments';
DELETE FROM kombo.sync_seen s WHERE s.endpoint = '/hris/employee-skill-assignments';
DELETE FROM kombo.sync_requests r WHERE r.endpoint = '/hris/employee-skill-assignments';
DELETE FROM kombo.rejected_records r WHERE r.endpoint = '/hris/employee-skill-assignments';
