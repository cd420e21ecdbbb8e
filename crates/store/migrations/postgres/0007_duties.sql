-- What is done every now and then by one process for all. Times are microseconds since 1970.
CREATE TABLE duties (
    name TEXT COLLATE "C" PRIMARY KEY,
    owner TEXT NOT NULL,
    -- Grows with every taking, so that whoever lost the duty can be told from who has it.
    token BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    done_at BIGINT,
    outcome TEXT NOT NULL
);

-- Programs that know at least so many migrations may work on this schema, though they do not know all of it.
ALTER TABLE schema_version ADD COLUMN oldest_program BIGINT NOT NULL DEFAULT 0;
