SELECT enqueue_jobs($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, NULL)
