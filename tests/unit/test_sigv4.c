/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Signatures that AWS has published: the examples of the S3 API reference
 * ("Authenticating Requests"), the one of the General Reference for IAM, and
 * cases of the aws-sig-v4-test-suite by their names there.
 */
#include "sigv4.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define WELCOME /* of "Welcome to Amazon S3." */                               \
	"44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
#define MAY_2013 INT64_C(1369353600)	/* 20130524T000000Z */
#define AUGUST_2015 INT64_C(1440938160) /* 20150830T123600Z */
#define PAIRS 5				/* in a case, at most */

struct sample {
	const char *name;
	const char *method;
	const char *path;
	struct sigv4_pair query[PAIRS];
	struct sigv4_pair headers[PAIRS];
	const char *hash; /* NULL: of nothing */
	const char *signed_headers;
	const char *signature;
};

static const struct sigv4_request s3 = {
	.host = "examplebucket.s3.amazonaws.com",
	.region = "us-east-1",
	.service = "s3",
	.access_key = "AKIAIOSFODNN7EXAMPLE",
	.secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
	.token = "",
	.now = MAY_2013,
};

static const struct sigv4_request suite = {
	.host = "example.amazonaws.com",
	.region = "us-east-1",
	.service = "service",
	.access_key = "AKIDEXAMPLE",
	.secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
	.token = "",
	.now = AUGUST_2015,
};

static size_t
count(const struct sigv4_pair *pairs)
{
	size_t n = 0;

	while (n < PAIRS && pairs[n].name != NULL)
		n++;
	return n;
}

static struct sigv4_request
request_of(const struct sigv4_request *base, const struct sample *c)
{
	struct sigv4_request r = *base;

	r.method = c->method;
	r.path = c->path;
	r.query = c->query;
	r.query_count = count(c->query);
	r.headers = c->headers;
	r.header_count = count(c->headers);
	r.payload_hash = c->hash != NULL ? c->hash : EMPTY;
	return r;
}

static void
check(const struct sigv4_request *base, const struct sample *c,
      const char *scope)
{
	struct sigv4_request r = request_of(base, c);
	char date[17], expected[1024];
	struct buf b;

	snprintf(expected, sizeof(expected),
		 "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, "
		 "Signature=%s",
		 base->access_key, scope, c->signed_headers, c->signature);
	buf_init(&b, 4096);
	assert_int_equal(sigv4_sign(&r, &b, date), 0);
	if (strcmp(buf_str(&b), expected) != 0)
		print_message("case %s\n", c->name);
	assert_string_equal(buf_str(&b), expected);
	assert_int_equal(strlen(date), 16);
	assert_memory_equal(date, strchr(scope, '/') - 8, 8);
	buf_free(&b);
}

