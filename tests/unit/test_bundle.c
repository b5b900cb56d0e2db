/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The model: documents and forms in, bundles and JSON out. */
#include "bundle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "arena_fixture.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define U "\"src\":\"http://h/a.txt\""
#define FILES(f) "{\"files\":[" f "]}"

static const struct config config = {
	.fs_interfaces = FS_S3 | FS_HTTPS,
	.file_root = "",
	.source_allow = "",
	.allow_private_networks = "",
	.aws_region = "us-west-2",
	.max_files = 100000,
};

static int
parse(struct arena *a, const char *text, unsigned needs, struct bundle *b,
      struct error *e)
{
	return bundle_parse(&config, a, text, strlen(text), needs, NULL, b, e);
}

/* The public JSON; the caller frees it. */
static struct buf
print(const struct bundle *b)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	bundle_put_head(&out, b);
	for (size_t i = 0; i < b->count; i++)
		bundle_put_file(&out, &b->files[i], i);
	bundle_put_tail(&out, b);
	return out;
}

/* Documents and the files that come of them. */
static void
test_files(void **state)
{
	static const struct {
		const char *files, *printed;
	} cases[] = {
		{ "", "" },
		{ "{" U "}", "{" U ",\"dst\":\"a.txt\"}" },
		{ "{" U ",\"dst\":null,\"size\":null}",
		  "{" U ",\"dst\":\"a.txt\"}" },
		{ "{" U ",\"dst\":\"\"}", "{" U ",\"dst\":\"a.txt\"}" },
		{ "{" U ",\"dst\":\"b\\\\c.txt\",\"x\":[1]}",
		  "{" U ",\"dst\":\"b/c.txt\"}" },
		{ "{" U ",\"dst\":\"dir/\"}", "{" U ",\"dst\":\"dir/a.txt\"}" },
		{ "{\"dst\":\"dir/\"}", "{\"dst\":\"dir/\"}" },
		{ "{\"src\":\"\",\"dst\":\"d/\"}", "{\"dst\":\"d/\"}" },
		{ "{\"src\":\"https://h\"}",
		  "{\"src\":\"https://h\",\"dst\":\"index.html\"}" },
		{ "{\"src\":\"https://h/a/?q\"}",
		  "{\"src\":\"https://h/a/?q\",\"dst\":\"a/index.html\"}" },
		{ "{\"src\":\"http://h/a%20b.txt?q=1\"}",
		  "{\"src\":\"http://h/a%20b.txt?q=1\",\"dst\":\"a b.txt\"}" },
		{ "{\"src\":\"s3://bucket/some/key.jpg\"}",
		  "{\"src\":\"s3://bucket/some/key.jpg\",\"dst\":\"some/"
		  "key.jpg\"}" },
		{ "{" U "},{" U "}", "{" U ",\"dst\":\"a.txt\"}" },
		{ "{" U "},{\"src\":\"http://i/A.txt\"}",
		  "{" U ",\"dst\":\"a.txt\"},"
		  "{\"src\":\"http://i/A.txt\",\"dst\":\"A (2).txt\"}" },
		{ "{" U ",\"size\":0,\"crc32\":\"0000ABcd\","
		  "\"mtime\":1,\"compression\":\"store\"}",
		  "{" U ",\"dst\":\"a.txt\",\"size\":0,"
		  "\"crc32\":\"0000abcd\",\"mtime\":1,"
		  "\"compression\":\"store\"}" },
		{ "{" U ",\"mtime\":\"1970-01-01T01:00:05+01:00\"}",
		  "{" U ",\"dst\":\"a.txt\",\"mtime\":5}" },
		{ "{" U ",\"mtime\":1700000000.987}",
		  "{" U ",\"dst\":\"a.txt\",\"mtime\":1700000000}" },
	};
	struct bundle b;
	struct error e;

	for (size_t i = 0; i < COUNT(cases); i++) {
		char *text = arena_printf(*state, FILES("%s"), cases[i].files);
		struct buf out;

		assert_int_equal(
			parse(*state, text, BUNDLE_NEEDS_FILES, &b, &e), 0);
		out = print(&b);
		text = arena_printf(*state, "\"files\":[%s]}",
				    cases[i].printed);
		assert_string_equal(strstr(buf_str(&out), "\"files\""), text);
		buf_free(&out);
	}
}

