-- Columns of tables that 0.1.0 has already; all else is in the install parts, which follow.

ALTER TABLE kombo.integrations
    ADD COLUMN next_attempt_at timestamptz,
    ADD COLUMN data_expired_at timestamptz,
    ADD COLUMN checked_at      timestamptz;

ALTER TABLE kombo.sync_state
    ADD COLUMN attempts        integer NOT NULL DEFAULT 0,
    ADD COLUMN full_started_at timestamptz,
    ADD COLUMN full_watermark  timestamptz,
    ADD COLUMN full_query      text,
    ADD COLUMN full_cursor     text,
    ADD COLUMN full_cursor_at  timestamptz,
    ADD COLUMN full_progress   jsonb;

