#!/bin/sh
# Makes the secrets of an installation on its first start, and tells where they are. What is there stays as it is.
#
#   first-secrets DIRECTORY
#
# DIRECTORY/belvedere is for SECRETS_DIR: STORE_URL with the password of the database, and the hash of the token of the
# first operator. DIRECTORY/postgres_password is for the database. DIRECTORY/admin-token is the token itself, for you.
set -eu
umask 077
directory=${1:?which directory?}
mkdir -p "$directory/belvedere"
if [ ! -s "$directory/postgres_password" ]; then
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$directory/postgres_password"
fi
password=$(cat "$directory/postgres_password")
printf 'postgres://belvedere:%s@db/belvedere' "$password" >"$directory/belvedere/STORE_URL"
if [ ! -s "$directory/belvedere/ADMIN_TOKENS" ]; then
    belvedere admin token operator >"$directory/made"
    sed -n 's/^token  *//p' "$directory/made" >"$directory/admin-token"
    sed -n 's/^hash  *//p' "$directory/made" >"$directory/belvedere/ADMIN_TOKENS"
    rm -f "$directory/made"
    echo "made the first secrets; the token of the operator is in $directory/admin-token"
else
    echo "the secrets in $directory stay as they are"
fi
# The database runs as another user, and reads this one file of a directory that nobody else sees.
chmod 755 "$directory"
chmod 644 "$directory/postgres_password"