static const struct {
	const char *text;
	unsigned needs;
	const char *message;
} refused_cases[] = {
	{ "{}", BUNDLE_NEEDS_NAME, "\"filename\" is required" },
	{ "{\"filename\":\"\"}", BUNDLE_NEEDS_NAME,
	  "\"filename\" is required" },
	{ "{\"filename\":\"/\"}", BUNDLE_NEEDS_NAME,
	  "\"filename\" is required" },
	{ "{\"filename\":1}", 0, "\"filename\" must be a string" },
	{ "{}", BUNDLE_NEEDS_FILES, "\"files\" is required" },
	{ "{\"files\":null}", BUNDLE_NEEDS_FILES, "\"files\" is required" },
	{ "{\"files\":{}}", 0, "\"files\" must be an array" },
	{ "{\"files\":\"a\"}", 0, "\"files\" must be an array" },
	{ "[]", 0, "The document must be a JSON object" },
	{ "null", 0, "The document must be a JSON object" },
	{ "{\"compression\":\"zip\"}", 0,
	  "\"compression\" must be store, deflate or auto" },
	{ "{\"onError\":1}", 0, "\"onError\" must be abort or report" },
	{ "{}", BUNDLE_NEEDS_LIST, "\"files\" is required" },
	{ "{\"manifest\":null,\"to\":null}", BUNDLE_NEEDS_LIST,
	  "\"files\" is required" },
	{ "{\"manifest\":\"https://h/a\"}", BUNDLE_NEEDS_FILES,
	  "\"files\" is required" },
	{ "{\"manifest\":5}", BUNDLE_NEEDS_LIST,
	  "\"manifest\" must be a string" },
	{ "{\"manifest\":\"\",\"files\":[]}", BUNDLE_NEEDS_LIST,
	  "\"manifest\" must not be empty" },
	{ "{\"manifest\":\"https://h/a\\u0000b\"}", BUNDLE_NEEDS_LIST,
	  "\"manifest\" must not contain control characters" },
	{ "{\"manifest\":\"https://h/a\",\"files\":5}", BUNDLE_NEEDS_LIST,
	  "\"files\" must be an array" },
	{ "{\"manifest\":\"https://h/a\",\"files\":[1]}", BUNDLE_NEEDS_LIST,
	  "\"manifest\" and \"files\" exclude each other" },
	{ "{\"files\":[],\"to\":5}", BUNDLE_NEEDS_LIST,
	  "\"to\" must be a string" },
	{ "{\"files\":[],\"to\":\"\"}", BUNDLE_NEEDS_LIST,
	  "\"to\" must not be empty" },
	{ FILES("1"), 0, "\"files[0]\" must be an object" },
	{ FILES("null"), 0, "\"files[0]\" must be an object" },
	{ FILES("{}"), 0, "\"src\" is required" },
	{ FILES("{\"src\":null}"), 0, "\"src\" is required" },
	{ FILES("{\"src\":\"\"}"), 0, "\"src\" is required" },
	{ FILES("{\"dst\":\"a\"}"), 0, "\"src\" is required" },
	{ FILES("{\"src\":1}"), 0, "\"src\" must be a string" },
	{ FILES("{\"src\":\"ftp://h/a\"}"), 0,
	  "Protocol 'ftp' not supported." },
	{ FILES("{\"src\":\"http://127.0.0.1/a\"}"), 0,
	  "IP Addresses are not supported" },
	{ FILES("{" U "},{\"src\":\"http://h/a\\u0000b\"}"), 0,
	  "\"files[1].src\" must not contain control characters" },
	{ FILES("{" U "},{" U "},{" U "},{" U ",\"dst\":\"../x\"}"), 0,
	  "\"files[3].dst\" must not contain '..'" },
	{ FILES("{" U ",\"dst\":\"a\\u0000b\"}"), 0,
	  "\"files[0].dst\" must not contain control characters" },
	{ FILES("{" U ",\"dst\":1}"), 0, "\"files[0].dst\" must be a string" },
	{ FILES("{" U ",\"dst\":\"//\"}"), 0,
	  "\"files[0].dst\" must name a file" },
	{ FILES("{\"src\":\"s3://bucket/\"}"), 0,
	  "\"files[0].dst\" is required: the source has no name" },
	{ FILES("{\"src\":\"https://h/a%5C\"}"), 0,
	  "\"files[0].dst\" is required: the source has no name" },
	{ FILES("{\"src\":\"https://h/a\\\\.\",\"dst\":\"d/\"}"), 0,
	  "\"files[0].dst\" is required: the source has no name" },
	{ FILES("{" U ",\"size\":-1}"), 0,
	  "\"files[0].size\" must be a whole number of bytes" },
	{ FILES("{" U ",\"size\":\"1\"}"), 0,
	  "\"files[0].size\" must be a whole number of bytes" },
	{ FILES("{" U ",\"size\":1.5}"), 0,
	  "\"files[0].size\" must be a whole number of bytes" },
	{ FILES("{" U ",\"size\":9223372036854775808}"), 0,
	  "\"files[0].size\" must be a whole number of bytes" },
	{ FILES("{" U ",\"crc32\":\"123\"}"), 0,
	  "\"files[0].crc32\" must be a string of 8 hex digits" },
	{ FILES("{" U ",\"crc32\":12345678}"), 0,
	  "\"files[0].crc32\" must be a string of 8 hex digits" },
	{ FILES("{" U ",\"mtime\":\"yesterday\"}"), 0,
	  "\"files[0].mtime\" must be unix seconds or an RFC 3339 "
	  "date" },
	{ FILES("{" U ",\"mtime\":1700000000000}"), 0,
	  "\"files[0].mtime\" must be unix seconds or an RFC 3339 "
	  "date" },
	{ FILES("{" U ",\"mtime\":-0.5}"), 0,
	  "\"files[0].mtime\" must be unix seconds or an RFC 3339 "
	  "date" },
	{ FILES("{" U ",\"compression\":\"best\"}"), 0,
	  "\"files[0].compression\" must be store, deflate or auto" },
	{ "{\"files\":[}", 0,
	  "Invalid JSON: unexpected character at line 1, column 11" },
};