static void
test_s3(void **state)
{
	static const struct sample cases[] = {
		{ .name = "GET object",
		  .method = "GET",
		  .path = "/test.txt",
		  .headers = { { "Range", "bytes=0-9" } },
		  .signed_headers =
			  "host;range;x-amz-content-sha256;x-amz-date",
		  .signature = "f0e8bdb87c964420e857bd35b5d6ed31"
			       "0bd44f0170aba48dd91039c6036bdb41" },
		{ .name = "PUT object",
		  .method = "PUT",
		  .path = "/test$file.text",
		  .headers = { { "x-amz-storage-class", "REDUCED_REDUNDANCY" },
			       { "Date", "Fri, 24 May 2013 00:00:00 GMT" } },
		  .hash = WELCOME,
		  .signed_headers = "date;host;x-amz-content-sha256;"
				    "x-amz-date;x-amz-storage-class",
		  .signature = "98ad721746da40c64f1a55b78f14c238"
			       "d841ea1380cd77a1b5971af0ece108bd" },
		{ .name = "GET bucket lifecycle",
		  .method = "GET",
		  .path = "/",
		  .query = { { "lifecycle", "" } },
		  .signed_headers = "host;x-amz-content-sha256;x-amz-date",
		  .signature = "fea454ca298b7da1c68078a5d1bdbfbb"
			       "e0d65c699e0f91ac7a200a0136783543" },
		{ .name = "List objects",
		  .method = "GET",
		  .path = "/",
		  .query = { { "prefix", "J" }, { "max-keys", "2" } },
		  .signed_headers = "host;x-amz-content-sha256;x-amz-date",
		  .signature = "34b48302e7b5fa45bde8084f4b7868a8"
			       "6f0a534bc59db6670ed5711ef69dc6f7" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		check(&s3, &cases[i], "20130524/us-east-1/s3/aws4_request");
}

#define VANILLA                                                                \
	"5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"

static void
test_suite_paths(void **state)
{
	/* All of those that need no other than unreserved bytes: the suite
	 * sends the others bare, as no client may. */
	static const struct {
		const char *name, *path, *signature;
	} cases[] = {
		{ "get-vanilla", "/", VANILLA },
		{ "get-relative", "/example/..", VANILLA },
		{ "get-relative-relative", "/example1/example2/../..",
		  VANILLA },
		{ "get-slash", "//", VANILLA },
		{ "get-slash-dot-slash", "/./", VANILLA },
		{ "above the root", "/../../", VANILLA },
		{ "twice above", "/a/../../", VANILLA },
		{ "get-slash-pointless-dot", "/./example",
		  "ef75d96142cf21edca26f06005da7988"
		  "e4f8dc83a165a80865db7089db637ec5" },
		{ "the same", "/a/b/.././../example",
		  "ef75d96142cf21edca26f06005da7988"
		  "e4f8dc83a165a80865db7089db637ec5" },
		{ "get-slashes", "//example//",
		  "9a624bd73a37c9a373b5312afbebe7a7"
		  "14a789de108f0bdfe846570885f57e84" },
		{ "get-unreserved",
		  "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		  "abcdefghijklmnopqrstuvwxyz",
		  "07ef7494c76fa4850883e2b006601f94"
		  "0f8a34d404d0cfa977f52a65bbf5f24f" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct sample c = { .name = cases[i].name,
				    .method = "GET",
				    .path = cases[i].path,
				    .signed_headers = "host;x-amz-date",
				    .signature = cases[i].signature };

		check(&suite, &c, "20150830/us-east-1/service/aws4_request");
	}
}

static void
test_suite_queries(void **state)
{
	static const struct {
		const char *name;
		struct sigv4_pair query[PAIRS];
		const char *signature;
	} cases[] = {
		{ "get-vanilla-empty-query-key",
		  { { "Param1", "value1" } },
		  "a67d582fa61cc504c4bae71f336f98b9"
		  "7f1ea3c7a6bfe1b6e45aec72011b9aeb" },
		{ "get-vanilla-query-order-key-case",
		  { { "Param2", "value2" }, { "Param1", "value1" } },
		  "b97d918cfa904a5beff61c982a1b6f45"
		  "8b799221646efd99d3219ec94cdf2500" },
		{ "get-vanilla-query-order-value",
		  { { "Param1", "value2" }, { "Param1", "value1" } },
		  "5772eed61e12b33fae39ee5e7012498b"
		  "51d56abc0abb7c60486157bd471c4694" },
		{ "get-vanilla-query-unreserved",
		  { { "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		      "abcdefghijklmnopqrstuvwxyz",
		      "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		      "abcdefghijklmnopqrstuvwxyz" } },
		  "9c3e54bfcdf0b19771a7f523ee5669cd"
		  "f59bc7cc0884027167c21bb143a40197" },
		{ "get-vanilla-utf8-query",
		  { { "\xe1\x88\xb4", "bar" } },
		  "2cdec8eed098649ff3a119c94853b13c"
		  "643bcf08f8b0a1d91e12c9027818dd04" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct sample c = { .name = cases[i].name,
				    .method = "GET",
				    .path = "/",
				    .signed_headers = "host;x-amz-date",
				    .signature = cases[i].signature };

		memcpy(c.query, cases[i].query, sizeof(c.query));
		check(&suite, &c, "20150830/us-east-1/service/aws4_request");
	}
}

static void
test_suite_headers(void **state)
{
	static const struct sample cases[] = {
		{ .name = "post-vanilla",
		  .method = "POST",
		  .path = "/",
		  .signed_headers = "host;x-amz-date",
		  .signature = "5da7c1a2acd57cee7505fc6676e4e544"
			       "621c30862966e37dddb68e92efbe5d6b" },
		{ .name = "post-header-key-sort",
		  .method = "POST",
		  .path = "/",
		  .headers = { { "My-Header1", "value1" } },
		  .signed_headers = "host;my-header1;x-amz-date",
		  .signature = "c5410059b04c1ee005303aed430f6e66"
			       "45f61f4dc9e1461ec8f8916fdf18852c" },
		{ .name = "post-header-value-case",
		  .method = "POST",
		  .path = "/",
		  .headers = { { "My-Header1", "VALUE1" } },
		  .signed_headers = "host;my-header1;x-amz-date",
		  .signature = "cdbc9802e29d2942e5e10b5bccfdd67c"
			       "5f22c7c4e8ae67b53629efa58b974b7d" },
		{ .name = "get-header-value-trim",
		  .method = "GET",
		  .path = "/",
		  .headers = { { "My-Header1", " value1" },
			       { "My-Header2", " \"a   b   c\"" } },
		  .signed_headers = "host;my-header1;my-header2;x-amz-date",
		  .signature = "acc3ed3afb60bb290fc8d2dd0098b991"
			       "1fcaa05412b367055dee359757a9c736" },
		{ .name = "get-header-key-duplicate",
		  .method = "GET",
		  .path = "/",
		  .headers = { { "My-Header1", "value2" },
			       { "my-header1", "value2" },
			       { "MY-HEADER1", "value1" } },
		  .signed_headers = "host;my-header1;x-amz-date",
		  .signature = "c9d5ea9f3f72853aea855b47ea873832"
			       "890dbdd183b4468f858259531a5138ea" },
		{ .name = "get-header-value-order",
		  .method = "GET",
		  .path = "/",
		  .headers = { { "My-Header1", "value4" },
			       { "My-Header1", "value1" },
			       { "My-Header1", "value3" },
			       { "My-Header1", "value2" } },
		  .signed_headers = "host;my-header1;x-amz-date",
		  .signature = "08c7e5a9acfcfeb3ab6b2185e75ce8b1"
			       "deb5e634ec47601a50643f830c755c01" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		check(&suite, &cases[i],
		      "20150830/us-east-1/service/aws4_request");
}

static void
test_iam(void **state)
{
	static const struct sample c = {
		.name = "IAM ListUsers",
		.method = "GET",
		.path = "/",
		.query = { { "Version", "2010-05-08" },
			   { "Action", "ListUsers" } },
		.headers = { { "Content-Type",
			       "application/x-www-form-urlencoded; "
			       "charset=utf-8" } },
		.signed_headers = "content-type;host;x-amz-date",
		.signature = "5d672d79c15b13162d9279b0855cfba6"
			     "789a8edb4c82c400e06b5924a6f2b5d7",
	};
	struct sigv4_request iam = suite;

	(void)state;
	iam.host = "iam.amazonaws.com";
	iam.service = "iam";
	check(&iam, &c, "20150830/us-east-1/iam/aws4_request");
}

static void
test_presigned(void **state)
{
	struct sigv4_request r = s3;
	struct buf b;

	(void)state;
	r.method = "GET";
	r.path = "/test.txt";
	r.payload_hash = SIGV4_UNSIGNED;
	buf_init(&b, 4096);
	assert_int_equal(sigv4_presign(&r, 86400, &b), 0);
	assert_string_equal(
		buf_str(&b),
		"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
		"AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2F"
		"aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400"
		"&X-Amz-SignedHeaders=host&X-Amz-Signature="
		"aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604"
		"d404");
	buf_free(&b);
}

static void
test_token_is_signed(void **state)
{
	static const struct sigv4_pair none = { NULL, NULL };
	struct sigv4_request r = suite;
	struct buf b;
	char date[17];

	(void)state;
	r.method = "GET";
	r.path = "/";
	r.headers = r.query = &none;
	r.payload_hash = EMPTY;
	r.token = "AQoDYXdzEPT//////////wEXAMPLE";
	buf_init(&b, 4096);
	assert_int_equal(sigv4_sign(&r, &b, date), 0);
	assert_non_null(strstr(buf_str(&b), "SignedHeaders=host;x-amz-date;"
					    "x-amz-security-token,"));
	buf_reset(&b);
	assert_int_equal(sigv4_presign(&r, 60, &b), 0);
	assert_non_null(strstr(buf_str(&b), "&X-Amz-Security-Token=AQoDYXdzEPT"
					    "%2F%2F%2F"));
	buf_free(&b);
}

static void
test_encoding(void **state)
{
	static const struct {
		const char *path, *encoded;
	} cases[] = {
		{ "/", "/" },
		{ "/a b", "/a%20b" },
		{ "/a+b", "/a%2Bb" },
		{ "/a%2Fb", "/a%252Fb" },
		{ "/?#", "/%3F%23" },
		{ "//a//", "//a//" },
		{ "/a/../b/.", "/a/../b/." },
		{ "/\xc3\xbc", "/%C3%BC" },
		{ "/\xff\x01\x7f", "/%FF%01%7F" },
		{ "/-._~!*'()", "/-._~%21%2A%27%28%29" },
		{ "/=&;,:@$", "/%3D%26%3B%2C%3A%40%24" },
	};
	static const struct sigv4_pair query[] = {
		{ "b", "2" }, { "a-", "1" }, { "a", "" },    { "a", "=&" },
		{ "A", "x" }, { "a/", "y" }, { "\xc3", "" },
	};
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	for (size_t i = 0; i < COUNT(cases); i++) {
		buf_reset(&b);
		sigv4_encode_path(&b, cases[i].path);
		assert_string_equal(buf_str(&b), cases[i].encoded);
	}
	buf_reset(&b);
	sigv4_encode_query(&b, query, COUNT(query));
	/* By their encoded names: '%' stands before '-' and letters. */
	assert_string_equal(buf_str(&b),
			    "%C3=&A=x&a=&a=%3D%26&a%2F=y&a-=1&b=2");
	buf_free(&b);
}

/* What does not fit is refused and never signed in part. */
static void
test_limits(void **state)
{
	static struct sigv4_pair many[SIGV4_HEADERS_MAX + 20];
	struct sigv4_request r = suite;
	char date[17], secret[400];
	struct buf b;

	(void)state;
	for (size_t i = 0; i < COUNT(many); i++)
		many[i] = (struct sigv4_pair){ "a", "b" };
	r.method = "GET";
	r.path = "/";
	r.payload_hash = EMPTY;
	r.headers = many;
	r.header_count = SIGV4_HEADERS_MAX;
	buf_init(&b, 4096);
	assert_int_equal(sigv4_sign(&r, &b, date), 0);
	r.header_count = COUNT(many);
	assert_int_equal(sigv4_sign(&r, &b, date), -1);
	assert_int_equal(sigv4_presign(&r, 60, &b), -1);
	r.header_count = 0;
	r.query = many;
	r.query_count = COUNT(many);
	assert_int_equal(sigv4_sign(&r, &b, date), -1);
	sigv4_encode_query(&b, many, COUNT(many));
	assert_true(buf_failed(&b));
	r.query_count = 0;
	memset(secret, 'x', sizeof(secret) - 1);
	secret[sizeof(secret) - 1] = '\0';
	r.secret_key = secret;
	buf_reset(&b);
	assert_int_equal(sigv4_sign(&r, &b, date), -1);
	r.secret_key = "x";
	r.region = secret;
	assert_int_equal(sigv4_sign(&r, &b, date), -1);
	r.region = "";
	r.now = INT64_MAX;
	assert_int_equal(sigv4_sign(&r, &b, date), -1);
	buf_free(&b);
	buf_init(&b, 20);
	r.now = 0;
	assert_int_equal(sigv4_sign(&r, &b, date), -1);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_s3),
		cmocka_unit_test(test_suite_paths),
		cmocka_unit_test(test_suite_queries),
		cmocka_unit_test(test_suite_headers),
		cmocka_unit_test(test_iam),
		cmocka_unit_test(test_presigned),
		cmocka_unit_test(test_token_is_signed),
		cmocka_unit_test(test_encoding),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
