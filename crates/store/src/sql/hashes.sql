SELECT path, size, mtime_ns, ctime_ns, inode, sha256
FROM file_hashes
WHERE path >= $1 AND path < $2