static void
test_refused(void **state)
{
	struct bundle b;
	struct error e;

	for (size_t i = 0; i < COUNT(refused_cases); i++) {
		assert_int_equal(parse(*state, refused_cases[i].text,
				       refused_cases[i].needs, &b, &e),
				 -1);
		assert_int_equal(e.code, ERROR_INPUT);
		assert_string_equal(e.text, refused_cases[i].message);
	}
}

static void
test_what_a_request_says_besides(void **state)
{
	static const char text[] = "{\"manif\\u0065st\":\"m\",\"to\":\"t\","
				   "\"files\":[],\"filename\":\"f\"}";
	struct bundle b;
	struct error e;

	assert_int_equal(parse(*state, text, BUNDLE_NEEDS_LIST, &b, &e), 0);
	assert_string_equal(b.manifest, "m");
	assert_string_equal(b.to, "t");
	assert_string_equal(b.filename, "f.zip");
	assert_int_equal(
		parse(*state, "{\"files\":[]}", BUNDLE_NEEDS_LIST, &b, &e), 0);
	assert_null(b.manifest);
	assert_null(b.to);
	/* Where they mean nothing, as any other member. */
	assert_int_equal(parse(*state, "{\"manifest\":5,\"to\":{}}", 0, &b, &e),
			 0);
	assert_null(b.manifest);
	assert_null(b.to);
}

