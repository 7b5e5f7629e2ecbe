-- What a check-in does on PostgreSQL. It is made by the migration of its name and never changed
-- after a release: processes of two versions share a database while the service is replaced.
-- Another rule is another function, check_in_2, and a migration that makes it.
CREATE OR REPLACE FUNCTION check_in_1(
    -- Who speaks, and when.
    p_device_id text,
    p_key_digest text,
    p_now timestamptz,
    -- From when on the device is silent, if it does not come back.
    p_silent_at timestamptz,
    -- In seconds: from one check-in to the next, and how long a device may be silent.
    p_interval double precision,
    p_patience double precision,
    p_bad_checks_for_error integer,
    -- What it says. A heartbeat is no check.
    p_is_check boolean,
    p_is_healthy boolean,
    p_response_time_ms integer,
    p_status_code integer,
    p_endpoint text,
    p_response_data jsonb,
    p_error_message text,
    p_firmware_version text,
    p_config_version text,
    p_reported_at timestamptz,
    -- All null: unknown id or wrong key. No status: it may not speak.
    OUT its_state text,
    OUT its_status text,
    OUT its_pk bigint,
    OUT its_work boolean
) LANGUAGE plpgsql AS $$
DECLARE
    d record;
    check_id bigint;
    is_no_news boolean;
    is_due boolean;
    bad_now integer;
    status_before text;
    reason_now text;
    flips boolean;
    turned boolean;
    due_at timestamptz := p_silent_at;
