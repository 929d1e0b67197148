-- name: stamp_mode
-- The first start decides; the row is there once.
INSERT INTO installation_mode (mode) VALUES ($1) ON CONFLICT DO NOTHING

-- name: stamped_mode
SELECT mode FROM installation_mode
