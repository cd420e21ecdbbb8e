SELECT EXISTS (SELECT 1 FROM jobs WHERE status = 0 AND dataset = $1 AND ($2::text[] = '{}' OR step = ANY ($2)))
    OR EXISTS (SELECT 1 FROM jobs WHERE status = 1 AND dataset = $1 AND ($2::text[] = '{}' OR step = ANY ($2)))
