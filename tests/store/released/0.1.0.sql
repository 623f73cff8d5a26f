CREATE TABLE schema_version (room TEXT PRIMARY KEY, version BIGINT NOT NULL, at BIGINT NOT NULL);
-- store
CREATE TABLE ledger (
  seq BIGINT PRIMARY KEY,
  at BIGINT NOT NULL,
  workspace TEXT NOT NULL,
  actor TEXT NOT NULL,
  method TEXT NOT NULL,
  request_id TEXT NOT NULL,
  action TEXT NOT NULL,
  changes TEXT NOT NULL,
  previous TEXT NOT NULL,
  hash TEXT NOT NULL
);
CREATE INDEX ledger_by_workspace ON ledger (workspace, seq);

CREATE TABLE blob_entry (
  digest TEXT PRIMARY KEY,
  size BIGINT NOT NULL,
  place TEXT NOT NULL,
  pack TEXT NOT NULL,
  position BIGINT NOT NULL,
  stored BIGINT NOT NULL,
  codec BIGINT NOT NULL,
  damaged BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  condemned_at BIGINT NOT NULL
);
CREATE INDEX blob_entry_by_pack ON blob_entry (pack, position);
CREATE INDEX blob_entry_condemned ON blob_entry (condemned_at) WHERE condemned_at > 0;
CREATE TABLE blob_doomed (
  object TEXT PRIMARY KEY,
  due BIGINT NOT NULL
);
CREATE TABLE blob_epoch (
  id BIGINT PRIMARY KEY,
  epoch BIGINT NOT NULL
);

