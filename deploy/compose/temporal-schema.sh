#!/bin/sh
# Makes Temporal's databases and brings their tables to this version's. Safe to
# run again: what is there is kept. SQL_HOST and the like say where.
set -eu
SQL_PASSWORD="$(cat /run/secrets/postgres_password)"
export SQL_PASSWORD
tables=/etc/temporal/schema/postgresql/v12
for database in temporal:temporal temporal_visibility:visibility; do
	name=${database%%:*}
	temporal-sql-tool --db "$name" create-database
	temporal-sql-tool --db "$name" setup-schema --version 0.0
	temporal-sql-tool --db "$name" update-schema --schema-dir "$tables/${database##*:}/versioned"
done
