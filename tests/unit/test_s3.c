/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Addresses of S3 objects, and what S3's answers mean.  No network. */
#include "s3.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "arena_fixture.h"
#include "credentials.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static struct config
settings(void)
{
	return (struct config){
		.aws_region = "us-west-2",
		.aws_access_key_id = "AKID",
		.aws_secret_access_key = "secret",
		.aws_session_token = "",
		.aws_profile = "",
		.aws_shared_credentials_file = "/nonexistent",
		.aws_container_credentials_relative_uri = "",
		.aws_container_credentials_full_uri = "",
		.aws_container_authorization_token = "",
		.aws_ec2_metadata_service_endpoint = "",
		.aws_ec2_metadata_disabled = 1,
		.aws_endpoint_url = "",
		.aws_endpoint_url_s3 = "",
		.source_allow = "",
	};
}

static const char *
url_of(const struct config *c, struct arena *a, const char *src)
{
	struct s3_call what = { .method = "GET" };
	struct transfer_call call = { .header_count = 0 };
	struct error e;

	credentials_forget();
	assert_int_equal(s3_parse(a, src, &what.object, &e), 0);
	assert_int_equal(s3_prepare(c, NULL, a, &what, &call, &e), 0);
	assert_true(call.trusted);
	return call.url;
}

static void
test_addresses(void **state)
{
	static const struct {
		const char *region, *endpoint, *src, *url;
		int path_style;
	} cases[] = {
		{ "us-west-2", "", "s3://bucket/a/b.txt",
		  "https://bucket.s3.us-west-2.amazonaws.com/a/b.txt", 0 },
		{ "eu-central-1", "", "s3://bucket/a b?c#d%e+f",
		  "https://bucket.s3.eu-central-1.amazonaws.com/"
		  "a%20b%3Fc%23d%25e%2Bf",
		  0 },
		{ "cn-north-1", "", "s3://bucket/a",
		  "https://bucket.s3.cn-north-1.amazonaws.com.cn/a", 0 },
		{ "us-west-2", "", "s3://dotted.bucket/a",
		  "https://s3.us-west-2.amazonaws.com/dotted.bucket/a", 0 },
		{ "us-west-2", "", "s3://Old_Bucket/a",
		  "https://s3.us-west-2.amazonaws.com/Old_Bucket/a", 0 },
		{ "us-west-2", "", "s3://bucket-/a",
		  "https://s3.us-west-2.amazonaws.com/bucket-/a", 0 },
		{ "us-west-2", "", "s3://bucket//a/../b//",
		  "https://bucket.s3.us-west-2.amazonaws.com//a/../b//", 0 },
		{ "us-west-2", "", "s3://bucket/a",
		  "https://s3.us-west-2.amazonaws.com/bucket/a", 1 },
		{ "us-west-2", "http://localhost:9000", "s3://bucket/a",
		  "http://localhost:9000/bucket/a", 0 },
		{ "us-west-2", "http://localhost:9000//", "s3://bucket//a",
		  "http://localhost:9000/bucket//a", 0 },
		{ "us-west-2", "HTTPS://MinIO.example:443", "s3://bucket/a",
		  "https://minio.example/bucket/a", 0 },
		{ "us-west-2", "http://my_minio:80/s%20/3/", "s3://bucket/a",
		  "http://my_minio/s%20/3/bucket/a", 0 },
		{ "us-west-2", "http://[::1]:9000", "s3://bucket/a",
		  "http://[::1]:9000/bucket/a", 0 },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct config c = settings();

		c.aws_region = cases[i].region;
		c.aws_endpoint_url_s3 = cases[i].endpoint;
		c.s3_path_style = cases[i].path_style;
		assert_string_equal(url_of(&c, *state, cases[i].src),
				    cases[i].url);
		c.aws_endpoint_url = "http://less.specific";
		if (cases[i].endpoint[0] != '\0')
			assert_string_equal(url_of(&c, *state, cases[i].src),
					    cases[i].url);
	}
}

static void
test_bad_addresses(void **state)
{
	static const char *const cases[] = { "s3://",
					     "s3://ab/key",
					     "s3:///key",
					     "s3://b@d/key",
					     "s3://a b/",
					     "s3://a:80/key",
					     "s3://b\xc3\xbc/key" };
	static char longest[300] = "s3://";
	struct s3_object o;
	struct error e;

	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(s3_parse(*state, cases[i], &o, &e), -1);
		assert_int_equal(e.code, ERROR_INPUT);
	}
	memset(longest + 5, 'b', S3_BUCKET_MAX);
	assert_int_equal(s3_parse(*state, longest, &o, &e), 0);
	longest[5 + S3_BUCKET_MAX] = 'b';
	assert_int_equal(s3_parse(*state, longest, &o, &e), -1);
}

static void
test_keys_have_1024_bytes(void **state)
{
	static char src[1100] = "s3://bucket/";
	struct s3_object o;
	struct error e;

	memset(src + 12, 'k', 1024);
	assert_int_equal(s3_parse(*state, src, &o, &e), 0);
	assert_int_equal(strlen(o.key), 1024);
	src[12 + 1024] = 'k';
	assert_int_equal(s3_parse(*state, src, &o, &e), -1);
	assert_int_equal(e.code, ERROR_INPUT);
}

