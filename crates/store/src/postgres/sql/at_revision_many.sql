FROM unnest($3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS asked (step, config, split, place)
JOIN pointers p ON p.dataset = $1 AND p.revision = $2
    AND p.step = asked.step AND p.config = asked.config AND p.split = asked.split
JOIN views v ON v.id = p.view
ORDER BY asked.place
