INSERT INTO file_hashes (path, size, mtime_ns, ctime_ns, inode, sha256) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (path) DO UPDATE
SET size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns, inode = excluded.inode,
    sha256 = excluded.sha256