static void
test_error_codes(void **state)
{
	static const struct {
		const char *body, *code;
	} cases[] = {
		{ "<Error><Code>NoSuchKey</Code></Error>", "NoSuchKey" },
		{ "<Code>A</Code><Code>B</Code>", "A" },
		{ "<Code>Cut", "Cut" },
		{ "<Code>", "" },
		{ "", "" },
		{ "no document", "" },
		{ "<Code>a\r\nb c\"</Code>", "abc" },
		{ "<Code>12345678901</Code>", "1234567" },
	};
	char out[8];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		bool longest = strcmp(cases[i].code, "NoSuchKey") == 0;

		s3_error_code(cases[i].body, strlen(cases[i].body), out,
			      sizeof(out));
		assert_string_equal(out, longest ? "NoSuchK" : cases[i].code);
	}
}

/* An answer with one header. */
struct answer {
	struct transfer_head head;
	const char *name, *value;
};

static const char *
answer_get(const struct transfer_head *h, const char *name)
{
	const struct answer *a = h->opaque;

	return a->name != NULL && strcasecmp(a->name, name) == 0 ? a->value
								 : NULL;
}

/* In this order: what one teaches, the next one knows. */
static const struct {
	int status;
	const char *name, *value, *code;
	enum source_verdict verdict;
	const char *text;
} verdicts[] = {
	{ 404, NULL, NULL, "NoSuchKey", SOURCE_FAIL, "404 NoSuchKey" },
	{ 403, NULL, NULL, "AccessDenied", SOURCE_FAIL, "403 AccessDenied" },
	{ 403, NULL, NULL, "", SOURCE_FAIL, "403 Forbidden" },
	{ 500, NULL, NULL, "InternalError", SOURCE_RETRY, "500 InternalError" },
	{ 503, NULL, NULL, "SlowDown", SOURCE_RETRY, "503 SlowDown" },
	{ 429, NULL, NULL, "", SOURCE_RETRY, "429 Too Many Requests" },
	{ 400, NULL, NULL, "ExpiredToken", SOURCE_RETRY, "400 ExpiredToken" },
	{ 301, NULL, NULL, "PermanentRedirect", SOURCE_FAIL,
	  "301 PermanentRedirect" },
	{ 301, "x-amz-bucket-region", "", "", SOURCE_FAIL,
	  "301 Moved Permanently" },
	{ 301, "x-amz-bucket-region", "eu-west-1", "", SOURCE_AGAIN,
	  "301 Moved Permanently" },
	/* One that was in flight when the first was told. */
	{ 301, "x-amz-bucket-region", "eu-west-1", "", SOURCE_AGAIN,
	  "301 Moved Permanently" },
	{ 400, "x-amz-bucket-region", "eu-west-1",
	  "AuthorizationHeaderMalformed", SOURCE_AGAIN,
	  "400 AuthorizationHeaderMalformed" },
	{ 400, "x-amz-bucket-region", "eu-west-1", "InvalidArgument",
	  SOURCE_FAIL, "400 InvalidArgument" },
	{ 403, "x-amz-bucket-region", "eu-west-1", "AccessDenied", SOURCE_FAIL,
	  "403 AccessDenied" },
	{ 404, "x-amz-bucket-region", "ap-east-1", "NoSuchKey", SOURCE_FAIL,
	  "404 NoSuchKey" },
	/* No region, but the end of a host's name. */
	{ 301, "x-amz-bucket-region", "x@evil.example/", "", SOURCE_FAIL,
	  "301 Moved Permanently" },
	{ 301, "x-amz-bucket-region", "a-very-long-region-of-over-30-letters",
	  "", SOURCE_FAIL, "301 Moved Permanently" },
	{ 403, "Date", "no date", "RequestTimeTooSkewed", SOURCE_FAIL,
	  "403 RequestTimeTooSkewed" },
	{ 403, "Date", "Fri, 24 May 2013 00:00:00 GMT", "RequestTimeTooSkewed",
	  SOURCE_AGAIN, "403 RequestTimeTooSkewed" },
};

static void
test_verdicts(void **state)
{
	struct config c = settings();

	for (size_t i = 0; i < COUNT(verdicts); i++) {
		struct answer a = { .name = verdicts[i].name,
				    .value = verdicts[i].value };
		char body[200];
		struct error e = { .code = ERROR_NONE };
		int n = snprintf(body, sizeof(body), "<Code>%s</Code>",
				 verdicts[i].code);

		a.head = (struct transfer_head){ .status = verdicts[i].status,
						 .get = answer_get,
						 .opaque = &a };
		assert_int_equal(
			s3_judge(&c, "bucket-x", &a.head, body, (size_t)n, &e),
			verdicts[i].verdict);
		assert_string_equal(e.text, verdicts[i].text);
		assert_int_equal(e.http_status, verdicts[i].status);
	}
	assert_string_equal(url_of(&c, *state, "s3://bucket-x/a"),
			    "https://bucket-x.s3.eu-west-1.amazonaws.com/a");
	assert_string_equal(url_of(&c, *state, "s3://bucket-y/a"),
			    "https://bucket-y.s3.us-west-2.amazonaws.com/a");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_addresses, with_arena,
						without_arena),
		cmocka_unit_test_setup_teardown(test_bad_addresses, with_arena,
						without_arena),
		cmocka_unit_test_setup_teardown(test_keys_have_1024_bytes,
						with_arena, without_arena),
		cmocka_unit_test(test_error_codes),
		cmocka_unit_test_setup_teardown(test_verdicts, with_arena,
						without_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