static void
test_filenames(void **state)
{
	static const struct {
		const char *given, *name;
	} cases[] = {
		{ "", "bundle.zip" },
		{ "a", "a.zip" },
		{ "a.zip", "a.zip" },
		{ "a.ZIP", "a.zip" },
		{ "a.zip.txt", "a.zip.txt.zip" },
		{ ".zip", "bundle.zip" },
		{ "../../etc/a.zip", "....etca.zip" },
		{ "a\\r\\nSet-Cookie: x", "aSet-Cookie: x.zip" },
		{ "a\\u0085\\u0000b\\\\c", "abc.zip" },
		{ "a\\\"b", "a\"b.zip" },
	};
	struct bundle b;
	struct error e;
	char *text;

	for (size_t i = 0; i < COUNT(cases); i++) {
		text = arena_printf(*state, "{\"filename\":\"%s\"}",
				    cases[i].given);
		assert_int_equal(parse(*state, text, 0, &b, &e), 0);
		assert_string_equal(bundle_filename(&b), cases[i].name);
	}
	/* 300 bytes of two-byte characters: cut between two of them. */
	text = arena_printf(*state, "{\"filename\":\"x%0300d\"}", 0);
	for (char *p = strchr(text, '0'); *p == '0'; p += 2)
		memcpy(p, "\xc3\xa4", 2);
	assert_int_equal(parse(*state, text, 0, &b, &e), 0);
	assert_int_equal(strlen(b.filename), 255);
	assert_string_equal(b.filename + 249, "\xc3\xa4.zip");
}

static void
test_printing(void **state)
{
	struct bundle b;
	struct error e;
	struct buf out;

	assert_int_equal(
		parse(*state,
		      "{\"id\":\"mine\",\"secret\":1,"
		      "\"expirationDate\":{},\"filename\":\"\xc3\xa4\","
		      "\"compression\":\"deflate\","
		      "\"onError\":\"report\"}",
		      BUNDLE_NEEDS_NAME, &b, &e),
		0);
	assert_string_equal(b.id, "");
	memcpy(b.id, "i", 2);
	memcpy(b.secret, "s", 2);
	b.expires = 12;
	out = print(&b);
	assert_string_equal(buf_str(&out),
			    "{\"id\":\"i\",\"secret\":\"s\","
			    "\"expirationDate\":12,"
			    "\"filename\":\"\xc3\xa4.zip\","
			    "\"compression\":\"deflate\","
			    "\"onError\":\"report\",\"files\":[]}");
	buf_free(&out);
}

static void
test_appending(void **state)
{
	static const char more[] =
		FILES("{" U "},{\"src\":\"http://i/a.txt\"},{\"dst\":\"d/\"}");
	struct config narrow = config;
	struct bundle taken, b;
	struct error e;

	assert_int_equal(
		parse(*state, FILES("{" U "},{\"dst\":\"d/\"}"), 0, &taken, &e),
		0);
	assert_int_equal(bundle_parse(&config, *state, more, strlen(more), 0,
				      &taken, &b, &e),
			 0);
	assert_int_equal(b.count, 1);
	assert_string_equal(b.files[0].dst, "a (2).txt");
	narrow.max_files = 5;
	assert_int_equal(bundle_parse(&narrow, *state, more, strlen(more), 0,
				      &taken, &b, &e),
			 0);
	narrow.max_files = 4;
	assert_int_equal(bundle_parse(&narrow, *state, more, strlen(more), 0,
				      &taken, &b, &e),
			 -1);
	assert_int_equal(e.code, ERROR_TOO_LARGE);
	assert_string_equal(e.text, "More than 4 files");
}

/* What another service has stored gets a name, whatever it bears. */
static void
test_adopting(void **state)
{
	static const struct {
		const char *src, *given, *dst;
	} cases[] = {
		{ "http://h/a.txt", "x/y.txt", "x/y.txt" },
		{ "http://h/a.txt", "", "a.txt" },
		{ "http://h/a.txt", "../b.txt", "file 3" },
		{ "file:///no/such/kind", "", "file 4" },
		{ NULL, "empty/", "empty/" },
		{ NULL, "", "file 6/" },
	};
	struct file files[COUNT(cases)] = { 0 };
	struct bundle b = { .filename = "a/b",
			    .files = files,
			    .count = COUNT(cases) };
	struct error e;

	for (size_t i = 0; i < COUNT(cases); i++) {
		files[i].src = cases[i].src;
		files[i].dst = cases[i].given;
	}
	assert_int_equal(bundle_adopt(&config, *state, &b, &e), 0);
	assert_string_equal(b.filename, "ab.zip");
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(files[i].dst, cases[i].dst);
}

