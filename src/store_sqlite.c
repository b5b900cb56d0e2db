/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The embedded store: one file, shared by all workers of one machine.
 *
 * It makes and upgrades its tables by itself on first use.  A transaction
 * that a client was told of has been synced (synchronous=FULL): an accepted
 * bundle survives a loss of power.  What downloads learn and how they ended
 * is not worth a wait for the disk, which all writers would share.
 */
#include <stdio.h>
#include <time.h>

#include "sqlite.h"
#include "store_backend.h"

#include "sql_sqlite.h"

#define STEP_COUNT (sizeof(sql_sqlite_steps) / sizeof(sql_sqlite_steps[0]))

enum statement {
	INSERT_BUNDLE,
	INSERT_FILE,
	READ_BUNDLE,
	READ_FILES,
	EXTEND_BUNDLE,
	DELETE_BUNDLE,
	REMEMBER,
	NOTE,
	READ_NOTES,
	PURGE,
	VERSION,
	SET_VERSION,
	STATEMENT_COUNT
};

static const char *const statements[STATEMENT_COUNT] = {
	[INSERT_BUNDLE] = sql_sqlite_insert_bundle,
	[INSERT_FILE] = sql_sqlite_insert_file,
	[READ_BUNDLE] = sql_sqlite_read_bundle,
	[READ_FILES] = sql_sqlite_read_files,
	[EXTEND_BUNDLE] = sql_sqlite_extend_bundle,
	[DELETE_BUNDLE] = sql_sqlite_delete_bundle,
	[REMEMBER] = sql_sqlite_remember,
	[NOTE] = sql_sqlite_note,
	[READ_NOTES] = sql_sqlite_read_notes,
	[PURGE] = sql_sqlite_purge,
	[VERSION] = sql_sqlite_version,
	[SET_VERSION] = sql_sqlite_set_version,
};

static const struct sqlite_texts texts = {
	.connect = sql_sqlite_connect,
	.schema = sql_sqlite_schema,
	.steps = sql_sqlite_steps,
	.step_count = STEP_COUNT,
	.version = VERSION,
	.set_version = SET_VERSION,
	.statements = statements,
	.count = STATEMENT_COUNT,
};

/* "" is what is not known. */
static void
bind_known_text(struct sqlite_query *q, const char *text)
{
	sqlite_bind_text(q, text == NULL || *text == '\0' ? NULL : text);
}

/* An enum's value by its name; 0, the default, is stored as NULL. */
static void
bind_name(struct sqlite_query *q, int value, const char *name)
{
	sqlite_bind_text(q, value == 0 ? NULL : name);
}

/* A name of one of our enums; absent or strange: its default, 0. */
static uint8_t
read_name(struct sqlite_query *q, int (*from_name)(const char *))
{
	const char *text = sqlite_cell(q);
	int value = text == NULL ? 0 : from_name(text);

	return value < 0 ? 0 : (uint8_t)value;
}

static void
read_crc(struct sqlite_query *q, bool *has, uint32_t *crc)
{
	int64_t value = sqlite_int(q, -1);

	*has = value >= 0;
	*crc = *has ? (uint32_t)value : 0;
}

static void *
sqlite_open(const struct config *c, struct transfer_engine *t, struct error *e)
{
	(void)t;
	if (sql_table_valid(c->table_name, false))
		return sqlite_new(c, &texts, e);
	error_set(e, ERROR_INTERNAL, "TABLE_NAME is no table's name");
	return NULL;
}

static void
sqlite_close(void *self)
{
	sqlite_free(self);
}

/* No transaction outlives an operation; only memory is held. */
static void
sqlite_release(void *self)
{
	sqlite_rest(self);
}

/* Whoever opens the file brings the tables up to date. */
static int
sqlite_init(void *self, struct error *e)
{
	return sqlite_ready(self, e);
}

