/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The life of bundles: the same tests on each of the SQL stores. */
#include "store_fixture.h"

#include <sys/wait.h>

#define WRITERS 64
#define OPENERS 24

static void
assert_file(const struct file *got, const struct file *want)
{
	if (want->src == NULL)
		assert_null(got->src);
	else
		assert_string_equal(got->src, want->src);
	assert_string_equal(got->dst, want->dst);
	assert_int_equal(got->size, want->size);
	assert_int_equal(got->mtime, want->mtime);
	assert_int_equal(got->has_crc, want->has_crc);
	assert_int_equal(got->crc, want->crc);
	assert_int_equal(got->compression, want->compression);
}

static void
assert_facts(const struct facts *got, const struct facts *want)
{
	assert_int_equal(got->size, want->size);
	assert_int_equal(got->packed, want->packed);
	assert_int_equal(got->mtime, want->mtime);
	assert_int_equal(got->has_crc, want->has_crc);
	assert_int_equal(got->crc, want->crc);
	assert_string_equal(got->validator, want->validator);
	assert_string_equal(got->layout, want->layout);
	assert_string_equal(got->checkpoints, want->checkpoints);
}

static void
keeps_every_field(void **state)
{
	struct fixture *f = *state;
	struct file files[] = {
		plain("https://a.example/1", "1"),
		plain(NULL, "folder/"),
		plain("s3://b/k", "k"),
	};
	struct bundle b, got;
	struct facts unknown;
	size_t i;

	files[2].size = INT64_MAX;
	files[2].mtime = -5;
	files[2].has_crc = true;
	files[2].crc = UINT32_MAX;
	files[2].compression = COMPRESSION_STORE;
	b = (struct bundle){ .filename = "\xc3\xa9\"'.zip",
			     .compression = COMPRESSION_DEFLATE,
			     .on_error = ON_ERROR_REPORT,
			     .files = files,
			     .count = 3 };
	assert_int_equal(store_create(f->store, &b, &f->error), 0);
	assert_true(bundle_is_uuid(b.id) && bundle_is_uuid(b.secret));
	assert_string_not_equal(b.id, b.secret);
	assert_int_equal(b.expires, b.created + 3600);
	read_back(f, &b, &got);
	assert_string_equal(got.id, b.id);
	assert_string_equal(got.secret, b.secret);
	assert_string_equal(got.filename, b.filename);
	assert_int_equal(got.created, b.created);
	assert_int_equal(got.expires, b.expires);
	assert_int_equal(got.compression, COMPRESSION_DEFLATE);
	assert_int_equal(got.on_error, ON_ERROR_REPORT);
	assert_int_equal(got.count, 3);
	facts_clear(&unknown);
	for (i = 0; i < 3; i++) {
		assert_file(&got.files[i], &files[i]);
		assert_facts(&got.files[i].facts, &unknown);
	}
}

static void
keeps_odd_texts(void **state)
{
	static const char *const odd[] = {
		"",
		"NULL",
		"null",
		"{}",
		"{a,\"b\"}",
		"a\\b\\\\",
		"\"",
		"'); DROP",
		"a,b",
		" spaces ",
		"new\nline",
		"tab\tbell\a",
		"\xf0\x9f\x98\x80",
		"%s%n",
		"$1 ?1 {table}",
		"\\N",
	};
	struct fixture *f = *state;
	struct file files[sizeof(odd) / sizeof(odd[0])];
	size_t i, n = sizeof(odd) / sizeof(odd[0]);
	struct bundle b, got;

	for (i = 0; i < n; i++)
		files[i] = plain(odd[i], odd[n - 1 - i]);
	create(f, &b, files, n);
	read_back(f, &b, &got);
	assert_int_equal(got.count, n);
	for (i = 0; i < n; i++)
		assert_file(&got.files[i], &files[i]);
}

