DROP TABLE slow_call;
DELETE FROM store_property WHERE name IN ('store_id', 'generation');