static int
insert_bundle(struct sqlite *s, const struct bundle *b, struct error *e)
{
	struct sqlite_query q;

	if (sqlite_query(s, INSERT_BUNDLE, &q, e) == -1)
		return -1;
	sqlite_bind_text(&q, b->id);
	sqlite_bind_text(&q, b->secret);
	sqlite_bind_text(&q, b->filename);
	sqlite_bind_int(&q, b->created);
	sqlite_bind_int(&q, b->expires);
	bind_name(&q, b->compression, compression_name(b->compression));
	bind_name(&q, b->on_error, on_error_name(b->on_error));
	sqlite_bind_int(&q, (int64_t)b->count);
	return sqlite_step(&q, e);
}

static int
insert_file(struct sqlite *s, const char *id, size_t position,
	    const struct file *f, struct error *e)
{
	struct sqlite_query q;

	if (sqlite_query(s, INSERT_FILE, &q, e) == -1)
		return -1;
	sqlite_bind_text(&q, id);
	sqlite_bind_int(&q, (int64_t)position);
	sqlite_bind_text(&q, f->src);
	sqlite_bind_text(&q, f->dst);
	sqlite_bind_known(&q, f->size >= 0, f->size);
	sqlite_bind_known(&q, f->mtime != BUNDLE_NO_TIME, f->mtime);
	sqlite_bind_known(&q, f->has_crc, f->crc);
	bind_name(&q, f->compression, compression_name(f->compression));
	return sqlite_step(&q, e);
}

static int
insert_files(struct sqlite *s, const char *id, size_t first,
	     const struct file *files, size_t n, struct error *e)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (insert_file(s, id, first + i, &files[i], e) == -1)
			return -1;
	return 0;
}

static int
sqlite_create(void *self, const struct bundle *b, struct error *e)
{
	struct sqlite *s = self;
	int failed;

	if (sqlite_begin_write(s, true, e) == -1)
		return -1;
	failed = insert_bundle(s, b, e);
	if (failed == 0)
		failed = insert_files(s, b->id, 0, b->files, b->count, e);
	return sqlite_finish(s, failed, e);
}

static void
copy_bundle(struct sqlite_query *q, struct bundle *out)
{
	const char *secret = sqlite_cell(q);

	snprintf(out->secret, sizeof(out->secret), "%s",
		 secret == NULL ? "" : secret);
	out->filename = sqlite_text(q, "");
	out->created = sqlite_int(q, 0);
	out->expires = sqlite_int(q, 0);
	out->compression = read_name(q, compression_from_name);
	out->on_error = read_name(q, on_error_from_name);
	out->count = (size_t)sqlite_int(q, 0);
}

/* The bundle without its files, if it lives and the secret opens it; without
 * its name when there is no arena to put that in. */
static int
find_bundle(struct sqlite *s, const char *id, const char *secret,
	    struct arena *a, struct bundle *out, struct error *e)
{
	struct sqlite_query q;
	int found;

	*out = (struct bundle){ 0 };
	if (sqlite_query(s, READ_BUNDLE, &q, e) == -1)
		return -1;
	q.arena = a;
	sqlite_bind_text(&q, id);
	sqlite_bind_int(&q, time(NULL));
	found = sqlite_next(&q, e);
	if (found == 1)
		copy_bundle(&q, out);
	sqlite_end(&q);
	if (q.failed)
		return error_memory(e);
	if (found != 1)
		return found == 0 ? store_absent(e) : -1;
	snprintf(out->id, sizeof(out->id), "%s", id);
	return store_unlock(secret, out->secret, e);
}

static void
copy_file(struct sqlite_query *q, struct file *f)
{
	f->src = sqlite_text(q, NULL);
	f->dst = sqlite_text(q, "");
	f->size = sqlite_int(q, -1);
	f->mtime = sqlite_int(q, BUNDLE_NO_TIME);
	read_crc(q, &f->has_crc, &f->crc);
	f->compression = read_name(q, compression_from_name);
	f->facts.size = sqlite_int(q, -1);
	f->facts.packed = sqlite_int(q, -1);
	f->facts.mtime = sqlite_int(q, BUNDLE_NO_TIME);
	read_crc(q, &f->facts.has_crc, &f->facts.crc);
	f->facts.validator = sqlite_text(q, "");
	f->facts.layout = sqlite_text(q, "");
	f->facts.checkpoints = sqlite_text(q, "");
}