/* As many files as are allowed; the time is for the reader of the log. */
static void
test_many(void **state)
{
	struct timespec from, to;
	struct bundle b;
	struct error e;
	struct buf text;

	(void)state;
	buf_init(&text, 16 << 20);
	buf_puts(&text, "{\"files\":[");
	for (int i = 0; i < 100000; i++)
		buf_printf(&text, "%s{\"src\":\"http://h/f/%d.jpg\"}",
			   i > 0 ? "," : "", i);
	buf_puts(&text, "]}");
	clock_gettime(CLOCK_MONOTONIC, &from);
	assert_int_equal(parse(*state, buf_str(&text), 0, &b, &e), 0);
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_int_equal(b.count, 100000);
	assert_string_equal(b.files[99999].dst, "f/99999.jpg");
	print_message("100,000 files in %ld ms, %zu MiB\n",
		      (to.tv_sec - from.tv_sec) * 1000 +
			      (to.tv_nsec - from.tv_nsec) / 1000000,
		      arena_used(*state) >> 20);
	buf_free(&text);
}

#define URLENCODED "application/x-www-form-urlencoded"
#define MULTIPART "multipart/form-data; boundary=\"B b\""

static const struct {
	const char *type, *body, *json; /* else the message */
	enum error_code code;
} form_cases[] = {
	{ URLENCODED, "", "{}", 0 },
	{ URLENCODED, "other=1&&x&=y", "{}", 0 },
	{ URLENCODED, "manifest=https://h/l&filename=a&to=&to=s3://b/k",
	  "{\"manifest\":\"https://h/l\",\"filename\":\"a\","
	  "\"to\":\"s3://b/k\"}",
	  0 },
	{ URLENCODED, "filename=a+b%26c&onError=report",
	  "{\"filename\":\"a b&c\",\"onError\":\"report\"}", 0 },
	{ URLENCODED,
	  "files%5B0%5D%5Bsrc%5D=http%3A%2F%2Fh%2Fa"
	  "&files[0][dst]=b.txt",
	  "{\"files\":[{\"src\":\"http://h/a\",\"dst\":\"b.txt\"}]}", 0 },
	{ URLENCODED,
	  "files[9][src]=c&files[1][size]=007&files[1][src]=b"
	  "&files[5][src]=&files[1][crc32]=00000000&filename=x",
	  "{\"filename\":\"x\",\"files\":[{\"size\":7,\"src\":\"b\","
	  "\"crc32\":\"00000000\"},{\"src\":\"c\"}]}",
	  0 },
	{ URLENCODED, "files[0][mtime]=000&files[0][size]=1x",
	  "{\"files\":[{\"mtime\":0,\"size\":\"1x\"}]}", 0 },
	{ URLENCODED, "files[0][size]=9999999999999999999",
	  "{\"files\":[{\"size\":\"9999999999999999999\"}]}", 0 },
	{ URLENCODED,
	  "files[a][src]=1&files[][src]=1&files[0]src=1&files[0][x]=1"
	  "&files[0][src=1&files=1&filesX[0][src]=1",
	  "{}", 0 },
	{ URLENCODED, "filename=a&json=%7B%22files%22:[]}&onError=b",
	  "{\"files\":[]}", 0 },
	{ URLENCODED, "files[999999][src]=a", "{\"files\":[{\"src\":\"a\"}]}",
	  0 },
	{ URLENCODED, "files[1000000][src]=a",
	  "The index of files[...] must be below 1000000", ERROR_INPUT },
	{ URLENCODED, "files[18446744073709551616][src]=a",
	  "The index of files[...] must be below 1000000", ERROR_INPUT },
	{ URLENCODED, "filename=%ff", "Form fields must be UTF-8",
	  ERROR_INPUT },
	{ MULTIPART,
	  "--B b\r\nContent-Disposition: form-data; name=\"filename\""
	  "\r\n\r\na\r\nb\r\n--B b  \r\n"
	  "X: y\r\ncontent-disposition: form-data; "
	  "name=\"files[0][src]\"\r\n\r\nhttp://h/+%20\r\n--B b--\r\n",
	  "{\"filename\":\"a\\r\\nb\","
	  "\"files\":[{\"src\":\"http://h/+%20\"}]}",
	  0 },
	{ MULTIPART,
	  "preamble\r\n--B b\r\n\r\nno name\r\n--B b\r\n"
	  "Content-Disposition: form-data; name=json; filename=f\r\n"
	  "Content-Type: application/json\r\n\r\n{}\r\n--B b--epilogue",
	  "{}", 0 },
	{ MULTIPART, "--B b--", "{}", 0 },
	{ MULTIPART, "", "Invalid form: the boundary does not occur",
	  ERROR_INPUT },
	{ MULTIPART, "--B b", "Invalid form: it is cut short", ERROR_INPUT },
	{ MULTIPART, "--B b\r\nA: b\r\n\r\nx", "Invalid form: it is cut short",
	  ERROR_INPUT },
	{ MULTIPART, "--B b\r\nA: b\r\n--B b--",
	  "Invalid form: a part has no head", ERROR_INPUT },
	{ MULTIPART, "--B bx\r\n\r\n\r\n--B b--",
	  "Invalid form: a boundary does not end its line", ERROR_INPUT },
	{ "multipart/form-data", "--B b--",
	  "Invalid form: there is no boundary", ERROR_INPUT },
	{ "text/plain", "filename=a", "Unsupported media type",
	  ERROR_MEDIA_TYPE },
};