BEGIN
    -- The lock makes two check-ins of one device take turns; the second sees what the first did.
    SELECT v.id, v.lifecycle_state, v.status, v.status_reason, v.status_since, v.status_due_at,
        v.sweep_at, v.bad_checks, v.maintenance_until, v.last_seen, v.last_reported_at,
        v.last_check_healthy, c.id AS credential, c.last_used_at,
        p_is_check AND EXISTS (
            SELECT FROM job_executions e WHERE e.device_id = v.id AND e.offer_at <= p_now
        ) AS has_work
    INTO d
    FROM device_credentials c JOIN devices v ON v.id = c.device_id
    WHERE c.key_digest = p_key_digest AND v.device_id = p_device_id
        AND c.revoked_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > p_now)
    FOR NO KEY UPDATE OF v;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    its_state := d.lifecycle_state;
    its_pk := d.id;
    its_work := d.has_work;
    IF d.lifecycle_state NOT IN ('pending', 'active') THEN
        RETURN;
    END IF;

    IF p_is_check AND p_reported_at IS NULL THEN
        INSERT INTO health_checks (device_id, is_healthy, response_time_ms, status_code, endpoint,
            response_data, error_message, checked_at)
        VALUES (d.id, p_is_healthy, p_response_time_ms, p_status_code, p_endpoint,
            p_response_data, p_error_message, p_now)
        RETURNING id INTO check_id;
    ELSIF p_is_check THEN
        INSERT INTO health_checks (device_id, is_healthy, response_time_ms, status_code, endpoint,
            response_data, error_message, checked_at, reported_at)
        VALUES (d.id, p_is_healthy, p_response_time_ms, p_status_code, p_endpoint,
            p_response_data, p_error_message, p_now, p_reported_at)
        ON CONFLICT (device_id, reported_at) WHERE reported_at IS NOT NULL DO NOTHING
        RETURNING id INTO check_id;
    END IF;
    is_no_news := COALESCE(p_reported_at < d.last_reported_at, false)
        OR p_is_check AND check_id IS NULL;

    -- What it turned into when its time had come, if no sweep has written it down yet.
    status_before := d.status;
    is_due := COALESCE(d.status_due_at <= p_now, false);
    IF is_due THEN
        is_due := NOT EXISTS (
            SELECT FROM service_pulse
            WHERE grace_until > p_now OR beat_at < p_now - p_interval * interval '1 second'
        );
    END IF;
    IF is_due AND NOT is_no_news THEN
        status_before := CASE
            WHEN d.status <> 'maintenance'
                OR d.last_seen <= p_now - p_patience * interval '1 second' THEN 'offline'
            WHEN d.last_seen IS NULL THEN 'unknown'
            WHEN d.bad_checks >= p_bad_checks_for_error THEN 'error'
            ELSE 'online' END;
    END IF;

    -- What it is now, and why.
    bad_now := CASE WHEN p_is_check AND p_is_healthy THEN 0
        ELSE d.bad_checks + p_is_check::integer END;
    IF is_no_news THEN
        its_status := d.status;
        reason_now := d.status_reason;
        bad_now := d.bad_checks;
        IF is_due OR d.status NOT IN ('online', 'error') THEN
            due_at := d.status_due_at;
        END IF;
    ELSIF d.maintenance_until > p_now THEN
        its_status := 'maintenance';
        reason_now := 'In maintenance until '
            || to_char(d.maintenance_until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC.';
        due_at := d.maintenance_until;
    ELSIF bad_now < p_bad_checks_for_error THEN
        its_status := 'online';
        reason_now := 'Checks in, healthy.';
    ELSIF NOT p_is_check AND d.status = 'error' AND NOT is_due THEN
        -- A heartbeat of a failing device says nothing new about why.
        its_status := 'error';
        reason_now := d.status_reason;
    ELSE
        its_status := 'error';
        reason_now := COALESCE(NULLIF(left(p_error_message, 500), ''),
            'The last check was unhealthy.');
    END IF;
    turned := d.status <> status_before;
    flips := status_before <> its_status;

    IF turned THEN
        INSERT INTO device_status_changes (device_id, old_status, new_status, reason, at)
        VALUES (d.id, d.status, status_before, CASE
            WHEN status_before = 'error' THEN 'The last check was unhealthy.'
            WHEN status_before = 'online' THEN 'Checks in, healthy.'
            WHEN d.last_seen IS NULL THEN 'No check-in yet.'
            ELSE 'No check-in since '
                || to_char(d.last_seen AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC.'
            END, d.status_due_at);
    END IF;
    IF flips THEN
        INSERT INTO device_status_changes (device_id, old_status, new_status, reason, evidence, at)
        VALUES (d.id, status_before, its_status, reason_now, check_id, p_now);
    END IF;

    UPDATE devices v SET
        last_seen = GREATEST(d.last_seen, p_now),
        lifecycle_state = 'active',
        -- A device clock that once ran ahead must not make all that follows late.
        last_reported_at = CASE WHEN p_reported_at IS NULL THEN d.last_reported_at
            ELSE GREATEST(d.last_reported_at, LEAST(p_reported_at, p_now)) END,
        last_check_healthy = CASE WHEN is_no_news OR NOT p_is_check THEN d.last_check_healthy
            ELSE p_is_healthy END,
        bad_checks = bad_now,
        status = its_status,
        status_reason = reason_now,
        status_since = CASE WHEN flips THEN p_now WHEN turned THEN d.status_due_at
            ELSE d.status_since END,
        status_due_at = due_at,
        -- Left alone while it can be: no other indexed column is moved by a usual check-in.
        sweep_at = CASE WHEN d.sweep_at > p_now THEN LEAST(d.sweep_at, due_at) ELSE due_at END,
        firmware_version = CASE WHEN is_no_news OR p_firmware_version = '' THEN v.firmware_version
            ELSE p_firmware_version END,
        config_version = CASE WHEN is_no_news OR p_config_version = '' THEN v.config_version
            ELSE p_config_version END
    WHERE v.id = d.id;

    -- Noted once an hour; more often would be one more write for each check-in.
    IF d.last_used_at IS NULL OR d.last_used_at < p_now - interval '1 hour' THEN
        UPDATE device_credentials c SET last_used_at = p_now WHERE c.id = d.credential;
        IF d.last_used_at IS NULL THEN
            -- The first use of a new key ends the keys before it.
            UPDATE device_credentials c SET revoked_at = p_now
            WHERE c.device_id = d.id AND c.id < d.credential AND c.revoked_at IS NULL;
        END IF;
    END IF;
END
$$