static int
read_files(struct sqlite *s, struct arena *a, struct bundle *out,
	   struct error *e)
{
	struct sqlite_query q;
	int more = 1;
	size_t i;

	if (sqlite_query(s, READ_FILES, &q, e) == -1)
		return -1;
	q.arena = a;
	sqlite_bind_text(&q, out->id);
	out->files = arena_array(a, out->count, sizeof(*out->files));
	q.failed = out->files == NULL;
	for (i = 0; !q.failed && i < out->count; i++) {
		more = sqlite_next(&q, e);
		if (more != 1)
			break;
		copy_file(&q, &out->files[i]);
	}
	sqlite_end(&q);
	if (q.failed)
		return error_memory(e);
	return more == 0 ? sqlite_corrupt(s, e) : more == 1 ? 0 : -1;
}

static int
sqlite_read(void *self, const char *id, const char *secret, struct arena *a,
	    struct bundle *out, struct error *e)
{
	struct sqlite *s = self;
	int failed;

	/* One snapshot for both tables. */
	if (sqlite_begin(s, e) == -1)
		return -1;
	failed = find_bundle(s, id, secret, a, out, e);
	if (failed == 0)
		failed = read_files(s, a, out, e);
	return sqlite_finish(s, failed, e);
}

static int
extend(struct sqlite *s, const char *id, size_t n, struct error *e)
{
	struct sqlite_query q;

	if (sqlite_query(s, EXTEND_BUNDLE, &q, e) == -1)
		return -1;
	sqlite_bind_text(&q, id);
	sqlite_bind_int(&q, (int64_t)n);
	return sqlite_step(&q, e);
}

static int
append_locked(struct sqlite *s, const char *id, const char *secret,
	      const struct file *files, size_t n, struct error *e)
{
	struct bundle b;

	if (find_bundle(s, id, secret, NULL, &b, e) == -1 ||
	    store_room(sqlite_config(s), b.count, n, e) == -1 ||
	    insert_files(s, id, b.count, files, n, e) == -1)
		return -1;
	return extend(s, id, n, e);
}

static int
sqlite_append(void *self, const char *id, const char *secret,
	      const struct file *files, size_t n, struct error *e)
{
	struct sqlite *s = self;

	if (sqlite_begin_write(s, true, e) == -1)
		return -1;
	return sqlite_finish(s, append_locked(s, id, secret, files, n, e), e);
}

static int
remove_locked(struct sqlite *s, const char *id, const char *secret,
	      struct error *e)
{
	struct sqlite_query q;
	struct bundle b;

	if (find_bundle(s, id, secret, NULL, &b, e) == -1 ||
	    sqlite_query(s, DELETE_BUNDLE, &q, e) == -1)
		return -1;
	sqlite_bind_text(&q, id);
	return sqlite_step(&q, e);
}

static int
sqlite_remove(void *self, const char *id, const char *secret, struct error *e)
{
	struct sqlite *s = self;

	if (sqlite_begin_write(s, true, e) == -1)
		return -1;
	return sqlite_finish(s, remove_locked(s, id, secret, e), e);
}

static int
remember_one(struct sqlite *s, const char *id, const struct store_fact *fact,
	     struct error *e)
{
	struct sqlite_query q;
	const struct facts *f = &fact->facts;

