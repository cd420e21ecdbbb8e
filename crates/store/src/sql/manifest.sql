SELECT manifest FROM manifests WHERE dataset = $1 AND revision = $2