static void
keeps_an_empty_bundle(void **state)
{
	struct fixture *f = *state;
	struct file more = plain("https://a.example/", "a");
	struct bundle b, got;

	create(f, &b, NULL, 0);
	read_back(f, &b, &got);
	assert_int_equal(got.count, 0);
	assert_string_equal(got.filename, "");
	assert_int_equal(got.compression, COMPRESSION_DEFAULT);
	assert_int_equal(got.on_error, ON_ERROR_DEFAULT);
	assert_int_equal(
		store_append(f->store, b.id, b.secret, &more, 1, &f->error), 0);
	read_back(f, &b, &got);
	assert_int_equal(got.count, 1);
	assert_file(&got.files[0], &more);
}

static void
keeps_the_order_of_thousands(void **state)
{
	struct fixture *f = *state;
	size_t i, n = 2500;
	struct file *files = arena_array(f->arena, n, sizeof(*files));
	struct bundle b, got;

	for (i = 0; i < n; i++)
		files[i] = plain("https://a.example/",
				 arena_printf(f->arena, "%zu", i));
	create(f, &b, files, n);
	assert_int_equal(
		store_append(f->store, b.id, b.secret, files, n, &f->error), 0);
	read_back(f, &b, &got);
	assert_int_equal(got.count, 2 * n);
	for (i = 0; i < 2 * n; i++)
		assert_file(&got.files[i], &files[i % n]);
}

static void
reads_by_id_alone(void **state)
{
	struct fixture *f = *state;
	struct bundle b, got;

	create(f, &b, NULL, 0);
	assert_int_equal(
		store_read(f->store, b.id, NULL, f->arena, &got, &f->error), 0);
	assert_string_equal(got.secret, b.secret);
}

static void
assert_absent(struct fixture *f, const char *id, const char *secret)
{
	struct file more = plain("https://a.example/", "a");
	struct bundle got;

	assert_int_equal(
		store_read(f->store, id, secret, f->arena, &got, &f->error),
		-1);
	assert_int_equal(f->error.code, ERROR_NOT_FOUND);
	f->error = (struct error){ 0 };
	assert_int_equal(
		store_append(f->store, id, secret, &more, 1, &f->error), -1);
	assert_int_equal(f->error.code, ERROR_NOT_FOUND);
	f->error = (struct error){ 0 };
	assert_int_equal(store_remove(f->store, id, secret, &f->error), -1);
	assert_int_equal(f->error.code, ERROR_NOT_FOUND);
}

static void
hides_what_is_not_yours(void **state)
{
	static const char *const hostile[] = {
		"",
		"x",
		"' OR '1'='1",
		"%",
		NOBODY "x",
		"\xff\xfe",
		"../../../../../../../../etc/passwd00",
		NOBODY,
		"00000000-0000-4000-8000-00000000000\xc0",
	};
	struct fixture *f = *state;
	struct bundle b, got;
	size_t i;

	create(f, &b, NULL, 0);
	for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		assert_absent(f, hostile[i], b.secret);
		assert_absent(f, b.id, hostile[i]);
		assert_absent(f, hostile[i], hostile[i]);
	}
	assert_absent(f, b.secret, b.id);
	read_back(f, &b, &got);
	assert_int_equal(got.count, 0);
}

/* A statement that fails when there is a file of any bundle. */
#define NO_FILES                                                               \
	"INSERT INTO {schema} (version, name) SELECT NULL, NULL FROM {files}"

static void
removes_once(void **state)
{
	struct fixture *f = *state;
	struct file one = plain("https://a.example/", "a");
	struct bundle b, other, got;

	create(f, &other, &one, 1);
	create(f, &b, &one, 1);
	assert_int_equal(store_remove(f->store, b.id, b.secret, &f->error), 0);
	assert_absent(f, b.id, b.secret);
	read_back(f, &other, &got);
	assert_int_equal(got.count, 1);
}