	if (sqlite_query(s, REMEMBER, &q, e) == -1)
		return -1;
	sqlite_bind_text(&q, id);
	sqlite_bind_int(&q, (int64_t)fact->position);
	sqlite_bind_text(&q, fact->src);
	sqlite_bind_known(&q, f->size >= 0, f->size);
	sqlite_bind_known(&q, f->packed >= 0, f->packed);
	sqlite_bind_known(&q, f->mtime != BUNDLE_NO_TIME, f->mtime);
	sqlite_bind_known(&q, f->has_crc, f->crc);
	bind_known_text(&q, f->validator);
	bind_known_text(&q, f->layout);
	bind_known_text(&q, f->checkpoints);
	bind_known_text(&q, fact->known);
	return sqlite_step(&q, e);
}

static int
sqlite_remember(void *self, const char *id, const struct store_fact *facts,
		size_t n, struct error *e)
{
	struct sqlite *s = self;
	int failed = 0;
	size_t i;

	if (sqlite_begin_write(s, false, e) == -1)
		return -1;
	for (i = 0; i < n && failed == 0; i++)
		failed = remember_one(s, id, &facts[i], e);
	return sqlite_finish(s, failed, e);
}

static int
note_locked(struct sqlite *s, const char *id, const char *record,
	    struct error *e)
{
	struct sqlite_query q;
	struct bundle b;

	if (find_bundle(s, id, NULL, NULL, &b, e) == -1 ||
	    sqlite_query(s, NOTE, &q, e) == -1)
		return -1;
	sqlite_bind_text(&q, id);
	sqlite_bind_text(&q, record);
	return sqlite_step(&q, e);
}

static int
sqlite_note(void *self, const char *id, const char *record, struct error *e)
{
	struct sqlite *s = self;

	if (sqlite_begin_write(s, false, e) == -1)
		return -1;
	return sqlite_finish(s, note_locked(s, id, record, e), e);
}

static int
read_notes(struct sqlite *s, const char *id, struct arena *a,
	   struct store_notes *out, struct error *e)
{
	struct sqlite_query q;
	int more;

	if (sqlite_query(s, READ_NOTES, &q, e) == -1)
		return -1;
	q.arena = a;
	sqlite_bind_text(&q, id);
	while ((more = sqlite_next(&q, e)) == 1 && out->count < STORE_NOTES)
		out->records[out->count++] = sqlite_text(&q, "");
	sqlite_end(&q);
	if (q.failed)
		return error_memory(e);
	return more == -1 ? -1 : 0;
}

static int
sqlite_notes(void *self, const char *id, const char *secret, struct arena *a,
	     struct store_notes *out, struct error *e)
{
	struct sqlite *s = self;
	struct bundle b;
	int failed;

	if (sqlite_begin(s, e) == -1)
		return -1;
	failed = find_bundle(s, id, secret, NULL, &b, e);
	out->files = b.count;
	if (failed == 0)
		failed = read_notes(s, id, a, out, e);
	return sqlite_finish(s, failed, e);
}

static int
purge_locked(struct sqlite *s, int64_t now, int limit, struct error *e)
{
	struct sqlite_query q;

	if (sqlite_query(s, PURGE, &q, e) == -1)
		return -1;
	sqlite_bind_int(&q, now);
	sqlite_bind_int(&q, limit);
	return sqlite_step(&q, e);
}

static int
sqlite_purge(void *self, int64_t now, int limit, int64_t *deleted,
	     struct error *e)
{
	struct sqlite *s = self;

	if (sqlite_begin_write(s, true, e) == -1 ||
	    sqlite_finish(s, purge_locked(s, now, limit, e), e) == -1)
		return -1;
	*deleted = sqlite_changed(s); /* of the DELETE, without files */
	return 0;
}

const struct store_ops store_sqlite = {
	.name = "sqlite",
	.open = sqlite_open,
	.close = sqlite_close,
	.release = sqlite_release,
	.init = sqlite_init,
	.create = sqlite_create,
	.read = sqlite_read,
	.append = sqlite_append,
	.remove = sqlite_remove,
	.remember = sqlite_remember,
	.note = sqlite_note,
	.notes = sqlite_notes,
	.purge = sqlite_purge,
};
