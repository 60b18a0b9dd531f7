-- An ordinary role that owns a database of its own. PostgreSQL's image runs this once, when it has
-- created the cluster.
\set password `cat /run/secrets/database.password`
CREATE ROLE sightline LOGIN PASSWORD :'password';
CREATE DATABASE sightline OWNER sightline;
REVOKE CONNECT ON DATABASE sightline FROM PUBLIC;