static void
expires_and_is_purged(void **state)
{
	struct fixture *f = *state;
	struct file one = plain("https://a.example/", "a");
	struct bundle b[5], live, got;
	int64_t deleted;
	size_t i;

	create(f, &live, &one, 1);
	f->config.data_lifetime_min = 0;
	for (i = 0; i < 5; i++)
		create(f, &b[i], &one, 1);
	assert_absent(f, b[0].id, b[0].secret);
	assert_int_equal(store_purge(f->store, &deleted, &f->error), 0);
	assert_int_equal(deleted, 5);
	assert_int_equal(store_purge(f->store, &deleted, &f->error), 0);
	assert_int_equal(deleted, 0);
	read_back(f, &live, &got);
	assert_int_equal(got.count, 1);
	assert_int_equal(
		store_remove(f->store, live.id, live.secret, &f->error), 0);
	run_sql(f, NO_FILES);
}

static void
purges_large_bundles_one_by_one(void **state)
{
	struct fixture *f = *state;
	struct bundle b;
	int64_t deleted;
	int i;

	f->config.data_lifetime_min = 0;
	for (i = 0; i < 3; i++)
		create(f, &b, NULL, 0);
	run_sql(f, "UPDATE {table} SET file_count = 100000");
	assert_int_equal(store_purge(f->store, &deleted, &f->error), 0);
	assert_int_equal(deleted, 3);
}

static void
refuses_too_many_files(void **state)
{
	struct fixture *f = *state;
	struct file files[4] = { plain("https://a.example/", "a"),
				 plain("https://a.example/", "b"),
				 plain("https://a.example/", "c"),
				 plain("https://a.example/", "d") };
	struct bundle b, got;

	f->config.max_files = 3;
	create(f, &b, files, 2);
	assert_int_equal(
		store_append(f->store, b.id, b.secret, files + 2, 2, &f->error),
		-1);
	assert_int_equal(f->error.code, ERROR_TOO_LARGE);
	read_back(f, &b, &got);
	assert_int_equal(got.count, 2);
	assert_int_equal(
		store_append(f->store, b.id, b.secret, files + 2, 1, &f->error),
		0);
	b = (struct bundle){ .filename = "", .files = files, .count = 4 };
	assert_int_equal(store_create(f->store, &b, &f->error), -1);
	assert_int_equal(f->error.code, ERROR_TOO_LARGE);
}

static void
remembers_what_was_learned(void **state)
{
	struct fixture *f = *state;
	struct file files[3] = { plain("https://a.example/0", "0"),
				 plain(NULL, "folder/"),
				 plain("https://a.example/2", "2") };
	struct facts known = { .size = 5,
			       .packed = 7,
			       .mtime = -1,
			       .crc = 0xfffffffe,
			       .has_crc = true,
			       .validator = "\"it's\"",
			       .layout = "level0",
			       .checkpoints = "0123456789abcdef" };
	struct store_fact learned[] = {
		{ .position = 0, .src = files[0].src, .facts = known },
		{ .position = 1, .src = NULL, .facts = known },
		{ .position = 2, .src = "https://a.example/x", .facts = known },
		{ .position = 3, .src = files[0].src, .facts = known },
	};
	struct facts unknown;
	struct bundle b, got;

	facts_clear(&unknown);
	create(f, &b, files, 3);
	assert_int_equal(store_remember(f->store, b.id, learned, 4, &f->error),
			 0);
	read_back(f, &b, &got);
	assert_int_equal(got.count, 3);
	assert_facts(&got.files[0].facts, &known);
	assert_facts(&got.files[1].facts, &known);
	assert_facts(&got.files[2].facts, &unknown); /* another source */
	assert_file(&got.files[0], &files[0]);

	learned[0].facts = unknown;
	assert_int_equal(store_remember(f->store, b.id, learned, 1, &f->error),
			 0);
	read_back(f, &b, &got);
	assert_facts(&got.files[0].facts, &unknown);
	assert_int_equal(
		store_remember(f->store, NOBODY, learned, 1, &f->error), 0);
}

