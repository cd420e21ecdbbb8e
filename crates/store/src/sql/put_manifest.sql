INSERT INTO manifests (dataset, revision, manifest) VALUES ($1, $2, $3)
ON CONFLICT (dataset, revision) DO NOTHING
