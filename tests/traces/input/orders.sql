-- SPDX-License-Identifier: MIT
-- The sqlite3 trace: a shop's database in memory. Tables filled by recursive queries, indices, a full
-- text search, joins with grouping and sorting, updates and deletions in transactions, a rollback.
PRAGMA cache_size = -1024;
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, city TEXT, since INTEGER);
CREATE TABLE item (id INTEGER PRIMARY KEY, title TEXT, price INTEGER);
CREATE TABLE sale (id INTEGER PRIMARY KEY, customer INTEGER, item INTEGER, day INTEGER, pieces INTEGER);
CREATE VIRTUAL TABLE note USING fts5(body);

BEGIN;
INSERT INTO customer
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
  SELECT i, printf('customer %05d', i * 7919 % 2000), printf('city %d', i * 31 % 97), i * 13 % 3650 FROM n;
INSERT INTO item
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
  SELECT i, printf('item %s %d', substr('abcdefghijklmnopqrstuvwxyz', i % 20 + 1, 6), i), i * 37 % 991 FROM n;
INSERT INTO sale
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
  SELECT i, i * 7907 % 2000 + 1, i * 104729 % 500 + 1, i % 3650, i % 9 + 1 FROM n;
INSERT INTO note(body)
  SELECT printf('%s bought %d of %s on day %d', name, pieces, title, day)
  FROM sale JOIN customer ON customer.id = sale.customer JOIN item ON item.id = sale.item
  WHERE sale.id % 6 = 0;
COMMIT;

CREATE INDEX sale_customer ON sale(customer, day);
CREATE INDEX sale_item ON sale(item);
CREATE INDEX customer_city ON customer(city, name);
ANALYZE;

SELECT city, count(*), sum(pieces * price) AS total, group_concat(DISTINCT title)
  FROM sale JOIN customer ON customer.id = sale.customer JOIN item ON item.id = sale.item
  GROUP BY city ORDER BY total DESC LIMIT 3;
SELECT count(*) FROM note WHERE note MATCH 'defghi OR city';
SELECT name, json_group_array(json_object('day', day, 'item', title))
  FROM customer JOIN sale ON sale.customer = customer.id JOIN item ON item.id = sale.item
  WHERE customer.id < 60 GROUP BY name ORDER BY name LIMIT 2;

BEGIN;
UPDATE item SET price = price + 1, title = title || ' (new)' WHERE id % 3 = 0;
DELETE FROM sale WHERE day < 400;
UPDATE customer SET city = 'city ' || (since % 50) WHERE id IN (SELECT customer FROM sale WHERE pieces > 7);
ROLLBACK;
BEGIN;
DELETE FROM sale WHERE day % 5 = 0;
DELETE FROM note WHERE rowid % 3 = 0;
COMMIT;
VACUUM;

SELECT day / 365 AS year, count(*), avg(pieces), max(title)
  FROM sale JOIN item ON item.id = sale.item GROUP BY year ORDER BY year;
SELECT a.id, b.id FROM sale a JOIN sale b ON a.customer = b.customer AND a.day < b.day AND a.item = b.item
  ORDER BY a.id, b.id LIMIT 5;
SELECT length(group_concat(body, '; ')) FROM note WHERE note MATCH 'bought';
PRAGMA integrity_check;