CREATE TABLE queue_tasks (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  payload TEXT NOT NULL,
  state TEXT NOT NULL,
  priority BIGINT NOT NULL,
  not_before BIGINT NOT NULL,
  attempt BIGINT NOT NULL,
  max_attempts BIGINT NOT NULL,
  worker TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  changed_at BIGINT NOT NULL,
  result TEXT,
  error TEXT
);
CREATE UNIQUE INDEX queue_tasks_key ON queue_tasks (workspace, kind, key) WHERE key <> '';
CREATE INDEX queue_tasks_ready ON queue_tasks (priority DESC, id) WHERE state = 'ready';
CREATE INDEX queue_tasks_waiting ON queue_tasks (not_before) WHERE state = 'waiting';
CREATE INDEX queue_tasks_running ON queue_tasks (worker) WHERE state = 'running';
CREATE INDEX queue_tasks_state ON queue_tasks (workspace, state, id);
CREATE TABLE queue_workers (
  id TEXT PRIMARY KEY,
  host TEXT NOT NULL,
  pid BIGINT NOT NULL,
  born TEXT NOT NULL,
  lease_ms BIGINT NOT NULL,
  beats BIGINT NOT NULL,
  kinds TEXT NOT NULL,
  joined_at BIGINT NOT NULL,
  seen_at BIGINT NOT NULL
);
INSERT INTO schema_version (room, version, at) VALUES ('store', 1, 0);
-- lineage
CREATE TABLE artifact (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  digest TEXT NOT NULL,
  size BIGINT NOT NULL,
  metadata TEXT NOT NULL,
  run_id TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  UNIQUE (workspace, kind, name, version)
);
CREATE INDEX artifact_by_digest ON artifact (workspace, kind, name, digest);
CREATE INDEX artifact_by_time ON artifact (workspace, kind, id);
CREATE TABLE artifact_file (
  artifact_id TEXT NOT NULL,
  path TEXT NOT NULL,
  size BIGINT NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (artifact_id, path)
);
CREATE INDEX artifact_file_by_digest ON artifact_file (digest);
CREATE TABLE run (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  status TEXT NOT NULL,
  parent_id TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  finished_at BIGINT,
  heartbeat_at BIGINT,
  metadata TEXT NOT NULL,
  created_by TEXT NOT NULL
);
CREATE INDEX run_by_kind ON run (workspace, kind, name, id);
CREATE INDEX run_by_parent ON run (parent_id, id);
CREATE INDEX run_by_status ON run (workspace, status, kind);
CREATE TABLE edge (
  target TEXT NOT NULL,
  source TEXT NOT NULL,
  role TEXT NOT NULL,
  PRIMARY KEY (target, source, role)
);
CREATE INDEX edge_by_source ON edge (source, target, role);
CREATE TABLE alias (
  workspace TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  alias TEXT NOT NULL,
  version BIGINT NOT NULL,
  PRIMARY KEY (workspace, kind, name, alias)
);
CREATE TABLE alias_history (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  alias TEXT NOT NULL,
  version BIGINT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL
);
CREATE INDEX alias_history_by_name ON alias_history (workspace, kind, name, id);
CREATE TABLE artifact_rename (
  workspace TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  renamed TEXT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL,
  PRIMARY KEY (workspace, kind, name)
);
CREATE TABLE artifact_emptied (
  artifact_id TEXT PRIMARY KEY,
  at BIGINT NOT NULL,
  by TEXT NOT NULL
);
INSERT INTO schema_version (room, version, at) VALUES ('lineage', 1, 0);
-- trust
CREATE TABLE token (
  id TEXT PRIMARY KEY,
  principal TEXT NOT NULL,
  workspace TEXT NOT NULL,
  roles TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  expires_at BIGINT,
  revoked_at BIGINT
);
CREATE TABLE secret (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  sealed TEXT NOT NULL,
  key_id TEXT NOT NULL,
  changed_at BIGINT NOT NULL,
  changed_by TEXT NOT NULL,
  PRIMARY KEY (workspace, name)
);
INSERT INTO schema_version (room, version, at) VALUES ('trust', 1, 0);
-- events
CREATE TABLE event_outbox (
  number BIGINT PRIMARY KEY,
  id TEXT NOT NULL,
  workspace TEXT NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  data TEXT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL
);
CREATE INDEX event_outbox_by_workspace ON event_outbox (workspace, number);
CREATE INDEX event_outbox_by_time ON event_outbox (at);
CREATE TABLE webhook (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  url TEXT NOT NULL,
  kinds TEXT NOT NULL,
  payload TEXT NOT NULL,
  topics TEXT NOT NULL,
  description TEXT NOT NULL,
  status TEXT NOT NULL,
  signed BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  created_by TEXT NOT NULL
);
CREATE INDEX webhook_by_workspace ON webhook (workspace, status, id);
CREATE TABLE webhook_secret (
  webhook_id TEXT PRIMARY KEY,
  secret TEXT NOT NULL
);
CREATE TABLE webhook_delivery (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  webhook_id TEXT NOT NULL,
  event BIGINT NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  status BIGINT NOT NULL,
  answer TEXT NOT NULL,
  error TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL
);
CREATE INDEX webhook_delivery_by_webhook ON webhook_delivery (workspace, webhook_id, id);
CREATE INDEX webhook_delivery_by_event ON webhook_delivery (event);
CREATE TABLE event_policy (
  workspace TEXT PRIMARY KEY,
  private BIGINT NOT NULL
);
INSERT INTO schema_version (room, version, at) VALUES ('events', 1, 0);
-- data
CREATE TABLE dataset_content (
  artifact_id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  tree TEXT NOT NULL,
  files BIGINT NOT NULL,
  size BIGINT NOT NULL
);
CREATE INDEX dataset_content_by_tree ON dataset_content (tree);
CREATE TABLE lfs_object (
  workspace TEXT NOT NULL,
  repository TEXT NOT NULL,
  oid TEXT NOT NULL,
  size BIGINT NOT NULL,
  digest TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY (workspace, repository, oid)
);
CREATE INDEX lfs_object_by_digest ON lfs_object (digest);
CREATE TABLE lfs_lock (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  repository TEXT NOT NULL,
  path TEXT NOT NULL,
  ref TEXT NOT NULL,
  owner TEXT NOT NULL,
  locked_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX lfs_lock_by_path ON lfs_lock (workspace, repository, path);
CREATE TABLE dataset_remote (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  url TEXT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL,
  PRIMARY KEY (workspace, name)
);
CREATE TABLE dataset_partial (
  artifact_id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  remote TEXT NOT NULL
);
CREATE TABLE dataset_deletion (
  artifact_id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  aliases TEXT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL
);
CREATE INDEX dataset_deletion_by_time ON dataset_deletion (at);
CREATE TABLE dataset_retention (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  rule TEXT NOT NULL,
  PRIMARY KEY (workspace, name)
);
CREATE TABLE dataset_erased (
  artifact_id TEXT NOT NULL,
  workspace TEXT NOT NULL,
  erasure_id TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  before TEXT NOT NULL,
  after TEXT NOT NULL,
  rows BIGINT NOT NULL,
  files BIGINT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (artifact_id, erasure_id)
);
CREATE INDEX dataset_erased_by_tree ON dataset_erased (before);
CREATE TABLE dataset_forgotten (
  workspace TEXT NOT NULL,
  digest TEXT NOT NULL,
  erasure_id TEXT NOT NULL,
  PRIMARY KEY (workspace, digest)
);
CREATE TABLE dataset_label (
  artifact_id TEXT NOT NULL,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  set_at BIGINT NOT NULL,
  set_by TEXT NOT NULL,
  PRIMARY KEY (artifact_id, name)
);
CREATE INDEX dataset_label_by_name ON dataset_label (workspace, name);
CREATE TABLE dataset_tree (
  digest TEXT PRIMARY KEY,
  files BIGINT NOT NULL,
  size BIGINT NOT NULL,
  longest BIGINT NOT NULL,
  at BIGINT NOT NULL
);
INSERT INTO schema_version (room, version, at) VALUES ('data', 1, 0);
-- tracking
CREATE TABLE experiment (
  id BIGINT PRIMARY KEY,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  status TEXT NOT NULL,
  note TEXT NOT NULL,
  location TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  UNIQUE (workspace, name)
);
CREATE TABLE experiment_tag (
  experiment_id BIGINT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (experiment_id, key)
);
CREATE TABLE tracked_run (
  number BIGINT PRIMARY KEY,
  run_id TEXT NOT NULL UNIQUE,
  workspace TEXT NOT NULL,
  experiment_id BIGINT NOT NULL,
  title TEXT NOT NULL,
  user_name TEXT NOT NULL,
  status TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  finished_at BIGINT,
  deleted_at BIGINT,
  parent_id TEXT NOT NULL,
  group_name TEXT NOT NULL,
  note TEXT NOT NULL,
  source TEXT NOT NULL,
  forked_from BIGINT,
  fork_step BIGINT,
  updated_at BIGINT NOT NULL
);
CREATE INDEX tracked_run_by_start ON tracked_run (experiment_id, deleted_at, started_at, run_id);
CREATE INDEX tracked_run_by_id ON tracked_run (experiment_id, run_id);
CREATE INDEX tracked_run_by_status ON tracked_run (status, workspace);
CREATE INDEX tracked_run_by_parent ON tracked_run (parent_id);
CREATE INDEX tracked_run_by_workspace ON tracked_run (workspace, deleted_at, started_at, run_id);
CREATE TABLE run_key (
  id BIGINT PRIMARY KEY,
  experiment_id BIGINT NOT NULL,
  space TEXT NOT NULL,
  name TEXT NOT NULL,
  UNIQUE (experiment_id, space, name)
);
CREATE TABLE run_value (
  run BIGINT NOT NULL,
  key BIGINT NOT NULL,
  number DOUBLE PRECISION,
  text TEXT NOT NULL,
  type TEXT NOT NULL,
  PRIMARY KEY (run, key)
);
CREATE INDEX run_value_by_number ON run_value (key, number, run);
CREATE INDEX run_value_by_text ON run_value (key, text, run);
CREATE TABLE run_writer (
  run_id TEXT NOT NULL,
  writer TEXT NOT NULL,
  applied BIGINT NOT NULL,
  PRIMARY KEY (run_id, writer)
);
CREATE TABLE metric (
  run BIGINT NOT NULL,
  key BIGINT NOT NULL,
  last DOUBLE PRECISION,
  special TEXT NOT NULL,
  step BIGINT NOT NULL,
  at BIGINT NOT NULL,
  count BIGINT NOT NULL,
  minimum DOUBLE PRECISION,
  maximum DOUBLE PRECISION,
  first_step BIGINT NOT NULL,
  chunks BIGINT NOT NULL,
  sealed BIGINT NOT NULL DEFAULT 0,
  total DOUBLE PRECISION NOT NULL DEFAULT 0,
  finite BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (run, key)
);
CREATE INDEX metric_by_value ON metric (key, last, run);
CREATE TABLE metric_chunk (
  run BIGINT NOT NULL,
  key BIGINT NOT NULL,
  number BIGINT NOT NULL,
  count BIGINT NOT NULL,
  first_step BIGINT NOT NULL,
  last_step BIGINT NOT NULL,
  minimum DOUBLE PRECISION,
  maximum DOUBLE PRECISION,
  outline BLOB,
  points BLOB NOT NULL,
  PRIMARY KEY (run, key, number)
);
CREATE TABLE run_file (
  run BIGINT NOT NULL,
  path TEXT NOT NULL,
  size BIGINT NOT NULL,
  digest TEXT NOT NULL,
  media_type TEXT NOT NULL,
  key TEXT NOT NULL,
  step BIGINT,
  at BIGINT NOT NULL,
  about TEXT NOT NULL,
  PRIMARY KEY (run, path)
);
CREATE INDEX run_file_by_key ON run_file (run, key, step);
CREATE INDEX run_file_by_digest ON run_file (digest);
CREATE TABLE saved_view (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  query TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY (workspace, name)
);

CREATE TABLE trace (
  id TEXT NOT NULL,
  workspace TEXT NOT NULL,
  experiment_id BIGINT NOT NULL,
  client_request_id TEXT NOT NULL,
  state TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  duration BIGINT,
  request TEXT NOT NULL,
  response TEXT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX trace_by_experiment ON trace (experiment_id, started_at, id);
CREATE TABLE trace_value (
  trace_id TEXT NOT NULL,
  space TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (trace_id, space, key)
);
CREATE INDEX trace_value_by_key ON trace_value (space, key, trace_id);
CREATE TABLE trace_assessment (
  id TEXT PRIMARY KEY,
  trace_id TEXT NOT NULL,
  name TEXT NOT NULL,
  body TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX trace_assessment_by_trace ON trace_assessment (trace_id, id);
CREATE TABLE trace_file (
  trace_id TEXT NOT NULL,
  path TEXT NOT NULL,
  size BIGINT NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (trace_id, path)
);
CREATE INDEX trace_file_by_digest ON trace_file (digest);
CREATE TABLE trace_span (
  trace_id TEXT NOT NULL,
  span_id TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (trace_id, span_id)
);
INSERT INTO schema_version (room, version, at) VALUES ('tracking', 1, 0);
-- quality
CREATE TABLE quality_profile (
  artifact_id TEXT PRIMARY KEY,
  profile_id TEXT NOT NULL,
  workspace TEXT NOT NULL
);
CREATE TABLE quality_outcome (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  report_id TEXT NOT NULL,
  dataset TEXT NOT NULL,
  version BIGINT NOT NULL,
  suite TEXT NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  where_text TEXT NOT NULL,
  severity TEXT NOT NULL,
  verdict TEXT NOT NULL,
  observed DOUBLE PRECISION,
  unexpected BIGINT,
  at BIGINT NOT NULL,
  about TEXT NOT NULL
);
CREATE INDEX quality_outcome_by_subject ON quality_outcome (workspace, dataset, subject, id);
CREATE INDEX quality_outcome_by_report ON quality_outcome (report_id);
CREATE TABLE quality_state (
  workspace TEXT NOT NULL,
  content TEXT NOT NULL,
  question TEXT NOT NULL,
  answer TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (workspace, content, question)
);
CREATE TABLE quality_contract (
  workspace TEXT NOT NULL,
  dataset TEXT NOT NULL,
  suite_id TEXT NOT NULL,
  note TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY (workspace, dataset)
);
CREATE TABLE quality_admission (
  workspace TEXT NOT NULL,
  tree TEXT NOT NULL,
  suite_id TEXT NOT NULL,
  dataset TEXT NOT NULL,
  report_digest TEXT NOT NULL,
  report_size BIGINT NOT NULL,
  settled INTEGER NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (workspace, dataset, tree, suite_id)
);
CREATE TABLE quality_checkpoint (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  definition TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY (workspace, name)
);
CREATE TABLE quality_checkpoint_run (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  checkpoint TEXT NOT NULL,
  verdict TEXT NOT NULL,
  targets TEXT NOT NULL,
  actions TEXT NOT NULL,
  run_id TEXT NOT NULL,
  at BIGINT NOT NULL,
  created_by TEXT NOT NULL
);
CREATE INDEX quality_checkpoint_run_by_name ON quality_checkpoint_run (workspace, checkpoint, id);
INSERT INTO schema_version (room, version, at) VALUES ('quality', 1, 0);
-- features
CREATE TABLE feature_state (
  view_id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  generation BIGINT NOT NULL,
  artifact_id TEXT NOT NULL,
  digest TEXT NOT NULL,
  rows BIGINT NOT NULL,
  upto BIGINT NOT NULL,
  materialized_at BIGINT NOT NULL
);
CREATE INDEX feature_state_by_name ON feature_state (workspace, name, version);
INSERT INTO schema_version (room, version, at) VALUES ('features', 1, 0);
-- pipelines
CREATE TABLE flow_run (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  flow TEXT NOT NULL,
  key TEXT NOT NULL,
  state TEXT NOT NULL,
  attempt BIGINT NOT NULL,
  params TEXT NOT NULL,
  code TEXT NOT NULL,
  location TEXT NOT NULL,
  task_id TEXT NOT NULL,
  worker TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  started_at BIGINT,
  finished_at BIGINT,
  result TEXT,
  error TEXT,
  cause TEXT NOT NULL,
  deployment TEXT NOT NULL,
  pool TEXT NOT NULL,
  priority BIGINT NOT NULL,
  labels TEXT NOT NULL,
  position BIGINT NOT NULL
);
CREATE UNIQUE INDEX flow_run_key ON flow_run (workspace, flow, key) WHERE key <> '';
CREATE INDEX flow_run_by_flow ON flow_run (workspace, flow, id);
CREATE INDEX flow_run_open ON flow_run (state, id) WHERE state IN ('queued', 'running', 'waiting', 'paused');
CREATE TABLE flow_step (
  id TEXT PRIMARY KEY,
  run_id TEXT NOT NULL,
  path TEXT NOT NULL,
  item BIGINT NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  attempt BIGINT NOT NULL,
  started_at BIGINT NOT NULL,
  finished_at BIGINT,
  arguments TEXT NOT NULL,
  inputs TEXT NOT NULL,
  contents TEXT NOT NULL,
  code TEXT NOT NULL,
  environment TEXT NOT NULL,
  key TEXT NOT NULL,
  uncached TEXT NOT NULL,
  cached_from TEXT NOT NULL,
  output TEXT,
  error TEXT,
  uses TEXT NOT NULL,
  marked_by TEXT NOT NULL,
  card TEXT NOT NULL,
  UNIQUE (run_id, path, item)
);
CREATE TABLE flow_attempt (
  step_id TEXT NOT NULL,
  attempt BIGINT NOT NULL,
  started_at BIGINT NOT NULL,
  finished_at BIGINT NOT NULL,
  error TEXT NOT NULL,
  PRIMARY KEY (step_id, attempt, started_at)
);
CREATE TABLE flow_log (
  id TEXT PRIMARY KEY,
  text TEXT NOT NULL
);
CREATE TABLE flow_cache (
  workspace TEXT NOT NULL,
  key TEXT NOT NULL,
  step_id TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (workspace, key)
);

CREATE TABLE flow_schedule (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  flow TEXT NOT NULL,
  location TEXT NOT NULL,
  params TEXT NOT NULL,
  timing TEXT NOT NULL,
  paused BIGINT NOT NULL,
  next_at BIGINT,
  last_at BIGINT,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  jitter DOUBLE PRECISION NOT NULL,
  due_at BIGINT,
  overlap TEXT NOT NULL,
  catch_up DOUBLE PRECISION NOT NULL,
  make_up TEXT NOT NULL,
  pause_after BIGINT NOT NULL,
  failures BIGINT NOT NULL,
  paused_because TEXT NOT NULL,
  deployment TEXT NOT NULL,
  pool TEXT NOT NULL,
  priority BIGINT NOT NULL,
  labels TEXT NOT NULL,
  max_attempts BIGINT NOT NULL,
  UNIQUE (workspace, name)
);
CREATE INDEX flow_schedule_due ON flow_schedule (paused, due_at);
CREATE TABLE flow_calendar (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  days TEXT NOT NULL,
  changed_at BIGINT NOT NULL,
  changed_by TEXT NOT NULL,
  PRIMARY KEY (workspace, name)
);
CREATE TABLE flow_fire (
  id TEXT PRIMARY KEY,
  source_id TEXT NOT NULL,
  number BIGINT NOT NULL,
  workspace TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  fire_at BIGINT NOT NULL,
  at BIGINT NOT NULL,
  outcome TEXT NOT NULL,
  run_id TEXT NOT NULL,
  reason TEXT NOT NULL,
  params TEXT NOT NULL,
  events TEXT NOT NULL,
  key TEXT NOT NULL,
  UNIQUE (source_id, number)
);
CREATE INDEX flow_fire_by_time ON flow_fire (workspace, at);
CREATE INDEX flow_fire_run ON flow_fire (run_id);
CREATE INDEX flow_fire_open ON flow_fire (outcome, source_id, number);

CREATE TABLE flow_trigger (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  flow TEXT NOT NULL,
  location TEXT NOT NULL,
  condition TEXT NOT NULL,
  params TEXT NOT NULL,
  key TEXT NOT NULL,
  paused BIGINT NOT NULL,
  since BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  overlap TEXT NOT NULL,
  error TEXT NOT NULL,
  deployment TEXT NOT NULL,
  pool TEXT NOT NULL,
  priority BIGINT NOT NULL,
  labels TEXT NOT NULL,
  max_attempts BIGINT NOT NULL,
  UNIQUE (workspace, name)
);
CREATE TABLE flow_trigger_kind (
  trigger_id TEXT NOT NULL,
  workspace TEXT NOT NULL,
  kind TEXT NOT NULL,
  wild BIGINT NOT NULL,
  PRIMARY KEY (workspace, kind, trigger_id)
);
CREATE INDEX flow_trigger_kind_wild ON flow_trigger_kind (workspace, wild);
CREATE INDEX flow_trigger_kind_by_trigger ON flow_trigger_kind (trigger_id);
CREATE TABLE flow_trigger_memory (
  trigger_id TEXT NOT NULL,
  path TEXT NOT NULL,
  key TEXT NOT NULL,
  begun_at BIGINT NOT NULL,
  due_at BIGINT,
  events TEXT NOT NULL,
  PRIMARY KEY (trigger_id, path, key)
);
CREATE INDEX flow_trigger_memory_due ON flow_trigger_memory (due_at);
CREATE TABLE flow_cursor (
  name TEXT PRIMARY KEY,
  position BIGINT NOT NULL
);
CREATE TABLE flow_hook (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  tolerance DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (workspace, name)
);
CREATE TABLE flow_hook_secret (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  secret TEXT NOT NULL,
  PRIMARY KEY (workspace, name)
);
CREATE TABLE flow_source (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  address TEXT NOT NULL,
  topic TEXT NOT NULL,
  options TEXT NOT NULL,
  id TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  active BIGINT NOT NULL,
  error TEXT NOT NULL,
  PRIMARY KEY (workspace, name)
);
CREATE TABLE flow_source_seen (
  source_id TEXT NOT NULL,
  token TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (source_id, token)
);
CREATE INDEX flow_source_seen_by_time ON flow_source_seen (source_id, at);

CREATE TABLE flow_deployment (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  flow TEXT NOT NULL,
  version BIGINT NOT NULL,
  digest TEXT NOT NULL,
  code TEXT NOT NULL,
  address TEXT NOT NULL,
  main TEXT NOT NULL,
  files TEXT NOT NULL,
  sys_path TEXT NOT NULL,
  cwd TEXT NOT NULL,
  options TEXT NOT NULL,
  labels TEXT NOT NULL,
  pool TEXT NOT NULL,
  priority BIGINT NOT NULL,
  max_attempts BIGINT NOT NULL,
  active BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  UNIQUE (workspace, flow, version)
);

CREATE TABLE flow_backfill (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  flow TEXT NOT NULL,
  location TEXT NOT NULL,
  params TEXT NOT NULL,
  timing TEXT NOT NULL,
  first BIGINT NOT NULL,
  last BIGINT NOT NULL,
  schedule TEXT NOT NULL,
  reprocess TEXT NOT NULL,
  backward BIGINT NOT NULL,
  max_parallel BIGINT NOT NULL,
  state TEXT NOT NULL,
  runs BIGINT NOT NULL,
  kept BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  deployment TEXT NOT NULL,
  pool TEXT NOT NULL,
  priority BIGINT NOT NULL,
  labels TEXT NOT NULL,
  max_attempts BIGINT NOT NULL
);
CREATE INDEX flow_backfill_by_name ON flow_backfill (workspace, name);
CREATE INDEX flow_backfill_by_state ON flow_backfill (state);
CREATE TABLE flow_backfill_item (
  backfill_id TEXT NOT NULL,
  number BIGINT NOT NULL,
  moment BIGINT NOT NULL,
  state TEXT NOT NULL,
  run_id TEXT NOT NULL,
  PRIMARY KEY (backfill_id, number)
);
CREATE INDEX flow_backfill_item_run ON flow_backfill_item (run_id);
CREATE INDEX flow_backfill_item_state ON flow_backfill_item (backfill_id, state, number);

CREATE TABLE flow_wait (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  run_id TEXT NOT NULL,
  flow TEXT NOT NULL,
  path TEXT NOT NULL,
  state TEXT NOT NULL,
  wanted TEXT NOT NULL,
  exact_kind TEXT NOT NULL,
  exact_subject TEXT NOT NULL,
  opened_at BIGINT NOT NULL,
  due_at BIGINT,
  answer TEXT,
  event BIGINT NOT NULL,
  resolved_at BIGINT,
  resolved_by TEXT NOT NULL,
  UNIQUE (run_id, path)
);
CREATE INDEX flow_wait_open ON flow_wait (workspace, id) WHERE state = 'open';
CREATE INDEX flow_wait_event ON flow_wait (workspace, exact_kind, exact_subject)
  WHERE state = 'open' AND exact_kind <> '';
CREATE TABLE flow_ending (
  run_id TEXT PRIMARY KEY,
  due_at BIGINT,
  on_success BIGINT NOT NULL,
  on_failure BIGINT NOT NULL
);

CREATE TABLE flow_limit (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  slots BIGINT NOT NULL,
  per_second DOUBLE PRECISION NOT NULL,
  burst DOUBLE PRECISION NOT NULL,
  changed_at BIGINT NOT NULL,
  changed_by TEXT NOT NULL,
  PRIMARY KEY (workspace, name)
);
CREATE TABLE flow_bucket (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  tokens DOUBLE PRECISION NOT NULL,
  filled_at BIGINT NOT NULL,
  PRIMARY KEY (workspace, name)
);
CREATE TABLE flow_claim (
  id TEXT NOT NULL,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  names TEXT NOT NULL,
  state TEXT NOT NULL,
  priority BIGINT NOT NULL,
  run_id TEXT NOT NULL,
  step_id TEXT NOT NULL,
  step TEXT NOT NULL,
  worker TEXT NOT NULL,
  seen_at BIGINT NOT NULL,
  asked_at BIGINT NOT NULL,
  held_at BIGINT,
  PRIMARY KEY (id, name)
);
CREATE INDEX flow_claim_waiting ON flow_claim (workspace, name, priority DESC, id) WHERE state = 'waiting';
CREATE INDEX flow_claim_held ON flow_claim (workspace, name) WHERE state = 'held';

CREATE TABLE flow_card (
  id TEXT PRIMARY KEY,
  step_id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  number BIGINT NOT NULL,
  kind TEXT NOT NULL,
  title TEXT NOT NULL,
  content TEXT NOT NULL,
  at BIGINT NOT NULL
);
CREATE INDEX flow_card_by_step ON flow_card (step_id, number);
CREATE INDEX flow_card_by_run ON flow_card (run_id);
INSERT INTO schema_version (room, version, at) VALUES ('pipelines', 1, 0);
-- models
CREATE TABLE model (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  tags TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  updated_at BIGINT,
  deleted_at BIGINT,
  PRIMARY KEY (workspace, name)
);
CREATE INDEX model_by_update ON model (workspace, updated_at, name);
CREATE TABLE model_version (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  artifact_id TEXT NOT NULL,
  digest TEXT NOT NULL,
  run_id TEXT NOT NULL,
  format TEXT NOT NULL,
  description TEXT NOT NULL,
  tags TEXT NOT NULL,
  aliases TEXT NOT NULL,
  stage TEXT NOT NULL,
  status TEXT NOT NULL,
  source TEXT NOT NULL,
  approval TEXT NOT NULL,
  approved_until BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  deleted_at BIGINT,
  lost_aliases TEXT NOT NULL,
  emptied_at BIGINT,
  PRIMARY KEY (workspace, name, version)
);
CREATE INDEX model_version_by_artifact ON model_version (artifact_id);
CREATE INDEX model_version_by_digest ON model_version (digest);
CREATE INDEX model_version_by_run ON model_version (run_id);
CREATE INDEX model_version_by_update ON model_version (workspace, updated_at, name, version);
CREATE TABLE model_label (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  space TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  head TEXT NOT NULL,
  PRIMARY KEY (workspace, name, version, space, key)
);
CREATE INDEX model_label_by_key ON model_label (workspace, space, key, head, name, version);
CREATE TABLE model_metric (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  dataset TEXT NOT NULL,
  key TEXT NOT NULL,
  value DOUBLE PRECISION NOT NULL,
  low DOUBLE PRECISION,
  high DOUBLE PRECISION,
  level DOUBLE PRECISION,
  at BIGINT NOT NULL,
  by TEXT NOT NULL,
  PRIMARY KEY (workspace, name, version, key, dataset)
);
CREATE INDEX model_metric_by_value ON model_metric (workspace, key, value, name, version);
CREATE TABLE model_approval (
  workspace TEXT NOT NULL,
  digest TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  artifact_id TEXT NOT NULL,
  comment TEXT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL,
  verdict TEXT NOT NULL,
  roles TEXT NOT NULL,
  method TEXT NOT NULL,
  withdrawn_at BIGINT,
  withdrawn_by TEXT NOT NULL,
  PRIMARY KEY (artifact_id)
);
CREATE INDEX model_approval_by_digest ON model_approval (workspace, digest);
CREATE TABLE model_rule (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  target TEXT NOT NULL,
  rule TEXT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL,
  PRIMARY KEY (workspace, name, target)
);
CREATE TABLE model_report (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  artifact_id TEXT NOT NULL,
  metrics TEXT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL,
  dataset TEXT NOT NULL,
  PRIMARY KEY (workspace, name, version, artifact_id)
);
CREATE TABLE model_card_text (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  section TEXT NOT NULL,
  text TEXT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL
);
CREATE INDEX model_card_text_by_version ON model_card_text (workspace, name, version, section, id);
CREATE TABLE model_retention (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  rule TEXT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL,
  PRIMARY KEY (workspace, name)
);
CREATE TABLE model_policy (
  workspace TEXT PRIMARY KEY,
  pickle BIGINT NOT NULL,
  trusted TEXT NOT NULL
);

CREATE TABLE logged_model (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  experiment_id BIGINT NOT NULL,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  status TEXT NOT NULL,
  run_id TEXT NOT NULL,
  artifact_id TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  deleted_at BIGINT
);
CREATE INDEX logged_model_by_experiment ON logged_model (experiment_id, created_at, id);
CREATE INDEX logged_model_by_run ON logged_model (run_id);
CREATE TABLE logged_model_value (
  model_id TEXT NOT NULL,
  space TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (model_id, space, key)
);
CREATE INDEX logged_model_value_by_key ON logged_model_value (space, key, model_id);
CREATE TABLE logged_model_metric (
  model_id TEXT NOT NULL,
  key TEXT NOT NULL,
  value DOUBLE PRECISION,
  at BIGINT NOT NULL,
  step BIGINT NOT NULL,
  dataset_name TEXT NOT NULL,
  dataset_digest TEXT NOT NULL,
  run_id TEXT NOT NULL,
  PRIMARY KEY (model_id, key, at, step, run_id, dataset_name, dataset_digest)
);
CREATE INDEX logged_model_metric_by_value ON logged_model_metric (key, value, model_id);
CREATE TABLE logged_model_file (
  model_id TEXT NOT NULL,
  path TEXT NOT NULL,
  size BIGINT NOT NULL,
  digest TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (model_id, path)
);
CREATE INDEX logged_model_file_by_digest ON logged_model_file (digest);
INSERT INTO schema_version (room, version, at) VALUES ('models', 1, 0);
-- tuning
CREATE TABLE study (
  id TEXT PRIMARY KEY,
  number BIGINT NOT NULL UNIQUE,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  unique_name TEXT NOT NULL,
  key TEXT NOT NULL,
  directions TEXT NOT NULL,
  space TEXT NOT NULL,
  sampler TEXT NOT NULL,
  pruner TEXT NOT NULL,
  seed BIGINT NOT NULL,
  parent_id TEXT NOT NULL,
  state TEXT NOT NULL,
  user_attrs TEXT NOT NULL,
  system_attrs TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL
);
CREATE UNIQUE INDEX study_by_key ON study (workspace, key) WHERE key <> '';
CREATE UNIQUE INDEX study_by_unique_name ON study (workspace, unique_name);
CREATE INDEX study_by_name ON study (workspace, name, id);
CREATE TABLE study_progress (
  study_id TEXT PRIMARY KEY,
  number BIGINT NOT NULL,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  directions TEXT NOT NULL,
  trials BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  study_revision BIGINT NOT NULL
);
CREATE UNIQUE INDEX study_progress_by_number ON study_progress (number);
CREATE TABLE study_trial (
  study BIGINT NOT NULL,
  number BIGINT NOT NULL,
  id TEXT NOT NULL,
  state TEXT NOT NULL,
  revision BIGINT NOT NULL,
  value DOUBLE PRECISION,
  params TEXT NOT NULL,
  distributions TEXT NOT NULL,
  outcome TEXT NOT NULL,
  reports TEXT NOT NULL,
  user_attrs TEXT NOT NULL,
  system_attrs TEXT NOT NULL,
  error TEXT NOT NULL,
  worker TEXT NOT NULL,
  started_at BIGINT,
  finished_at BIGINT,
  heartbeat_at BIGINT,
  PRIMARY KEY (study, number)
);
CREATE INDEX study_trial_by_revision ON study_trial (study, revision);
CREATE INDEX study_trial_by_heartbeat ON study_trial (study, heartbeat_at) WHERE heartbeat_at IS NOT NULL;
INSERT INTO schema_version (room, version, at) VALUES ('tuning', 1, 0);
-- serving
CREATE TABLE endpoint (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  plan TEXT NOT NULL,
  features TEXT NOT NULL,
  sticky TEXT NOT NULL,
  timestamp TEXT NOT NULL,
  changed BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  UNIQUE (workspace, name)
);
CREATE TABLE rollout (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  champion TEXT NOT NULL,
  challenger TEXT NOT NULL,
  mode TEXT NOT NULL,
  steps TEXT NOT NULL,
  stepped TEXT NOT NULL,
  metric TEXT NOT NULL,
  rule TEXT NOT NULL,
  status TEXT NOT NULL,
  reason TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  finished_at BIGINT,
  created_by TEXT NOT NULL
);
CREATE INDEX rollout_by_endpoint ON rollout (workspace, endpoint, id);
CREATE TABLE rollout_evidence (
  id TEXT PRIMARY KEY,
  rollout_id TEXT NOT NULL,
  at BIGINT NOT NULL,
  mode TEXT NOT NULL,
  weight DOUBLE PRECISION NOT NULL,
  metric TEXT NOT NULL,
  champion_n BIGINT NOT NULL,
  challenger_n BIGINT NOT NULL,
  champion_mean DOUBLE PRECISION,
  challenger_mean DOUBLE PRECISION,
  decision TEXT NOT NULL
);
CREATE INDEX rollout_evidence_by_rollout ON rollout_evidence (rollout_id, id);
CREATE TABLE prediction_segment (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  deployment_id TEXT NOT NULL,
  model_id TEXT NOT NULL,
  model TEXT NOT NULL,
  spool TEXT NOT NULL UNIQUE,
  first_id TEXT NOT NULL,
  last_id TEXT NOT NULL,
  first_at BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  requests BIGINT NOT NULL,
  rows BIGINT NOT NULL,
  digest TEXT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX prediction_segment_by_id ON prediction_segment (workspace, last_id, first_id);
CREATE INDEX prediction_segment_by_time ON prediction_segment (workspace, endpoint, last_at, first_at);
CREATE TABLE label_batch (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  first_id TEXT NOT NULL,
  last_id TEXT NOT NULL,
  rows BIGINT NOT NULL,
  digest TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL
);
CREATE INDEX label_batch_by_id ON label_batch (workspace, endpoint, last_id, first_id);
INSERT INTO schema_version (room, version, at) VALUES ('serving', 1, 0);
-- monitoring
CREATE TABLE monitor (
  workspace TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  limits TEXT NOT NULL,
  position TEXT NOT NULL,
  watermark BIGINT NOT NULL,
  windows BIGINT NOT NULL,
  changed BIGINT NOT NULL,
  paused BIGINT NOT NULL,
  PRIMARY KEY (workspace, endpoint)
);
CREATE TABLE monitor_window (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  number BIGINT NOT NULL,
  model TEXT NOT NULL,
  after_id TEXT NOT NULL,
  through_id TEXT NOT NULL,
  since BIGINT NOT NULL,
  until BIGINT NOT NULL,
  rows BIGINT NOT NULL,
  answered BIGINT NOT NULL,
  reference TEXT NOT NULL,
  drifted TEXT NOT NULL,
  drift_share DOUBLE PRECISION NOT NULL,
  columns TEXT NOT NULL,
  seen_at BIGINT NOT NULL,
  judged_at BIGINT,
  labelled BIGINT NOT NULL,
  figures TEXT NOT NULL,
  UNIQUE (workspace, endpoint, number)
);
CREATE INDEX monitor_window_pending ON monitor_window (workspace, endpoint, number) WHERE judged_at IS NULL;
CREATE TABLE alert (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  kind TEXT NOT NULL,
  severity TEXT NOT NULL,
  title TEXT NOT NULL,
  model TEXT NOT NULL,
  window_id TEXT NOT NULL,
  report TEXT NOT NULL,
  fired_at BIGINT NOT NULL,
  event_at BIGINT NOT NULL,
  last_seen_at BIGINT NOT NULL,
  windows BIGINT NOT NULL,
  quiet BIGINT NOT NULL,
  resolved_at BIGINT,
  resolution TEXT NOT NULL,
  acknowledged_by TEXT NOT NULL
);
CREATE UNIQUE INDEX alert_firing ON alert (workspace, endpoint, kind) WHERE resolved_at IS NULL;
CREATE INDEX alert_by_time ON alert (workspace, id);
INSERT INTO schema_version (room, version, at) VALUES ('monitoring', 1, 0);
-- loop
CREATE TABLE loop_policy (
  workspace TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  triggers TEXT NOT NULL,
  flow TEXT NOT NULL,
  location TEXT NOT NULL,
  code TEXT NOT NULL,
  params TEXT NOT NULL,
  rollout TEXT NOT NULL,
  cooldown_seconds DOUBLE PRECISION NOT NULL,
  needs_approval BIGINT NOT NULL,
  enabled BIGINT NOT NULL,
  author TEXT NOT NULL,
  changed_at BIGINT NOT NULL,
  changed_by TEXT NOT NULL,
  PRIMARY KEY (workspace, endpoint)
);
CREATE TABLE loop_episode (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  alert_id TEXT NOT NULL,
  report TEXT NOT NULL,
  state TEXT NOT NULL,
  champion TEXT NOT NULL,
  flow_run TEXT NOT NULL,
  challenger TEXT NOT NULL,
  rollout_id TEXT NOT NULL,
  reason TEXT NOT NULL,
  event_at BIGINT NOT NULL,
  story TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  finished_at BIGINT
);
CREATE INDEX loop_episode_by_endpoint ON loop_episode (workspace, endpoint, id);
CREATE UNIQUE INDEX loop_episode_active ON loop_episode (workspace, endpoint) WHERE finished_at IS NULL;
INSERT INTO schema_version (room, version, at) VALUES ('loop', 1, 0);
-- contents
INSERT INTO alias (workspace, kind, name, alias, version) VALUES ('default', 'model', 'delay', 'champion', 1);
INSERT INTO alias_history (id, workspace, kind, name, alias, version, at, by) VALUES ('01a20026-fa2b-7e3d-b47a-5b14149545bb', 'default', 'model', 'delay', 'champion', 1, 1795298884138944, 'owner');
INSERT INTO artifact (id, workspace, kind, name, version, digest, size, metadata, run_id, created_at, created_by) VALUES ('01a20026-fa2b-708b-b724-895b1ca90a86', 'default', 'dataset', 'flights', 1, '572c57712a5ee44ed363171a8dd79c00e22e83d587c8a829fb7e32362712964a', 7, '{"rows":1.5,"note":"it''s late"}', '', 1795298884138944, 'owner');
INSERT INTO artifact (id, workspace, kind, name, version, digest, size, metadata, run_id, created_at, created_by) VALUES ('01a20026-fa2b-7ba9-a516-b85de70f575b', 'default', 'model', 'delay', 1, 'm1', 0, '{}', '01a20026-fa2b-7526-b1ba-49eb4939d810', 1795298884138944, 'owner');
INSERT INTO artifact_file (artifact_id, path, size, digest) VALUES ('01a20026-fa2b-708b-b724-895b1ca90a86', 'part.parquet', 7, '572c57712a5ee44ed363171a8dd79c00e22e83d587c8a829fb7e32362712964a');
INSERT INTO blob_entry (digest, size, place, pack, position, stored, codec, damaged, created_at, condemned_at) VALUES ('572c57712a5ee44ed363171a8dd79c00e22e83d587c8a829fb7e32362712964a', 7, 'loose', '', 0, 7, 0, 0, 1795298884108424, 0);
INSERT INTO edge (target, source, role) VALUES ('01a20026-fa2b-7526-b1ba-49eb4939d810', '01a20026-fa2b-708b-b724-895b1ca90a86', 'training-data');
INSERT INTO edge (target, source, role) VALUES ('01a20026-fa2b-7ba9-a516-b85de70f575b', '01a20026-fa2b-7526-b1ba-49eb4939d810', 'made');
INSERT INTO ledger (seq, at, workspace, actor, method, request_id, action, changes, previous, hash) VALUES (1, 1795298884136757, 'default', 'owner', 'local', '', 'trust.create_token', '[{"detail":{"principal":"ann","role":"admin"},"resource":"token/01a20026-fa28-7c56-bdd3-81efd580e691"}]', '0000000000000000000000000000000000000000000000000000000000000000', 'de7eb02ca577746181f2f15838f2340f31f7aebaa3f56af6b579f5b08bc05096');
INSERT INTO ledger (seq, at, workspace, actor, method, request_id, action, changes, previous, hash) VALUES (2, 1795298884138944, 'default', 'owner', 'local', '', 'release.fill', '[{"detail":{"digest":"572c57712a5ee44ed363171a8dd79c00e22e83d587c8a829fb7e32362712964a","id":"01a20026-fa2b-708b-b724-895b1ca90a86"},"resource":"dataset/flights@1"},{"detail":{"kind":"training","name":"fit"},"resource":"run/01a20026-fa2b-7526-b1ba-49eb4939d810"},{"detail":{"digest":"m1","id":"01a20026-fa2b-7ba9-a516-b85de70f575b"},"resource":"model/delay@1"},{"detail":{"status":"finished"},"resource":"run/01a20026-fa2b-7526-b1ba-49eb4939d810"},{"detail":{"after":1,"before":0,"digest":"m1"},"resource":"model/delay@champion"}]', 'de7eb02ca577746181f2f15838f2340f31f7aebaa3f56af6b579f5b08bc05096', '4679611c02004222599789ca4cabbc9756a02b98223f892cd2dbecd41f3b2a19');
INSERT INTO queue_tasks (id, workspace, kind, key, payload, state, priority, not_before, attempt, max_attempts, worker, created_at, created_by, changed_at, result, error) VALUES ('01a20026-fa2c-713f-990b-d51f6c66d318', 'default', 'flow', 'nightly', '{"name":"train"}', 'ready', 0, 0, 0, 3, '', 1795298884138944, 'owner', 1795298884138944, NULL, NULL);
INSERT INTO run (id, workspace, kind, name, status, parent_id, started_at, finished_at, heartbeat_at, metadata, created_by) VALUES ('01a20026-fa2b-7526-b1ba-49eb4939d810', 'default', 'training', 'fit', 'finished', '', 1795298884138944, 1795298884138944, 1795298884138944, '{"depth":3,"of":null}', 'owner');
INSERT INTO token (id, principal, workspace, roles, hash, created_at, created_by, expires_at, revoked_at) VALUES ('01a20026-fa28-7c56-bdd3-81efd580e691', 'ann', '*', '["admin"]', '03ddffcdb923ae876bf08a1d97ec531a4ba52443b67df89e7f0e19da380efa0f', 1795298884136757, 'owner', 1803074884136757, NULL);
