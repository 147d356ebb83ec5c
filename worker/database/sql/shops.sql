-- name: add^
-- A new shop; no row when the code is taken.
INSERT INTO backroom.shop (code, domain, api_url, settings)
VALUES (:code, :domain, :api_url, :settings)
ON CONFLICT (code) DO NOTHING
RETURNING code;

-- name: by_code^
SELECT code, domain, api_url, enabled, settings FROM backroom.shop WHERE code = :code;

-- name: by_domain
SELECT code, domain, api_url, enabled, settings FROM backroom.shop WHERE domain = :domain ORDER BY code;

-- name: cards
-- Shops as operators see them: all, or the one of that code.
SELECT s.code, s.domain, s.api_url, s.enabled, s.settings, s.version, s.created_at, s.updated_at,
       s.access_token IS NOT NULL AS connected,
       array(SELECT w.id FROM backroom.webhook_secret w WHERE w.shop = s.code ORDER BY w.id) AS webhook_secret_ids
FROM backroom.shop s
WHERE :code::text IS NULL OR s.code = :code
ORDER BY s.code;

-- name: codes
SELECT code FROM backroom.shop ORDER BY code;

-- name: lock^
-- The shop for a change: others who change it wait.
SELECT code, domain, api_url, enabled, settings, version FROM backroom.shop WHERE code = :code FOR NO KEY UPDATE;

-- name: save!
-- The changed shop, with its next version.
UPDATE backroom.shop SET domain = :domain, api_url = :api_url, enabled = :enabled, settings = :settings,
    version = version + 1, updated_at = backroom.now()
WHERE code = :code;

-- name: save_token!
UPDATE backroom.shop SET access_token = :access_token, version = version + 1, updated_at = backroom.now()
WHERE code = :code;

-- name: save_webhook_secret!
INSERT INTO backroom.webhook_secret (id, shop, secret) VALUES (:id, :shop, :secret)
ON CONFLICT (shop, id) DO UPDATE SET secret = excluded.secret, created_at = backroom.now();

-- name: remove_webhook_secret!
DELETE FROM backroom.webhook_secret WHERE shop = :shop AND id = :id;

-- name: stored_secrets
-- Everything encrypted, for a change of keys.
SELECT code AS shop, '' AS id, access_token AS secret FROM backroom.shop WHERE access_token IS NOT NULL
UNION ALL
SELECT shop, id, secret FROM backroom.webhook_secret;

-- name: replace_token!
-- The same token under another key: no new version, nothing changed for people.
UPDATE backroom.shop SET access_token = :secret WHERE code = :shop;

-- name: replace_webhook_secret!
UPDATE backroom.webhook_secret SET secret = :secret WHERE shop = :shop AND id = :id;

-- name: door
-- What the webhook door keeps in memory: every shop with its signing secrets.
SELECT s.domain, s.code, s.enabled, w.id, w.secret
FROM backroom.shop s
LEFT JOIN backroom.webhook_secret w ON w.shop = s.code
ORDER BY s.domain, s.code, w.created_at DESC, w.id;