/* Each of them read `known` and added to it: nobody takes anything away. */
static void
remembers_what_several_learned(void **state)
{
	static const struct {
		const char *known, *checkpoints, *then;
	} steps[] = {
		{ NULL, ",0-1:00000001", ",0-1:00000001" },
		{ ",0-1:00000001", ",0-2:00000002", ",0-2:00000002" },
		/* He had read the same as the one before him. */
		{ ",0-1:00000001", ",0-1:00000001,3-4:00000003",
		  ",0-2:00000002,0-1:00000001,3-4:00000003" },
		/* She had read what that one had left. */
		{ ",0-2:00000002", ",0-3:00000004",
		  ",0-3:00000004,0-1:00000001,3-4:00000003" },
		{ NULL, "", ",0-3:00000004,0-1:00000001,3-4:00000003" },
		{ ",0-3:00000004,0-1:00000001,3-4:00000003", "", "" },
	};
	struct fixture *f = *state;
	struct file file = plain("https://a.example/0", "0");
	struct store_fact learned = { .src = file.src };
	struct bundle b, got;

	create(f, &b, &file, 1);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		learned.facts =
			(struct facts){ .size = 5,
					.packed = 10,
					.validator = "\"v\"",
					.layout = "level0",
					.checkpoints = steps[i].checkpoints };
		learned.known = steps[i].known;
		assert_int_equal(
			store_remember(f->store, b.id, &learned, 1, &f->error),
			0);
		read_back(f, &b, &got);
		assert_string_equal(got.files[0].facts.checkpoints,
				    steps[i].then);
	}
	/* Of another version nothing is kept. */
	learned.facts.checkpoints = ",0-4:00000005";
	store_remember(f->store, b.id, &learned, 1, &f->error);
	learned.facts.validator = "\"w\"";
	learned.facts.checkpoints = ",0-1:00000006";
	store_remember(f->store, b.id, &learned, 1, &f->error);
	read_back(f, &b, &got);
	assert_string_equal(got.files[0].facts.checkpoints, ",0-1:00000006");
}

static void
remembers_thousands(void **state)
{
	struct fixture *f = *state;
	size_t i, n = 2500;
	struct file *files = arena_array(f->arena, n, sizeof(*files));
	struct store_fact *learned = arena_array(f->arena, n, sizeof(*learned));
	struct bundle b, got;

	for (i = 0; i < n; i++) {
		files[i] = plain("https://a.example/", "a");
		learned[i] = (struct store_fact){ .position = i,
						  .src = files[i].src,
						  .facts = files[i].facts };
		learned[i].facts.size = (int64_t)i;
	}
	create(f, &b, files, n);
	assert_int_equal(store_remember(f->store, b.id, learned, n, &f->error),
			 0);
	read_back(f, &b, &got);
	for (i = 0; i < n; i++)
		assert_int_equal(got.files[i].facts.size, i);
}

static void
works_after_release(void **state)
{
	struct fixture *f = *state;
	struct bundle b, got;

	create(f, &b, NULL, 0);
	store_release(f->store);
	read_back(f, &b, &got);
	store_release(f->store);
	store_release(f->store);
	assert_int_equal(store_init(f->store, &f->error), 0);
	read_back(f, &b, &got);
}

/* Runs `work` in n processes at once; it returns whether all went well. */
static bool
at_once(struct fixture *f, int n, int (*work)(struct fixture *, int, void *),
	void *arg)
{
	int gate[2], i, status;
	bool well = true;
	char c;

	assert_int_equal(pipe(gate), 0);
	for (i = 0; i < n; i++) {
		if (fork() != 0)
			continue;
		close(gate[1]);
		/* All start when the parent closes its end. */
		(void)!read(gate[0], &c, 1);
		_exit(work(f, i, arg) == 0 ? 0 : 1);
	}
	close(gate[0]);
	close(gate[1]);
	for (i = 0; i < n; i++) {
		wait(&status);
		well = well && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	}
	return well;
}

