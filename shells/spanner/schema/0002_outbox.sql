-- What goes out: events in the transaction of their change, the one stream that tells of them, and who works on what.

-- One row per transaction and subject, the subject's events in their order. batch is drawn afresh by each attempt.
-- Rows outlive the stream's own retention by a day, for people who ask what was told.
CREATE TABLE IF NOT EXISTS outbox (
  subject STRING(96) NOT NULL,
  batch STRING(32) NOT NULL,
  events JSON NOT NULL,
  committed_at TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true)
) PRIMARY KEY (subject, batch),
  ROW DELETION POLICY (OLDER_THAN(committed_at, INTERVAL 8 DAY));

-- How far each partition of the stream is relayed. id is the hash of token, so the rows are spread.
-- The row without a token stands for the question for the stream's first partitions. A row leaves long after its children
-- were begun, who need it for that.
CREATE TABLE IF NOT EXISTS relay_partition (
  id INT64 NOT NULL,
  token STRING(MAX),
  parents ARRAY<INT64> NOT NULL,
  start_at TIMESTAMP NOT NULL,
  watermark TIMESTAMP NOT NULL,
  state STRING(16) NOT NULL,
  lease_owner INT64,
  lease_until TIMESTAMP,
  finished_through TIMESTAMP AS (IF(state = 'finished', watermark, NULL)) STORED
) PRIMARY KEY (id),
  ROW DELETION POLICY (OLDER_THAN(finished_through, INTERVAL 30 DAY));

CREATE INDEX IF NOT EXISTS relay_partition_by_state ON relay_partition (state);

CREATE TABLE IF NOT EXISTS forwarder_leases (
  part INT64 NOT NULL,
  owner INT64 NOT NULL,
  until TIMESTAMP NOT NULL
) PRIMARY KEY (part);

CREATE CHANGE STREAM outbox_stream FOR outbox
  OPTIONS (retention_period = '7d', value_capture_type = 'NEW_ROW', exclude_update = true, exclude_delete = true,
    exclude_ttl_deletes = true);