static void
test_forms(void **state)
{
	struct error e;
	struct buf json;

	buf_init(&json, 1 << 20);
	for (size_t i = 0; i < COUNT(form_cases); i++) {
		int rc;

		buf_reset(&json);
		e = (struct error){ 0 };
		rc = bundle_form(*state, form_cases[i].type, form_cases[i].body,
				 strlen(form_cases[i].body), &json, &e);
		assert_int_equal(e.code, form_cases[i].code);
		assert_int_equal(rc, form_cases[i].code == ERROR_NONE ? 0 : -1);
		assert_string_equal(rc == 0 ? buf_str(&json) : e.text,
				    form_cases[i].json);
	}
	buf_free(&json);
	buf_init(&json, 8);
	assert_int_equal(
		bundle_form(*state, URLENCODED, "filename=abc", 12, &json, &e),
		-1);
	assert_int_equal(e.code, ERROR_TOO_LARGE);
	buf_free(&json);
}

static void
test_uuids(void **state)
{
	char a[BUNDLE_UUID], b[BUNDLE_UUID];

	(void)state;
	assert_int_equal(bundle_uuid(a), 0);
	assert_int_equal(bundle_uuid(b), 0);
	assert_string_not_equal(a, b);
	assert_true(bundle_is_uuid(a));
	assert_int_equal(a[14], '4');
	assert_non_null(strchr("89ab", a[19]));
	assert_true(bundle_is_uuid("0123abCD-0000-0000-0000-00000000000F"));
	assert_false(bundle_is_uuid("0123abCD-0000-0000-0000-00000000000"));
	assert_false(bundle_is_uuid("0123abCD-0000-0000-0000-00000000000F0"));
	assert_false(bundle_is_uuid("0123abCD+0000-0000-0000-00000000000F"));
	assert_false(bundle_is_uuid("0123abCG-0000-0000-0000-00000000000F"));
	assert_false(bundle_is_uuid(""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_what_a_request_says_besides),
		cmocka_unit_test(test_filenames),
		cmocka_unit_test(test_printing),
		cmocka_unit_test(test_appending),
		cmocka_unit_test(test_adopting),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_uuids),
	};

	return cmocka_run_group_tests_name("bundle", tests, with_arena,
					   without_arena);
}