static int
append_two(struct fixture *f, int i, void *arg)
{
	const struct bundle *b = arg;
	struct store *s = open_store(f);
	struct file files[2];
	int failed;

	files[0] = plain(arena_printf(f->arena, "https://a.example/%d", i),
			 "first");
	files[1] = plain(files[0].src, "second");
	failed = store_append(s, b->id, b->secret, files, 2, &f->error);
	if (failed)
		fprintf(stderr, "%s: %s\n", f->error.text, f->error.cause);
	store_free(s);
	return failed;
}

static void
loses_no_concurrent_append(void **state)
{
	struct fixture *f = *state;
	bool seen[WRITERS] = { false };
	struct bundle b, got;
	size_t i;
	int who;

	create(f, &b, NULL, 0);
	store_free(f->store); /* no handle crosses a fork */
	f->store = NULL;
	assert_true(at_once(f, WRITERS, append_two, &b));
	f->store = open_store(f);
	read_back(f, &b, &got);
	assert_int_equal(got.count, 2 * WRITERS);
	for (i = 0; i < got.count; i += 2) {
		assert_int_equal(
			sscanf(got.files[i].src, "https://a.example/%d", &who),
			1);
		assert_string_equal(got.files[i].src, got.files[i + 1].src);
		assert_string_equal(got.files[i].dst, "first");
		assert_string_equal(got.files[i + 1].dst, "second");
		assert_false(seen[who]);
		seen[who] = true;
	}
}

static int
init_and_create(struct fixture *f, int i, void *arg)
{
	struct store *s = open_store(f);
	struct bundle b = { .filename = "" };
	int failed;

	(void)i;
	(void)arg;
	failed = store_init(s, &f->error) || store_create(s, &b, &f->error);
	if (failed)
		fprintf(stderr, "%s: %s\n", f->error.text, f->error.cause);
	store_free(s);
	return failed;
}

static void
is_made_by_many_at_once(void **state)
{
	struct fixture *f = *state;
	int64_t deleted;

	store_free(f->store);
	f->store = NULL;
	if (backend == DB_POSTGRES)
		run_sql(f, "DROP TABLE {notes}, {files}, {table}, {schema}");
	else
		snprintf(f->path, sizeof(f->path), "%s/other.db", f->folder);
	f->config.data_lifetime_min = 0;
	assert_true(at_once(f, OPENERS, init_and_create, NULL));
	f->store = open_store(f);
	assert_int_equal(store_purge(f->store, &deleted, &f->error), 0);
	assert_int_equal(deleted, OPENERS);
}

static void
leaves_a_foreign_table_alone(void **state)
{
	struct fixture *f = *state;
	size_t n = strlen(f->table);
	struct store *s;

	snprintf(f->table + n, sizeof(f->table) - n, "_x");
	run_sql(f, "CREATE TABLE {table} (id text)");
	s = open_store(f);
	assert_int_equal(store_init(s, &f->error), -1);
	assert_non_null(strstr(f->error.cause, "already exists"));
	store_free(s);
	run_sql(f, "INSERT INTO {table} VALUES ('kept'); DROP TABLE {table}");
	f->table[n] = '\0';
}

/* Twelve notes: the last ten stay, the newest first; others' are others'. */
static void
keeps_the_last_notes(void **state)
{
	struct fixture *f = *state;
	struct store_notes notes;
	struct bundle b, other;
	char record[8];

	create(f, &b, NULL, 0);
	create(f, &other, NULL, 0);
	for (int i = 0; i < 12; i++) {
		snprintf(record, sizeof(record), "n%d", i);
		assert_int_equal(store_note(f->store, b.id, record, &f->error),
				 0);
	}
	assert_int_equal(store_notes(f->store, b.id, b.secret, f->arena, &notes,
				     &f->error),
			 0);
	assert_int_equal(notes.count, STORE_NOTES);
	assert_string_equal(notes.records[0], "n11");
	assert_string_equal(notes.records[9], "n2");
	assert_int_equal(store_notes(f->store, other.id, other.secret, f->arena,
				     &notes, &f->error),
			 0);
	assert_int_equal(notes.count, 0);
}

