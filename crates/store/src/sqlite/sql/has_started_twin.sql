SELECT EXISTS (
    SELECT 1
    FROM jobs waiting
    JOIN jobs started ON started.status = 1
        AND started.dataset = waiting.dataset AND started.revision = waiting.revision
        AND started.step = waiting.step AND started.config = waiting.config AND started.split = waiting.split
    WHERE waiting.id = ?1)
