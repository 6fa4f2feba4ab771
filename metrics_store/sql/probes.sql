-- What a version of SQLite can do, tried out in a database in memory that is thrown away.

-- name: json_check
-- A table that SQLite 3.38 to 3.40 refuses to write to while the schema is not trusted.
CREATE TABLE probe (x TEXT CHECK (json_valid(x)));

-- name: use_json_check
-- Write to it.
INSERT INTO probe (x) VALUES ('{}');