static void
shows_notes_to_the_owner_alone(void **state)
{
	struct fixture *f = *state;
	struct store_notes notes;
	struct bundle b;

	create(f, &b, NULL, 0);
	assert_int_equal(store_note(f->store, b.id, "n", &f->error), 0);
	assert_int_equal(store_notes(f->store, b.id, NOBODY, f->arena, &notes,
				     &f->error),
			 -1);
	assert_int_equal(f->error.code, ERROR_NOT_FOUND);
	assert_int_equal(store_note(f->store, NOBODY, "n", &f->error), -1);
	assert_int_equal(f->error.code, ERROR_NOT_FOUND);
	assert_int_equal(store_remove(f->store, b.id, b.secret, &f->error), 0);
	assert_int_equal(store_notes(f->store, b.id, b.secret, f->arena, &notes,
				     &f->error),
			 -1);
}

/* As the first version made them, before there were notes. */
static void
upgrades_older_tables(void **state)
{
	struct fixture *f = *state;
	struct file one = plain("https://a.example/", "a");
	struct bundle b, got;
	struct store *s;

	create(f, &b, &one, 1);
	run_sql(f, "DROP TABLE {notes};"
		   "DELETE FROM {schema} WHERE version > 1");
	s = open_store(f);
	assert_int_equal(store_init(s, &f->error), 0);
	assert_int_equal(store_note(s, b.id, "n", &f->error), 0);
	store_free(s);
	read_back(f, &b, &got);
	assert_int_equal(got.count, 1);
}

static void
refuses_newer_tables(void **state)
{
	struct fixture *f = *state;
	struct store *s;

	run_sql(f, "UPDATE {schema} SET version = version + 1000");
	s = open_store(f);
	assert_int_equal(store_init(s, &f->error), -1);
	assert_int_equal(f->error.code, ERROR_UNAVAILABLE);
	store_free(s);
}

static void
refuses_bad_table_names(void **state)
{
	static const char *const bad[] = {
		"",
		"a b",
		"a\"b",
		"a;b",
		"a.b.c",
		".a",
		"a.",
		"\xc3\xa9",
		"t123456789012345678901234567890123456789012345678",
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		f->config.table_name = bad[i];
		assert_null(store_new(&f->config, NULL, &f->error));
	}
}

#define EVERYWHERE                                                             \
	T(keeps_every_field), T(keeps_odd_texts), T(keeps_an_empty_bundle),    \
		T(keeps_the_order_of_thousands), T(reads_by_id_alone),         \
		T(hides_what_is_not_yours), T(removes_once),                   \
		T(expires_and_is_purged), T(purges_large_bundles_one_by_one),  \
		T(refuses_too_many_files), T(remembers_what_was_learned),      \
		T(remembers_what_several_learned), T(remembers_thousands),     \
		T(works_after_release), T(loses_no_concurrent_append),         \
		T(is_made_by_many_at_once), T(leaves_a_foreign_table_alone),   \
		T(upgrades_older_tables), T(refuses_newer_tables),             \
		T(keeps_the_last_notes), T(shows_notes_to_the_owner_alone),    \
		T(refuses_bad_table_names)

int
main(void)
{
	const struct CMUnitTest tests[] = { EVERYWHERE };
	int failed;

	backend = DB_SQLITE;
	failed = cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
	backend = DB_POSTGRES;
	if (getenv("ZIPSTREAM_TEST_PG") != NULL)
		failed += cmocka_run_group_tests_name("postgres", tests, NULL,
						      NULL);
	return failed;
}
