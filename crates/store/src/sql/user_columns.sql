u.id, u.name, u.role, u.disabled, u.version, u.created_at, u.last_login_at
