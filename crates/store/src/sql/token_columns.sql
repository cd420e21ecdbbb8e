t.id, t.name, u.name, t.scopes, t.created_at, t.expires_at, t.revoked_at, t.last_used_at
