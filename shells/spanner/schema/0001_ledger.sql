-- The rows of the ledger, the catalogue and the windows. One statement ends at each semicolon.
-- Rows of one shard stand in their shard's row, so that a transaction of one shard seldom leaves one split.
-- No key begins with a time or a counter, so no range is hot; what is contended is one row per (shard, SKU).

CREATE TABLE IF NOT EXISTS sales (
  sale STRING(32) NOT NULL,
  title STRING(MAX) NOT NULL,
  starts_at TIMESTAMP NOT NULL,
  ends_at TIMESTAMP NOT NULL,
  user_limit INT64 NOT NULL,
  hold_ms INT64 NOT NULL,
  shards INT64 NOT NULL,
  ack STRING(16) NOT NULL,
  currency STRING(3) NOT NULL,
  state STRING(16) NOT NULL,
  version INT64 NOT NULL
) PRIMARY KEY (sale);

CREATE TABLE IF NOT EXISTS products (
  product STRING(32) NOT NULL,
  name STRING(MAX) NOT NULL,
  category STRING(MAX) NOT NULL,
  image_url STRING(MAX) NOT NULL,
  version INT64 NOT NULL
) PRIMARY KEY (product);

-- A sale's range is the keys of this table: it is not written twice.
CREATE TABLE IF NOT EXISTS skus (
  sale STRING(32) NOT NULL,
  sku STRING(32) NOT NULL,
  product STRING(32) NOT NULL,
  name STRING(MAX) NOT NULL,
  price_minor INT64 NOT NULL,
  total INT64 NOT NULL,
  pool INT64 NOT NULL,
  version INT64 NOT NULL
) PRIMARY KEY (sale, sku);

CREATE TABLE IF NOT EXISTS shards (
  sale STRING(32) NOT NULL,
  k INT64 NOT NULL,
  epoch INT64 NOT NULL,
  phase STRING(16) NOT NULL,
  server STRING(32) NOT NULL,
  nonce INT64 NOT NULL,
  decided_seq INT64 NOT NULL,
  replay_from INT64,
  reason STRING(32),
  lease_owner INT64,
  lease_until TIMESTAMP
) PRIMARY KEY (sale, k);

CREATE TABLE IF NOT EXISTS stock (
  sale STRING(32) NOT NULL,
  k INT64 NOT NULL,
  sku STRING(32) NOT NULL,
  granted INT64 NOT NULL,
  consumed INT64 NOT NULL,
  grant_seq INT64 NOT NULL
) PRIMARY KEY (sale, k, sku),
  INTERLEAVE IN PARENT shards;

-- reservation: the 16 bytes behind an order id's last part, LOWER(RTRIM(TO_BASE32(reservation), '=')).
-- due_at: the pay window's end while the order waits for its money, else NULL: what the sweep's index holds.
CREATE TABLE IF NOT EXISTS orders (
  sale STRING(32) NOT NULL,
  k INT64 NOT NULL,
  reservation BYTES(16) NOT NULL,
  user STRING(64) NOT NULL,
  status STRING(16) NOT NULL,
  reason STRING(16),
  amount_minor INT64 NOT NULL,
  version INT64 NOT NULL,
  expires_at TIMESTAMP NOT NULL,
  created_at TIMESTAMP NOT NULL,
  payment STRING(64),
  paid_at TIMESTAMP,
  origin JSON,
  due_at TIMESTAMP AS (IF(status = 'PENDING_PAYMENT', expires_at, NULL)) STORED
) PRIMARY KEY (sale, k, reservation),
  INTERLEAVE IN PARENT shards;

CREATE NULL_FILTERED INDEX IF NOT EXISTS orders_due
  ON orders (sale, k, due_at, reservation) STORING (version), INTERLEAVE IN shards;

CREATE TABLE IF NOT EXISTS quotas (
  sale STRING(32) NOT NULL,
  k INT64 NOT NULL,
  user STRING(64) NOT NULL,
  live INT64 NOT NULL
) PRIMARY KEY (sale, k, user),
  INTERLEAVE IN PARENT shards;

CREATE TABLE IF NOT EXISTS payments (
  payment STRING(64) NOT NULL,
  order_id STRING(96) NOT NULL,
  user STRING(64) NOT NULL,
  amount_minor INT64 NOT NULL,
  status STRING(16) NOT NULL,
  started_at TIMESTAMP NOT NULL,
  version INT64 NOT NULL
) PRIMARY KEY (payment);

CREATE TABLE IF NOT EXISTS top_ups (
  sale STRING(32) NOT NULL,
  key STRING(64) NOT NULL,
  sku STRING(32) NOT NULL,
  quantity INT64 NOT NULL,
  total INT64 NOT NULL,
  done_at TIMESTAMP NOT NULL
) PRIMARY KEY (sale, key);

CREATE TABLE IF NOT EXISTS sales_rings (
  sku STRING(32) NOT NULL,
  part INT64 NOT NULL,
  product STRING(32) NOT NULL,
  ring JSON NOT NULL,
  dirty BOOL NOT NULL,
  emitted INT64 NOT NULL,
  emitted_hour INT64
) PRIMARY KEY (sku);

CREATE INDEX IF NOT EXISTS sales_rings_by_part ON sales_rings (part, sku);

CREATE INDEX IF NOT EXISTS sales_rings_by_product ON sales_rings (product) STORING (emitted);

CREATE TABLE IF NOT EXISTS sales_cursors (
  part INT64 NOT NULL,
  next INT64 NOT NULL,
  too_late INT64 NOT NULL,
  unpaired INT64 NOT NULL
) PRIMARY KEY (part);

-- A row leaves when its own time is over: core names it, eight days after the movement was counted.
CREATE TABLE IF NOT EXISTS counted (
  sku STRING(32) NOT NULL,
  order_id STRING(96) NOT NULL,
  sign STRING(16) NOT NULL,
  placement STRING(16) NOT NULL,
  expires_at TIMESTAMP NOT NULL
) PRIMARY KEY (sku, order_id, sign),
  ROW DELETION POLICY (OLDER_THAN(expires_at, INTERVAL 0 DAY));
